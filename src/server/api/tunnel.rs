//! The WebSocket fallback of the tunnel, for paths that strip ALPN: the same
//! bytes as over `dbaccess/1`, in binary messages (RFC 6455). Whoever connects
//! is nobody until the gateway's SCRAM exchange says otherwise.

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use futures_util::{SinkExt as _, StreamExt as _};
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

/// Takes one tunnelled byte stream to the gateway.
pub type TunnelSink = Arc<dyn Fn(DuplexStream) + Send + Sync>;

/// Bytes in flight each way per tunnel, and the largest message accepted.
const BUFFER: usize = 64 * 1024;
const LARGEST_MESSAGE: usize = 1024 * 1024;

pub async fn upgrade(State(sink): State<TunnelSink>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.max_message_size(LARGEST_MESSAGE).on_upgrade(async move |socket| carry(socket, &sink).await)
}

async fn carry(socket: WebSocket, sink: &TunnelSink) {
    let (ours, gateways) = tokio::io::duplex(BUFFER);
    sink(gateways);
    let (mut from_gateway, mut to_gateway) = tokio::io::split(ours);
    let (mut to_client, mut from_client) = socket.split();
    let up = async {
        while let Some(Ok(message)) = from_client.next().await {
            match message {
                Message::Binary(bytes) => to_gateway.write_all(&bytes).await?,
                Message::Close(_) => break,
                Message::Text(_) | Message::Ping(_) | Message::Pong(_) => {}
            }
        }
        to_gateway.shutdown().await
    };
    let down = async {
        let mut chunk = vec![0; BUFFER];
        loop {
            let n = from_gateway.read(&mut chunk).await.unwrap_or(0);
            let Some(bytes) = chunk.get(..n).filter(|bytes| !bytes.is_empty()) else { break };
            if to_client.send(Message::Binary(Bytes::copy_from_slice(bytes))).await.is_err() {
                break;
            }
        }
        drop(to_client.close().await);
    };
    // Either side's end is the end: the gateway closes when the session does.
    tokio::select! {
        result = up => if let Err(error) = result { tracing::debug!(%error, "a tunnel broke") },
        () = down => {}
    }
}
