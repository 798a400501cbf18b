//! The ledger at a receiver of syslog that is not ours: rsyslog, over TLS.

use crate::forward::World;
use crate::support::env::eventually;
use crate::support::pki::Pki;
use crate::support::tools;
use dbaccess::server::config::{ForwardTo, SyslogTo};
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// As docs/audit.md has it, with a file for each line's parts.
fn configuration(dir: &Path, pki: &Pki) -> String {
    format!(
        r#"global(
    workDirectory="{dir}" maxMessageSize="1m"
    defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{authority}"
    defaultNetstreamDriverCertFile="{certificate}" defaultNetstreamDriverKeyFile="{key}"
)
module(
    load="imtcp" maxFrameSize="1048576"
    streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon"
)
template(name="parts" type="string" string="%pri% %timereported:::date-rfc3339% %hostname% %app-name% %msgid% %msg%\n")
ruleset(name="dbaccess") {{ action(type="omfile" file="{dir}/out" template="parts") }}
input(type="imtcp" address="127.0.0.1" port="0" listenPortFileName="{dir}/port" ruleset="dbaccess")
"#,
        dir = dir.display(),
        authority = pki.authority().display(),
        certificate = pki.certificate().display(),
        key = pki.key().display(),
    )
}

struct Rsyslog(Child);

impl Rsyslog {
    fn start(dir: &Path, pki: &Pki) -> Self {
        let config = dir.join("rsyslog.conf");
        fs::write(&config, configuration(dir, pki)).unwrap();
        let log = fs::File::create(dir.join("log")).unwrap();
        let mut command = Command::new(tools::rsyslogd());
        command.arg("-n").arg("-f").arg(config).arg("-i").arg(dir.join("pid"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self(command.spawn().unwrap())
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        self.0.kill().ok();
        drop(self.0.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rsyslog_takes_the_ledger_whole_over_tls() {
    let world = World::new();
    let pki = Pki::new();
    let dir = tempfile::tempdir().unwrap();
    let _rsyslog = Rsyslog::start(dir.path(), &pki);
    let port: u16 = eventually("rsyslog listens", || {
        let port = fs::read_to_string(dir.path().join("port")).ok()?;
        port.trim().parse().ok()
    })
    .await;
    world.append(0..50).await;
    // Longer than rsyslog takes by itself: 8 KiB of a message, 200,000 bytes of a frame.
    for length in [20_000, 300_000] {
        let body = format!(r#"{{"kind":"statement.test","text":"{}"}}"#, "é".repeat(length / 2));
        let last = world.journal.append(dbaccess::os::now(), body).await.unwrap();
        world.journal.written(last).await.unwrap();
    }
    let to = SyslogTo { host: "127.0.0.1".into(), port, ca: Some(pki.authority()) };
    let _running = world.start(ForwardTo::Syslog(to));
    let out = dir.path().join("out");
    let received = eventually("all of it is in rsyslog's file", || {
        let text = fs::read_to_string(&out).ok()?;
        let lines: Vec<[String; 6]> = text.lines().map(parts).collect();
        (lines.len() >= world.ledger().len()).then_some(lines)
    })
    .await;
    let messages: Vec<&String> = received.iter().map(|[.., message]| message).collect();
    assert_eq!(messages, world.ledger().iter().collect::<Vec<_>>(), "whole, and in order");
    for [priority, at, host, program, kind, message] in &received {
        let line: serde_json::Value = serde_json::from_str(message).unwrap();
        let said: jiff::Timestamp = at.parse().unwrap();
        let on_record: jiff::Timestamp = line["at"].as_str().unwrap().parse().unwrap();
        assert_eq!(said.as_microsecond(), on_record.as_microsecond());
        assert_eq!((host.as_str(), program.as_str()), ("db.example.com", "dbaccess"));
        assert_eq!(line["body"]["kind"], kind.as_str());
        // "log audit", a warning or information.
        assert_eq!(priority, if kind == "alert.test" { "108" } else { "110" }, "{kind}");
    }
}

fn parts(line: &str) -> [String; 6] {
    let parts: Vec<String> = line.splitn(6, ' ').map(str::to_owned).collect();
    parts.try_into().unwrap_or_else(|parts| panic!("not six parts: {parts:?}"))
}
