//! The server's configuration, as far as the demo and the tests have the same:
//! one port on loopback, the development identity provider, a team and its roles.

use super::pki::Pki;
use std::path::Path;

/// Where a server of ours is, and what it stands on.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    pub port: u16,
    pub native_port: Option<u16>,
    pub data: &'a Path,
    pub pki: &'a Pki,
    pub issuer: &'a str,
    /// As the configuration says it.
    pub token_lifetime: &'a str,
    /// Business hours are always, or as good as never.
    pub open_hours: bool,
}

impl Site<'_> {
    /// The sections of a configuration that come before its targets.
    pub fn sections(&self) -> String {
        let Self { port, data, pki, issuer, token_lifetime, .. } = self;
        let native = self
            .native_port
            .map(|port| format!("native_listen = \"127.0.0.1:{port}\"\n"))
            .unwrap_or_default();
        let (days, to) = match self.open_hours {
            true => (r#""mon", "tue", "wed", "thu", "fri", "sat", "sun""#, "24:00"),
            false => (r#""mon""#, "00:01"),
        };
        format!(
            r#"[server]
listen = "127.0.0.1:{port}"
public_url = "https://localhost:{port}"
{native}data_dir = "{data}"
tls_certificate = "{certificate}"
tls_key = "{key}"

[identity]
issuer = "{issuer}"
client_id = "dbaccess"
ca = "{ca}"
web_sign_in = true
token_lifetime = "{token_lifetime}"

[teams.shop]
groups = ["eng-shop"]
[roles.lead]
groups = ["eng-leads"]
[roles.manager]
groups = ["eng-managers"]
[roles.security]
groups = ["security"]

[business_hours]
timezone = "UTC"
days = [{days}]
from = "00:00"
to = "{to}"
"#,
            data = data.display(),
            certificate = pki.certificate.display(),
            key = pki.key.display(),
            ca = pki.ca.display(),
        )
    }
}
