//! The ledger on its way to other systems: all of it, in order, whatever the
//! other end does; twice at worst.

use crate::alerts::sink;
use crate::support::env::{Setting, TestEnv, eventually};
use crate::support::pki::Pki;
use crate::support::port::Port;
use axum::http::StatusCode;
use dbaccess::server::config::{Forward as To, ForwardTo, OtlpTo, SyslogTo, Webhook};
use dbaccess::server::forward::Forward;
use dbaccess::server::journal::{Journal, Options, Position};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject as _};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

pub struct World {
    dir: tempfile::TempDir,
    pub journal: Journal,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_bytes: 3000, ..Options::default() };
        let (journal, _) = Journal::open(&dir.path().join("ledger"), options).unwrap();
        Self { dir, journal }
    }

    pub async fn append(&self, texts: std::ops::Range<u32>) {
        let mut last = Position(0);
        for n in texts {
            let body = format!(r#"{{"kind":"alert.test","n":{n},"text":"é\n"}}"#);
            last = self.journal.append(dbaccess::os::now(), body).await.unwrap();
        }
        self.journal.written(last).await.unwrap();
    }

    pub fn start(&self, to: ForwardTo) -> Running {
        let config = [To { name: "there".into(), to }];
        let mut all =
            Forward::all(&config, &self.journal, &Arc::default(), &self.places(), "db.example.com").unwrap();
        Running(tokio::spawn(all.remove(0).run()))
    }

    fn places(&self) -> PathBuf {
        self.dir.path().join("forward")
    }

    /// Whether all lines are there, and the place says so.
    fn arrived(&self, there: &[String]) -> Option<()> {
        let place = fs::read_to_string(self.places().join("there.json")).ok()?;
        let place: Value = serde_json::from_str(&place).unwrap();
        (there == self.ledger() && place["next"] == there.len() + 1).then_some(())
    }

    /// The ledger's own lines.
    pub fn ledger(&self) -> Vec<String> {
        let dir = self.dir.path().join("ledger");
        let names =
            fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let names = dbaccess::core::ledger::order_segments(names);
        names.iter().flat_map(|name| lines(&dir.join(name))).collect()
    }
}

/// A forwarder that ends with its value, as with the process.
pub struct Running(JoinHandle<()>);

impl Running {
    async fn gone(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_reach_a_file_once_over_restarts_and_twice_where_the_place_was_not_kept() {
    let world = World::new();
    let out = world.dir.path().join("out.jsonl");
    world.append(0..40).await;
    let running = world.start(ForwardTo::File(out.clone()));
    eventually("the lines are there", || world.arrived(&lines(&out))).await;
    running.gone().await;
    let before = fs::read(world.places().join("there.json")).unwrap();

    world.append(40..50).await;
    let running = world.start(ForwardTo::File(out.clone()));
    eventually("the new lines, too", || world.arrived(&lines(&out))).await;
    running.gone().await;

    // Killed after the lines were written and before the place was; and the file torn.
    fs::write(world.places().join("there.json"), before).unwrap();
    let text = fs::read_to_string(&out).unwrap();
    fs::write(&out, text.trim_end().strip_suffix('}').unwrap()).unwrap();
    world.append(50..60).await;
    let _running = world.start(ForwardTo::File(out.clone()));
    eventually("nothing is lost", || {
        let there = lines(&out);
        world.ledger().iter().all(|line| there.contains(line)).then_some(())
    })
    .await;
    let last_of_first = lines(&out).iter().filter(|line| line.contains("\"n\":45,")).count();
    assert_eq!(last_of_first, 2, "what was not known to have arrived comes again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_another_is_forwarded_from_its_beginning() {
    let world = World::new();
    let out = world.dir.path().join("out.jsonl");
    world.append(0..3).await;
    fs::create_dir(world.places()).unwrap();
    let gone = r#"{"segment":1,"offset":0,"next":2,"prev":null}"#;
    fs::write(world.places().join("there.json"), gone).unwrap();
    let _running = world.start(ForwardTo::File(out.clone()));
    eventually("all of it", || (lines(&out) == world.ledger()).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_are_posted_signed_until_they_are_taken() {
    let world = World::new();
    world.append(0..20).await;
    let (port, posted) = sink(vec![StatusCode::BAD_GATEWAY, StatusCode::PAYLOAD_TOO_LARGE]).await;
    let secret = Some(dbaccess::core::model::Secret::new("hush"));
    let url = format!("http://127.0.0.1:{port}/hook");
    let _running = world.start(ForwardTo::Webhook(Webhook { url, secret, ca: None }));
    let bodies = eventually("the third attempt", || {
        let posted = posted.lock().unwrap();
        (posted.len() >= 3).then(|| posted.clone())
    })
    .await;
    assert_eq!(bodies[0].1, bodies[1].1, "the same again");
    assert!(bodies[2].0["dbaccess-signature"].to_str().unwrap().starts_with("t="));
    let body: Value = serde_json::from_str(&bodies[2].1).unwrap();
    let ours: Vec<Value> = world.ledger().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let posted = body["lines"].as_array().unwrap();
    assert_eq!(posted[..], ours[..posted.len()]);
    assert!(posted.len() >= 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_gets_log_records() {
    let world = World::new();
    world.append(0..3).await;
    let (port, posted) = sink(vec![StatusCode::SERVICE_UNAVAILABLE]).await;
    let to = OtlpTo {
        url: format!("http://127.0.0.1:{port}/hook"),
        token: Some(dbaccess::core::model::Secret::new("let-me-in")),
        ca: None,
    };
    let _running = world.start(ForwardTo::Otlp(to));
    let (headers, body) = eventually("the second attempt", || posted.lock().unwrap().get(1).cloned()).await;
    assert_eq!(headers["authorization"], "Bearer let-me-in");
    assert_eq!(headers["content-type"], "application/json");
    // ExportLogsServiceRequest of opentelemetry-proto, in its JSON encoding.
    let body: Value = serde_json::from_str(&body).unwrap();
    let resource = &body["resourceLogs"][0];
    assert_eq!(resource["resource"]["attributes"][0]["key"], "service.name");
    assert_eq!(resource["resource"]["attributes"][0]["value"]["stringValue"], "dbaccess");
    let records = resource["scopeLogs"][0]["logRecords"].as_array().unwrap();
    let ledger = world.ledger();
    let first: Value = serde_json::from_str(&ledger[0]).unwrap();
    let at: jiff::Timestamp = first["at"].as_str().unwrap().parse().unwrap();
    assert_eq!(records[0]["timeUnixNano"], at.as_nanosecond().to_string());
    assert_eq!(records[0]["body"]["stringValue"], ledger[0]);
    assert_eq!((&records[0]["severityNumber"], &records[0]["severityText"]), (&13.into(), &"WARN".into()));
    assert_eq!(records[0]["attributes"][0]["value"]["intValue"], "1");
    assert_eq!(records[0]["eventName"], "dbaccess.alert.test");
}

#[derive(Clone, Default)]
struct Received {
    messages: Arc<Mutex<Vec<String>>>,
    /// Handshakes that came to nothing.
    failed: Arc<Mutex<usize>>,
}

/// Takes syslog over TLS. The first connections it drops: with what was sent
/// unread, as a receiver that dies.
async fn receiver(listener: TcpListener, pki: &Pki, dies: usize) -> (Received, Running) {
    let chain = dbaccess::tls::read_certificates(&pki.certificate()).unwrap();
    let key = PrivateKeyDer::from_pem_file(pki.key()).unwrap();
    dbaccess::tls::install_provider();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let received = Received::default();
    let into = received.clone();
    let task = tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                *into.failed.lock().unwrap() += 1;
                continue;
            };
            if connection < dies {
                let mut some = [0; 10];
                stream.read_exact(&mut some).await.unwrap();
                rustix::net::sockopt::set_socket_linger(stream.get_ref().0, Some(std::time::Duration::ZERO))
                    .unwrap();
                continue;
            }
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.unwrap();
            let messages = unframed(&String::from_utf8(all).unwrap());
            into.messages.lock().unwrap().extend(messages);
            stream.shutdown().await.ok();
        }
    });
    (received, Running(task))
}

/// RFC 5425, 4.3: `MSG-LEN SP SYSLOG-MSG`, one after the other.
fn unframed(mut text: &str) -> Vec<String> {
    let mut messages = Vec::new();
    while !text.is_empty() {
        let (length, rest) = text.split_once(' ').expect("a length");
        assert!(!length.starts_with('0'));
        let (message, rest) = rest.split_at(length.parse().expect("a number"));
        messages.push(message.to_owned());
        text = rest;
    }
    messages
}

/// RFC 5424, 6: the parts of a message, and the text at its end.
fn parsed(message: &str) -> &str {
    let rest = message.strip_prefix('<').unwrap();
    let (priority, rest) = rest.split_once('>').unwrap();
    assert!((0..=191).contains(&priority.parse::<u8>().unwrap()), "{message}");
    let mut parts = rest.splitn(7, ' ');
    assert_eq!(parts.next(), Some("1"), "{message}");
    let at: jiff::Timestamp = parts.next().unwrap().parse().unwrap();
    assert!(at.as_second() > 1_700_000_000);
    assert_eq!(parts.next(), Some("db.example.com"));
    assert_eq!(parts.next(), Some("dbaccess"));
    assert_eq!(parts.next(), Some("-"));
    let id = parts.next().unwrap();
    assert!((1..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()), "{message}");
    parts.next().unwrap().strip_prefix("- ").expect("no structured data")
}

#[tokio::test(flavor = "multi_thread")]
async fn syslog_over_tls_loses_nothing_to_a_receiver_that_is_down_or_dies() {
    let world = World::new();
    let pki = Pki::new();
    let port = Port::reserve();
    let address = port.address();
    let to = || {
        ForwardTo::Syslog(SyslogTo {
            host: "127.0.0.1".into(),
            port: address.port(),
            ca: Some(pki.authority()),
        })
    };
    world.append(0..200).await;
    let running = world.start(to());
    // Down at first; then it dies twice with something unread.
    let (received, server) = receiver(port.listen(), &pki, 2).await;
    let came = |received: &Received| -> Vec<String> {
        received.messages.lock().unwrap().iter().map(|message| parsed(message).to_owned()).collect()
    };
    eventually("all of it", || (came(&received) == world.ledger()).then_some(())).await;

    // Down and back.
    server.gone().await;
    world.append(200..210).await;
    let (later, _server) = receiver(port.listen(), &pki, 0).await;
    eventually("the rest", || {
        let all: Vec<String> = came(&received).into_iter().chain(came(&later)).collect();
        (all == world.ledger()).then_some(())
    })
    .await;
    eventually("its place is kept", || {
        let all: Vec<String> = came(&received).into_iter().chain(came(&later)).collect();
        world.arrived(&all)
    })
    .await;
    running.gone().await;

    // It has to be who it says.
    let stranger = Pki::new();
    let to = SyslogTo { host: "127.0.0.1".into(), port: address.port(), ca: Some(stranger.authority()) };
    world.append(210..211).await;
    let refusing = world.start(ForwardTo::Syslog(to));
    let place = fs::read(world.places().join("there.json")).unwrap();
    eventually("a handshake fails", || (*later.failed.lock().unwrap() > 0).then_some(())).await;
    assert_eq!(fs::read(world.places().join("there.json")).unwrap(), place);
    drop(refusing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_forwards_what_it_is_told_to() {
    let out = tempfile::tempdir().unwrap();
    let path = out.path().join("audit.jsonl");
    let extra = format!("[forward.lake]\nto = \"file\"\npath = \"{}\"\n", path.display());
    let env = TestEnv::with(Setting { extra, ..Setting::default() }).await;
    let alice = env.signed_in("alice").await;
    alice.ask(&["-t", "orders"]);
    alice.run(&["exec", "prod-orders", "SELECT count(*) FROM orders"]).ok();
    eventually("the statement is there", || {
        let there = lines(&path);
        there.iter().any(|line| line.contains("SELECT count(*) FROM orders")).then_some(())
    })
    .await;
    let place = env.ledger_dir().with_file_name("forward").join("lake.json");
    eventually("its place is kept", || place.exists().then_some(())).await;
}
