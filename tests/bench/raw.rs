//! A PostgreSQL client that does as little as a client can: it authenticates,
//! sends a query, and looks at frame headers only. Half of psql's time for a
//! large result is psql's own; with this client it is the server's and the way's.

use super::place::Place;
use bytes::{Buf as _, BytesMut};
use dbaccess::wire::postgres::frame::{Limits, Scanner, What};
use dbaccess::wire::postgres::{backend, frontend, startup};
use postgres_protocol::authentication::sasl::{ChannelBinding, ScramSha256};
use rustls_pki_types::ServerName;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

pub struct Raw {
    stream: Box<dyn Stream>,
    buffer: BytesMut,
    scanner: Scanner,
}

impl Raw {
    pub async fn connect(place: &Place) -> Self {
        let mut tcp = TcpStream::connect((place.host.as_str(), place.port)).await.expect("a connection");
        tcp.set_nodelay(true).expect("a socket");
        let mut out = BytesMut::new();
        let stream: Box<dyn Stream> = match &place.tls {
            None => Box::new(tcp),
            Some(ca) => {
                startup::ssl_request(&mut out);
                tcp.write_all(&out.split()).await.expect("an open connection");
                assert_eq!(tcp.read_u8().await.expect("an answer"), b'S', "TLS is offered");
                let config = dbaccess::tls::client_config(Some(ca), &[]).expect("a TLS configuration");
                let name = ServerName::try_from(place.host.clone()).expect("a name");
                Box::new(TlsConnector::from(Arc::new(config)).connect(name, tcp).await.expect("TLS"))
            }
        };
        let limits = Limits { frame: u32::MAX, ..Limits::default() };
        let mut raw = Self { stream, buffer: BytesMut::new(), scanner: Scanner::backend(limits) };
        startup::startup(&mut out, 0, [("user", place.user.as_str()), ("database", place.database.as_str())]);
        raw.authenticate(out, place).await;
        raw
    }

    async fn authenticate(&mut self, mut out: BytesMut, place: &Place) {
        let mut scram = ScramSha256::new(place.password.as_bytes(), ChannelBinding::unsupported());
        loop {
            self.stream.write_all(&out.split()).await.expect("an open connection");
            self.stream.flush().await.expect("an open connection");
            self.read().await;
            while let Some(piece) = self.scanner.next(&self.buffer).expect("PostgreSQL's protocol") {
                let used = piece.bytes.len();
                match piece.what {
                    What::Frame { tag: backend::tag::AUTHENTICATION, body } => {
                        match backend::Authentication::decode(body).expect("a message") {
                            backend::Authentication::Sasl(_) => {
                                frontend::sasl_initial(&mut out, "SCRAM-SHA-256", scram.message());
                            }
                            backend::Authentication::SaslContinue(data) => {
                                scram.update(data).expect("a challenge");
                                frontend::sasl_response(&mut out, scram.message());
                            }
                            _ => {}
                        }
                    }
                    What::Frame { tag: backend::tag::ERROR, body } => {
                        panic!("refused: {}", String::from_utf8_lossy(body));
                    }
                    What::Frame { tag: backend::tag::READY, .. } => return self.buffer.advance(used),
                    _ => {}
                }
                self.buffer.advance(used);
            }
        }
    }

    /// Runs a query, reads all of its result, and gives the number of rows.
    pub async fn rows(&mut self, query: &str) -> u64 {
        let mut out = BytesMut::new();
        frontend::query(&mut out, query);
        self.stream.write_all(&out).await.expect("an open connection");
        self.stream.flush().await.expect("an open connection");
        let mut rows = 0;
        loop {
            while let Some(piece) = self.scanner.next(&self.buffer).expect("PostgreSQL's protocol") {
                let used = piece.bytes.len();
                match piece.what {
                    What::Bulk { frames, .. } => rows += frames,
                    What::Frame { tag: backend::tag::ERROR, body } => {
                        panic!("failed: {}", String::from_utf8_lossy(body));
                    }
                    What::Frame { tag: backend::tag::READY, .. } => {
                        self.buffer.advance(used);
                        return rows;
                    }
                    _ => {}
                }
                self.buffer.advance(used);
            }
            self.read().await;
        }
    }

    async fn read(&mut self) {
        self.buffer.reserve(256 << 10);
        let n = self.stream.read_buf(&mut self.buffer).await.expect("an open connection");
        assert_ne!(n, 0, "the connection was closed");
    }
}
