//! A mail server that takes everything and keeps it (RFC 5321), with STARTTLS
//! (RFC 3207) or TLS from the first byte, and AUTH (RFC 4954) over TLS alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A mail as it came.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub text: String,
    pub tls: bool,
    /// `user:password` of whoever sent it.
    pub login: Option<String>,
}

impl Mail {
    /// A header's value on one line.
    pub fn header(&self, name: &str) -> Option<String> {
        let (headers, _) = self.text.split_once("\r\n\r\n").unwrap();
        let unfolded = headers.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = unfolded.split("\r\n").filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    }

    /// The two parts as they were written, whatever the encoding on the way.
    pub fn decoded(&self) -> String {
        self.text.replace("=\r\n", "").replace("=3D", "=").replace("=0D=0A", "\r\n")
    }
}

pub struct MailServer {
    pub port: u16,
    mails: Arc<Mutex<Vec<Mail>>>,
    /// What `RCPT TO` is answered for these addresses, in place of 250.
    refusals: Arc<Mutex<Vec<(String, &'static str)>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Security {
    Plain,
    StartTls,
    Implicit,
}

impl MailServer {
    pub async fn start(security: Security, tls: Arc<rustls::ServerConfig>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self { port, mails: Arc::default(), refusals: Arc::default() };
        let (mails, refusals) = (Arc::clone(&server.mails), Arc::clone(&server.refusals));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let talk = Talk { mails: Arc::clone(&mails), refusals: Arc::clone(&refusals), login: None };
                tokio::spawn(connection(stream, security, TlsAcceptor::from(Arc::clone(&tls)), talk));
            }
        });
        server
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap().clone()
    }

    pub fn refuse(&self, address: &str, answer: &'static str) {
        self.refusals.lock().unwrap().push((address.to_owned(), answer));
    }
}

struct Talk {
    mails: Arc<Mutex<Vec<Mail>>>,
    refusals: Arc<Mutex<Vec<(String, &'static str)>>>,
    login: Option<String>,
}

async fn connection(stream: TcpStream, security: Security, tls: TlsAcceptor, mut talk: Talk) {
    if security == Security::Implicit {
        let Ok(stream) = tls.accept(stream).await else { return };
        talk.over(stream, true, false, true).await;
        return;
    }
    let starttls = security == Security::StartTls;
    if let Some(stream) = talk.over(stream, false, starttls, true).await {
        let Ok(stream) = tls.accept(stream).await else { return };
        talk.over(stream, true, false, false).await;
    }
}

impl Talk {
    /// Until the client leaves, or asks for TLS: then the stream comes back.
    async fn over<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: S,
        tls: bool,
        starttls: bool,
        greet: bool,
    ) -> Option<S> {
        let mut stream = BufReader::new(stream);
        if greet {
            stream.write_all(b"220 mail.test ESMTP\r\n").await.ok()?;
        }
        let (mut from, mut to) = (String::new(), Vec::new());
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let line = line.trim_end();
            let upper = line.to_uppercase();
            let answer = if upper.starts_with("EHLO") {
                match (starttls, tls) {
                    (true, _) => "250-mail.test\r\n250 STARTTLS",
                    (_, true) => "250-mail.test\r\n250 AUTH PLAIN",
                    _ => "250 mail.test",
                }
            } else if upper == "STARTTLS" && starttls {
                stream.write_all(b"220 go ahead\r\n").await.ok()?;
                return Some(stream.into_inner());
            } else if starttls {
                "530 Must issue a STARTTLS command first"
            } else if let Some(plain) = upper.starts_with("AUTH PLAIN ").then(|| &line[11..]) {
                let said = String::from_utf8(STANDARD.decode(plain).unwrap()).unwrap();
                self.login = Some(said.trim_start_matches('\0').replace('\0', ":"));
                match self.login.as_deref() {
                    Some(login) if login.ends_with(":good") => "235 welcome",
                    _ => "535 5.7.8 Authentication credentials invalid",
                }
            } else if upper.starts_with("MAIL FROM:") {
                (from, to) = (address(line), Vec::new());
                "250 ok"
            } else if upper.starts_with("RCPT TO:") {
                let asked = address(line);
                let refusals = self.refusals.lock().unwrap();
                let refused =
                    refusals.iter().find(|(address, _)| *address == asked).map(|(_, answer)| *answer);
                to.push(asked);
                refused.unwrap_or("250 ok")
            } else if upper == "DATA" {
                stream.write_all(b"354 go on\r\n").await.ok()?;
                let mut text = String::new();
                loop {
                    let mut line = String::new();
                    if stream.read_line(&mut line).await.ok()? == 0 {
                        return None;
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    text.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                let login = self.login.clone();
                self.mails.lock().unwrap().push(Mail {
                    from: from.clone(),
                    to: to.clone(),
                    text,
                    tls,
                    login,
                });
                "250 kept"
            } else if upper == "QUIT" {
                stream.write_all(b"221 bye\r\n").await.ok()?;
                return None;
            } else {
                "250 ok"
            };
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.ok()?;
        }
    }
}

fn address(line: &str) -> String {
    let (_, rest) = line.split_once('<').unwrap();
    rest.split_once('>').unwrap().0.to_owned()
}
