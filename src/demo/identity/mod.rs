//! An identity provider for DEVELOPMENT: a small OpenID Connect provider with
//! the device flow and, for browsers, the authorization code flow, on TLS, on loopback only. Whoever opens its page may choose
//! to be anybody on its list, so it proves nothing about anybody; `dbaccess
//! demo` and the tests use it where a company has its own.
//!
//! It speaks the protocols faithfully (RFC 8628 with `slow_down`, RFC 7636, RFC 6749 with
//! rotation of refresh tokens and detection of their reuse, RFC 7009, discovery,
//! JWKS with rotation), and [`Options`] make it misbehave as real providers and
//! attackers do.

mod code;
mod drive;
mod issue;
mod mint;
mod pages;
mod routes;

use anyhow::{Result, bail};
pub use drive::{Answer, answer_without_browser};
use issue::State;
use jiff::{SignedDuration, Timestamp};
pub(super) use pages::{escape, page};
use rustls::ServerConfig;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// Somebody that a visitor may choose to be.
#[derive(Clone, Debug)]
pub struct DevPerson {
    pub subject: String,
    pub email: String,
    pub name: String,
    pub groups: Vec<String>,
}

impl DevPerson {
    /// `alice` of these groups, at example.com.
    pub fn new(name: &str, groups: &[&str]) -> Self {
        Self {
            subject: name.to_owned(),
            email: format!("{name}@example.com"),
            name: name.to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
        }
    }
}

/// How the provider behaves. The default is as a good one does.
#[derive(Clone, Debug)]
pub struct Options {
    pub client_id: String,
    /// Where browsers may be sent back to, letter by letter.
    pub redirect_uris: Vec<String>,
    /// The groups of people, by subject, that are others now than at the start.
    pub moved: HashMap<String, Vec<String>>,
    /// Seconds between polls that clients are told; `None`: not told (then 5, RFC 8628 section 3.2).
    pub interval: Option<u64>,
    /// Seconds between polls that are demanded, where they differ from what is told.
    pub enforced_interval: Option<u64>,
    pub code_lifetime: Duration,
    pub token_lifetime: Duration,
    /// Whether a refresh answers with an ID token, which is optional (OpenID Connect Core section 12.2).
    pub id_token_on_refresh: bool,
    /// ID tokens name the subject alone; userinfo has the rest.
    pub lean_id_token: bool,
    /// Errors have empty bodies, as glewlwyd's have.
    pub empty_errors: bool,
    /// Whether there is a revocation endpoint.
    pub revocation: bool,
    /// Answer 503 to this many requests at the token endpoint.
    pub failures: u32,
    /// The provider's clock, against ours, where it writes times into tokens.
    pub token_clock: SignedDuration,
    pub forge: Forge,
}

/// What is put into ID tokens in place of the truth.
#[derive(Clone, Debug, Default)]
pub struct Forge {
    pub issuer: Option<String>,
    pub audience: Option<Vec<String>>,
    pub authorized_party: Option<String>,
    pub nonce: Option<String>,
    /// Somebody else, when a token is refreshed.
    pub subject_on_refresh: Option<String>,
    pub algorithm: Algorithm,
}

/// How ID tokens are signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    #[default]
    Es256,
    /// Not at all.
    None,
    /// With the public key as an HMAC's secret: the classic confusion.
    Hs256,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client_id: "dbaccess".to_owned(),
            redirect_uris: Vec::new(),
            moved: HashMap::new(),
            interval: Some(1),
            enforced_interval: None,
            code_lifetime: Duration::from_secs(600),
            token_lifetime: Duration::from_secs(300),
            id_token_on_refresh: true,
            lean_id_token: false,
            empty_errors: false,
            revocation: true,
            failures: 0,
            token_clock: SignedDuration::ZERO,
            forge: Forge::default(),
        }
    }
}

/// A running provider; it stops when this is dropped.
#[derive(Debug)]
pub struct DevIdp {
    shared: Arc<Shared>,
    stop: watch::Sender<()>,
}

#[derive(Debug)]
struct Shared {
    issuer: String,
    people: Vec<DevPerson>,
    state: Mutex<State>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DevIdp {
    /// Serves on `listener`, which must be on loopback. The issuer is `https://localhost:PORT`.
    pub fn start(
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        people: Vec<DevPerson>,
        options: Options,
    ) -> Result<Self> {
        let address = listener.local_addr()?;
        if !address.ip().is_loopback() {
            bail!("the development identity provider lets anybody be anybody: it stays on loopback");
        }
        let issuer = format!("https://localhost:{}", address.port());
        let state = Mutex::new(State::new(options)?);
        let shared = Arc::new(Shared { issuer, people, state });
        let (stop, stopped) = watch::channel(());
        tokio::spawn(serve(listener, TlsAcceptor::from(tls), routes::router(shared.clone()), stopped));
        Ok(Self { shared, stop })
    }

    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    pub fn people(&self) -> &[DevPerson] {
        &self.shared.people
    }

    /// Changes how the provider behaves from now on.
    pub fn change(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.shared.lock().options);
    }

    /// The provider's clock.
    pub fn now(&self) -> Timestamp {
        self.shared.lock().now()
    }

    /// Lets time pass for the provider alone.
    pub fn advance(&self, time: Duration) {
        let mut state = self.shared.lock();
        state.ahead = state.ahead.saturating_add(SignedDuration::try_from(time).unwrap_or_default());
    }

    /// Signs with a new key from now on and forgets the old one.
    pub fn rotate_key(&self) -> Result<()> {
        self.shared.lock().key = mint::Key::generate()?;
        Ok(())
    }

    /// How often the keys were asked for.
    pub fn keys_served(&self) -> u64 {
        self.shared.lock().keys_served
    }

    /// How often the token endpoint was asked.
    pub fn polls(&self) -> u64 {
        self.shared.lock().polls
    }

    /// Stops accepting and drops every connection.
    pub fn stop(&self) {
        self.stop.send_replace(());
    }
}

/// Accepts until told to stop; each connection dies with the provider.
async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    router: axum::Router,
    mut stopped: watch::Receiver<()>,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            // Also when the sender is gone.
            _ = stopped.changed() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let mut stopped = stopped.clone();
                let connection = connection(stream, peer, tls.clone(), router.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = connection => {}
                        _ = stopped.changed() => {}
                    }
                });
            }
            // Out of file descriptors, most likely: give others time to close theirs.
            Err(error) => {
                tracing::warn!(%error, "the development identity provider cannot accept");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, tls: TlsAcceptor, router: axum::Router) {
    let handshake = tokio::time::timeout(Duration::from_secs(10), tls.accept(stream)).await;
    let Ok(Ok(stream)) = handshake else {
        tracing::debug!(%peer, "no TLS handshake at the development identity provider");
        return;
    };
    let service = hyper_util::service::TowerToHyperService::new(router);
    let io = hyper_util::rt::TokioIo::new(stream);
    if let Err(error) = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await {
        tracing::debug!(%peer, %error, "a connection to the development identity provider broke");
    }
}
