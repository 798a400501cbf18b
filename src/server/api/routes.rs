//! Every route, in one table.

use super::auth::Bearer;
use super::failure::Failure;
use super::{events, recordings, reports, tunnel};
use crate::core::model::{Absence, Bar, Delegation, Grant, Hold, ScriptComparison};
use crate::proto::{
    About, AbsenceView, Amend, Approve, AskUnseal, AuditCounts, AuditPage, AuditQuery, Away, BackView,
    CampaignDetail, CampaignRow, CampaignsQuery, Compare, Confirm, DecideLines, DecideUnseal,
    DelegationsQuery, End, Explained, Finding, HoldView, HoldsQuery, LiftBar, LinesDecided, LinesQuery,
    Login, Logout, Me, MetricsQuery, MetricsView, NewBreakGlass, NewDelegation, NewRequest, OpenSession,
    OpenUnseal, PlaceHold, PolicyLoaded, Reason, RecordingPage, RecordingQuery, ReleaseHold, ReloadPolicy,
    Renew, Replay, Replayed, RequestView, RequestsQuery, Resume, ResumedView, RetentionView, ReviewDetail,
    ReviewView, ReviewsQuery, RevokedView, RotateTokens, Scan, Scanned, SessionOpened, SessionSummary,
    SessionView, SessionsQuery, SignCampaign, StartCampaign, Suggest, Suggested, Suspend, SuspendedView,
    TargetView, TokenIssued, TokensRotated, UnsealView, Unsealed, UnsealsQuery, WriteReview,
};
use crate::server::access::{Access, AccessError, Caller};
use crate::server::metrics::Metrics;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::sync::Arc;
use std::time::Duration;

/// No request body of this API is near this size, in bytes.
const LARGEST_BODY: usize = 256 * 1024;
/// Who sends a body more slowly gives the connection's place to another.
const SLOWEST_BODY: Duration = Duration::from_secs(15);

type App = State<Arc<Access>>;
type Answer<T> = Result<Json<T>, Failure>;

/// Who may call an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Anyone,
    /// Whoever has a token of ours.
    SignedIn,
}

/// One endpoint.
pub struct Route {
    pub method: &'static str,
    pub path: &'static str,
    pub who: Who,
    handler: MethodRouter<Arc<Access>>,
}

/// Every endpoint; `tunnels` takes the WebSocket fallback's byte streams.
pub fn routes(tunnels: super::TunnelSink) -> Vec<Route> {
    use Who::{Anyone, SignedIn};
    let route = |method, path, who, handler| Route { method, path, who, handler };
    vec![
        route("GET", "/healthz", Anyone, get(async || "ok\n")),
        route("GET", "/v1/openapi.json", Anyone, get(openapi)),
        route("GET", "/v1/about", Anyone, get(about)),
        route("POST", "/v1/login", Anyone, post(login)),
        route("POST", "/v1/renew", SignedIn, post(renew)),
        route("POST", "/v1/logout", SignedIn, post(logout)),
        route("GET", "/v1/me", SignedIn, get(me)),
        route("GET", "/v1/targets", SignedIn, get(targets)),
        route("POST", "/v1/targets/{name}/rotate-tokens", SignedIn, post(rotate_tokens)),
        route("POST", "/v1/targets/{name}/scan", SignedIn, post(scan)),
        route("POST", "/v1/targets/{name}/suspend", SignedIn, post(suspend)),
        route("POST", "/v1/targets/{name}/resume", SignedIn, post(resume)),
        route("GET", "/v1/requests", SignedIn, get(requests)),
        route("POST", "/v1/requests", SignedIn, post(request)),
        route("GET", "/v1/requests/{id}", SignedIn, get(show)),
        route("POST", "/v1/requests/{id}/approve", SignedIn, post(approve)),
        route("POST", "/v1/requests/{id}/deny", SignedIn, post(deny)),
        route("POST", "/v1/requests/{id}/cancel", SignedIn, post(cancel)),
        route("POST", "/v1/requests/{id}/amend", SignedIn, post(amend)),
        route("POST", "/v1/compare/{id}", SignedIn, post(compare)),
        route("POST", "/v1/requests/{id}/confirm", SignedIn, post(confirm)),
        route("POST", "/v1/break-glass", SignedIn, post(break_glass)),
        route("GET", "/v1/grants", SignedIn, get(grants)),
        route("POST", "/v1/revoke/{id}", SignedIn, post(revoke)),
        route("GET", "/v1/sessions", SignedIn, get(sessions)),
        route("POST", "/v1/sessions", SignedIn, post(open_session)),
        route("DELETE", "/v1/sessions/{id}", SignedIn, delete(close_session)),
        route("GET", "/v1/sessions/{id}/events", SignedIn, get(events::hold)),
        route("GET", "/v1/audit", SignedIn, get(audit)),
        route("GET", "/v1/audit/counts", SignedIn, get(audit_counts)),
        route("GET", "/v1/metrics", SignedIn, get(measure)),
        route("GET", "/v1/doctor", SignedIn, get(doctor)),
        route("GET", "/v1/requests/{id}/policy", SignedIn, get(explain)),
        route("POST", "/v1/policy/reload", SignedIn, post(reload_policy)),
        route("POST", "/v1/policy/replay", SignedIn, post(replay)),
        route("GET", "/v1/policy/suggest", SignedIn, get(suggest)),
        route("GET", "/v1/delegations", SignedIn, get(delegations)),
        route("POST", "/v1/delegations", SignedIn, post(delegate)),
        route("POST", "/v1/delegations/{id}/end", SignedIn, post(end_delegation)),
        route("GET", "/v1/absences", SignedIn, get(absences)),
        route("POST", "/v1/absences", SignedIn, post(away)),
        route("POST", "/v1/absences/end", SignedIn, post(back)),
        route("GET", "/v1/recordings/{id}", SignedIn, get(recording)),
        route("GET", "/v1/recordings/{id}/file", SignedIn, get(recordings::file)),
        route("GET", "/v1/holds", SignedIn, get(holds)),
        route("POST", "/v1/holds", SignedIn, post(place_hold)),
        route("POST", "/v1/holds/{id}/release", SignedIn, post(release_hold)),
        route("GET", "/v1/retention", SignedIn, get(retention)),
        route("POST", "/v1/reports", SignedIn, post(reports::make)),
        route("GET", "/v1/reviews", SignedIn, get(reviews)),
        route("GET", "/v1/reviews/{id}", SignedIn, get(review)),
        route("POST", "/v1/reviews/{id}", SignedIn, post(write_review)),
        route("GET", "/v1/campaigns", SignedIn, get(campaigns)),
        route("POST", "/v1/campaigns", SignedIn, post(start_campaign)),
        route("GET", "/v1/campaigns/{id}", SignedIn, get(campaign)),
        route("POST", "/v1/campaigns/{id}/decide", SignedIn, post(decide_lines)),
        route("POST", "/v1/campaigns/{id}/sign", SignedIn, post(sign_campaign)),
        route("GET", "/v1/bars", SignedIn, get(bars)),
        route("POST", "/v1/bars/lift", SignedIn, post(lift_bar)),
        route("GET", "/v1/unseals", SignedIn, get(unseals)),
        route("POST", "/v1/unseals", SignedIn, post(ask_unseal)),
        route("POST", "/v1/unseals/{id}/decide", SignedIn, post(decide_unseal)),
        route("POST", "/v1/unseals/{id}/open", SignedIn, post(open_unseal)),
        route("GET", "/v1/tunnel", Anyone, get(tunnel::upgrade).with_state(tunnels)),
    ]
}

/// The API as a service.
pub fn router(access: Arc<Access>, tunnels: super::TunnelSink) -> Router {
    let router = routes(tunnels)
        .into_iter()
        .fold(Router::new(), |router, Route { path, handler, .. }| router.route(path, handler));
    router
        .fallback(async || Failure(AccessError::not_found("no such endpoint")))
        .method_not_allowed_fallback(async || {
            let refusal = Failure(AccessError::usage("this endpoint does not have that method"));
            (StatusCode::METHOD_NOT_ALLOWED, refusal).into_response()
        })
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .with_state(access)
}

/// Prometheus metrics, for a listener of their own: they name no person, but
/// they are not for everybody who can reach the API.
pub fn metrics_router(metrics: Arc<Metrics>) -> Router {
    let text = async move || {
        ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text())
    };
    Router::new().route("/metrics", get(text))
}

async fn openapi() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], include_str!("openapi.json"))
}

async fn about(State(access): App) -> Json<About> {
    Json(access.about())
}

async fn login(State(access): App, Body(body): Body<Login>) -> Answer<TokenIssued> {
    Ok(Json(access.sign_in(body).await?))
}

async fn renew(State(access): App, Bearer(token): Bearer, Body(body): Body<Renew>) -> Answer<TokenIssued> {
    Ok(Json(access.renew(&token, body).await?))
}

async fn logout(State(access): App, Bearer(token): Bearer, Body(body): Body<Logout>) -> Answer<()> {
    Ok(Json(access.sign_out(&token, body).await?))
}

async fn me(caller: Caller) -> Json<Me> {
    Json(Me { person: caller.person, token_expires_at: caller.token_expires_at })
}

async fn targets(State(access): App, caller: Caller) -> Answer<Vec<TargetView>> {
    Ok(Json(access.targets(&caller).await?))
}

async fn rotate_tokens(
    State(access): App,
    caller: Caller,
    Id(target): Id,
    Body(body): Body<RotateTokens>,
) -> Answer<TokensRotated> {
    Ok(Json(access.rotate_tokens(&caller, target, body).await?))
}

async fn scan(
    State(access): App,
    caller: Caller,
    Id(target): Id,
    Body(Scan {}): Body<Scan>,
) -> Answer<Scanned> {
    Ok(Json(access.scan(&caller, &target).await?))
}

async fn suspend(
    State(access): App,
    caller: Caller,
    Id(target): Id,
    Body(body): Body<Suspend>,
) -> Answer<SuspendedView> {
    Ok(Json(access.suspend(&caller, target, body).await?))
}

async fn resume(
    State(access): App,
    caller: Caller,
    Id(target): Id,
    Body(Resume {}): Body<Resume>,
) -> Answer<ResumedView> {
    Ok(Json(access.resume(&caller, target).await?))
}

async fn request(State(access): App, caller: Caller, Body(body): Body<NewRequest>) -> Answer<RequestView> {
    Ok(Json(access.request(&caller, body).await?))
}

async fn requests(
    State(access): App,
    caller: Caller,
    Search(query): Search<RequestsQuery>,
) -> Answer<Vec<RequestView>> {
    Ok(Json(access.requests(&caller, query).await?))
}

async fn show(State(access): App, caller: Caller, Id(id): Id) -> Answer<RequestView> {
    Ok(Json(access.show(&caller, id).await?))
}

async fn approve(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<Approve>,
) -> Answer<RequestView> {
    Ok(Json(access.approve(&caller, id, body).await?))
}

async fn deny(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<Reason>,
) -> Answer<RequestView> {
    Ok(Json(access.deny(&caller, id, body).await?))
}

async fn cancel(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<Reason>,
) -> Answer<RequestView> {
    Ok(Json(access.cancel(&caller, id, body).await?))
}

async fn amend(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<Amend>,
) -> Answer<RequestView> {
    Ok(Json(access.amend(&caller, id, body).await?))
}

async fn compare(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<Compare>,
) -> Answer<ScriptComparison> {
    Ok(Json(access.compare(&caller, id, body).await?))
}

async fn confirm(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<Confirm>,
) -> Answer<RequestView> {
    Ok(Json(access.confirm(&caller, id, body).await?))
}

async fn break_glass(
    State(access): App,
    caller: Caller,
    Body(body): Body<NewBreakGlass>,
) -> Answer<RequestView> {
    Ok(Json(access.break_glass(&caller, body).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfTarget {
    target: Option<String>,
}

async fn grants(State(access): App, caller: Caller, Search(query): Search<OfTarget>) -> Answer<Vec<Grant>> {
    Ok(Json(access.grants(&caller, query.target).await?))
}

async fn revoke(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<Reason>,
) -> Answer<RevokedView> {
    Ok(Json(access.revoke(&caller, id, body).await?))
}

async fn open_session(
    State(access): App,
    caller: Caller,
    Body(body): Body<OpenSession>,
) -> Answer<SessionOpened> {
    Ok(Json(access.open_session(&caller, body).await?))
}

async fn sessions(
    State(access): App,
    caller: Caller,
    Search(query): Search<SessionsQuery>,
) -> Answer<Vec<SessionView>> {
    Ok(Json(access.sessions(&caller, query).await?))
}

async fn close_session(State(access): App, caller: Caller, Id(id): Id) -> Answer<SessionSummary> {
    Ok(Json(access.close_session(&caller, id).await?))
}

async fn audit(State(access): App, caller: Caller, Search(query): Search<AuditQuery>) -> Answer<AuditPage> {
    Ok(Json(access.audit(&caller, query).await?))
}

async fn audit_counts(
    State(access): App,
    caller: Caller,
    Search(query): Search<AuditQuery>,
) -> Answer<AuditCounts> {
    Ok(Json(access.audit_counts(&caller, query).await?))
}

async fn measure(
    State(access): App,
    caller: Caller,
    Search(query): Search<MetricsQuery>,
) -> Answer<MetricsView> {
    Ok(Json(access.measure(&caller, query).await?))
}

async fn doctor(State(access): App, caller: Caller, Search(query): Search<OfTarget>) -> Answer<Vec<Finding>> {
    Ok(Json(access.doctor(&caller, query.target).await?))
}

async fn explain(State(access): App, caller: Caller, Id(id): Id) -> Answer<Explained> {
    Ok(Json(access.explain(&caller, id).await?))
}

async fn reload_policy(
    State(access): App,
    caller: Caller,
    Body(ReloadPolicy {}): Body<ReloadPolicy>,
) -> Answer<PolicyLoaded> {
    Ok(Json(access.reload_policy(&caller).await?))
}

async fn replay(State(access): App, caller: Caller, Body(body): Body<Replay>) -> Answer<Replayed> {
    Ok(Json(access.replay(&caller, body).await?))
}

async fn suggest(State(access): App, caller: Caller, Search(query): Search<Suggest>) -> Answer<Suggested> {
    Ok(Json(access.suggest(&caller, query).await?))
}

async fn delegations(
    State(access): App,
    caller: Caller,
    Search(query): Search<DelegationsQuery>,
) -> Answer<Vec<Delegation>> {
    Ok(Json(access.delegations(&caller, query).await?))
}

async fn delegate(State(access): App, caller: Caller, Body(body): Body<NewDelegation>) -> Answer<Delegation> {
    Ok(Json(access.delegate(&caller, body).await?))
}

async fn end_delegation(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(End {}): Body<End>,
) -> Answer<Delegation> {
    Ok(Json(access.end_delegation(&caller, id).await?))
}

async fn holds(State(access): App, caller: Caller, Search(query): Search<HoldsQuery>) -> Answer<Vec<Hold>> {
    Ok(Json(access.holds(&caller, query).await?))
}

async fn place_hold(State(access): App, caller: Caller, Body(body): Body<PlaceHold>) -> Answer<HoldView> {
    Ok(Json(access.place_hold(&caller, body).await?))
}

async fn release_hold(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<ReleaseHold>,
) -> Answer<Hold> {
    Ok(Json(access.release_hold(&caller, id, body).await?))
}

async fn retention(State(access): App, caller: Caller) -> Answer<RetentionView> {
    Ok(Json(access.retention(&caller).await?))
}

async fn absences(State(access): App, caller: Caller) -> Answer<Vec<Absence>> {
    Ok(Json(access.absences(&caller).await?))
}

async fn away(State(access): App, caller: Caller, Body(body): Body<Away>) -> Answer<AbsenceView> {
    Ok(Json(access.away(&caller, body).await?))
}

async fn back(State(access): App, caller: Caller, Body(End {}): Body<End>) -> Answer<BackView> {
    Ok(Json(access.back(&caller).await?))
}

async fn recording(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Search(query): Search<RecordingQuery>,
) -> Answer<RecordingPage> {
    Ok(Json(access.recording(&caller, &id, query.after).await?))
}

async fn reviews(
    State(access): App,
    caller: Caller,
    Search(query): Search<ReviewsQuery>,
) -> Answer<Vec<ReviewView>> {
    Ok(Json(access.reviews(&caller, query).await?))
}

async fn review(State(access): App, caller: Caller, Id(id): Id) -> Answer<ReviewDetail> {
    Ok(Json(access.review(&caller, id).await?))
}

async fn write_review(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<WriteReview>,
) -> Answer<ReviewView> {
    Ok(Json(access.write_review(&caller, id, body).await?))
}

async fn campaigns(
    State(access): App,
    caller: Caller,
    Search(query): Search<CampaignsQuery>,
) -> Answer<Vec<CampaignRow>> {
    Ok(Json(access.campaigns(&caller, query).await?))
}

async fn start_campaign(
    State(access): App,
    caller: Caller,
    Body(body): Body<StartCampaign>,
) -> Answer<CampaignRow> {
    Ok(Json(access.start_campaign(&caller, body).await?))
}

async fn campaign(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Search(query): Search<LinesQuery>,
) -> Answer<CampaignDetail> {
    Ok(Json(access.campaign(&caller, id, query).await?))
}

async fn decide_lines(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<DecideLines>,
) -> Answer<LinesDecided> {
    Ok(Json(access.decide_lines(&caller, id, body).await?))
}

async fn sign_campaign(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(SignCampaign {}): Body<SignCampaign>,
) -> Answer<CampaignRow> {
    Ok(Json(access.sign_campaign(&caller, id).await?))
}

async fn bars(State(access): App, caller: Caller) -> Answer<Vec<Bar>> {
    Ok(Json(access.bars(&caller).await?))
}

async fn lift_bar(State(access): App, caller: Caller, Body(body): Body<LiftBar>) -> Answer<Vec<Bar>> {
    Ok(Json(access.lift_bar(&caller, body).await?))
}

async fn unseals(
    State(access): App,
    caller: Caller,
    Search(query): Search<UnsealsQuery>,
) -> Answer<Vec<UnsealView>> {
    Ok(Json(access.unseals(&caller, query).await?))
}

async fn ask_unseal(State(access): App, caller: Caller, Body(body): Body<AskUnseal>) -> Answer<UnsealView> {
    Ok(Json(access.ask_unseal(&caller, body).await?))
}

async fn decide_unseal(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<DecideUnseal>,
) -> Answer<UnsealView> {
    Ok(Json(access.decide_unseal(&caller, id, body).await?))
}

async fn open_unseal(
    State(access): App,
    caller: Caller,
    Id(id): Id,
    Body(body): Body<OpenUnseal>,
) -> Answer<Unsealed> {
    Ok(Json(access.open_unseal(&caller, id, body).await?))
}

/// A JSON body whose refusal has the API's own form.
pub(super) struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Failure> {
        let read = tokio::time::timeout(SLOWEST_BODY, Json::<Box<RawValue>>::from_request(request, state));
        let Json(raw) = match read.await {
            Ok(Ok(raw)) => raw,
            Ok(Err(rejection)) => return Err(bad_request(&rejection)),
            Err(_) => return Err(Failure(AccessError::usage("the body did not come in time"))),
        };
        // A derived type would take an array for its fields in order.
        if !raw.get().starts_with('{') {
            return Err(Failure(AccessError::usage("the body must be a JSON object")));
        }
        match serde_json::from_str(raw.get()) {
            Ok(value) => Ok(Self(value)),
            Err(error) => Err(Failure(AccessError::usage(format!("the body cannot be used: {error}")))),
        }
    }
}

fn bad_request(rejection: &JsonRejection) -> Failure {
    let words = match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => format!("the body is larger than {LARGEST_BODY} bytes"),
        _ => rejection.body_text(),
    };
    Failure(AccessError::usage(words))
}

/// The id in a path, or the beginning of one; or a target's name.
pub(super) struct Id(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(rejection) => Err(Failure(AccessError::usage(rejection.body_text()))),
        }
    }
}

/// A query string whose refusal has the API's own form.
pub(super) struct Search<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Search<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let parsed: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        match parsed {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Failure(AccessError::usage(rejection.body_text()))),
        }
    }
}
