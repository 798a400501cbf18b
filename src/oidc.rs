//! OpenID Connect as both ends speak it: one HTTP client with the habits that
//! talking to a provider demands, discovery, and the token endpoint. It decides
//! nothing about people: the server checks ID tokens (`server::identity`), the
//! command line runs the device flow (`cli::device_login`).
//!
//! Redirects are not followed and every address must be `https`, so that a
//! provider's answer cannot send us, or a token, elsewhere. No error of this
//! room contains a body: a provider may echo what it was sent.

use crate::core::model::Secret;
use crate::tls::{self, TlsError};
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::http::{self, header};
use openidconnect::url::{Url, form_urlencoded};
use openidconnect::{
    AdditionalProviderMetadata, AsyncHttpClient, DeviceAuthorizationUrl, DiscoveryError, HttpRequest,
    HttpResponse, IssuerUrl, ProviderMetadata, RevocationUrl,
};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

/// A provider's answers are small; more than this is not an answer.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// What a provider says about itself (OpenID Connect Discovery 1.0, section 3).
pub type Metadata = ProviderMetadata<
    MoreEndpoints,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// The endpoints that other documents than OpenID Connect's add (RFC 8414, RFC 8628).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MoreEndpoints {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_authorization_endpoint: Option<DeviceAuthorizationUrl>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<RevocationUrl>,
}
impl AdditionalProviderMetadata for MoreEndpoints {}

/// Why a provider gave no usable answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OidcError {
    /// Nothing was answered, or only that the provider is unwell: worth another try.
    #[error("the identity provider cannot be reached: {0}")]
    Unreachable(String),
    /// The provider answered with an OAuth error code (RFC 6749 section 5.2).
    #[error("the identity provider answered `{0}`")]
    Refused(String),
    /// Something else than the protocol allows, such as an empty body on an error.
    #[error("the identity provider's answer is not usable: {0}")]
    Unusable(String),
}

/// The client of one provider.
#[derive(Clone, Debug)]
pub struct Http(reqwest::Client);

impl Http {
    /// Trusts the system's roots and `ca`.
    pub fn new(ca: Option<&Path>) -> Result<Self, TlsError> {
        tls::install_provider();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls::client_config(ca, &[b"http/1.1"])?)
            .user_agent(concat!("dbaccess/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .https_only(true)
            .connect_timeout(Duration::from_secs(5))
            .timeout(Duration::from_secs(15))
            .build()?;
        Ok(Self(client))
    }

    /// Sends one request. A status of 429 or from 500 on is an error, because
    /// the crates above forget the status where the body is empty.
    /// Cancel-safe as far as HTTP is: the provider may have acted.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, OidcError> {
        let request =
            reqwest::Request::try_from(request).map_err(|error| OidcError::Unusable(causes(&error)))?;
        let mut response = self.0.execute(request).await.map_err(unreachable)?;
        let status = response.status();
        if status.is_server_error() || status == http::StatusCode::TOO_MANY_REQUESTS {
            return Err(OidcError::Unreachable(format!("it answered with status {status}")));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(OidcError::Unusable("more than a megabyte".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = http::Response::new(body);
        *answer.status_mut() = status;
        *answer.headers_mut() = response.headers().clone();
        Ok(answer)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = OidcError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, OidcError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// Reads the provider's description of itself and its keys, and demands that
/// it is the issuer it was asked for and that each endpoint is on TLS.
pub async fn discover(http: &Http, issuer: &str) -> Result<Metadata, OidcError> {
    let bad = |why: String| OidcError::Unusable(format!("{issuer}: {why}"));
    let url = IssuerUrl::new(issuer.to_owned()).map_err(|error| bad(error.to_string()))?;
    if url.url().scheme() != "https" {
        return Err(bad("an issuer must begin with https://".to_owned()));
    }
    let metadata = Metadata::discover_async(url, http).await.map_err(|error| match error {
        DiscoveryError::Request(OidcError::Unreachable(why)) => {
            OidcError::Unreachable(format!("{issuer}: {why}"))
        }
        DiscoveryError::Request(error) => error,
        DiscoveryError::Response(status, _, _) => {
            bad(format!("no OpenID Connect discovery document there (status {status})"))
        }
        DiscoveryError::Validation(why) => bad(format!("it calls itself otherwise: {why}")),
        DiscoveryError::Parse(error) => bad(format!("its discovery document: {error}")),
        other => bad(other.to_string()),
    })?;
    let more = metadata.additional_metadata();
    let urls = [
        Some(metadata.jwks_uri().url()),
        Some(metadata.authorization_endpoint().url()),
        metadata.token_endpoint().map(|endpoint| endpoint.url()),
        metadata.userinfo_endpoint().map(|endpoint| endpoint.url()),
        more.device_authorization_endpoint.as_ref().map(|endpoint| endpoint.url()),
        more.revocation_endpoint.as_ref().map(|endpoint| endpoint.url()),
    ];
    if let Some(url) = urls.into_iter().flatten().find(|url| url.scheme() != "https") {
        return Err(bad(format!("its endpoint {url} is not on https")));
    }
    Ok(metadata)
}

/// How we name ourselves to the provider: publicly, or with a secret by HTTP
/// Basic (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug)]
pub struct Credentials<'a> {
    pub client_id: &'a str,
    pub secret: Option<&'a Secret>,
}

/// What the token endpoint gives (RFC 6749 section 5.1).
#[derive(Debug, Deserialize)]
pub struct TokenAnswer {
    pub access_token: Secret,
    pub id_token: Option<Secret>,
    pub refresh_token: Option<Secret>,
}

/// Posts `form` to the token endpoint.
pub async fn request_tokens(
    http: &Http,
    metadata: &Metadata,
    credentials: Credentials<'_>,
    form: &[(&str, &str)],
) -> Result<TokenAnswer, OidcError> {
    let endpoint = metadata
        .token_endpoint()
        .ok_or_else(|| OidcError::Unusable("it has no token endpoint".to_owned()))?;
    let answer = post(http, endpoint.url(), credentials, form).await?;
    serde_json::from_slice(&answer).map_err(|_| OidcError::Unusable("it sent no tokens".to_owned()))
}

/// Posts a form to an endpoint that authenticates clients, and returns a successful body.
pub async fn post(
    http: &Http,
    endpoint: &Url,
    credentials: Credentials<'_>,
    form: &[(&str, &str)],
) -> Result<Vec<u8>, OidcError> {
    let request = form_request(endpoint, credentials, form)
        .map_err(|error| OidcError::Unusable(format!("cannot ask it: {error}")))?;
    let answer = http.send(request).await?;
    if answer.status().is_success() {
        return Ok(answer.into_body());
    }
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let status = answer.status();
    match serde_json::from_slice::<Refusal>(answer.body()) {
        Ok(refusal) if is_error_code(&refusal.error) => Err(OidcError::Refused(refusal.error)),
        _ => Err(OidcError::Unusable(format!("status {status} without a reason"))),
    }
}

/// Error codes are words; anything else is not repeated to a person.
fn is_error_code(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
}

fn form_request(
    endpoint: &Url,
    credentials: Credentials<'_>,
    form: &[(&str, &str)],
) -> Result<HttpRequest, http::Error> {
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    let mut request = http::Request::post(endpoint.as_str())
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    match credentials.secret {
        Some(secret) => request = request.header(header::AUTHORIZATION, basic(credentials.client_id, secret)),
        None => {
            body.append_pair("client_id", credentials.client_id);
        }
    }
    request.body(body.finish().into_bytes())
}

fn basic(client_id: &str, secret: &Secret) -> String {
    use base64::Engine as _;
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encode(client_id), encode(secret.expose()));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

fn unreachable(error: reqwest::Error) -> OidcError {
    OidcError::Unreachable(causes(&error.without_url()))
}

/// The last cause says most: `connection refused`, `unknown issuer`.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    text
}
