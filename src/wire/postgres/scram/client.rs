use super::{
    Hash, Keys, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, attribute, decode_hash, digest, hmac, is_nonce, malformed,
    text, xor,
};
use crate::wire::postgres::WireError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The client that waits for the server's challenge.
#[derive(Debug)]
pub struct Client<'k> {
    keys: &'k Keys,
    nonce: String,
    header: &'static str,
    /// The server's certificate hash, where the exchange is tied to it.
    binding: Vec<u8>,
}

/// The client that has proved itself and waits for the server to do so.
#[derive(Debug)]
pub struct ClientProved {
    server_signature: Hash,
}

impl<'k> Client<'k> {
    /// Gives the data of the SASLInitialResponse. With `binding` (the hash of
    /// the server's certificate) the mechanism is SCRAM-SHA-256-PLUS: see
    /// [`Client::mechanism`]. `nonce` is random and printable.
    pub fn start(keys: &'k Keys, nonce: &str, binding: Option<&[u8]>) -> (Self, String) {
        let header = if binding.is_some() { "p=tls-server-end-point,," } else { "n,," };
        let binding = binding.unwrap_or_default().to_vec();
        let client = Self { keys, nonce: nonce.to_owned(), header, binding };
        let first = format!("{header}n=,r={nonce}");
        (client, first)
    }

    pub fn mechanism(&self) -> &'static str {
        if self.header.starts_with('p') { SCRAM_SHA_256_PLUS } else { SCRAM_SHA_256 }
    }

    /// Takes the data of SASLContinue, gives that of the SASLResponse.
    ///
    /// # Errors
    /// [`WireError::OtherPassword`] when the server's salt or iteration count
    /// is not that of our keys: somebody has set another password for the role.
    pub fn transition(self, server_first: &[u8]) -> Result<(ClientProved, String), WireError> {
        self.respond(server_first, true)
    }

    /// The same, whoever's salt it is: what is sent proves nothing then, and the
    /// server says so. To see a credential refused that must be dead.
    pub fn answer(self, server_first: &[u8]) -> Result<(ClientProved, String), WireError> {
        self.respond(server_first, false)
    }

    fn respond(self, server_first: &[u8], own: bool) -> Result<(ClientProved, String), WireError> {
        let message = text(server_first)?;
        let mut rest = message;
        let nonce = attribute(&mut rest, 'r')
            .filter(|nonce| {
                is_nonce(nonce) && nonce.len() > self.nonce.len() && nonce.starts_with(&self.nonce)
            })
            .ok_or_else(|| malformed("the server's nonce does not continue ours"))?;
        let salt = attribute(&mut rest, 's').and_then(|salt| STANDARD.decode(salt).ok());
        let salt = salt.ok_or_else(|| malformed("the salt is missing"))?;
        let iterations = attribute(&mut rest, 'i').and_then(|count| count.parse::<u32>().ok());
        let iterations = iterations.ok_or_else(|| malformed("the iteration count is missing"))?;
        if own && (salt != self.keys.salt || iterations != self.keys.iterations) {
            return Err(WireError::OtherPassword);
        }

        let binding = STANDARD.encode([self.header.as_bytes(), &self.binding].concat());
        let without_proof = format!("c={binding},r={nonce}");
        let transcript = format!("n=,r={},{message},{without_proof}", self.nonce);
        let stored_key = Zeroizing::new(digest(&self.keys.client_key));
        let signature = hmac(&*stored_key, &[transcript.as_bytes()]);
        let proof = xor(*self.keys.client_key, &signature);
        let server_signature = hmac(&*self.keys.server_key, &[transcript.as_bytes()]);
        let last = format!("{without_proof},p={}", STANDARD.encode(proof));
        Ok((ClientProved { server_signature }, last))
    }
}

impl ClientProved {
    /// Takes the data of SASLFinal. Only `Ok` means that the server is the one
    /// that holds the verifier; AuthenticationOk alone does not.
    pub fn transition(self, server_final: &[u8]) -> Result<(), WireError> {
        let mut rest = text(server_final)?;
        let signature =
            attribute(&mut rest, 'v').and_then(decode_hash).ok_or(WireError::ServerNotAuthentic)?;
        if signature.ct_eq(&self.server_signature).into() {
            Ok(())
        } else {
            Err(WireError::ServerNotAuthentic)
        }
    }
}
