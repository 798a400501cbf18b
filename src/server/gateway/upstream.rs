//! The server connection: one for each client connection, as the session's role.

use super::live::Live;
use super::refusal::Refusal;
use crate::server::config::{Upstream, UpstreamTls};
use crate::tls::{self, TlsError};
use crate::wire::postgres::backend::{self, Authentication, Fields, KeyData};
use crate::wire::postgres::frame::{Limits, Scanner, What};
use crate::wire::postgres::{frontend, scram, startup};
use bytes::{Buf as _, BytesMut};
use rustls_pki_types::ServerName;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

const CONNECT: Duration = Duration::from_secs(10);
/// No message before the first ReadyForQuery is near this size.
const GREETING: Limits = Limits { frame: 1 << 20, whole: 1 << 20, head: 1 << 20 };

/// A byte stream to the database, encrypted or not.
pub enum Stream {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

/// An authenticated server connection, ready for its first statement.
pub struct Ready {
    pub stream: Stream,
    /// Bytes that are the client's: ParameterStatus and notices, in order.
    pub greeting: BytesMut,
    pub process_id: u32,
    pub key: Vec<u8>,
}

/// The way to a target: its address, and a TLS configuration made once, so
/// that TLS sessions are resumed and no connect reads certificates from disk.
pub struct Way {
    pub to: Upstream,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Way {
    pub fn new(to: Upstream) -> Result<Self, TlsError> {
        let tls = match &to.tls {
            UpstreamTls::Off => None,
            UpstreamTls::Verify { ca } => Some(Arc::new(tls::client_config(ca.as_deref(), &[])?)),
        };
        Ok(Self { to, tls })
    }

    /// Opens the TCP (and TLS) connection.
    pub(super) async fn dial(&self) -> io::Result<Stream> {
        let connect = async {
            let stream = TcpStream::connect((self.to.host.as_str(), self.to.port)).await?;
            crate::server::listen::tune(&stream)?;
            match &self.tls {
                None => Ok(Stream::Plain(stream)),
                Some(config) => secure(stream, &self.to.host, Arc::clone(config)).await,
            }
        };
        tokio::time::timeout(CONNECT, connect).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

async fn secure(mut stream: TcpStream, host: &str, config: Arc<rustls::ClientConfig>) -> io::Result<Stream> {
    let mut request = BytesMut::new();
    startup::ssl_request(&mut request);
    stream.write_all(&request).await?;
    // One byte and no more: what follows belongs to the TLS handshake.
    if stream.read_u8().await? != b'S' {
        return Err(io::Error::other(
            "the database does not offer TLS, which this target's configuration demands",
        ));
    }
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(config).connect(name, stream).await?;
    Ok(Stream::Tls(Box::new(stream)))
}

/// Connects as the session's role and carries the conversation to the first ReadyForQuery.
pub async fn connect(live: &Live, parameters: &[(String, String)]) -> Result<Ready, Refusal> {
    let upstream = &live.way.to;
    let opened = tokio::time::timeout(CONNECT, async {
        let mut stream = live.way.dial().await.map_err(|error| {
            tracing::warn!(session = %live.permit.session, host = %upstream.host, %error, "cannot reach the database");
            unreachable(live)
        })?;
        let mut out = BytesMut::new();
        let fixed = [("user", live.role.as_str()), ("database", upstream.database.as_str())];
        let asked = parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        // Last, so that nothing asked for stands above it.
        let owner = live.permit.views.become_role.as_deref().map(|owner| ("role", owner));
        startup::startup(&mut out, 0, fixed.into_iter().chain(asked).chain(owner));
        greet(&mut stream, live, out).await.map(|(greeting, process_id, key)| Ready {
            stream,
            greeting,
            process_id,
            key,
        })
    });
    opened.await.unwrap_or_else(|_| Err(unreachable(live)))
}

fn unreachable(live: &Live) -> Refusal {
    Refusal::new("08001", format!("the database of {} cannot be reached", live.permit.target))
        .hint(format!("`dbaccess doctor {}` says more", live.permit.target))
}

async fn greet(
    stream: &mut Stream,
    live: &Live,
    mut out: BytesMut,
) -> Result<(BytesMut, u32, Vec<u8>), Refusal> {
    let broken = |error: &dyn std::fmt::Display| {
        tracing::warn!(session = %live.permit.session, %error, "the database broke off the login");
        unreachable(live)
    };
    let nonce = crate::core::model::Secret::from_random(crate::os::random());
    let (client, first) = scram::Client::start(&live.keys, nonce.expose(), None);
    let (mut client, mut proved) = (Some(client), None);
    let (mut process_id, mut key, mut authenticated) = (0, Vec::new(), false);
    let mut greeting = BytesMut::new();
    let mut scanner = Scanner::backend(GREETING);
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    loop {
        if !out.is_empty() {
            stream.write_all(&out).await.map_err(|error| broken(&error))?;
            out.clear();
        }
        if stream.read_buf(&mut buffer).await.map_err(|error| broken(&error))? == 0 {
            return Err(broken(&"the connection was closed"));
        }
        while let Some(piece) = scanner.next(&buffer)? {
            let used = piece.bytes.len();
            if let What::Frame { tag, body } = piece.what {
                match tag {
                    backend::tag::AUTHENTICATION => match Authentication::decode(body)? {
                        Authentication::Sasl(mechanisms) if mechanisms.contains(&scram::SCRAM_SHA_256) => {
                            frontend::sasl_initial(&mut out, scram::SCRAM_SHA_256, first.as_bytes());
                        }
                        Authentication::SaslContinue(data) => {
                            let client = client.take().ok_or_else(|| broken(&"it asked twice"))?;
                            let (next, last) = client.transition(data)?;
                            proved = Some(next);
                            frontend::sasl_response(&mut out, last.as_bytes());
                        }
                        Authentication::SaslFinal(data) => {
                            proved.take().ok_or_else(|| broken(&"it answered unasked"))?.transition(data)?;
                            authenticated = true;
                        }
                        // Not having to prove ourselves means that anybody could be
                        // this role (`trust` in pg_hba.conf): refused, as G4 wants.
                        Authentication::Ok if authenticated => {}
                        _ => {
                            return Err(Refusal::new(
                                "08006",
                                "the database does not ask the session's role for SCRAM-SHA-256",
                            )
                            .hint(
                                "its administrator must set `scram-sha-256` for these roles in pg_hba.conf",
                            ));
                        }
                    },
                    backend::tag::ERROR => {
                        let fields = Fields::new(body);
                        let (code, message) = (fields.sqlstate(), fields.message());
                        tracing::warn!(session = %live.permit.session, ?code, ?message, "the database refused the role");
                        return Err(Refusal::new("08004", "the database refused this session's role")
                            .hint(message.map(std::borrow::Cow::into_owned).unwrap_or_default()));
                    }
                    backend::tag::KEY_DATA => {
                        let data = KeyData::decode(body)?;
                        (process_id, key) = (data.process_id, data.key.to_vec());
                    }
                    backend::tag::READY => return Ok((greeting, process_id, key)),
                    _ => greeting.extend_from_slice(piece.bytes),
                }
            }
            buffer.advance(used);
        }
    }
}

/// Asks a target to cancel what a backend is running (PostgreSQL manual 55.2.8).
pub async fn cancel(way: &Way, process_id: u32, key: &[u8]) -> io::Result<()> {
    let mut stream = way.dial().await?;
    let mut out = BytesMut::new();
    startup::cancel_request(&mut out, process_id, key);
    stream.write_all(&out).await?;
    stream.flush().await?;
    // The server closes once it has dealt with the request.
    let mut end = [0; 1];
    drop(tokio::time::timeout(CONNECT, stream.read(&mut end)).await);
    Ok(())
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
