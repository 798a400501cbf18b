//! Signing in at the company's identity provider, in a browser that may be on
//! another machine: the device authorization grant (RFC 8628). Decides when to
//! ask again and when to give up. Never looks into the ID token: the server
//! does that. Called by `login`.

use crate::core::model::{ErrorKind, Secret};
use crate::oidc::{self, Credentials, Http, Metadata, OidcError};
use crate::proto::LoginConfig;
use crate::tls::TlsError;
use openidconnect::core::{CoreClient, CoreDeviceAuthorizationResponse};
use openidconnect::{ClientId, IssuerUrl, RequestTokenError, Scope};
use std::path::Path;
use std::time::Duration;

/// What a sign-in yields, for the server to exchange.
#[derive(Debug)]
pub struct Tokens {
    pub id_token: Secret,
    /// For the claims that only the userinfo endpoint has.
    pub access_token: Secret,
    pub refresh_token: Option<Secret>,
}

/// What a person needs to know to sign in.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// The code to compare, or to type.
    pub user_code: String,
    /// Where to type it.
    pub address: String,
    /// The same address with the code in it, where the provider offers one.
    pub complete_address: Option<String>,
    pub expires_in: Duration,
}

/// How a sign-in shows itself and lets time pass. The terminal's is
/// [`super::login_screen::Screen`].
pub trait Ui {
    /// Shows code and address.
    fn show(&mut self, prompt: &Prompt);

    /// Something went wrong that waiting may heal.
    fn trouble(&mut self, text: &str);

    /// Waits until the next question may be asked.
    fn wait(&mut self, length: Duration) -> impl Future<Output = ()>;
}

/// Why nobody is signed in. Never contains a token.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    #[error("cannot prepare to talk to the identity provider: {0}")]
    Tls(#[from] TlsError),
    #[error("{0}")]
    Provider(OidcError),
    #[error("the identity provider {0} offers no device sign-in: its application settings must allow it")]
    NoDeviceFlow(String),
    #[error("the sign-in was denied in the browser")]
    Denied,
    #[error("nobody confirmed the code in time: run `dbaccess login` again")]
    Expired,
    #[error(
        "the identity provider sent no ID token: the scope `openid` must be allowed for this application"
    )]
    NoIdToken,
    #[error("the sign-in was interrupted")]
    Interrupted,
}

impl SignInError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Tls(_) | Self::Provider(OidcError::Unreachable(_)) => ErrorKind::Unreachable,
            Self::Denied => ErrorKind::Denied,
            Self::Provider(_)
            | Self::NoDeviceFlow(_)
            | Self::Expired
            | Self::NoIdToken
            | Self::Interrupted => ErrorKind::NotSignedIn,
        }
    }
}

/// Signs in: asks for a code, shows it, and waits for the answer given in the browser.
///
/// `ca` is trusted beside the system's roots. Ctrl-C ends it with
/// [`SignInError::Interrupted`]; dropping the future leaves nothing behind but
/// a code that expires.
pub async fn sign_in(
    config: &LoginConfig,
    ca: Option<&Path>,
    ui: &mut impl Ui,
) -> Result<Tokens, SignInError> {
    let http = Http::new(ca)?;
    tokio::select! {
        tokens = ask(config, &http, ui) => tokens,
        _ = tokio::signal::ctrl_c() => Err(SignInError::Interrupted),
    }
}

async fn ask(config: &LoginConfig, http: &Http, ui: &mut impl Ui) -> Result<Tokens, SignInError> {
    let metadata = oidc::discover(http, &config.issuer).await.map_err(SignInError::Provider)?;
    let code = device_code(config, http, &metadata).await?;
    ui.show(&Prompt {
        user_code: printable(code.user_code().secret()),
        address: code.verification_uri().url().to_string(),
        complete_address: code
            .verification_uri_complete()
            .and_then(|uri| openidconnect::url::Url::parse(uri.secret()).ok())
            .map(|url| url.to_string()),
        expires_in: code.expires_in(),
    });
    let credentials = Credentials { client_id: &config.client_id, secret: None };
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", code.device_code().secret().as_str()),
    ];
    let mut pace = Pace::new(code.interval(), code.expires_in());
    loop {
        let length = pace.next_wait().ok_or(SignInError::Expired)?;
        ui.wait(length).await;
        match oidc::request_tokens(http, &metadata, credentials, &form).await {
            Ok(answer) => {
                let id_token = answer.id_token.ok_or(SignInError::NoIdToken)?;
                let (access_token, refresh_token) = (answer.access_token, answer.refresh_token);
                return Ok(Tokens { id_token, access_token, refresh_token });
            }
            Err(OidcError::Refused(error)) => match error.as_str() {
                "authorization_pending" => pace.answered(),
                "slow_down" => pace.slow_down(),
                "access_denied" => return Err(SignInError::Denied),
                "expired_token" => return Err(SignInError::Expired),
                _ => return Err(SignInError::Provider(OidcError::Refused(error))),
            },
            Err(error @ OidcError::Unreachable(_)) => {
                ui.trouble(&format!("{error}; trying again"));
                pace.back_off();
            }
            Err(error) => return Err(SignInError::Provider(error)),
        }
    }
}

async fn device_code(
    config: &LoginConfig,
    http: &Http,
    metadata: &Metadata,
) -> Result<CoreDeviceAuthorizationResponse, SignInError> {
    let missing = || SignInError::NoDeviceFlow(config.issuer.clone());
    let endpoint =
        metadata.additional_metadata().device_authorization_endpoint.clone().ok_or_else(missing)?;
    let issuer = IssuerUrl::new(config.issuer.clone()).map_err(|_| missing())?;
    let client = CoreClient::new(ClientId::new(config.client_id.clone()), issuer, metadata.jwks().clone())
        .set_device_authorization_url(endpoint);
    // The crate adds `openid` itself.
    let scopes = config.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new);
    client.exchange_device_code().add_scopes(scopes).request_async(http).await.map_err(|error| {
        SignInError::Provider(match error {
            RequestTokenError::Request(error) => error,
            RequestTokenError::ServerResponse(refusal) => {
                OidcError::Refused(printable(refusal.error().as_ref()))
            }
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                OidcError::Unusable("it gave no device code; is the client id right?".to_owned())
            }
        })
    })
}

/// When to ask next (RFC 8628 section 3.5). Counts the waits that it orders,
/// so that it needs no clock: the provider's own answer decides about expiry,
/// this only ends the asking of one that does not answer.
#[derive(Debug)]
struct Pace {
    interval: Duration,
    back_off: Duration,
    left: Duration,
}

impl Pace {
    /// A provider that says zero would be asked without a pause.
    const SHORTEST: Duration = Duration::from_millis(200);
    const LONGEST_BACK_OFF: Duration = Duration::from_secs(60);

    fn new(interval: Duration, expires_in: Duration) -> Self {
        let interval = interval.max(Self::SHORTEST);
        Self { interval, back_off: Duration::ZERO, left: expires_in }
    }

    /// `None`: the code has expired.
    fn next_wait(&mut self) -> Option<Duration> {
        if self.left.is_zero() {
            return None;
        }
        let length = self.interval.max(self.back_off);
        self.left = self.left.saturating_sub(length);
        Some(length)
    }

    fn answered(&mut self) {
        self.back_off = Duration::ZERO;
    }

    /// Five seconds more, for this and all further questions.
    fn slow_down(&mut self) {
        self.answered();
        self.interval += Duration::from_secs(5);
    }

    /// Twice as long each time that nothing was answered.
    fn back_off(&mut self) {
        self.back_off = self.interval.max(self.back_off).saturating_mul(2);
        self.back_off = self.back_off.min(Self::LONGEST_BACK_OFF.max(self.interval));
    }
}

/// A provider's text on its way to a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(pace: &mut Pace) -> Option<u64> {
        pace.next_wait().map(|length| length.as_secs())
    }

    #[test]
    fn the_interval_grows_by_five_at_slow_down_and_stays() {
        let mut pace = Pace::new(Duration::from_secs(5), Duration::from_secs(600));
        assert_eq!(seconds(&mut pace), Some(5));
        pace.slow_down();
        assert_eq!(seconds(&mut pace), Some(10));
        pace.answered();
        assert_eq!(seconds(&mut pace), Some(10));
        pace.slow_down();
        assert_eq!(seconds(&mut pace), Some(15));
    }

    #[test]
    fn silence_doubles_the_wait_and_an_answer_ends_that() {
        let mut pace = Pace::new(Duration::from_secs(5), Duration::from_secs(6000));
        let mut waits = Vec::new();
        for _ in 0..6 {
            pace.back_off();
            waits.push(seconds(&mut pace).unwrap());
        }
        assert_eq!(waits, [10, 20, 40, 60, 60, 60]);
        pace.answered();
        assert_eq!(seconds(&mut pace), Some(5));
        // A provider that wants more than a minute gets it.
        let mut slow = Pace::new(Duration::from_secs(90), Duration::from_secs(6000));
        slow.back_off();
        assert_eq!(seconds(&mut slow), Some(90));
    }

    #[test]
    fn the_asking_ends_with_the_code() {
        let mut pace = Pace::new(Duration::from_secs(5), Duration::from_secs(12));
        assert_eq!([5, 5, 5].map(Some).to_vec(), (0..3).map(|_| seconds(&mut pace)).collect::<Vec<_>>());
        assert_eq!(pace.next_wait(), None);
        assert_eq!(Pace::new(Duration::ZERO, Duration::from_secs(1)).next_wait(), Some(Pace::SHORTEST));
    }
}
