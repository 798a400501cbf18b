//! TLS as every wing uses it: rustls on ring, the system's roots plus at most
//! one extra CA file, no switch that turns verification off.

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use std::path::Path;
use std::sync::Arc;

/// A TLS configuration that could not be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read certificates from {path}: {source}")]
    Read { path: String, source: rustls_pki_types::pem::Error },
    #[error("no certificate in {0}: expected PEM")]
    Empty(String),
    #[error("the certificate or key is not usable: {0}")]
    Rustls(#[from] rustls::Error),
    #[error("cannot build the HTTP client: {0}")]
    Http(#[from] reqwest::Error),
}

/// Makes ring the process's provider of cryptography. Safe to call again.
pub fn install_provider() {
    // An error only says that a provider is installed already.
    drop(rustls::crypto::ring::default_provider().install_default());
}

/// A client configuration that trusts the system's roots and `extra_ca`.
pub fn client_config(extra_ca: Option<&Path>, alpn: &[&[u8]]) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    // A machine without system roots still works with an explicit CA.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = extra_ca {
        for certificate in read_certificates(path)? {
            roots.add(certificate)?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// An HTTP client over [`client_config`].
pub fn http_client(extra_ca: Option<&Path>) -> Result<reqwest::Client, TlsError> {
    install_provider();
    let config = client_config(extra_ca, &[b"http/1.1"])?;
    let agent = concat!("dbaccess/", env!("CARGO_PKG_VERSION"));
    Ok(reqwest::Client::builder().tls_backend_preconfigured(config).user_agent(agent).build()?)
}

/// The certificates of a PEM file, in order; at least one.
pub fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let shown = path.display().to_string();
    let read = |source| TlsError::Read { path: shown.clone(), source };
    let certificates: Vec<_> =
        CertificateDer::pem_file_iter(path).map_err(read)?.collect::<Result<_, _>>().map_err(read)?;
    if certificates.is_empty() { Err(TlsError::Empty(shown)) } else { Ok(certificates) }
}
