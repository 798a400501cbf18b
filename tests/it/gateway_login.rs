//! Who gets in, how many, and by which way: the tunnel and the native endpoint.

use crate::support::env::{Setting, TestEnv};
use crate::support::held::{Held, writer};
use crate::support::raw_pg::{RawPg, Reply};
use dbaccess::tls::client_config;
use rustls_pki_types::ServerName;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const SSL: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
const GSSENC: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 48];

async fn tcp(host: &str, port: u16) -> TcpStream {
    TcpStream::connect((host, port)).await.unwrap()
}

async fn answer(stream: &mut TcpStream, request: &[u8]) -> Option<u8> {
    stream.write_all(request).await.unwrap();
    stream.read_u8().await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn g4_who_gets_in_and_who_does_not() {
    let env = TestEnv::with(Setting { databases: vec![("doors", "")], ..Setting::default() }).await;
    let alice = writer(&env, "doors").await;
    let held = Held::open(&alice, "doors");
    let refused = async |user: &str, database: &str, password: &str| -> Reply {
        let stream = tcp(&held.host, held.port).await;
        RawPg::login(stream, user, database, password).await.err().expect("a refusal")
    };
    let wrong = refused(&held.user, &held.database, "wrong").await;
    let unknown = refused("dbaccess_s_0123456789abcdef", &held.database, &held.password).await;
    assert_eq!((wrong.sqlstate(), unknown.sqlstate()), ("28P01".into(), "28P01".into()));
    let alike = |reply: &Reply, user: &str| reply.message().replace(user, "USER");
    assert_eq!(alike(&wrong, &held.user), alike(&unknown, "dbaccess_s_0123456789abcdef"));
    assert_eq!(refused("postgres", "doors", &held.password).await.sqlstate(), "28P01");
    assert_eq!(refused(&held.user, "shop", &held.password).await.sqlstate(), "3D000");

    // Inside the tunnel, which is encrypted, encryption is not offered again.
    let mut stream = tcp(&held.host, held.port).await;
    assert_eq!(answer(&mut stream, GSSENC).await, Some(b'N'));
    assert_eq!(answer(&mut stream, SSL).await, Some(b'N'));
    let mut raw = RawPg::login(stream, &held.user, &held.database, &held.password)
        .await
        .unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(raw.column("SELECT current_user").await, std::slice::from_ref(&held.user));
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 0, 0, 9, 0, 2, 0, 0, 0], &[0, 0, 0, 3]] {
        let mut stream = tcp(&held.host, held.port).await;
        stream.write_all(garbage).await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.ok();
        assert!(said.first().is_none_or(|tag| *tag == b'E'), "{said:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g9_fifty_connections_at_once_and_not_one_more() {
    let extra = "[limits]\nstatement_timeout = \"15m\"\nconnections_per_session = 50".to_owned();
    let setting = Setting { databases: vec![("doors", "")], extra, ..Setting::default() };
    let env = TestEnv::with(setting).await;
    let alice = writer(&env, "doors").await;
    let held = Arc::new(Held::open(&alice, "doors"));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..50_i32 {
        let held = Arc::clone(&held);
        tasks.spawn(async move {
            let client = held.client().await;
            for i in 0..20_i32 {
                let row = client.query_one("SELECT $1::int * 100 + $2::int", &[&n, &i]).await.unwrap();
                assert_eq!(row.get::<_, i32>(0), n * 100 + i);
            }
            client
        });
    }
    let clients = tasks.join_all().await;
    let error = held.try_client().await.expect_err("one too many");
    assert_eq!(error.code().unwrap().code(), "53300", "{error}");
    drop(clients);
    // Places come back.
    let mut left = 200;
    while held.try_client().await.is_err() {
        left -= 1;
        assert!(left > 0);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn secure(env: &TestEnv, stream: TcpStream, alpn: &[&[u8]]) -> std::io::Result<TlsStream<TcpStream>> {
    let config = client_config(Some(&env.ca), alpn).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_native_endpoint_speaks_tls_only() {
    let env =
        TestEnv::with(Setting { databases: vec![("doors", "")], native: true, ..Setting::default() }).await;
    let alice = writer(&env, "doors").await;
    let held = Held::open_with(&alice, &["connect", "doors", "--native", "--listen"]);
    assert_eq!(held.port, env.native_port);
    let login = async |stream| {
        let mut raw =
            RawPg::login(stream, &held.user, &held.database, &held.password).await.map_err(|e| e.message());
        raw.as_mut().unwrap().column("SELECT 'in'").await
    };
    let port = env.native_port;

    // By SSLRequest, after GSSENCRequest as libpq does.
    let mut stream = tcp("127.0.0.1", port).await;
    assert_eq!(answer(&mut stream, GSSENC).await, Some(b'N'));
    assert_eq!(answer(&mut stream, SSL).await, Some(b'S'));
    assert_eq!(login(secure(&env, stream, &[]).await.unwrap()).await, ["in"]);
    // At once, with the protocol's name and not without.
    let stream = tcp("127.0.0.1", port).await;
    assert_eq!(login(secure(&env, stream, &[b"postgresql"]).await.unwrap()).await, ["in"]);
    let nameless = secure(&env, tcp("127.0.0.1", port).await, &[]).await;
    let mut said = Vec::new();
    if let Ok(mut stream) = nameless {
        stream.read_to_end(&mut said).await.ok();
    }
    assert!(said.is_empty(), "a client without ALPN could be another protocol's");
    // Clear text is refused, and so is what is stuffed behind an SSLRequest or GSSENCRequest.
    let stream = tcp("127.0.0.1", port).await;
    let refused = RawPg::login(stream, &held.user, &held.database, &held.password).await.err().unwrap();
    assert_eq!(refused.sqlstate(), "28000");
    for request in [SSL, GSSENC] {
        let mut stream = tcp("127.0.0.1", port).await;
        stream.write_all(&[request, b"stuffed"].concat()).await.unwrap();
        let mut said = Vec::new();
        stream.read_to_end(&mut said).await.ok();
        assert!(said.is_empty(), "{said:?}");
    }
    // libpq, verifying, bound to the channel.
    let url = format!(
        "host=localhost port={port} user={} dbname={} sslmode=verify-full sslrootcert={} channel_binding=require",
        held.user,
        held.database,
        env.ca.display()
    );
    let psql = std::process::Command::new("psql")
        .args(["-XAtc", "SELECT 'bound'", &url])
        .env("PGPASSWORD", &held.password)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&psql.stdout);
    assert_eq!(said.trim(), "bound", "{}", String::from_utf8_lossy(&psql.stderr));
    // Through the tunnel TLS ends elsewhere, so there is nothing to bind to.
    let tunnel = ["connect", "doors", "--", "psql", "channel_binding=require", "-c", "SELECT 1"];
    assert!(alice.run(&tunnel).err.contains("channel binding"));
}
