//! The one port: TLS, then by ALPN either a tunnel for the gateway or HTTP.
//!
//! ```text
//! TCP ─► TLS ─► ALPN dbaccess/1 ──► gateway
//!               ALPN http/1.1, none ─► api (which upgrades /v1/tunnel to the same gateway)
//! ```

use crate::server::gateway::Gateway;
use crate::wire::postgres::scram::Binding;
use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// The tunnel's protocol name.
pub const TUNNEL_ALPN: &[u8] = b"dbaccess/1";
/// The native PostgreSQL protocol's name, as libpq 17 sends it.
pub const POSTGRES_ALPN: &[u8] = b"postgresql";
/// Connections in total, on all listeners.
const MOST_CONNECTIONS: usize = 10_000;
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEADERS: Duration = Duration::from_secs(15);
/// A peer that vanished without a word is noticed after this.
const DEAD_PEER: Duration = Duration::from_secs(20);

/// Accepts for ever on the main port.
pub async fn main_port(listener: TcpListener, tls: TlsAcceptor, gateway: Arc<Gateway>, api: Router) {
    accept(listener, move |stream| {
        let (tls, gateway, api) = (tls.clone(), Arc::clone(&gateway), api.clone());
        async move {
            let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await else { return };
            if stream.get_ref().1.alpn_protocol() == Some(TUNNEL_ALPN) {
                gateway.serve(stream).await;
            } else {
                http(stream, api).await;
            }
        }
    })
    .await;
}

/// Accepts for ever on the native PostgreSQL port; `binding` is that of the
/// certificate that `tls` shows.
pub async fn native_port(listener: TcpListener, tls: TlsAcceptor, binding: Binding, gateway: Arc<Gateway>) {
    accept(listener, move |stream| {
        let (tls, binding, gateway) = (tls.clone(), binding.clone(), Arc::clone(&gateway));
        async move { gateway.serve_native(stream, tls, binding).await }
    })
    .await;
}

async fn accept<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: wait for some to come back.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if let Err(error) = tune(&stream) {
            tracing::debug!(%error, "cannot tune a socket");
        }
        let served = serve(stream);
        tokio::spawn(async move {
            served.await;
            drop(place);
        });
    }
}

/// No delay for small messages, and a bound on how long a dead peer is believed in.
pub fn tune(stream: &TcpStream) -> std::io::Result<()> {
    use rustix::net::sockopt;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    #[cfg(target_os = "linux")]
    {
        sockopt::set_tcp_keepidle(stream, DEAD_PEER / 2)?;
        sockopt::set_tcp_keepintvl(stream, DEAD_PEER / 4)?;
        sockopt::set_tcp_user_timeout(stream, u32::try_from(DEAD_PEER.as_millis()).unwrap_or(u32::MAX))?;
    }
    Ok(())
}

async fn http(stream: tokio_rustls::server::TlsStream<TcpStream>, api: Router) {
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(api))
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "an HTTP connection ended badly");
    }
}
