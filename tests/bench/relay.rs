//! The least that any TLS endpoint in front of PostgreSQL can do: end TLS and
//! copy bytes. What dbaccess adds is measured against it.

use dbaccess::demo::pki::Pki;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Serves on a free port for as long as the program runs.
pub async fn start(pki: &Pki, upstream: u16) -> u16 {
    let acceptor = TlsAcceptor::from(pki.server_config(&[]).expect("a TLS configuration"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    let port = listener.local_addr().expect("bound").port();
    let acceptor = Arc::new(acceptor);
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let acceptor = Arc::clone(&acceptor);
            // The peers report what goes wrong.
            tokio::spawn(async move { drop(carry(stream, &acceptor, upstream).await) });
        }
    });
    port
}

async fn carry(mut client: TcpStream, acceptor: &TlsAcceptor, upstream: u16) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut ssl_request = [0; 8];
    client.read_exact(&mut ssl_request).await?;
    client.write_all(b"S").await?;
    let mut client = acceptor.accept(client).await?;
    let mut server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    server.set_nodelay(true)?;
    tokio::io::copy_bidirectional_with_sizes(&mut client, &mut server, 64 << 10, 64 << 10).await?;
    Ok(())
}
