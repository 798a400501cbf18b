//! Channel binding: SCRAM tied to the TLS connection it runs in, so that
//! nobody in between can pass it on (RFC 5929, `tls-server-end-point`).

use crate::wire::postgres::scram::Binding;
use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// What a server with this certificate (DER) can offer. The hash is the one of
/// the certificate's signature, SHA-256 at least; where the signature has none,
/// as with Ed25519, the RFC defines nothing, and libpq gives up.
pub fn end_point(certificate: &[u8]) -> Binding {
    let hash = match signature_algorithm(certificate) {
        // sha1 and sha256 with RSA; ecdsa with SHA-1 and SHA-256.
        Some(
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05 | 0x0b]
            | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01]
            | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
        ) => Sha256::digest(certificate).to_vec(),
        Some(
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c]
            | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
        ) => Sha384::digest(certificate).to_vec(),
        Some(
            [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d]
            | [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
        ) => Sha512::digest(certificate).to_vec(),
        _ => return Binding::Unavailable,
    };
    Binding::TlsServerEndPoint(hash)
}

/// The object identifier in `Certificate.signatureAlgorithm` (RFC 5280, 4.1.1.2).
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    const SEQUENCE: u8 = 0x30;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    let (inside, _) = value(certificate, SEQUENCE)?;
    let (_to_be_signed, rest) = value(inside, SEQUENCE)?;
    let (algorithm, _) = value(rest, SEQUENCE)?;
    Some(value(algorithm, OBJECT_IDENTIFIER)?.0)
}

/// One DER value of a type, and what stands behind it.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let ([found, first], rest) = der.split_first_chunk()?;
    let (length, rest) = match usize::from(*first) {
        short @ ..0x80 => (short, rest),
        long => {
            let (digits, rest) =
                rest.split_at_checked(long & 0x7f).filter(|(digits, _)| digits.len() <= 4)?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
    };
    (*found == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

    #[test]
    fn the_hash_is_that_of_the_signature() {
        for (algorithm, length) in
            [(&PKCS_ECDSA_P256_SHA256, Some(32)), (&PKCS_ECDSA_P384_SHA384, Some(48)), (&PKCS_ED25519, None)]
        {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate =
                CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
            let found = match end_point(certificate.der()) {
                Binding::TlsServerEndPoint(hash) => Some(hash.len()),
                Binding::Unavailable => None,
            };
            assert_eq!(found, length);
        }
        assert_eq!(end_point(b"0\x84\xff\xff\xff\xff"), Binding::Unavailable);
    }
}
