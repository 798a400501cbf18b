//! Queues against receivers that fail, with the time as an argument.

use super::*;
use crate::core::model::{Event, Notice, NoticeKind, PersonRef, RequestId, Secret, Urgency};
use crate::core::seal::SealKey;
use crate::server::config::{PagerDuty as PagerDutyConfig, Slack as SlackConfig, SlackDecides, Takes};
use crate::server::journal::{Journal, Options};
use crate::server::store::Tx;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::{Value, json};
use std::sync::Mutex;
use tokio::net::TcpListener;

/// What was posted: the last part of the path, and the body.
type Posted = Arc<Mutex<Vec<(String, Value)>>>;
type Answers = Arc<dyn Fn(&str, &Value) -> Response + Send + Sync>;

/// A vendor that answers as it is told, and remembers what it was asked.
async fn vendor(listener: TcpListener, answers: Answers) -> Posted {
    let posted = Posted::default();
    let take = async |State((posted, answers)): State<(Posted, Answers)>,
                      Path(path): Path<String>,
                      headers: HeaderMap,
                      body: String| {
        assert!(headers["content-type"].to_str().unwrap().starts_with("application/json"));
        let body: Value = serde_json::from_str(&body).unwrap();
        let name = path.rsplit('/').next().unwrap().to_owned();
        let response = answers(&name, &body);
        posted.lock().unwrap().push((name, body));
        response
    };
    let router = Router::new().route("/{*path}", post(take)).with_state((Arc::clone(&posted), answers));
    tokio::spawn(async move { axum::serve(listener, router).await });
    posted
}

async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// A store, and the queue of a channel over it.
struct Bench {
    store: Store,
    outbox: Outbox,
    links: Links,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("state.db")).unwrap();
        let (journal, _) = Journal::open(&dir.path().join("ledger"), Options::default()).unwrap();
        let (outbox, _task) = Outbox::new(store.clone(), journal, 0);
        let links = Links {
            key: SealKey::new([1; 32]),
            public_url: "https://dbaccess.example.com".to_owned(),
            store: store.clone(),
        };
        Self { store, outbox, links, _dir: dir }
    }

    fn over(&self, channel: Channel) -> Outbound {
        let (store, outbox) = (self.store.clone(), self.outbox.clone());
        Outbound { channel, store, outbox, noticed: Arc::default() }
    }

    fn webhook(&self, url: String) -> Outbound {
        let config = config::Webhook { url, secret: None, ca: None };
        self.over(Channel::Webhook(Webhook::new(config, self.links.clone()).unwrap()))
    }

    async fn tell(&self, channel: &'static str, at: Timestamp, notice: Notice) {
        self.tell_all(channel, at, vec![notice]).await;
    }

    async fn tell_all(&self, channel: &'static str, at: Timestamp, notices: Vec<Notice>) {
        let event = Event::RequestExpired { request: RequestId::from_random([0; 8]) };
        let write = move |tx: &Tx<'_>| {
            notices.iter().try_for_each(|notice| {
                let first = notice.urgency == Urgency::High;
                tx.save_notice(at, channel, (None, first), &event, notice)
            })
        };
        self.store.write(write).await.unwrap();
    }

    async fn left(&self, channel: &'static str) -> usize {
        self.store.read(move |tx| tx.queued_notices(channel, Timestamp::MAX, 1000)).await.unwrap().len()
    }
}

fn notice(kind: NoticeKind, urgency: Urgency, title: impl Into<String>, thread: Option<&str>) -> Notice {
    Notice {
        kind,
        urgency,
        title: title.into(),
        facts: vec![("reason".to_owned(), "INC-1".to_owned())],
        request: None,
        to: vec![PersonRef { subject: "carol".to_owned(), email: "carol@example.com".to_owned() }],
        thread: thread.map(str::to_owned),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn told(text: &str) -> Notice {
    notice(NoticeKind::BulkRead, Urgency::High, text, None)
}

#[tokio::test(flavor = "multi_thread")]
async fn g7_a_receiver_that_was_down_for_an_hour_gets_everything_once_and_in_order() {
    let bench = Bench::new();
    let (free, url) = listener().await;
    let address = free.local_addr().unwrap();
    drop(free);
    let outbound = bench.webhook(format!("{url}/hook"));
    let mut failures = 0;
    for second in 0..3600 {
        if second % 60 == 0 {
            bench.tell("webhook", at(second), told(&format!("n{second}"))).await;
        }
        match outbound.deliver(at(second)).await {
            Ok(arrived) => assert_eq!(arrived, 0),
            Err(error) => {
                assert!(matches!(error, OutboundError::Http(_)), "{error}");
                failures += 1;
            }
        }
    }
    // One attempt at a time, ever more seldom, for the oldest; none for those behind it.
    assert!((10..=20).contains(&failures), "{failures}");
    assert_eq!(bench.left("webhook").await, 60);
    let posted = vendor(
        TcpListener::bind(address).await.unwrap(),
        Arc::new(|_, _| StatusCode::NO_CONTENT.into_response()),
    )
    .await;
    let mut second = 3600;
    while bench.left("webhook").await > 0 {
        second += 1;
        assert!(second < 3600 + 601, "the longest wait is ten minutes");
        outbound.deliver(at(second)).await.unwrap();
    }
    let titles: Vec<String> = posted
        .lock()
        .unwrap()
        .iter()
        .map(|(_, body)| body["notice"]["title"].as_str().unwrap().to_owned())
        .collect();
    let all: Vec<String> = (0..60).map(|n| format!("n{}", n * 60)).collect();
    assert_eq!(titles, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_refused_for_good_is_given_up_and_keeps_nobody_waiting() {
    let bench = Bench::new();
    let (listener, url) = listener().await;
    let answers = |_: &str, body: &Value| match body["notice"]["title"].as_str() {
        Some("bad") => (StatusCode::UNPROCESSABLE_ENTITY, "no\nsuch\x1bfield").into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    };
    let posted = vendor(listener, Arc::new(answers)).await;
    let outbound = bench.webhook(format!("{url}/hook"));
    bench.tell("webhook", at(0), told("bad")).await;
    bench.tell("webhook", at(0), told("good")).await;
    assert_eq!(outbound.deliver(at(0)).await.unwrap(), 1, "the good one is through at once");
    for second in 1..3600 {
        outbound.deliver(at(second)).await.unwrap();
    }
    assert_eq!(bench.left("webhook").await, 0);
    let tried = posted.lock().unwrap().iter().filter(|(_, body)| body["notice"]["title"] == "bad").count();
    assert_eq!(tried, usize::try_from(MOST_REFUSALS).unwrap());
    let events = bench.store.read(|tx| tx.outbox(10)).await.unwrap();
    let event: Value = serde_json::from_str(&events[0].body).unwrap();
    assert_eq!(
        (events.len(), &event["kind"], &event["title"]),
        (1, &"notice.given_up".into(), &"bad".into())
    );
    assert_eq!(event["why"], "422 no such field");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_urgent_goes_first_and_is_given_up_last_and_the_ledger_says_what_was() {
    let bench = Bench::new();
    let (listener, url) = listener().await;
    let down = Arc::new(Mutex::new(true));
    let is_down = Arc::clone(&down);
    let answers = move |_: &str, _: &Value| match *is_down.lock().unwrap() {
        true => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        false => StatusCode::NO_CONTENT.into_response(),
    };
    let posted = vendor(listener, Arc::new(answers)).await;
    let outbound = bench.webhook(format!("{url}/hook"));
    let ordinary = |n: usize| notice(NoticeKind::RequestWaiting, Urgency::Normal, format!("o{n}"), None);
    let most = 10_000;
    bench.tell("webhook", at(0), told("alarm 1")).await;
    bench.tell_all("webhook", at(0), (1..most).map(ordinary).collect()).await;
    let given_up = async || -> Vec<(String, String)> {
        let rows = bench.store.read(|tx| tx.outbox(10)).await.unwrap();
        let event = |body: &str| serde_json::from_str::<Value>(body).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        rows.iter()
            .map(|row| event(&row.body))
            .map(|body| (text(&body["kind"]), text(&body["title"])))
            .collect()
    };
    assert_eq!(given_up().await, []);
    // The oldest is an alarm: it stays.
    bench.tell("webhook", at(1), ordinary(most)).await;
    bench.tell("webhook", at(1), told("alarm 2")).await;
    let lost = ["o1", "o2"].map(|title| ("notice.given_up".to_owned(), title.to_owned()));
    assert_eq!(given_up().await, lost);

    // Behind an ordinary one that waits for its next attempt, an alarm does not wait.
    assert!(outbound.deliver(at(2)).await.is_err());
    *down.lock().unwrap() = false;
    bench.tell("webhook", at(2), told("alarm 3")).await;
    outbound.deliver(at(600)).await.unwrap();
    let said = posted.lock().unwrap();
    let titles: Vec<_> = said.iter().map(|(_, body)| body["notice"]["title"].as_str().unwrap()).collect();
    assert_eq!(titles[..6], ["alarm 1", "alarm 1", "alarm 2", "alarm 3", "o4", "o5"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_does_not_wait_for_the_next_attempt_of_an_ordinary_notice() {
    let bench = Bench::new();
    let (listener, url) = listener().await;
    let answers = |_: &str, body: &Value| match body["notice"]["title"].as_str() {
        Some("stuck") => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        _ => StatusCode::NO_CONTENT.into_response(),
    };
    vendor(listener, Arc::new(answers)).await;
    let outbound = bench.webhook(format!("{url}/hook"));
    bench.tell("webhook", at(0), notice(NoticeKind::RequestWaiting, Urgency::Normal, "stuck", None)).await;
    assert!(outbound.deliver(at(0)).await.is_err());
    bench.tell("webhook", at(0), told("alarm")).await;
    assert_eq!(outbound.deliver(at(0)).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_never_answers_keeps_no_other_waiting() {
    let bench = Bench::new();
    // Takes connections, and says nothing.
    let (silent, silent_url) = listener().await;
    let (listener, url) = listener().await;
    let posted = vendor(listener, Arc::new(|_, _| StatusCode::NO_CONTENT.into_response())).await;
    let now = crate::os::now();
    bench.tell("slack", now, told("to nobody")).await;
    bench.tell("webhook", now, told("to somebody")).await;
    let stuck = tokio::spawn(slack(&bench, silent_url).run());
    let (connection, _) = silent.accept().await.unwrap();
    let other = tokio::spawn(bench.webhook(format!("{url}/hook")).run());
    // Within what the silent one is waited for.
    let arrived = async {
        while posted.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), arrived).await.expect("it does not wait");
    assert_eq!(bench.left("slack").await, 1);
    drop(connection);
    stuck.abort();
    other.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_asked_to_slow_down_does() {
    let bench = Bench::new();
    let (listener, url) = listener().await;
    let busy = Arc::new(Mutex::new(true));
    let is_busy = Arc::clone(&busy);
    let answers = move |_: &str, _: &Value| match *is_busy.lock().unwrap() {
        true => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "30")]).into_response(),
        false => StatusCode::NO_CONTENT.into_response(),
    };
    let posted = vendor(listener, Arc::new(answers)).await;
    let outbound = bench.webhook(format!("{url}/hook"));
    bench.tell("webhook", at(0), told("one")).await;
    assert!(matches!(outbound.deliver(at(0)).await, Err(OutboundError::TooMany(Some(_)))));
    *busy.lock().unwrap() = false;
    for second in 1..30 {
        assert_eq!(outbound.deliver(at(second)).await.unwrap(), 0);
    }
    assert_eq!(posted.lock().unwrap().len(), 1, "nothing was asked meanwhile");
    assert_eq!(outbound.deliver(at(30)).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_pagerduty_is_called_and_told_when_it_is_over() {
    let bench = Bench::new();
    let (listener, url) = listener().await;
    let broken = Arc::new(Mutex::new(vec![
        (StatusCode::TOO_MANY_REQUESTS, "{\"status\":\"throttle exceeded\"}"),
        (StatusCode::INTERNAL_SERVER_ERROR, ""),
    ]));
    let answers = move |_: &str, body: &Value| match broken.lock().unwrap().pop() {
        Some(answer) => answer.into_response(),
        None if body["dedup_key"].as_str().is_some_and(|key| key.len() > 255) => {
            StatusCode::BAD_REQUEST.into_response()
        }
        None => {
            let key = &body["dedup_key"];
            let said = json!({"status": "success", "message": "Event processed", "dedup_key": key});
            (StatusCode::ACCEPTED, said.to_string()).into_response()
        }
    };
    let posted = vendor(listener, Arc::new(answers)).await;
    let config = PagerDutyConfig {
        takes: Takes { kinds: None, urgency: Urgency::High },
        url,
        routing_key: Secret::new("r0uting"),
        ca: None,
    };
    let pager = PagerDuty::new(config, "https://dbaccess.example.com".to_owned()).unwrap();
    let outbound = bench.over(Channel::PagerDuty(Box::new(pager)));
    let long = "inc-".repeat(100);
    let opened = notice(NoticeKind::BreakGlassOpened, Urgency::High, "x".repeat(2000), Some(&long));
    let ended = notice(NoticeKind::BreakGlassEnded, Urgency::Normal, "over", Some(&long));
    bench.tell("pagerduty", at(0), opened).await;
    bench.tell("pagerduty", at(0), ended).await;
    assert!(matches!(outbound.deliver(at(0)).await, Err(OutboundError::Status(500))));
    assert!(matches!(outbound.deliver(at(10)).await, Err(OutboundError::TooMany(None))));
    assert_eq!(outbound.deliver(at(20)).await.unwrap(), 2);
    let posted = posted.lock().unwrap();
    let [(path, opened), (_, ended)] = &posted[2..] else { panic!("{posted:?}") };
    assert_eq!((path.as_str(), &opened["routing_key"]), ("enqueue", &"r0uting".into()));
    assert_eq!((&opened["event_action"], &ended["event_action"]), (&"trigger".into(), &"resolve".into()));
    assert_eq!(opened["dedup_key"], ended["dedup_key"]);
    assert_eq!(opened["payload"]["severity"], "critical");
    assert_eq!(opened["payload"]["summary"].as_str().unwrap().len(), 1024);
    assert_eq!(opened["payload"]["custom_details"]["reason"], "INC-1");
}

/// Slack with a channel, as its bot.
fn slack(bench: &Bench, url: String) -> Outbound {
    let config = SlackConfig {
        takes: Takes { kinds: None, urgency: Urgency::Normal },
        url: format!("{url}/api"),
        token: Secret::new("xoxb-1"),
        channel: "C1".to_owned(),
        urgent_channel: Some("C9".to_owned()),
        signing_secret: Some(Secret::new("s")),
        decide: SlackDecides::Link,
        ca: None,
    };
    bench.over(Channel::Slack(Box::new(Slack::new(config, bench.links.clone()).unwrap())))
}

#[tokio::test(flavor = "multi_thread")]
async fn slack_has_a_thread_for_each_matter_and_waits_while_the_app_is_refused() {
    let bench = Bench::new();
    let (listener, url) = listener().await;
    let problems = Arc::new(Mutex::new(vec!["msg_too_long", "ratelimited", "invalid_auth"]));
    let count = Mutex::new(0);
    let answers = move |_: &str, body: &Value| {
        let said = match problems.lock().unwrap().pop() {
            Some(error) => json!({"ok": false, "error": error}),
            None => {
                *count.lock().unwrap() += 1;
                json!({"ok": true, "channel": body["channel"], "ts": format!("17.{}", count.lock().unwrap())})
            }
        };
        said.to_string().into_response()
    };
    let posted = vendor(listener, Arc::new(answers)).await;
    let outbound = slack(&bench, url);
    let urgent = |title: &str| notice(NoticeKind::BreakGlassOpened, Urgency::High, title, Some("inc-7"));
    bench.tell("slack", at(0), urgent("first")).await;
    bench.tell("slack", at(0), urgent("second")).await;
    bench.tell("slack", at(0), notice(NoticeKind::ReviewDue, Urgency::Normal, "other", Some("rev-1"))).await;
    assert!(matches!(outbound.deliver(at(0)).await, Err(OutboundError::NotUs(_))));
    assert!(matches!(outbound.deliver(at(10)).await, Err(OutboundError::TooMany(_))));
    // Refused for what it is: the others go on, and it comes afterwards.
    assert_eq!(outbound.deliver(at(20)).await.unwrap(), 2);
    assert_eq!(outbound.deliver(at(60)).await.unwrap(), 1);
    let posted = posted.lock().unwrap();
    let said: Vec<_> = posted[3..]
        .iter()
        .map(|(method, body)| {
            let text = |name: &str| body[name].as_str().unwrap_or("-").to_owned();
            format!("{method} {} {} {}", text("channel"), text("text"), text("thread_ts"))
        })
        .collect();
    assert_eq!(
        said,
        ["chat.postMessage C9 second -", "chat.postMessage C1 other -", "chat.postMessage C9 first 17.1",]
    );
}
