//! From the first byte to an authenticated client with a server connection.
//!
//! ```text
//! SSLRequest? GSSENCRequest? ─► Startup ─► SCRAM ─► the session is open?
//!   ─► the parameters are allowed? ─► a place? ─► upstream as the role ─► ReadyForQuery
//! ```

use super::cancel::Backend;
use super::connection::Connection;
use super::live::{End, Live};
use super::refusal::Refusal;
use super::{Gateway, upstream};
use crate::core::guard;
use crate::core::model::{EndReason, Secret};
use crate::server::listen::POSTGRES_ALPN;
use crate::wire::postgres::backend::{self, TransactionStatus};
use crate::wire::postgres::frame::Header;
use crate::wire::postgres::frontend::{self, SaslInitial};
use crate::wire::postgres::scram::{Binding, DEFAULT_ITERATIONS, Server, Verifier};
use crate::wire::postgres::startup::{self, First, Startup};
use crate::wire::postgres::{Tag, WireError};
use bytes::{Buf as _, BytesMut};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// A client that says nothing gives its place to another.
const LOGIN: Duration = Duration::from_secs(30);
/// SASL messages are short: the longest, in bytes.
const SASL: u32 = 16 << 10;

/// Why a login ended without a connection.
enum Over {
    /// Nothing is to be said: the client left, or asked for a cancel.
    Silently,
    Refused(Refusal),
}

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self::Silently
    }
}

impl From<WireError> for Over {
    fn from(error: WireError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Refusal> for Over {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Gateway {
    /// A stream that is encrypted already: the tunnel's.
    pub async fn serve<S>(self: &Arc<Self>, stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        self.metrics.connections.inc();
        self.serve_encrypted(stream, Binding::Unavailable).await;
        self.metrics.connections.dec();
    }

    /// A plain TCP stream on the native port: TLS first, by SSLRequest or at once.
    pub async fn serve_native(self: &Arc<Self>, stream: TcpStream, tls: TlsAcceptor, binding: Binding) {
        self.metrics.connections.inc();
        if let Ok(Ok(stream)) = tokio::time::timeout(LOGIN, self.secure(stream, tls)).await {
            self.serve_encrypted(stream, binding).await;
        }
        self.metrics.connections.dec();
    }

    async fn secure(
        &self,
        mut stream: TcpStream,
        tls: TlsAcceptor,
    ) -> Result<tokio_rustls::server::TlsStream<TcpStream>, Over> {
        let mut buffer = BytesMut::with_capacity(1024);
        loop {
            let mut first = [0; 1];
            if stream.peek(&mut first).await? == 0 {
                return Err(Over::Silently);
            }
            if first == [0x16] && buffer.is_empty() {
                let stream = tls.accept(stream).await?;
                // Without ALPN another protocol's client could be led here (libpq 17 demands it too).
                return if stream.get_ref().1.alpn_protocol() == Some(POSTGRES_ALPN) {
                    Ok(stream)
                } else {
                    Err(Over::Silently)
                };
            }
            let (wanted, used) = self.first_packet(&mut stream, &mut buffer).await?;
            match wanted {
                // Sent before encryption began: somebody in between could have put it there.
                Wanted::Ssl | Wanted::GssEnc if used < buffer.len() => {
                    return Err(WireError::Unexpected { expected: "a TLS handshake", got: Tag(0) }.into());
                }
                Wanted::Ssl => {
                    stream.write_all(b"S").await?;
                    return Ok(tls.accept(stream).await?);
                }
                Wanted::GssEnc => {
                    buffer.clear();
                    stream.write_all(b"N").await?;
                }
                Wanted::Cancel(backend) => {
                    cancel(backend).await;
                    return Err(Over::Silently);
                }
                Wanted::Startup(_) => {
                    let refusal = Refusal::new("28000", "this endpoint speaks TLS only")
                        .hint("connect with sslmode=require, or better verify-full");
                    say(&mut stream, &refusal).await;
                    return Err(Over::Silently);
                }
            }
        }
    }

    async fn serve_encrypted<S>(self: &Arc<Self>, mut stream: S, binding: Binding)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let login = tokio::time::timeout(LOGIN, self.login(&mut stream, binding)).await;
        let (connection, server) = match login {
            Ok(Ok(opened)) => opened,
            Ok(Err(Over::Silently)) => return,
            Ok(Err(Over::Refused(refusal))) => {
                self.metrics.login_failures.inc();
                tracing::info!(sqlstate = refusal.sqlstate, reason = %refusal, "refused a connection");
                return say(&mut stream, &refusal).await;
            }
            Err(_) => return,
        };
        let cancels = self.cancels.register(Backend {
            live: Arc::clone(&connection.live),
            process_id: server.process_id,
            key: server.key.clone(),
        });
        let mut out = BytesMut::new();
        backend::authentication_ok(&mut out);
        out.extend_from_slice(&server.greeting);
        backend::key_data(&mut out, cancels.process_id, &cancels.key);
        backend::ready_for_query(&mut out, TransactionStatus::Idle);
        let greeted = async {
            stream.write_all(&out).await?;
            stream.flush().await
        };
        if greeted.await.is_ok() {
            connection.carry(stream, server.stream, server.process_id, &server.key).await;
        }
    }

    async fn login<S>(
        self: &Arc<Self>,
        stream: &mut S,
        binding: Binding,
    ) -> Result<(Connection, upstream::Ready), Over>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let buffer = &mut BytesMut::new();
        let startup = self.startup(stream, buffer).await?;
        if startup.must_negotiate() {
            let mut out = BytesMut::new();
            let unknown = startup.protocol_options.iter().map(String::as_str);
            backend::negotiate_protocol_version(&mut out, startup.agreed_minor(), unknown);
            stream.write_all(&out).await?;
        }
        let live = self.authenticate(stream, buffer, &startup, binding).await?;
        if !live.is_open() {
            let end = live.wait_end().await;
            return Err(self.ended(&live, &end).into());
        }
        let checked = guard::check_startup(&startup.parameters).map_err(Refusal::from)?;
        if checked.database != live.way.to.database {
            return Err(Refusal::new(
                "3D000",
                format!("this session is for the database {}", live.way.to.database),
            )
            .hint("another target needs another grant: `dbaccess targets`")
            .into());
        }
        let parameters = parameters(&live, checked.settings);
        let place = live.connect().ok_or_else(|| {
            Refusal::new(
                "53300",
                format!("session {} has as many connections as it may", live.permit.session),
            )
            .hint("make the client's pool smaller")
        })?;
        let connection = Connection::new(Arc::clone(self), place);
        let ready = tokio::select! {
            end = connection.live.wait_end() => return Err(self.ended(&connection.live, &end).into()),
            ready = upstream::connect(&connection.live, &parameters) => ready?,
        };
        Ok((connection, ready))
    }

    async fn startup<S>(&self, stream: &mut S, buffer: &mut BytesMut) -> Result<Startup, Over>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            let (wanted, used) = self.first_packet(stream, buffer).await?;
            buffer.advance(used);
            match wanted {
                // The stream is encrypted already; once more would gain nothing.
                Wanted::Ssl | Wanted::GssEnc => {
                    stream.write_all(b"N").await?;
                    stream.flush().await?;
                }
                Wanted::Cancel(backend) => {
                    cancel(backend).await;
                    return Err(Over::Silently);
                }
                Wanted::Startup(startup) => return Ok(startup),
            }
        }
    }

    /// SCRAM (RFC 5802, PostgreSQL manual 55.3). A user that no session has
    /// goes through the same exchange, and fails at its end like a wrong password.
    async fn authenticate<S>(
        &self,
        stream: &mut S,
        buffer: &mut BytesMut,
        startup: &Startup,
        binding: Binding,
    ) -> Result<Arc<Live>, Over>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let user = startup.parameter("user").unwrap_or_default();
        let live = self.registry.find(user);
        let verifier = match &live {
            Some(live) => live.verifier.clone(),
            None => Verifier::mock(&self.mock_secret, user, DEFAULT_ITERATIONS),
        };
        let nonce = Secret::from_random(crate::os::random());
        let mut out = BytesMut::new();
        backend::sasl_mechanisms(&mut out, binding.mechanisms());
        send(stream, &out).await?;
        let first = password_message(stream, buffer).await?;
        let SaslInitial { mechanism, data } = SaslInitial::decode(&first)?;
        let server = Server::new(verifier, nonce.expose(), binding);
        let (challenged, challenge) = server.transition(mechanism, data)?;
        out.clear();
        backend::sasl_continue(&mut out, challenge.as_bytes());
        send(stream, &out).await?;
        let last = password_message(stream, buffer).await?;
        let failed = || {
            Over::Refused(
                Refusal::new("28P01", format!("no open session has the user \"{user}\" with this password"))
                    .hint("`dbaccess connect` opens a session; its credential ends with it"),
            )
        };
        let signature = challenged.transition(&last).map_err(|_| failed())?;
        let live = live.ok_or_else(failed)?;
        out.clear();
        backend::sasl_final(&mut out, signature.as_bytes());
        stream.write_all(&out).await?;
        Ok(live)
    }

    /// An ended session, in words for its client.
    pub(super) fn ended(&self, live: &Live, end: &End) -> Refusal {
        let hint = match end.reason {
            EndReason::Expired => {
                format!("more time is a request away: `dbaccess request {} …`", live.permit.target)
            }
            EndReason::IncidentOver => {
                "while an incident is open and yours, `dbaccess break-glass` opens access again".to_owned()
            }
            EndReason::Suspended => {
                "`dbaccess targets` shows until when; sessions that see nothing masked or filtered go on"
                    .to_owned()
            }
            _ => format!("`dbaccess connect {}` opens a new session while a grant lasts", live.permit.target),
        };
        let why = crate::server::access::why(end);
        Refusal::new(
            "57P01",
            format!("session {} under {} has ended: {why}", live.permit.session, live.permit.grant),
        )
        .hint(hint)
    }
}

/// What a session of a reviewed script may bring along. Anything else, a search
/// path above all, could give its statements another meaning than the reviewed one.
const SCRIPT_SETTINGS: [&str; 4] =
    ["client_encoding", "client_min_messages", "extra_float_digits", "standard_conforming_strings"];

/// What goes upstream of a client's startup parameters. The database's own view
/// names person and session too, before what the client calls itself (R1.4).
fn parameters(live: &Live, settings: Vec<(String, String)>) -> Vec<(String, String)> {
    let is_name = |(name, _): &(String, String)| name.eq_ignore_ascii_case("application_name");
    let who = format!("{} {}", live.permit.person.email, live.permit.session);
    let name = match settings.iter().rev().find(|setting| is_name(setting)) {
        Some((_, client)) if !client.is_empty() => format!("{who} {client}"),
        _ => who,
    };
    let mut parameters: Vec<_> = settings.into_iter().filter(|setting| !is_name(setting)).collect();
    for (name, value) in &mut parameters {
        if name.eq_ignore_ascii_case("search_path") {
            *value = live.search_path(value).into_owned();
        }
    }
    if live.permit.script.is_some() {
        parameters.retain(|(name, _)| SCRIPT_SETTINGS.iter().any(|kept| name.eq_ignore_ascii_case(kept)));
    }
    parameters.push(("application_name".to_owned(), name));
    parameters
}

/// What a first packet asks for, free of the buffer it came in.
enum Wanted {
    Ssl,
    GssEnc,
    Cancel(Option<Backend>),
    Startup(Startup),
}

impl Gateway {
    /// Reads one startup packet; says how many bytes of the buffer it takes.
    async fn first_packet<S>(&self, stream: &mut S, buffer: &mut BytesMut) -> Result<(Wanted, usize), Over>
    where
        S: AsyncRead + Unpin,
    {
        loop {
            if let Some((first, used)) = startup::read(buffer)? {
                let wanted = match first {
                    First::Tls => {
                        return Err(
                            WireError::Unexpected { expected: "a startup packet", got: Tag(0x16) }.into()
                        );
                    }
                    First::Ssl => Wanted::Ssl,
                    First::GssEnc => Wanted::GssEnc,
                    First::Cancel(request) => Wanted::Cancel(self.cancels.find(&request)),
                    First::Startup(startup) => Wanted::Startup(startup),
                };
                return Ok((wanted, used));
            }
            if stream.read_buf(buffer).await? == 0 {
                return Err(Over::Silently);
            }
        }
    }
}

/// Cancels what a request was entitled to. Nothing is answered either way
/// (PostgreSQL manual 55.2.8).
async fn cancel(backend: Option<Backend>) {
    let Some(backend) = backend else { return };
    let session = &backend.live.permit.session;
    match upstream::cancel(&backend.live.way, backend.process_id, &backend.key).await {
        Ok(()) => tracing::debug!(%session, "passed a cancel request on"),
        Err(error) => tracing::warn!(%session, %error, "cannot pass a cancel request on"),
    }
}

/// The body of the one message that is awaited now.
async fn password_message<S>(stream: &mut S, buffer: &mut BytesMut) -> Result<BytesMut, Over>
where
    S: AsyncRead + Unpin,
{
    loop {
        if let Some(header) = Header::peek(buffer) {
            if header.tag != frontend::tag::PASSWORD {
                return Err(
                    WireError::Unexpected { expected: "a SASL response", got: Tag(header.tag) }.into()
                );
            }
            let length = header.check(SASL)?.frame_len();
            if buffer.len() >= length {
                let mut frame = buffer.split_to(length);
                frame.advance(Header::BYTES);
                return Ok(frame);
            }
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(Over::Silently);
        }
    }
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Says no, and closes.
async fn say<S: AsyncWrite + Unpin>(stream: &mut S, refusal: &Refusal) {
    let mut out = BytesMut::new();
    refusal.fatal(&mut out);
    if send(stream, &out).await.is_ok() {
        // The client may be gone already; there is nobody left to tell.
        drop(stream.shutdown().await);
    }
}
