//! OTLP logs over HTTP, as JSON (OpenTelemetry Protocol 1, "OTLP/HTTP", "JSON
//! Protobuf Encoding": 64-bit numbers are texts, keys lowerCamelCase).

use super::{ForwardError, Severity};
use crate::server::config::OtlpTo;
use crate::server::journal::LedgerLine;
use crate::server::outbound::http;
use crate::tls::TlsError;
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) struct Otlp {
    to: OtlpTo,
    host: String,
    http: reqwest::Client,
}

impl Otlp {
    pub fn new(to: OtlpTo, host: &str) -> Result<Self, TlsError> {
        let http = http::client(to.ca.as_deref())?;
        Ok(Self { to, host: host.to_owned(), http })
    }

    pub async fn send(&self, lines: &[LedgerLine]) -> Result<(), ForwardError> {
        let observed = crate::os::now().as_nanosecond();
        let records: Vec<Value> = lines.iter().map(|line| record(line, observed)).collect();
        let body = json!({"resourceLogs": [{
            "resource": {"attributes": [text("service.name", "dbaccess"), text("host.name", &self.host)]},
            "scopeLogs": [{
                "scope": {"name": "dbaccess.ledger", "version": env!("CARGO_PKG_VERSION")},
                "logRecords": records,
            }],
        }]});
        let mut post = self.http.post(&self.to.url).header("content-type", "application/json");
        if let Some(token) = &self.to.token {
            post = post.bearer_auth(token.expose());
        }
        let answer = http::send(post.body(serde_json::to_string(&body)?)).await?;
        // Such records are not to be sent again ("Partial Success").
        if let Ok(Answer { partial_success: Some(partial) }) = serde_json::from_slice(&answer)
            && let rejected @ 1.. = partial.rejected()
        {
            let first = lines.first().map(|line| line.seq);
            tracing::error!(
                rejected,
                ?first,
                message = partial.error_message,
                "the collector rejects ledger lines"
            );
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    partial_success: Option<Partial>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Partial {
    /// A number, or a text of one.
    #[serde(default)]
    rejected_log_records: Value,
    #[serde(default)]
    error_message: String,
}

impl Partial {
    fn rejected(&self) -> u64 {
        let value = &self.rejected_log_records;
        value.as_u64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
    }
}

fn record(line: &LedgerLine, observed: i128) -> Value {
    let (number, name) = match Severity::of(&line.kind) {
        Severity::Information => (9, "INFO"),
        Severity::Notice => (10, "INFO2"),
        Severity::Warning => (13, "WARN"),
    };
    json!({
        "timeUnixNano": line.at.as_nanosecond().to_string(),
        "observedTimeUnixNano": observed.to_string(),
        "severityNumber": number,
        "severityText": name,
        "eventName": format!("dbaccess.{}", line.kind),
        "body": {"stringValue": line.text},
        "attributes": [
            {"key": "dbaccess.ledger.seq", "value": {"intValue": line.seq.to_string()}},
            text("dbaccess.ledger.kind", &line.kind),
        ],
    })
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}
