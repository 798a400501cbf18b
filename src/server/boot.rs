//! Building everything, in order, and taking it down again. The one place that
//! knows all the rooms.

use super::access::{Access, Parts};
use super::config::{Config, IdentityProvider, MetricsEndpoint, Server};
use super::forward::Forward;
use super::gateway::{Gateway, Registry, Watch, end_point};
use super::identity::{BrowserConfig, IdentityConfig, Provider};
use super::journal::{EventQuery, Index, Journal, Options};
use super::metrics::Metrics;
use super::outbound::{Links, Outbound};
use super::outbox::Outbox;
use super::recording::Recordings;
use super::store::Store;
use super::tasks;
use super::{api, key_file, listen, web};
use crate::core::model::{ErrorKind, Event, SessionId};
use crate::core::seal::SealKey;
use crate::core::unseal::UnsealKey;
use crate::tls;
use crate::wire::postgres::scram::Binding;
use anyhow::{Context as _, bail};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How long a stopping server waits for its sessions' roles to be gone.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long removing unused privileges from targets may take, at the end.
const LAST_SWEEP: Duration = Duration::from_secs(5);
/// How long the last events may take to reach the ledger.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// A segment is closed when it is so old, where statements are not kept for ever.
const A_DAY: Duration = Duration::from_secs(86_400);
/// How often the index reads what the ledger has become.
const INDEX: Duration = Duration::from_secs(5);

/// A server that runs until it is told to stop.
pub struct Running {
    pub address: SocketAddr,
    pub native: Option<SocketAddr>,
    access: Arc<Access>,
    recordings: Recordings,
    journal: Journal,
    tasks: JoinSet<()>,
}

/// Starts a server. It is ready for connections when this returns.
pub async fn start(config: Config) -> anyhow::Result<Running> {
    let Server { listen, native_listen, data_dir, tls_certificate, tls_key, .. } = config.server.clone();
    // Before anything is made: what is wrong with them is seen at once.
    let acceptor = tls_acceptor(&tls_certificate, &tls_key, &[listen::TUNNEL_ALPN, b"http/1.1"])?;
    private_directory(&data_dir)?;
    let ledger = data_dir.join("ledger");
    // Opening reads files and may take its time; nothing else runs yet.
    // Only closed segments are pruned, so none grows for longer than need be.
    let segment_age = config.retention.statements.map(|age| age.min(A_DAY));
    let options = Options { segment_age, ..Options::default() };
    let (journal, opened) = tokio::task::block_in_place(|| Journal::open(&ledger, options))?;
    if let Some(recovered) = &opened.recovered {
        tracing::warn!(?recovered, "the ledger's end was torn by a crash, and is whole again");
    }
    let index = Index::open(&ledger, &data_dir.join("index.db"))?;
    index.catch_up(journal.last_written()).await?;
    let store = Store::open(&data_dir.join("state.db"))?;
    let (outbox, outbox_task) = Outbox::new(store.clone(), journal.clone(), last_event(&index).await?);
    let recordings = Recordings::open(&data_dir.join("recordings"), config.auditor_key, journal.clone())?;
    let registry = Arc::new(Registry::default());
    let metrics = Arc::new(Metrics::default());
    let (watch, reads) = Watch::new(config.alerts.bulk.rows);
    let gateway = Arc::new(Gateway::new(
        Arc::clone(&registry),
        journal.clone(),
        Arc::clone(&metrics),
        watch,
        &config.limits,
    ));
    let links = Links {
        key: SealKey::new(*key_file::load_or_create(&data_dir.join("link.key"), &key_file::LINKS)?),
        public_url: config.server.public_url.clone(),
        store: store.clone(),
    };
    let (alerts, notify, forwards) = (config.alerts.clone(), config.notify.clone(), config.forward.clone());
    let host = config.server.host().to_owned();
    let (policy, metrics_endpoint) = (config.policy.hash().to_owned(), config.metrics);
    let provider = Provider::new(identity_config(&config.identity, &config.server.public_url))?;
    let unseal_key = unseal_key(&store, &data_dir.join("unseal.key"), config.redacts).await?;
    let access = Arc::new(Access::new(Parts {
        provider,
        store: store.clone(),
        outbox: outbox.clone(),
        journal: journal.clone(),
        index: index.clone(),
        recordings: recordings.clone(),
        registry,
        metrics: Arc::clone(&metrics),
        links: links.clone(),
        config,
        unseal_key,
        server_key: std::fs::read_to_string(ledger.join("signing.pub"))?,
    })?);

    let mut all = tasks::spawn(&access, metrics_endpoint.as_ref().map(|endpoint| endpoint.scan));
    all.spawn(outbox_task.run());
    all.spawn(tasks::weigh_reads(Arc::clone(&access), reads));
    for outbound in Outbound::all(&alerts, &notify, &links, &outbox, &access.noticed())? {
        all.spawn(outbound.run());
    }
    // Before any session: those that are there are an earlier process's.
    let left = recordings.left()?;
    all.spawn(recover(recordings.clone(), left, index.clone()));
    all.spawn(follow(index, journal.clone()));
    for forward in Forward::all(&forwards, &journal, &metrics, &data_dir.join("forward"), &host)? {
        all.spawn(forward.run());
    }
    let started = Event::ServerStarted { version: env!("CARGO_PKG_VERSION").to_owned(), policy };
    store.write(move |tx| tx.record(crate::os::now(), &started)).await?;
    access.policy_started().await?;
    outbox.flushed().await?;
    let left = access.bury_leftovers().await?;
    if left > 0 {
        tracing::warn!(left, "an earlier run left sessions behind; removing their roles");
    }

    let sink: api::TunnelSink = {
        let gateway = Arc::clone(&gateway);
        Arc::new(move |stream| {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move { gateway.serve(stream).await });
        })
    };
    let router = web::router(Arc::clone(&access)).merge(api::router(Arc::clone(&access), sink));
    let listener = bind(listen, "server.listen").await?;
    let address = listener.local_addr()?;
    all.spawn(listen::main_port(listener, acceptor, Arc::clone(&gateway), router));
    let native = match native_listen {
        Some(listen) => {
            let listener = bind(listen, "server.native_listen").await?;
            let address = listener.local_addr()?;
            let acceptor = tls_acceptor(&tls_certificate, &tls_key, &[listen::POSTGRES_ALPN])?;
            let chain = tls::read_certificates(&tls_certificate)?;
            let binding = chain.first().map_or(Binding::Unavailable, |own| end_point(own));
            all.spawn(listen::native_port(listener, acceptor, binding, gateway));
            Some(address)
        }
        None => None,
    };
    if let Some(endpoint) = metrics_endpoint {
        let MetricsEndpoint { listen, refresh, .. } = endpoint;
        let listener = bind(listen, "metrics.listen").await?;
        let router = api::metrics_router(metrics);
        all.spawn(tasks::measure(Arc::clone(&access), refresh));
        all.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "metrics are not served any more");
            }
        });
    }
    tracing::info!(%address, ?native, version = env!("CARGO_PKG_VERSION"), "ready");
    Ok(Running { address, native, access, recordings, journal, tasks: all })
}

impl Running {
    /// Reads the policy's files again. What is wrong with them is logged and
    /// told, and the policy in force stays.
    pub async fn reload_policy(&self) {
        match self.access.reload_policy_of_disk().await {
            Ok(_) => {}
            // It was logged where it was found.
            Err(error) if error.kind == ErrorKind::Usage => {}
            Err(error) => tracing::error!(%error, "the policy was not loaded: the old one stays in force"),
        }
    }

    /// Ends every session, waits for the proof, and closes the ledger.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        tracing::info!("stopping: every session ends now");
        self.access.end_all(PATIENCE).await;
        self.access.sweep_before_leaving(LAST_SWEEP).await;
        self.recordings.settled(LAST_WORDS).await;
        // A ledger that cannot be written must not keep the process: what it
        // was not told yet stays in the state, and is told at the next start.
        match tokio::time::timeout(LAST_WORDS, self.access.flush()).await {
            Ok(flushed) => flushed?,
            Err(_) => tracing::warn!(
                "stopping before every event is on the ledger; the next start tells it the rest"
            ),
        }
        self.tasks.shutdown().await;
        self.journal.close().await?;
        Ok(())
    }
}

/// `dbaccess server --check`.
///
/// Gives what is allowed, and yet may be a mistake.
pub fn check(config: &Path) -> anyhow::Result<Vec<String>> {
    let Config { server, targets, .. } = Config::load(config)?;
    tls_acceptor(&server.tls_certificate, &server.tls_key, &[])?;
    if server.data_dir.exists() {
        private_directory(&server.data_dir)?;
    }
    let without = targets.iter().filter(|(_, target)| target.upstream.password.is_none());
    Ok(without
        .map(|(name, _)| {
            format!(
                "targets.{name} has no password: where its database asks for one, say with password_file or \
                 password_env where it is"
            )
        })
        .collect())
}

/// `dbaccess server`: runs until SIGTERM or SIGINT; SIGHUP reads the policy again.
pub async fn run(config: &Path) -> anyhow::Result<()> {
    log();
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // A file at its size limit is an error of the write, as a full disk is, and not our death.
    let _handled = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let running = start(Config::load(config)?).await?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => running.reload_policy().await,
        }
    }
    running.stop().await
}

/// Structured logs on standard error: lines for people on a terminal, JSON
/// elsewhere. `DBACCESS_LOG` filters as `tracing` does (`info`, `dbaccess=debug`).
fn log() {
    use std::io::IsTerminal as _;
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("DBACCESS_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    // Only a second subscriber in one process fails, and then the first one logs.
    drop(set);
}

fn identity_config(config: &IdentityProvider, public_url: &str) -> IdentityConfig {
    let browser = config.browser.as_ref().map(|browser| {
        let same = || (config.client_id.clone(), config.client_secret.clone());
        let (client_id, client_secret) = browser.own.clone().unwrap_or_else(same);
        BrowserConfig { client_id, client_secret, redirect_uri: format!("{public_url}{}", web::CALLBACK) }
    });
    IdentityConfig {
        browser,
        client_secret: config.client_secret.clone(),
        scopes: config.scopes.clone(),
        groups_claim: config.groups_claim.clone(),
        ca: config.ca.clone(),
        leeway: config.leeway,
        ..IdentityConfig::new(&config.issuer, &config.client_id)
    }
}

/// The newest outbox id that the ledger has, so that none is told twice.
/// The server's half of what redacted texts left out. It is never made anew
/// where there was one: its loss is to be seen at once.
async fn unseal_key(store: &Store, path: &Path, redacts: bool) -> anyhow::Result<Option<UnsealKey>> {
    let known = store.read(|tx| tx.unseal_keys()).await?;
    let found = match key_file::load(path, &key_file::UNSEALING)? {
        None if redacts && !known.is_empty() => anyhow::bail!(
            "{} is gone, the server's half of the key of redacted texts: put it back from a backup. Without it \
             what they left out until now is never read again; if it is lost for good, 32 random bytes in its \
             place, with mode 0600, let the server start",
            path.display()
        ),
        None if redacts => Some(key_file::load_or_create(path, &key_file::UNSEALING)?),
        found => found,
    };
    let Some(key) = found.map(|key| UnsealKey::new(*key)) else { return Ok(None) };
    let mark = key.mark();
    if !known.is_empty() && !known.contains(&mark) {
        tracing::warn!(
            path = %path.display(),
            "unseal.key is another one than texts were sealed with: those are not unsealed with it"
        );
    }
    if redacts {
        store.write(move |tx| tx.save_unseal_key(&mark)).await?;
    }
    Ok(Some(key))
}

async fn last_event(index: &Index) -> anyhow::Result<i64> {
    #[derive(serde::Deserialize)]
    struct Numbered {
        event: Option<i64>,
    }
    let mut before = None;
    loop {
        let page = index.events(&EventQuery { before, limit: Some(100), ..EventQuery::default() }).await?;
        for row in &page {
            let numbered: Numbered =
                serde_json::from_str(&row.body).context("a ledger record cannot be read")?;
            if let Some(id) = numbered.event {
                return Ok(id);
            }
        }
        match page.last() {
            Some(row) => before = Some(row.seq),
            None => return Ok(0),
        }
    }
}

/// Ends the recordings that a crash has left, however large they are.
async fn recover(recordings: Recordings, left: Vec<SessionId>, index: Index) {
    for session in left {
        if let Err(error) = recordings.recover(&session, &index).await {
            tracing::warn!(%session, %error, "a recording that a crash has left is not ended");
        }
    }
}

/// Keeps the index near the ledger's end, so that a search has little to catch up.
async fn follow(index: Index, journal: Journal) {
    loop {
        tokio::time::sleep(INDEX).await;
        if let Err(error) = index.catch_up(journal.last_written()).await {
            tracing::warn!(%error, "the search index lags behind the ledger");
        }
    }
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address} (`{key}`): is another server running, or the port reserved?")
    })
}

fn tls_acceptor(certificate: &Path, key: &Path, alpn: &[&[u8]]) -> anyhow::Result<TlsAcceptor> {
    let chain = tls::read_certificates(certificate)?;
    let mode = std::fs::metadata(key)
        .with_context(|| format!("cannot read {}", key.display()))?
        .permissions()
        .mode();
    if mode & 0o007 != 0 {
        bail!("everybody can read the private key {}: `chmod 600` it", key.display());
    }
    let key =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("no private key in {}", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The data directory: the server's own user's and nobody else's.
fn private_directory(path: &Path) -> anyhow::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| format!("cannot make the data directory {}", path.display()))?;
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("other users can look into the data directory {}: `chmod 700` it", path.display());
    }
    Ok(())
}
