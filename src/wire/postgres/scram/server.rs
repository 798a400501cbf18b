use super::{
    SCRAM_SHA_256, SCRAM_SHA_256_PLUS, Verifier, attribute, decode_hash, digest, hmac, is_nonce, malformed,
    text, xor,
};
use crate::wire::postgres::WireError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Whether the exchange can be tied to the TLS connection it runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// No TLS of ours ends here: SCRAM-SHA-256-PLUS is not offered.
    Unavailable,
    /// The hash of our certificate (RFC 5929, `tls-server-end-point`).
    TlsServerEndPoint(Vec<u8>),
}

impl Binding {
    /// What to offer, best first.
    pub fn mechanisms(&self) -> &'static [&'static str] {
        match self {
            Self::Unavailable => &[SCRAM_SHA_256],
            Self::TlsServerEndPoint(_) => &[SCRAM_SHA_256_PLUS, SCRAM_SHA_256],
        }
    }
}

/// The server before the client's first message.
#[derive(Debug)]
pub struct Server {
    verifier: Verifier,
    nonce: String,
    binding: Binding,
}

/// The server that waits for the proof.
#[derive(Debug)]
pub struct ServerChallenged {
    verifier: Verifier,
    /// What the client must send as channel binding, in base64.
    binding: String,
    nonce: String,
    /// `client-first-message-bare , server-first-message ,`
    transcript: String,
}

impl Server {
    /// `nonce`: at least 18 random bytes, printable (base64 is).
    pub fn new(verifier: Verifier, nonce: &str, binding: Binding) -> Self {
        Self { verifier, nonce: nonce.to_owned(), binding }
    }

    /// Takes the mechanism and the data of a SASLInitialResponse; gives the
    /// data of the SASLContinue to answer with.
    pub fn transition(
        self,
        mechanism: &str,
        client_first: &[u8],
    ) -> Result<(ServerChallenged, String), WireError> {
        if !self.binding.mechanisms().contains(&mechanism) {
            return Err(malformed("the client chose a mechanism that was not offered"));
        }
        let message = text(client_first)?;
        let binding = self.binding(mechanism == SCRAM_SHA_256_PLUS, message)?;
        let bare = message.splitn(3, ',').nth(2).unwrap_or_default();

        let mut rest = bare;
        if rest.starts_with("m=") {
            return Err(malformed("the client demands an extension that is not known"));
        }
        // PostgreSQL takes the user of the startup message, clients leave this empty.
        attribute(&mut rest, 'n').ok_or_else(|| malformed("the user name is missing"))?;
        let client_nonce = attribute(&mut rest, 'r')
            .filter(|nonce| is_nonce(nonce))
            .ok_or_else(|| malformed("the client's nonce is missing or not printable"))?;

        let nonce = format!("{client_nonce}{}", self.nonce);
        let challenge =
            format!("r={nonce},s={},i={}", STANDARD.encode(&self.verifier.salt), self.verifier.iterations);
        let transcript = format!("{bare},{challenge},");
        Ok((ServerChallenged { verifier: self.verifier, binding, nonce, transcript }, challenge))
    }

    /// Checks the GS2 header and gives the `c=` value that must follow.
    fn binding(&self, plus: bool, message: &str) -> Result<String, WireError> {
        let mut header = message.splitn(3, ',');
        let (flag, authorization) = (header.next().unwrap_or_default(), header.next());
        if authorization != Some("") {
            return Err(malformed("an authorization identity is not supported"));
        }
        let mut input = format!("{flag},,").into_bytes();
        match (flag, plus, &self.binding) {
            ("n", false, _) | ("y", false, Binding::Unavailable) => {}
            // Someone between us removed the offer (RFC 5802, section 6).
            ("y", false, Binding::TlsServerEndPoint(_)) => {
                return Err(malformed("the client can bind to the channel but was not offered it"));
            }
            ("p=tls-server-end-point", true, Binding::TlsServerEndPoint(data)) => input.extend(data),
            ("n" | "y", true, _) => {
                return Err(malformed("SCRAM-SHA-256-PLUS was chosen without channel binding"));
            }
            (flag, ..) if flag.starts_with("p=") => {
                return Err(malformed("the channel binding is not one that was offered"));
            }
            _ => return Err(malformed("the channel binding flag is not n, y or p")),
        }
        Ok(STANDARD.encode(input))
    }
}

impl ServerChallenged {
    /// Takes the data of a SASLResponse. `Ok` is the proof that the client
    /// knows the password, and the data of the SASLFinal; for a mock verifier
    /// it is never given, after the same work.
    pub fn transition(self, client_final: &[u8]) -> Result<String, WireError> {
        let message = text(client_final)?;
        let (without_proof, proof) =
            message.rsplit_once(",p=").ok_or_else(|| malformed("the proof is missing"))?;
        let mut rest = without_proof;
        let binding = attribute(&mut rest, 'c').ok_or_else(|| malformed("the channel binding is missing"))?;
        let nonce = attribute(&mut rest, 'r').ok_or_else(|| malformed("the nonce is missing"))?;
        if nonce != self.nonce {
            return Err(malformed("the nonce is not the one of the challenge"));
        }
        if binding != self.binding {
            return Err(malformed("the channel binding is not that of this connection"));
        }
        let proof = decode_hash(proof).ok_or_else(|| malformed("the proof is not a hash in base64"))?;

        let transcript: [&[u8]; 2] = [self.transcript.as_bytes(), without_proof.as_bytes()];
        let signature = hmac(&*self.verifier.stored_key, &transcript);
        let client_key = Zeroizing::new(xor(proof, &signature));
        let right = digest(&client_key).ct_eq(&*self.verifier.stored_key);
        let server_signature = hmac(&*self.verifier.server_key, &transcript);
        if bool::from(right) && !self.verifier.mock {
            Ok(format!("v={}", STANDARD.encode(server_signature)))
        } else {
            Err(WireError::AuthenticationFailed)
        }
    }
}
