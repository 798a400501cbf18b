//! Mail by SMTP, a message for each recipient: as text, and the same as HTML.

use super::{Links, OutboundError, http};
use crate::core::hex::hex;
use crate::core::model::Notice;
use crate::server::config::{self, MailTls};
use crate::server::store::NoticeRow;
use crate::tls::{self, TlsError};
use jiff::Timestamp;
use lettre::message::{Mailbox, MultiPart, header};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use maud::{DOCTYPE, Markup, html};
use sha2::{Digest as _, Sha256};
use std::time::{Duration, SystemTime};

pub(super) const NAME: &str = "mail";
/// For each answer of the mail server.
const PATIENCE: Duration = Duration::from_secs(10);
/// Of a subject, in characters.
const LONGEST_SUBJECT: usize = 150;

pub(super) struct Mail {
    from: Mailbox,
    transport: AsyncSmtpTransport<Tokio1Executor>,
    links: Links,
}

impl Mail {
    pub fn new(config: config::Mail, links: Links) -> Result<Self, TlsError> {
        tls::install_provider();
        let security = match config.tls {
            MailTls::StartTls => Tls::Required(parameters(&config)?),
            MailTls::Implicit => Tls::Wrapper(parameters(&config)?),
            MailTls::Off => Tls::None,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port)
            .tls(security)
            .timeout(Some(PATIENCE));
        if let Some((user, password)) = &config.login {
            transport = transport.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        Ok(Self { from: config.from, transport: transport.build(), links })
    }

    pub async fn send(&self, row: &NoticeRow) -> Result<(), OutboundError> {
        let refused = |why: &str| OutboundError::Refused(why.to_owned());
        let recipient = row.recipient.as_ref().ok_or_else(|| refused("a mail for nobody"))?;
        let to: Address = recipient.address.parse().map_err(|_| refused("not an address"))?;
        let link = self.links.of(&row.notice, recipient.subject.as_deref()).await?;
        let message = self.message(row, to, link.as_deref()).map_err(|error| refused(&error.to_string()))?;
        self.transport.send(message).await.map(drop).map_err(|error| failure(&error))
    }

    fn message(
        &self,
        row: &NoticeRow,
        to: Address,
        link: Option<&str>,
    ) -> Result<Message, lettre::error::Error> {
        let notice = &row.notice;
        let domain = self.from.email.domain();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject(notice))
            .date(SystemTime::from(row.at))
            // The same in every attempt, so that a copy is known for one.
            .message_id(Some(format!("<notice-{}-{}@{domain}>", row.id, row.at.as_microsecond())))
            // No answers from those who are away (RFC 3834).
            .header(AutoSubmitted("auto-generated".to_owned()));
        if let Some(thread) = &notice.thread {
            let id = hex(&Sha256::digest(thread.as_bytes()));
            builder = builder.references(format!("<thread-{id:.24}@{domain}>"));
        }
        builder.multipart(MultiPart::alternative_plain_html(
            text(notice, row.at, link),
            page(notice, row.at, link).into_string(),
        ))
    }
}

fn parameters(config: &config::Mail) -> Result<TlsParameters, TlsError> {
    let unusable = |error: lettre::transport::smtp::Error| {
        TlsError::Rustls(rustls::Error::General(format!("mail: {error}")))
    };
    let mut parameters =
        TlsParameters::builder(config.host.clone()).certificate_store(CertificateStore::Default);
    if let Some(path) = &config.ca {
        for certificate in tls::read_certificates(path)? {
            let certificate = Certificate::from_der(certificate.to_vec()).map_err(unusable)?;
            parameters = parameters.add_root_certificate(certificate);
        }
    }
    parameters.build().map_err(unusable)
}

fn failure(error: &lettre::transport::smtp::Error) -> OutboundError {
    let said = http::words(describe(error).as_bytes());
    let code = error.status().map(u16::from);
    match code {
        // Authentication and what it lacks (RFC 4954, section 6).
        Some(530 | 534 | 535 | 538) => OutboundError::NotUs(said),
        Some(_) if error.is_permanent() => OutboundError::Refused(said),
        _ => OutboundError::Mail(said),
    }
}

/// With what was below it: an address that cannot be reached says little.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// One line, whatever a title holds: a line break would begin another header.
fn subject(notice: &Notice) -> String {
    let line: String = notice.title.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("[dbaccess] {}", line.chars().take(LONGEST_SUBJECT).collect::<String>())
}

fn text(notice: &Notice, at: Timestamp, link: Option<&str>) -> String {
    let mut lines = vec![notice.title.clone(), String::new()];
    // What people wrote stays behind a bar: it cannot pass for a line of ours.
    let told = |value: &str| value.lines().collect::<Vec<_>>().join("\r\n  | ");
    lines.extend(notice.facts.iter().map(|(name, value)| format!("{name}: {}", told(value))));
    lines.push(format!("time: {at}"));
    if let Some(link) = link {
        lines.extend([String::new(), "Look at it, and decide, here:".to_owned(), link.to_owned()]);
        lines.push(NOTHING_YET.to_owned());
    }
    if let Some(request) = &notice.request {
        lines.push(format!("In a terminal: dbaccess show {request}"));
    }
    lines.push(String::new());
    lines.join("\r\n")
}

const NOTHING_YET: &str = "Opening the page decides nothing. It asks you to sign in first.";

fn page(notice: &Notice, at: Timestamp, link: Option<&str>) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { (notice.title) } }
            body style="font:16px/1.5 system-ui,sans-serif;max-width:36em" {
                h1 style="font-size:20px" { (notice.title) }
                table style="border-collapse:collapse" {
                    @for (name, value) in &notice.facts { (fact(name, value)) }
                    (fact("time", &at.to_string()))
                }
                @if let Some(link) = link {
                    p { a href=(link) { "Look at it, and decide" } }
                    p { (NOTHING_YET) }
                }
                @if let Some(request) = &notice.request {
                    p { "In a terminal: " code { "dbaccess show " (request) } }
                }
            }
        }
    }
}

fn fact(name: &str, value: &str) -> Markup {
    html! {
        tr {
            th style="text-align:left;vertical-align:top;padding:2px 12px 2px 0" { (name) }
            td style="white-space:pre-wrap" { (value) }
        }
    }
}

/// RFC 3834, section 5.
#[derive(Clone)]
struct AutoSubmitted(String);

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self(text.to_owned()))
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), self.0.clone())
    }
}
