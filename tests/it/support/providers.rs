//! Two real OpenID providers, and a person with a browser in front of them.
//! They differ where providers differ: see tests/providers/.

use super::{pki::Pki, tools};
use serde::Deserialize;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Long enough for a loaded machine; reached only when something is broken.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running provider with the public client `dbaccess` and three people:
/// alice (payments, developers), bob (payments, leads), carol (security).
/// It ends with this value, and by itself when the test's process dies.
pub struct RealProvider {
    pub issuer: String,
    /// Whether asking before the interval is over is answered `slow_down`.
    pub slows_down: bool,
    name: &'static str,
    _process: Child,
}

/// What the provider printed when it was ready.
#[derive(Deserialize)]
struct Ready {
    issuer: String,
}

impl RealProvider {
    /// npm's oidc-provider: no `interval`, never `slow_down`, refresh tokens rotate.
    pub async fn oidc_provider(pki: &Pki) -> Self {
        let mut command = Command::new(tools::node());
        command.arg(tools::repository().join("tests/providers/oidc-provider.mjs"));
        Self::start("oidc-provider", command, pki).await
    }

    /// The same with a second client, `dbaccess-pages` (its secret is
    /// `secret-of-the-pages`), that browsers are sent back to.
    pub async fn oidc_provider_for_pages(pki: &Pki, redirect_uri: &str) -> Self {
        let mut command = Command::new(tools::node());
        command.arg(tools::repository().join("tests/providers/oidc-provider.mjs"));
        command.env("REDIRECT_URI", redirect_uri);
        Self::start("oidc-provider", command, pki).await
    }

    /// Debian's Glewlwyd: polls every five seconds or `slow_down`, `azp` in the
    /// ID token and none on refresh, 401 when a public client revokes.
    pub async fn glewlwyd(pki: &Pki) -> Self {
        tools::glewlwyd();
        let mut command = Command::new(tools::python());
        command.arg(tools::repository().join("tests/providers/glewlwyd.py"));
        Self::start("glewlwyd", command, pki).await
    }

    async fn start(name: &'static str, mut command: Command, pki: &Pki) -> Self {
        command.arg(pki.certificate()).arg(pki.key()).envs(tools::environment());
        // The provider serves until its input closes.
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the provider's program");
        let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
        let line = tokio::time::timeout(START_LIMIT, lines.next_line()).await.expect("a provider in time");
        let line = line.expect("its output").unwrap_or_else(|| panic!("{name} ended before it was ready"));
        let ready: Ready = serde_json::from_str(&line).expect("its first line");
        let slows_down = name == "glewlwyd";
        Self { issuer: ready.issuer, slows_down, name, _process: process }
    }

    /// `person` signs in at `verification_uri_complete` and lets the device in.
    pub async fn approve(&self, person: &str, verification_uri_complete: &str) {
        self.browse(&[verification_uri_complete, person, "approve"]).await;
    }

    /// The same by way of `verification_uri`, typing the code there.
    pub async fn approve_code(&self, person: &str, verification_uri: &str, user_code: &str) {
        self.browse(&[verification_uri, person, "approve", user_code]).await;
    }

    /// Somebody presses the page's button for "this is not my device".
    /// Glewlwyd's page has none.
    pub async fn deny(&self, verification_uri_complete: &str) {
        self.browse(&[verification_uri_complete, "nobody", "deny"]).await;
    }

    async fn browse(&self, arguments: &[&str]) {
        let mut command = Command::new(tools::node());
        command.arg(tools::repository().join("tests/providers/browser.mjs")).arg(self.name).args(arguments);
        let run = command.envs(tools::environment()).stdin(Stdio::null()).kill_on_drop(true).output();
        let output = run.await.expect("the browser's program");
        assert!(output.status.success(), "the browser failed: {}", String::from_utf8_lossy(&output.stderr));
    }
}
