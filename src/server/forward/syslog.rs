//! Syslog over TLS (RFC 5424, RFC 5425): a message a line, octet-counted. The
//! protocol has no answer by which a receiver says what it has taken. So each
//! batch has a connection of its own, which we end first (RFC 5425, 4.4): when
//! the receiver ends it in turn it has read all of it. A receiver that dies with
//! something unread resets the connection instead, and the batch comes again.

use super::{ForwardError, Severity};
use crate::server::config::SyslogTo;
use crate::server::journal::LedgerLine;
use crate::tls::{self, TlsError};
use rustls_pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const PATIENCE: Duration = Duration::from_secs(30);
/// So long is looked whether the receiver goes away at once.
const EARLY: Duration = Duration::from_millis(200);
/// "log audit" (RFC 5424, 6.2.1).
const FACILITY: u8 = 13;

pub(super) struct Syslog {
    to: SyslogTo,
    /// What we are called there.
    host: String,
    tls: TlsConnector,
}

impl Syslog {
    pub fn new(to: SyslogTo, host: &str) -> Result<Self, TlsError> {
        let tls = TlsConnector::from(Arc::new(tls::client_config(to.ca.as_deref(), &[])?));
        Ok(Self { to, host: printable(host, 255), tls })
    }

    pub async fn send(&self, lines: &[LedgerLine]) -> Result<(), ForwardError> {
        let mut frames = Vec::new();
        for line in lines {
            let message = message(&self.host, line);
            frames.extend_from_slice(format!("{} {message}", message.len()).as_bytes());
        }
        Ok(timeout(PATIENCE, self.deliver(&frames)).await.map_err(|_| ForwardError::Slow)??)
    }

    async fn deliver(&self, frames: &[u8]) -> io::Result<()> {
        let stream = TcpStream::connect((self.to.host.as_str(), self.to.port)).await?;
        let name = ServerName::try_from(self.to.host.clone()).map_err(io::Error::other)?;
        let mut stream = self.tls.connect(name, stream).await?;
        stream.write_all(frames).await?;
        stream.flush().await?;
        let mut rest = [0; 64];
        // Whoever ends the connection before we do has not waited for what we send.
        if let Ok(0) | Err(_) = timeout(EARLY, stream.read(&mut rest)).await.unwrap_or(Ok(1)) {
            return Err(io::Error::other("the receiver ended the connection before it had all"));
        }
        stream.shutdown().await?;
        loop {
            match stream.read(&mut rest).await {
                Ok(0) => return Ok(()),
                // Nothing is to be said here; what is said is no refusal either.
                Ok(_) => {}
                // It has seen our end, and need not say its own in TLS.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// `<PRI>1 TIMESTAMP HOSTNAME APP-NAME PROCID MSGID STRUCTURED-DATA MSG`
fn message(host: &str, line: &LedgerLine) -> String {
    let severity = match Severity::of(&line.kind) {
        Severity::Warning => 4,
        Severity::Notice => 5,
        Severity::Information => 6,
    };
    let at = line.at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ");
    let kind = printable(&line.kind, 32);
    format!("<{}>1 {at} {host} dbaccess - {kind} - {}", FACILITY * 8 + severity, line.text)
}

/// PRINTUSASCII of at most so many characters, or the NILVALUE.
fn printable(text: &str, most: usize) -> String {
    let text: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_its_parts() {
        let line = LedgerLine {
            seq: 7,
            at: "2026-11-28T20:00:00.1234567Z".parse().unwrap(),
            kind: "alert.bulk_read".into(),
            text: r#"{"seq":7,"body":{"t":"é"}}"#.into(),
        };
        assert_eq!(
            message("db.example.com", &line),
            r#"<108>1 2026-11-28T20:00:00.123456Z db.example.com dbaccess - alert.bulk_read - {"seq":7,"body":{"t":"é"}}"#
        );
        assert_eq!(printable("a b\né", 32), "ab");
        assert_eq!(printable("", 32), "-");
        assert_eq!(printable(&"x".repeat(40), 32).len(), 32);
    }
}
