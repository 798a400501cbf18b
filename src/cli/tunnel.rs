//! A byte pipe from a loopback port to the server's gateway: one TLS
//! connection for each local one. It holds no rules and adds no byte; who may
//! do what is decided by the gateway, which asks for the session's password.
//!
//! ```text
//!  psql ── 127.0.0.1:port ── TLS, ALPN dbaccess/1 ──────────► gateway
//!                       └─── WebSocket GET /v1/tunnel ──────► gateway   (where ALPN is stripped)
//! ```

use super::error::CliError;
use super::output::note;
use super::settings::Endpoint;
use crate::core::model::ErrorKind;
use crate::tls;
use futures_util::{SinkExt, StreamExt};
use rustls_pki_types::ServerName;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

/// The tunnel's own protocol name (RFC 7301): after the handshake, bytes.
const ALPN: &[u8] = b"dbaccess/1";
const BUFFER: usize = 64 * 1024;
/// Local connections at a time; one more is closed at once, and the person told.
const CONNECTIONS: usize = 128;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// A listening tunnel. Dropping it cuts every connection that passes through.
#[derive(Debug)]
pub struct Tunnel {
    port: u16,
    accepting: JoinHandle<()>,
}

impl Tunnel {
    /// Listens on 127.0.0.1, on `port` or a free one.
    pub async fn open(endpoint: &Endpoint, port: Option<u16>) -> Result<Self, CliError> {
        let dialer = Arc::new(Dialer::new(endpoint)?);
        let asked = port.unwrap_or(0);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, asked)).await.map_err(|error| {
            let failed = CliError::local(format!("cannot listen on 127.0.0.1:{asked}"), error);
            failed.hint("choose another port: --listen PORT, or leave it out for a free one")
        })?;
        let port = listener
            .local_addr()
            .map_err(|error| CliError::local("the tunnel has no address", error))?
            .port();
        Ok(Self { port, accepting: tokio::spawn(accept(listener, dialer)) })
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, dialer: Arc<Dialer>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    // Aborting this task drops the set, and with it every connection.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
        };
        let (local, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: give connections time to end.
                note(&format!("the tunnel cannot accept a connection: {error}"));
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        if !peer.ip().is_loopback() {
            continue;
        }
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
            note(&format!("the tunnel is full: {CONNECTIONS} connections are open, one more was refused"));
            continue;
        };
        let dialer = Arc::clone(&dialer);
        connections.spawn(async move {
            if let Err(error) = dialer.carry(local).await {
                note(&format!("the tunnel to {} failed: {error}", dialer.address()));
            }
            drop(permit);
        });
    }
}

/// Opens connections to the server, and remembers which way works.
struct Dialer {
    host: String,
    port: u16,
    /// `None` where the server's address is plain HTTP, which is this machine's own.
    tls: Option<Tls>,
    websocket: String,
    /// Something on the way strips our ALPN: do not try it again.
    alpn_stripped: AtomicBool,
}

struct Tls {
    name: ServerName<'static>,
    /// One configuration each for all connections, so that TLS sessions are resumed.
    direct: TlsConnector,
    http: TlsConnector,
}

/// A connection to the server, by either way.
enum Remote {
    Direct(Box<TlsStream<TcpStream>>),
    WebSocket(Box<WebSocketStream<TlsStream<TcpStream>>>),
    PlainWebSocket(Box<WebSocketStream<TcpStream>>),
}

impl Dialer {
    fn new(endpoint: &Endpoint) -> Result<Self, CliError> {
        let url = &endpoint.server;
        let bad = |why: String| CliError::usage(format!("{url} cannot be tunnelled to")).why(why);
        let host = url.host_str().ok_or_else(|| bad("it has no host".into()))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default().ok_or_else(|| bad("it has no port".into()))?;
        let encrypted = url.scheme() == "https";
        let tls = if encrypted {
            let connector = |alpn: &[u8]| {
                tls::client_config(endpoint.ca.as_deref(), &[alpn])
                    .map(|config| TlsConnector::from(Arc::new(config)))
                    .map_err(|error| bad(error.to_string()))
            };
            let name = ServerName::try_from(host.clone()).map_err(|error| bad(error.to_string()))?;
            Some(Tls { name, direct: connector(ALPN)?, http: connector(b"http/1.1")? })
        } else {
            None
        };
        let mut websocket = url.join("v1/tunnel").map_err(|error| bad(error.to_string()))?;
        let scheme = if encrypted { "wss" } else { "ws" };
        websocket.set_scheme(scheme).map_err(|()| bad("it has no WebSocket form".into()))?;
        Ok(Self { host, port, tls, websocket: websocket.into(), alpn_stripped: AtomicBool::new(false) })
    }

    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// Carries one local connection until both directions have ended.
    /// Dropping the future cuts both ends.
    async fn carry(&self, mut local: TcpStream) -> io::Result<()> {
        local.set_nodelay(true)?;
        let dialled = tokio::time::timeout(CONNECT_TIMEOUT, self.dial()).await;
        let remote =
            dialled.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no connection in time"))??;
        let ended = match remote {
            Remote::Direct(mut remote) => {
                tokio::io::copy_bidirectional_with_sizes(&mut local, &mut *remote, BUFFER, BUFFER)
                    .await
                    .map(drop)
            }
            Remote::WebSocket(remote) => carry_messages(local, *remote).await,
            Remote::PlainWebSocket(remote) => carry_messages(local, *remote).await,
        };
        // A peer that is gone without a goodbye is an end like any other here:
        // PostgreSQL's own client says what that means for it.
        match ended {
            Err(error) if is_hang_up(&error) => Ok(()),
            other => other,
        }
    }

    async fn dial(&self) -> io::Result<Remote> {
        let Some(tls) = &self.tls else {
            let (remote, _) = tokio_tungstenite::client_async(&self.websocket, self.tcp().await?)
                .await
                .map_err(websocket_failed)?;
            return Ok(Remote::PlainWebSocket(Box::new(remote)));
        };
        if !self.alpn_stripped.load(Ordering::Relaxed) {
            match tls.direct.connect(tls.name.clone(), self.tcp().await?).await {
                Ok(stream) if stream.get_ref().1.alpn_protocol() == Some(ALPN) => {
                    return Ok(Remote::Direct(Box::new(stream)));
                }
                Ok(_) => {}
                Err(error) if is_alpn_refusal(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let stream = tls.http.connect(tls.name.clone(), self.tcp().await?).await?;
        let (remote, _) =
            tokio_tungstenite::client_async(&self.websocket, stream).await.map_err(websocket_failed)?;
        // Remembered only now: that the other way works is what makes it true.
        self.alpn_stripped.store(true, Ordering::Relaxed);
        Ok(Remote::WebSocket(Box::new(remote)))
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Local bytes as binary messages and back. WebSocket has no half-close: the
/// end of the local side is a Close frame, after which the server's side is
/// still read to its end.
async fn carry_messages<S>(local: TcpStream, remote: WebSocketStream<S>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from_local, mut to_local) = local.into_split();
    let (mut to_remote, mut from_remote) = remote.split();
    let outwards = async {
        let mut buffer = bytes::BytesMut::with_capacity(BUFFER);
        loop {
            buffer.reserve(BUFFER);
            if from_local.read_buf(&mut buffer).await? == 0 {
                return to_remote.send(Message::Close(None)).await.map_err(websocket_failed);
            }
            to_remote.send(Message::Binary(buffer.split().freeze())).await.map_err(websocket_failed)?;
        }
    };
    let inwards = async {
        while let Some(message) = from_remote.next().await {
            match message.map_err(websocket_failed)? {
                Message::Binary(bytes) => to_local.write_all(&bytes).await?,
                Message::Close(_) => break,
                // Pings are answered by the library.
                _ => {}
            }
        }
        to_local.shutdown().await
    };
    tokio::pin!(outwards, inwards);
    tokio::select! {
        ended = &mut outwards => { ended?; inwards.await }
        // When the server has ended there is nobody left to send to.
        ended = &mut inwards => ended,
    }
}

fn websocket_failed(error: tungstenite::Error) -> io::Error {
    match error {
        tungstenite::Error::Io(error) => error,
        tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => {
            io::ErrorKind::ConnectionReset.into()
        }
        tungstenite::Error::Http(response) => io::Error::new(
            io::ErrorKind::ConnectionRefused,
            format!("{} for the tunnel: is it a dbaccess server?", response.status()),
        ),
        other => io::Error::other(other),
    }
}

/// The alert of a server that knows only other protocols (RFC 7301 section 3.2).
fn is_alpn_refusal(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(
        inner,
        Some(
            rustls::Error::AlertReceived(rustls::AlertDescription::NoApplicationProtocol)
                | rustls::Error::NoApplicationProtocol
        )
    )
}

fn is_hang_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe | NotConnected)
}

/// Whether the server's port accepts the tunnel, and by which way; for `doctor`.
pub async fn probe(endpoint: &Endpoint) -> Result<&'static str, CliError> {
    let dialer = Dialer::new(endpoint)?;
    let failed = |why: String| {
        CliError::new(ErrorKind::Unreachable, format!("no tunnel to {}", dialer.address())).why(why)
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, dialer.dial()).await {
        Ok(Ok(Remote::Direct(_))) => Ok("TLS"),
        Ok(Ok(_)) => Ok("WebSocket"),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed("no connection in time".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::settings::parse_server;
    use rustls::ServerConfig;
    use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    use std::sync::atomic::AtomicUsize;
    use tokio_rustls::TlsAcceptor;

    /// A server that sends back what it gets, with a mark in front, over
    /// whichever way its ALPN list allows.
    struct Echo {
        endpoint: Endpoint,
        websockets: Arc<AtomicUsize>,
        refused: Arc<AtomicUsize>,
        _ca: tempfile::NamedTempFile,
        task: JoinHandle<()>,
    }

    impl Drop for Echo {
        fn drop(&mut self) {
            self.task.abort();
        }
    }

    async fn echo(alpn: &[&[u8]]) -> Echo {
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), key.cert.pem()).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![key.cert.der().clone()], private)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (websockets, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (counted, failed) = (Arc::clone(&websockets), Arc::clone(&refused));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, counted, failed) =
                    (acceptor.clone(), Arc::clone(&counted), Arc::clone(&failed));
                connections.spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        failed.fetch_add(1, Ordering::SeqCst);
                        return;
                    };
                    if stream.get_ref().1.alpn_protocol() == Some(ALPN) {
                        stream.write_all(b">").await.unwrap();
                        let (mut read, mut write) = tokio::io::split(stream);
                        drop(tokio::io::copy(&mut read, &mut write).await);
                        drop(write.shutdown().await);
                        return;
                    }
                    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
                    counted.fetch_add(1, Ordering::SeqCst);
                    socket.send(Message::Binary(b">".as_slice().into())).await.unwrap();
                    while let Some(Ok(message)) = socket.next().await {
                        if message.is_binary() {
                            socket.send(message).await.unwrap();
                        }
                    }
                });
            }
        });
        let server = parse_server(&format!("https://localhost:{port}")).unwrap();
        let endpoint = Endpoint { server, ca: Some(ca.path().to_path_buf()) };
        Echo { endpoint, websockets, refused, _ca: ca, task }
    }

    /// Sends `sent`, ends that direction, and gives all that comes back.
    async fn through(port: u16, sent: &[u8]) -> Vec<u8> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let sent = sent.to_vec();
        let writing = tokio::spawn(async move {
            write.write_all(&sent).await.unwrap();
            write.shutdown().await.unwrap();
        });
        let mut back = Vec::new();
        read.read_to_end(&mut back).await.unwrap();
        writing.await.unwrap();
        back
    }

    fn pattern(length: usize) -> Vec<u8> {
        (0..length).map(|i| u8::try_from(i * 31 % 251).unwrap()).collect()
    }

    #[tokio::test]
    async fn bytes_pass_untouched_over_tls_and_half_close() {
        let echo = echo(&[ALPN, b"http/1.1"]).await;
        let tunnel = Tunnel::open(&echo.endpoint, None).await.unwrap();
        let sent = pattern(300_000);
        let back = through(tunnel.port(), &sent).await;
        assert_eq!(back.first(), Some(&b'>'), "the server may speak first");
        assert!(back[1..] == sent[..], "what was sent before the half-close comes back whole");
        assert_eq!(echo.websockets.load(Ordering::SeqCst), 0);
        assert_eq!(probe(&echo.endpoint).await.unwrap(), "TLS");
    }

    #[tokio::test]
    async fn where_alpn_is_stripped_it_falls_back_by_itself_and_remembers() {
        // One kind of proxy speaks no ALPN at all, another refuses what it does not know.
        for (alpn, refusals) in [(&[] as &[&[u8]], 0), (&[b"http/1.1"], 1)] {
            let echo = echo(alpn).await;
            let tunnel = Tunnel::open(&echo.endpoint, None).await.unwrap();
            for _ in 0..3 {
                let sent = pattern(200_000);
                let back = through(tunnel.port(), &sent).await;
                assert!(back[1..] == sent[..]);
            }
            assert_eq!(echo.websockets.load(Ordering::SeqCst), 3);
            assert_eq!(echo.refused.load(Ordering::SeqCst), refusals, "tried once, then remembered");
        }
    }

    #[tokio::test]
    async fn g5_dropping_the_tunnel_cuts_its_connections() {
        let echo = echo(&[ALPN]).await;
        let tunnel = Tunnel::open(&echo.endpoint, None).await.unwrap();
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, tunnel.port())).await.unwrap();
        let mut mark = [0];
        stream.read_exact(&mut mark).await.unwrap();
        drop(tunnel);
        // A clean end or a reset: cut either way.
        assert!(matches!(stream.read(&mut mark).await, Ok(0) | Err(_)));
    }

    #[tokio::test]
    async fn a_server_that_is_not_trusted_or_not_there_gets_no_byte() {
        let echo = echo(&[ALPN]).await;
        let stranger = Endpoint { server: echo.endpoint.server.clone(), ca: None };
        let error = probe(&stranger).await.unwrap_err();
        assert!(error.why.as_deref().is_some_and(|why| why.contains("certificate")), "{error}");
        // Bound, so that nobody else gets the port, but not listening.
        let closed = tokio::net::TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let server = format!("https://127.0.0.1:{}", closed.local_addr().unwrap().port());
        let nowhere = Endpoint { server: parse_server(&server).unwrap(), ca: None };
        assert_eq!(probe(&nowhere).await.unwrap_err().kind(), ErrorKind::Unreachable);
    }
}
