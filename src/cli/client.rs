//! The typed client of the HTTP API. It holds no rules: it sends, renews the
//! token when that has run out, and turns every failure into words.

use super::device_login::Tokens;
use super::error::CliError;
use super::settings::Endpoint;
use super::tokens::{Saved, Stored, TokenStore};
use crate::core::model::{
    Absence, Bar, Delegation, ErrorKind, Grant, Hold, Person, ScriptComparison, Secret, format_duration,
};
use crate::proto::{
    About, AbsenceView, Amend, Approve, AskUnseal, AuditCounts, AuditPage, AuditQuery, Away, BackView,
    CampaignDetail, CampaignRow, CampaignsQuery, Compare, Confirm, DecideLines, DecideUnseal,
    DelegationsQuery, End, ErrorBody, Explained, Finding, HoldView, HoldsQuery, LiftBar, LinesDecided,
    LinesQuery, Login, Logout, MakeReport, Me, MetricsQuery, MetricsView, NewBreakGlass, NewDelegation,
    NewRequest, OpenSession, OpenUnseal, PlaceHold, PolicyLoaded, Reason, RecordingPage, RecordingQuery,
    ReleaseHold, ReloadPolicy, Renew, Replay, Replayed, RequestView, RequestsQuery, Resume, ResumedView,
    RetentionView, ReviewDetail, ReviewView, ReviewsQuery, RevokedView, RotateTokens, Scan, Scanned,
    SessionOpened, SessionSummary, SessionView, SessionsQuery, SignCampaign, StartCampaign, Suggest,
    Suggested, Suspend, SuspendedView, TargetView, TokenIssued, TokensRotated, UnsealView, Unsealed,
    UnsealsQuery, WriteReview,
};
use crate::{os, tls};
use jiff::Timestamp;
use reqwest::{Method, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::sync::Mutex;

/// Long enough for a slow catalog, short enough that nobody thinks it hangs.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Opening and closing wait for the database's own work.
const SESSION_TIMEOUT: Duration = Duration::from_secs(120);
/// A clock that is further off than this makes tokens and windows look wrong.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(120);

pub struct Client {
    http: reqwest::Client,
    base: Url,
    store: TokenStore,
    /// Whoever renews holds this, so that a token is renewed once.
    token: Mutex<Option<Stored>>,
}

impl Client {
    pub fn new(endpoint: &Endpoint, store: TokenStore) -> Result<Self, CliError> {
        let http = tls::http_client(endpoint.ca.as_deref()).map_err(|error| {
            CliError::usage("TLS cannot be set up").why(error.to_string()).hint("dbaccess config get")
        })?;
        let token = store.load()?;
        Ok(Self { http, base: endpoint.server.clone(), store, token: Mutex::new(token) })
    }

    pub fn store(&self) -> &TokenStore {
        &self.store
    }

    pub async fn about(&self) -> Result<About, CliError> {
        let url = self.url(&["about"])?;
        let response = self.http.get(url).timeout(TIMEOUT).send().await;
        decode(response.map_err(|error| self.unreachable(&error))?).await
    }

    pub async fn me(&self) -> Result<Me, CliError> {
        self.get(&["me"], &()).await
    }

    /// Hands the identity provider's word to the server, and keeps the token that it gives.
    pub async fn login(&self, tokens: Tokens) -> Result<(Person, Timestamp, Saved), CliError> {
        let body = Login {
            id_token: tokens.id_token.expose().to_owned(),
            access_token: Some(tokens.access_token.expose().to_owned()),
            // Kept here: the server needs it only to renew.
            refresh_token: None,
        };
        let request = self.http.post(self.url(&["login"])?).json(&body).timeout(TIMEOUT);
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let issued: TokenIssued = decode(response).await?;
        let stored = Stored {
            token: Secret::new(issued.token),
            refresh_token: issued.refresh_token.map(Secret::new).or(tokens.refresh_token),
            expires_at: Some(issued.expires_at),
        };
        let saved = self.store.save(&stored)?;
        *self.token.lock().await = Some(stored);
        Ok((issued.person, issued.expires_at, saved))
    }

    /// Tells the server to forget the token, and forgets it here in any case.
    pub async fn logout(&self) -> Result<(), CliError> {
        let token = self.token.lock().await.take();
        self.store.clear()?;
        let Some(token) = token else { return Ok(()) };
        let body = Logout { refresh_token: token.refresh_token.as_ref().map(|t| t.expose().to_owned()) };
        let request = self.http.post(self.url(&["logout"])?).bearer_auth(token.token.expose()).json(&body);
        let response = request.timeout(TIMEOUT).send().await.map_err(|error| self.unreachable(&error))?;
        // A token that the server no longer accepts is as good as signed out.
        if response.status().is_success() || response.status() == StatusCode::UNAUTHORIZED {
            return Ok(());
        }
        Err(refusal(response).await)
    }

    pub async fn targets(&self) -> Result<Vec<TargetView>, CliError> {
        self.get(&["targets"], &()).await
    }

    pub async fn rotate_tokens(&self, target: &str, body: &RotateTokens) -> Result<TokensRotated, CliError> {
        self.post(&["targets", target, "rotate-tokens"], body).await
    }

    pub async fn scan(&self, target: &str) -> Result<Scanned, CliError> {
        self.post(&["targets", target, "scan"], &Scan {}).await
    }

    /// Over a long time it takes the server some seconds.
    pub async fn metrics(&self, query: &MetricsQuery) -> Result<MetricsView, CliError> {
        self.call(Method::GET, &["metrics"], query, None::<&()>, SESSION_TIMEOUT).await
    }

    /// Waits until the views are gone.
    pub async fn suspend(&self, target: &str, body: &Suspend) -> Result<SuspendedView, CliError> {
        let path = ["targets", target, "suspend"];
        self.call(Method::POST, &path, &(), Some(body), SESSION_TIMEOUT).await
    }

    pub async fn resume(&self, target: &str) -> Result<ResumedView, CliError> {
        self.post(&["targets", target, "resume"], &Resume {}).await
    }

    pub async fn request(&self, asked: &NewRequest) -> Result<RequestView, CliError> {
        self.post(&["requests"], asked).await
    }

    pub async fn requests(&self, query: &RequestsQuery) -> Result<Vec<RequestView>, CliError> {
        self.get(&["requests"], query).await
    }

    pub async fn request_by_id(&self, id: &str) -> Result<RequestView, CliError> {
        self.get(&["requests", id], &()).await
    }

    pub async fn approve(&self, id: &str, approval: &Approve) -> Result<RequestView, CliError> {
        self.post(&["requests", id, "approve"], approval).await
    }

    pub async fn amend(&self, id: &str, to: &Amend) -> Result<RequestView, CliError> {
        self.post(&["requests", id, "amend"], to).await
    }

    /// Of a session or a request.
    pub async fn compare(&self, id: &str, with: &Compare) -> Result<ScriptComparison, CliError> {
        self.post(&["compare", id], with).await
    }

    pub async fn deny(&self, id: &str, reason: &Reason) -> Result<RequestView, CliError> {
        self.post(&["requests", id, "deny"], reason).await
    }

    pub async fn cancel(&self, id: &str, reason: &Reason) -> Result<RequestView, CliError> {
        self.post(&["requests", id, "cancel"], reason).await
    }

    pub async fn break_glass(&self, asked: &NewBreakGlass) -> Result<RequestView, CliError> {
        self.post(&["break-glass"], asked).await
    }

    pub async fn confirm(&self, id: &str, body: &Confirm) -> Result<RequestView, CliError> {
        self.post(&["requests", id, "confirm"], body).await
    }

    pub async fn revoke(&self, id: &str, reason: &Reason) -> Result<RevokedView, CliError> {
        self.post(&["revoke", id], reason).await
    }

    pub async fn delegate(&self, asked: &NewDelegation) -> Result<Delegation, CliError> {
        self.post(&["delegations"], asked).await
    }

    pub async fn place_hold(&self, asked: &PlaceHold) -> Result<HoldView, CliError> {
        self.post(&["holds"], asked).await
    }

    pub async fn holds(&self, query: &HoldsQuery) -> Result<Vec<Hold>, CliError> {
        self.get(&["holds"], query).await
    }

    pub async fn release_hold(&self, id: &str, body: &ReleaseHold) -> Result<Hold, CliError> {
        self.post(&["holds", id, "release"], body).await
    }

    pub async fn retention(&self) -> Result<RetentionView, CliError> {
        self.get(&["retention"], &()).await
    }

    pub async fn delegations(&self, query: &DelegationsQuery) -> Result<Vec<Delegation>, CliError> {
        self.get(&["delegations"], query).await
    }

    pub async fn end_delegation(&self, id: &str) -> Result<Delegation, CliError> {
        self.post(&["delegations", id, "end"], &End {}).await
    }

    pub async fn away(&self, away: &Away) -> Result<AbsenceView, CliError> {
        self.post(&["absences"], away).await
    }

    pub async fn back(&self) -> Result<BackView, CliError> {
        self.post(&["absences", "end"], &End {}).await
    }

    pub async fn absences(&self) -> Result<Vec<Absence>, CliError> {
        self.get(&["absences"], &()).await
    }

    /// The caller's live grants.
    pub async fn grants(&self, target: Option<&str>) -> Result<Vec<Grant>, CliError> {
        self.get(&["grants"], &serde_json::json!({ "target": target })).await
    }

    pub async fn open_session(&self, open: &OpenSession) -> Result<SessionOpened, CliError> {
        self.call(Method::POST, &["sessions"], &(), Some(open), SESSION_TIMEOUT).await
    }

    pub async fn close_session(&self, id: &str) -> Result<SessionSummary, CliError> {
        self.call(Method::DELETE, &["sessions", id], &(), None::<&()>, SESSION_TIMEOUT).await
    }

    pub async fn sessions(&self, query: &SessionsQuery) -> Result<Vec<SessionView>, CliError> {
        self.get(&["sessions"], query).await
    }

    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, CliError> {
        self.get(&["audit"], query).await
    }

    pub async fn audit_counts(&self, query: &AuditQuery) -> Result<AuditCounts, CliError> {
        self.call(Method::GET, &["audit", "counts"], query, None::<&()>, SESSION_TIMEOUT).await
    }

    pub async fn unseals(&self, query: UnsealsQuery) -> Result<Vec<UnsealView>, CliError> {
        self.get(&["unseals"], &query).await
    }

    pub async fn ask_unseal(&self, body: &AskUnseal) -> Result<UnsealView, CliError> {
        self.post(&["unseals"], body).await
    }

    pub async fn decide_unseal(&self, id: &str, body: &DecideUnseal) -> Result<UnsealView, CliError> {
        self.post(&["unseals", id, "decide"], body).await
    }

    pub async fn open_unseal(&self, id: &str, body: OpenUnseal) -> Result<Unsealed, CliError> {
        self.call(Method::POST, &["unseals", id, "open"], &(), Some(&body), SESSION_TIMEOUT).await
    }

    pub async fn doctor(&self, target: Option<&str>) -> Result<Vec<Finding>, CliError> {
        let query = serde_json::json!({ "target": target });
        self.call(Method::GET, &["doctor"], &query, None::<&()>, SESSION_TIMEOUT).await
    }

    pub async fn explain(&self, id: &str) -> Result<Explained, CliError> {
        self.get(&["requests", id, "policy"], &()).await
    }

    pub async fn reload_policy(&self) -> Result<PolicyLoaded, CliError> {
        self.post(&["policy", "reload"], &ReloadPolicy {}).await
    }

    /// Takes as long as there are requests.
    pub async fn replay(&self, asked: &Replay) -> Result<Replayed, CliError> {
        self.call(Method::POST, &["policy", "replay"], &(), Some(asked), SESSION_TIMEOUT).await
    }

    pub async fn suggest(&self, asked: &Suggest) -> Result<Suggested, CliError> {
        self.call(Method::GET, &["policy", "suggest"], asked, None::<&()>, SESSION_TIMEOUT).await
    }

    pub async fn reviews(&self, query: ReviewsQuery) -> Result<Vec<ReviewView>, CliError> {
        self.get(&["reviews"], &query).await
    }

    pub async fn review(&self, id: &str) -> Result<ReviewDetail, CliError> {
        self.call(Method::GET, &["reviews", id], &(), None::<&()>, SESSION_TIMEOUT).await
    }

    pub async fn write_review(&self, id: &str, body: &WriteReview) -> Result<ReviewView, CliError> {
        self.post(&["reviews", id], body).await
    }

    pub async fn campaigns(&self, query: CampaignsQuery) -> Result<Vec<CampaignRow>, CliError> {
        self.get(&["campaigns"], &query).await
    }

    pub async fn start_campaign(&self, body: &StartCampaign) -> Result<CampaignRow, CliError> {
        self.call(Method::POST, &["campaigns"], &(), Some(body), SESSION_TIMEOUT).await
    }

    pub async fn campaign(&self, id: &str, query: LinesQuery) -> Result<CampaignDetail, CliError> {
        self.get(&["campaigns", id], &query).await
    }

    pub async fn decide_lines(&self, id: &str, body: &DecideLines) -> Result<LinesDecided, CliError> {
        self.post(&["campaigns", id, "decide"], body).await
    }

    pub async fn sign_campaign(&self, id: &str) -> Result<CampaignRow, CliError> {
        let path = ["campaigns", id, "sign"];
        self.call(Method::POST, &path, &(), Some(&SignCampaign {}), SESSION_TIMEOUT).await
    }

    pub async fn bars(&self) -> Result<Vec<Bar>, CliError> {
        self.get(&["bars"], &()).await
    }

    pub async fn lift_bar(&self, body: &LiftBar) -> Result<Vec<Bar>, CliError> {
        self.post(&["bars", "lift"], body).await
    }

    /// What the ledger says of a session's recording, behind a place on it.
    pub async fn recording(&self, session: &str, after: Option<u64>) -> Result<RecordingPage, CliError> {
        self.get(&["recordings", session], &RecordingQuery { after }).await
    }

    /// A session's recording as it is written; it takes as long as it is large.
    pub async fn recording_file(&self, session: &str) -> Result<Response, CliError> {
        self.send(Method::GET, &["recordings", session, "file"], &(), None::<&()>, None).await
    }

    /// A bundle of evidence; it takes as long as the ledger is large.
    pub async fn report(&self, asked: &MakeReport) -> Result<Response, CliError> {
        self.send(Method::POST, &["reports"], &(), Some(asked), None).await
    }

    /// The stream that holds a session; it has no timeout of its own.
    pub async fn session_events(&self, id: &str) -> Result<Response, CliError> {
        self.send(Method::GET, &["sessions", id, "events"], &(), None::<&()>, None).await
    }

    /// What the person sees when this clock and the server's disagree.
    pub fn clock_problem(about: &About) -> Option<String> {
        let behind = about.now.duration_since(os::now());
        let distance = Duration::from_millis(u64::try_from(behind.as_millis().abs()).unwrap_or(u64::MAX));
        (distance > CLOCK_TOLERANCE).then(|| {
            let way = if behind.is_positive() { "behind" } else { "ahead of" };
            format!("this machine's clock is {} {way} the server's", format_duration(distance))
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &impl Serialize) -> Result<T, CliError> {
        self.call(Method::GET, path, query, None::<&()>, TIMEOUT).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T, CliError> {
        self.call(Method::POST, path, &(), Some(body), TIMEOUT).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        query: &impl Serialize,
        body: Option<&impl Serialize>,
        timeout: Duration,
    ) -> Result<T, CliError> {
        decode(self.send(method, path, query, body, Some(timeout)).await?).await
    }

    /// Sends with the token; renews it and sends again when it has run out.
    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: &impl Serialize,
        body: Option<&impl Serialize>,
        timeout: Option<Duration>,
    ) -> Result<Response, CliError> {
        let url = with_query(self.url(path)?, query)?;
        let attempt = async |token: &Secret| {
            let mut request = self.http.request(method.clone(), url.clone()).bearer_auth(token.expose());
            if let Some(body) = body {
                request = request.json(body);
            }
            if let Some(timeout) = timeout {
                request = request.timeout(timeout);
            }
            request.send().await.map_err(|error| self.unreachable(&error))
        };
        let token = self.usable_token().await?;
        let mut response = attempt(&token).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let Some(renewed) = self.renew(&token).await? else {
                return Err(self.not_accepted(response).await);
            };
            response = attempt(&renewed).await?;
        }
        if response.status().is_success() {
            return Ok(response);
        }
        if response.status() == StatusCode::UNAUTHORIZED {
            return Err(self.not_accepted(response).await);
        }
        Err(refusal(response).await)
    }

    /// The token, renewed before use when it is known to have run out.
    async fn usable_token(&self) -> Result<Secret, CliError> {
        let (token, expired) = match &*self.token.lock().await {
            Some(stored) => (stored.token.clone(), stored.expires_at.is_some_and(|at| at <= os::now())),
            None => {
                return Err(
                    CliError::new(ErrorKind::NotSignedIn, "you are not logged in").hint("dbaccess login")
                );
            }
        };
        if !expired {
            return Ok(token);
        }
        // Without a renewal the old one is tried: the clock that is wrong may be ours.
        Ok(self.renew(&token).await?.unwrap_or(token))
    }

    /// A newer token than `used`, or `None` when there is none to be had. Only
    /// one task of this process renews; another process's renewal is found in
    /// the store and used, so that a refresh token is redeemed once.
    async fn renew(&self, used: &Secret) -> Result<Option<Secret>, CliError> {
        let mut held = self.token.lock().await;
        if let Some(stored) = held.as_ref().filter(|stored| stored.token != *used) {
            return Ok(Some(stored.token.clone()));
        }
        let _lock = self.store.lock().await?;
        if let Some(stored) = self.store.load()?.filter(|stored| stored.token != *used) {
            let token = stored.token.clone();
            *held = Some(stored);
            return Ok(Some(token));
        }
        let Some(refresh_token) = held.as_ref().and_then(|stored| stored.refresh_token.clone()) else {
            return Ok(None);
        };
        let body = Renew { refresh_token: refresh_token.expose().to_owned() };
        let request = self.http.post(self.url(&["renew"])?).bearer_auth(used.expose()).json(&body);
        let response = request.timeout(TIMEOUT).send().await.map_err(|error| self.unreachable(&error))?;
        if !response.status().is_success() {
            return Ok(None);
        }
        let issued: TokenIssued = decode(response).await?;
        let stored = Stored {
            token: Secret::new(issued.token),
            refresh_token: issued.refresh_token.map(Secret::new).or(Some(refresh_token)),
            expires_at: Some(issued.expires_at),
        };
        self.store.save(&stored)?;
        let token = stored.token.clone();
        *held = Some(stored);
        Ok(Some(token))
    }

    /// A 401, with the clocks compared: a wrong clock looks like a bad token.
    async fn not_accepted(&self, response: Response) -> CliError {
        let mut error = refusal(response).await;
        error.kind = ErrorKind::NotSignedIn;
        if let Some(problem) = self.about().await.ok().as_ref().and_then(Self::clock_problem) {
            return error.why(problem).hint("set this machine's clock, then: dbaccess login");
        }
        if error.hint.is_none() {
            error.hint = Some("dbaccess login".into());
        }
        error
    }

    /// The address of an API path; each part is escaped, so that an id is never a path.
    fn url(&self, path: &[&str]) -> Result<Url, CliError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| CliError::usage(format!("{} cannot be a server's address", self.base)))?
            .pop_if_empty()
            .push("v1")
            .extend(path);
        Ok(url)
    }

    fn unreachable(&self, error: &reqwest::Error) -> CliError {
        unreachable_server(&self.base, error)
    }
}

/// Words for a request that got no answer.
fn unreachable_server(base: &Url, error: &reqwest::Error) -> CliError {
    // reqwest's own text only says that it failed; the reason is at the end of the chain.
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    let why = if error.is_timeout() { "no answer in time".to_owned() } else { cause.to_string() };
    let hint = if error.is_timeout() && !error.is_connect() {
        "it may be done all the same: look before you ask for it again; dbaccess doctor looks closer"
    } else if why.contains("certificate") {
        "the server's certificate is not trusted here: dbaccess config set ca /path/to/ca.pem"
    } else {
        "check the address (dbaccess config get) and your network or VPN; dbaccess doctor looks closer"
    };
    CliError::new(ErrorKind::Unreachable, format!("the server at {base} cannot be reached"))
        .why(why)
        .hint(hint)
}

/// What the server said in place of a success.
async fn refusal(response: Response) -> CliError {
    let (status, url) = (response.status(), response.url().clone());
    let body = response.bytes().await.unwrap_or_default();
    match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(body) => body.into(),
        // A proxy or something that is not dbaccess answered.
        Err(_) => {
            let kind = match status.as_u16() {
                401 => ErrorKind::NotSignedIn,
                403 => ErrorKind::Denied,
                502..=504 => ErrorKind::Unreachable,
                _ => ErrorKind::Internal,
            };
            CliError::new(kind, format!("the server answered {status}"))
                .why(format!("{url} gave no reason that dbaccess understands"))
                .hint("is it a dbaccess server? check: dbaccess config get")
        }
    }
}

async fn decode<T: DeserializeOwned>(response: Response) -> Result<T, CliError> {
    if !response.status().is_success() {
        return Err(refusal(response).await);
    }
    let url = response.url().clone();
    let not_understood = |why: String| {
        CliError::new(ErrorKind::Internal, "the server's answer is not understood")
            .why(format!("{}: {why}", url.path()))
            .hint("is it a dbaccess server of this version? compare: dbaccess doctor")
    };
    let body = response.bytes().await.map_err(|error| not_understood(error.to_string()))?;
    serde_json::from_slice(&body).map_err(|error| not_understood(error.to_string()))
}

/// Adds the fields of a query struct; absent ones are left out.
fn with_query(mut url: Url, query: &impl Serialize) -> Result<Url, CliError> {
    let value =
        serde_json::to_value(query).map_err(|error| CliError::local("the query cannot be written", error))?;
    let serde_json::Value::Object(fields) = value else { return Ok(url) };
    for (name, value) in fields {
        let text = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        url.query_pairs_mut().append_pair(&name, &text);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::settings::parse_server;
    use crate::cli::tokens::Keyring;
    use crate::core::model::PersonRef;
    use crate::proto::LoginConfig;
    use axum::Router;
    use axum::extract::{Path, State};
    use axum::http::HeaderMap;
    use axum::response::{IntoResponse, Json};
    use axum::routing::{get, post};
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// What the fake server was asked.
    #[derive(Default)]
    struct Seen {
        renewals: AtomicUsize,
        /// Seconds that its clock is ahead.
        ahead: i64,
    }

    fn person() -> Person {
        Person {
            subject: "1".into(),
            email: "ana@example.com".into(),
            name: None,
            teams: BTreeSet::new(),
            roles: BTreeSet::new(),
        }
    }

    fn bearer(headers: &HeaderMap) -> &str {
        headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn refuse(kind: ErrorKind, message: &str) -> axum::response::Response {
        let status = StatusCode::from_u16(kind.http_status()).unwrap();
        let body = ErrorBody { kind, message: message.into(), hint: Some("do this".into()) };
        (status, Json(body)).into_response()
    }

    async fn serve(seen: Arc<Seen>) -> Url {
        let me = async |headers: HeaderMap| match bearer(&headers) {
            "Bearer new" => Json(Me { person: person(), token_expires_at: os::now() }).into_response(),
            _ => refuse(ErrorKind::NotSignedIn, "the token has expired"),
        };
        let renew = async |State(seen): State<Arc<Seen>>, headers: HeaderMap, Json(body): Json<Renew>| {
            seen.renewals.fetch_add(1, Ordering::SeqCst);
            if bearer(&headers) != "Bearer old" || body.refresh_token != "refresh" {
                return refuse(ErrorKind::NotSignedIn, "no");
            }
            let expires_at = Timestamp::from_second(os::now().as_second() + 3600).unwrap();
            let issued =
                TokenIssued { token: "new".into(), expires_at, refresh_token: None, person: person() };
            Json(issued).into_response()
        };
        let about = async |State(seen): State<Arc<Seen>>| {
            let now = Timestamp::from_second(os::now().as_second() + seen.ahead).unwrap();
            let login = LoginConfig { issuer: String::new(), client_id: String::new(), scopes: vec![] };
            Json(About { version: "1".into(), now, login, native: None })
        };
        let show = async |Path(id): Path<String>| match id.as_str() {
            "a/b ?" => refuse(ErrorKind::NotFound, "escaped"),
            "proxy" => (StatusCode::BAD_GATEWAY, "<html>").into_response(),
            "nonsense" => "not json".into_response(),
            kind => refuse(serde_json::from_value(kind.into()).unwrap(), "because"),
        };
        let routes = Router::new()
            .route("/v1/about", get(about))
            .route("/v1/me", get(me))
            .route("/v1/renew", post(renew))
            .route("/v1/requests/{id}", get(show))
            .with_state(seen);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = parse_server(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    fn store(room: &tempfile::TempDir, server: &Url) -> TokenStore {
        TokenStore::new(server.as_str(), room.path().join("tokens"), Keyring::Off, None).unwrap()
    }

    fn client(room: &tempfile::TempDir, server: &Url, token: &str, refresh_token: Option<&str>) -> Client {
        let expires_at = Timestamp::from_second(os::now().as_second() + 60).unwrap();
        let refresh_token = refresh_token.map(Secret::new);
        let stored = Stored { token: Secret::new(token), refresh_token, expires_at: Some(expires_at) };
        let store = store(room, server);
        store.save(&stored).unwrap();
        Client::new(&Endpoint { server: server.clone(), ca: None }, store).unwrap()
    }

    #[tokio::test]
    async fn an_expired_token_is_renewed_once_for_all_who_wait() {
        let (room, seen) = (tempfile::tempdir().unwrap(), Arc::new(Seen::default()));
        let server = serve(Arc::clone(&seen)).await;
        let first = client(&room, &server, "old", Some("refresh"));
        // A second process that read the old token before it was renewed.
        let second =
            Client::new(&Endpoint { server: server.clone(), ca: None }, store(&room, &server)).unwrap();
        let (a, b, c) = tokio::join!(first.me(), first.me(), second.me());
        for me in [a, b, c] {
            assert_eq!(
                me.unwrap().person.to_ref(),
                PersonRef { subject: "1".into(), email: "ana@example.com".into() }
            );
        }
        assert_eq!(seen.renewals.load(Ordering::SeqCst), 1);
        let kept = store(&room, &server).load().unwrap().unwrap();
        assert_eq!((kept.token, kept.refresh_token), (Secret::new("new"), Some(Secret::new("refresh"))));
    }

    #[tokio::test]
    async fn without_a_renewal_the_person_is_sent_to_log_in() {
        let room = tempfile::tempdir().unwrap();
        let server = serve(Arc::default()).await;
        for refresh_token in [None, Some("stolen")] {
            let error = client(&room, &server, "old", refresh_token).me().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotSignedIn, "{error}");
        }
        let empty = tempfile::tempdir().unwrap();
        let endpoint = Endpoint { server: server.clone(), ca: None };
        let nobody = Client::new(&endpoint, store(&empty, &server)).unwrap();
        assert_eq!(nobody.me().await.unwrap_err().hint.as_deref(), Some("dbaccess login"));
    }

    #[tokio::test]
    async fn a_wrong_clock_is_named_where_a_token_is_refused() {
        let room = tempfile::tempdir().unwrap();
        let server = serve(Arc::new(Seen { ahead: 600, ..Seen::default() })).await;
        let error = client(&room, &server, "old", None).me().await.unwrap_err();
        let why = error.why.unwrap();
        assert!(why.starts_with("this machine's clock is") && why.ends_with("behind the server's"), "{why}");
    }

    #[tokio::test]
    async fn what_the_server_says_keeps_its_kind_its_words_and_its_hint() {
        let room = tempfile::tempdir().unwrap();
        let server = serve(Arc::default()).await;
        let client = client(&room, &server, "new", None);
        let told = async |id: &str| client.request_by_id(id).await.map(drop).unwrap_err();
        for kind in [
            ErrorKind::Denied,
            ErrorKind::Expired,
            ErrorKind::Waiting,
            ErrorKind::NotFound,
            ErrorKind::Conflict,
        ] {
            let name = serde_json::to_value(kind).unwrap();
            let error = told(name.as_str().unwrap()).await;
            assert_eq!((error.kind, error.what.as_str()), (kind, "because"));
            assert_eq!(error.hint.as_deref(), Some("do this"));
        }
        assert_eq!(told("a/b ?").await.what, "escaped", "an id is never a path");
        assert_eq!(told("proxy").await.kind(), ErrorKind::Unreachable);
        assert_eq!(told("nonsense").await.kind(), ErrorKind::Internal);
    }

    #[tokio::test]
    async fn a_dead_server_is_named() {
        let room = tempfile::tempdir().unwrap();
        // Bound, so that nobody else gets the port, but not listening.
        let closed = tokio::net::TcpSocket::new_v4().unwrap();
        closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let server = parse_server(&format!("http://{}", closed.local_addr().unwrap())).unwrap();
        let error = client(&room, &server, "t", None).me().await.unwrap_err();
        assert_eq!(error.kind().exit_code(), 7);
        assert!(error.what.contains(server.as_str()) && error.hint.is_some(), "{error}");
    }

    #[test]
    fn queries_leave_out_what_is_not_asked() {
        let url = parse_server("https://db.example").unwrap();
        let query = RequestsQuery { mine: true, ..RequestsQuery::default() };
        assert_eq!(with_query(url.clone(), &query).unwrap().query(), Some("mine=true&all=false"));
        assert_eq!(with_query(url, &()).unwrap().query(), None);
    }
}
