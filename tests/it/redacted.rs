//! R5.2, `audit.text = "redacted"`: the ledger has no value that somebody typed,
//! and two auditors together read the originals.

use crate::support::api::{Api, events};
use crate::support::env::{BINARY, Ran, Setting, TestEnv, UNLIMITED};
use crate::support::held::{Held, settled_audit, writer};
use dbaccess::core::recording::AuditorSecret;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

const SQL: &str = "CREATE TABLE t (i bigint PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'one')";

/// The configuration that redacts, with carol and dave as auditors.
pub fn redacting(secret: &AuditorSecret) -> String {
    format!(
        "[audit]\ntext = \"redacted\"\n[recording]\nauditor_key = \"{}\"\n\
         [roles.auditor]\ngroups = [\"security\", \"eng-leads\"]\n",
        secret.public()
    )
}

struct Redacted {
    env: TestEnv,
    key: PathBuf,
}

async fn redacted(more: &str) -> Redacted {
    let secret = AuditorSecret::from_random([7; 32]);
    let extra = format!("{UNLIMITED}\n{}{more}", redacting(&secret));
    let env = TestEnv::with(Setting { databases: vec![("hush", SQL)], extra, ..Setting::default() }).await;
    let key = env.dir.path().join("auditor.key");
    std::fs::write(&key, secret.to_text().as_str()).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    Redacted { env, key }
}

/// What only the person, and those who unseal it, may know.
const VALUES: [&str; 11] = [
    "S3-typed",
    "S3-bound",
    "S3-comment",
    "S3-broken",
    "S3-raised",
    "S3-number",
    "S3-cursor",
    "S3stray",
    "S3set",
    "S3@quoted",
    "S3@alias",
];

/// A value of a driver that binds in binary, as records show it.
const BOUND: &str = "\\x53332d626f756e64";

#[tokio::test(flavor = "multi_thread")]
async fn r5_2_no_value_is_on_the_ledger_or_in_the_index_and_two_auditors_read_the_originals() {
    let Redacted { env, key } = redacted("").await;
    let alice = writer(&env, "hush").await;
    let session = {
        let held = Held::open(&alice, "hush");
        let client = held.client().await;
        client.query("SELECT i FROM t WHERE name = $1", &[&"S3-bound"]).await.unwrap();
        let mut raw = held.raw().await;
        for text in [
            "SELECT 'S3-typed' -- S3-comment",
            "UPDATE t SET name = 'S3-typed' WHERE i = 1",
            "SELECT 'S3-broken",
            "SELECT 'S3-number'::int",
            "PREPARE p AS SELECT 'S3-typed'",
            "EXECUTE p",
            "BEGIN; DECLARE c CURSOR FOR SELECT 'S3-cursor'; FETCH 1 FROM c; COMMIT",
            "SELEKT 'S3-raised'",
            "SELECT 4111111111111111",
            "SELECT i FROM t WHERE name = 'O'S3stray' AND name = 'x'",
            "SET statement_timeout = 'S3set'",
            "SELECT i FROM t WHERE name = \"S3@quoted\"",
            "SELECT i AS \"S3@alias\", name FROM t",
        ] {
            raw.query(text).send().await;
            raw.replies(1).await;
        }
        held.session.clone()
    };
    let dave = env.signed_in("dave").await;
    let carol = env.signed_in("carol").await;
    let rows = settled_audit(&dave).await;
    let of = |text: &str| rows.iter().find(|row| row["text"] == text).unwrap_or_else(|| panic!("{rows:#?}"));
    assert_eq!(of("UPDATE t SET name = ? WHERE i = ?")["text_sealed"], true);
    assert_eq!(of("UPDATE t SET name = ? WHERE i = ?")["facts"]["writes"], json!(["t"]), "still searched by");
    assert_eq!(of("SELECT i FROM t WHERE name = $1")["parameters"], json!([]));
    let number = of("SELECT ?::int");
    assert_eq!(number["result"]["error"], json!({"sqlstate": "22P02", "message": "(sealed)"}));
    assert_eq!(number["message_sealed"], true);
    let named = [json!({"name": "?", "type": "bigint"}), json!({"name": "name", "type": "text"})];
    assert_eq!(of("SELECT i AS ?, name FROM t")["shape"]["columns"], json!(named));
    assert_eq!(of("COMMIT")["text_sealed"], false, "nothing is left out");
    assert_eq!(of("SELECT i FROM t WHERE name = ?")["facts"]["columns"], json!(["i", "name"]));
    assert!(rows.iter().filter(|row| row["text"] == "?").count() >= 3, "what nobody can read: {rows:#?}");
    let counted = dave.run(&["audit", "--table", "t", "--count-by", "verb", "-o", "json"]).ok().json();
    assert!(counted.as_array().unwrap().iter().any(|one| one["key"] == "UPDATE"), "{counted}");

    // Nowhere in what the server keeps or prints.
    env.eventually("the session is over", || env.ledger_text().contains("session.dead").then_some(())).await;
    let mut kept = env.ledger_text().into_bytes();
    for name in ["index.db", "index.db-wal", "state.db", "state.db-wal"] {
        kept.extend(std::fs::read(env.dir.path().join("data").join(name)).unwrap_or_default());
    }
    for value in VALUES.iter().chain(&["4111111111111111", &BOUND[2..]]) {
        assert!(!kept.windows(value.len()).any(|part| part == value.as_bytes()), "{value} is kept");
        assert!(!env.server_log().contains(value), "{value} is in the log");
    }
    dave.run(&["ledger", "verify", &env.ledger_dir().display().to_string()]).ok();

    // One auditor alone gets nothing.
    let key = key.display().to_string();
    let ask = ["audit", "unseal", "request", "--session", &session, "--reason", "INC-7", "-o", "json"];
    let refused = alice.run(&ask).exits(5);
    assert!(refused.err.contains("by auditors"), "{}", refused.err);
    let asked = dave.run(&ask).ok().json();
    let id = asked["id"].as_str().unwrap().to_owned();
    dave.run(&["audit", "unseal", "open", &id, "--key", &key]).exits(1);
    let own = dave.run(&["audit", "unseal", "approve", &id]).exits(5);
    assert!(own.err.contains("another auditor must decide"), "{}", own.err);
    alice.run(&["audit", "unseal", "approve", &id]).exits(1);
    let unknown = dave.run(&["audit", "unseal", "open", "uns-zzz", "--key", &key]).exits(1);
    assert!(unknown.err.contains("audit unseal list --all"), "{}", unknown.err);
    let unknown = dave.run(&["hold", "release", "hld-zzz", "--reason", "x"]).exits(1);
    assert!(unknown.err.contains("hold list --all"), "{}", unknown.err);
    alice.run(&["audit", "unseal", "list"]).exits(5);
    let listed = carol.run(&["audit", "unseal", "list"]).ok();
    assert!(listed.out.contains("INC-7") && listed.out.contains("waiting"), "{}", listed.out);
    carol.run(&["audit", "unseal", "approve", &id, "--comment", "agreed"]).ok();

    let opened = carol.run(&["audit", "unseal", "open", &id, "--key", &key, "-o", "json"]).ok().json();
    let opened = opened.as_array().unwrap();
    let text = opened.iter().map(Value::to_string).collect::<String>();
    for value in VALUES.iter().chain(&["4111111111111111"]).filter(|value| **value != "S3-bound") {
        assert!(text.contains(value), "{value} is lost: {text}");
    }
    let bound = opened.iter().find(|one| one["text"] == "SELECT i FROM t WHERE name = $1").unwrap();
    assert_eq!(bound["parameters"], json!([BOUND]));
    let number = opened.iter().find(|one| one["text"] == "SELECT 'S3-number'::int").unwrap();
    assert!(number["message"].as_str().unwrap().contains("S3-number"), "{number}");
    // The other may, too; a third may not, nor with another key.
    dave.run(&["audit", "unseal", "open", &id, "--key", &key]).ok();
    let other = env.dir.path().join("other.key");
    std::fs::write(&other, AuditorSecret::from_random([8; 32]).to_text().as_str()).unwrap();
    std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o600)).unwrap();
    let other = dave.run(&["audit", "unseal", "open", &id, "--key", &other.display().to_string()]).exits(2);
    assert!(other.err.contains("sealed to another key"), "{}", other.err);
    let of = |kind: &'static str| {
        let id = id.clone();
        let env = &env;
        async move {
            events(env, kind, 1, |body| body["unseal"] == json!(id) || body["unseal"]["id"] == json!(id))
                .await
        }
    };
    assert_eq!(of("unseal.requested").await[0]["unseal"]["reason"], "INC-7");
    assert_eq!(of("unseal.decided").await[0]["decision"]["by"]["email"], "carol@example.com");
    assert_eq!(of("unseal.opened").await.len(), 3, "each time");

    let seq = of("unseal.requested").await[0]["unseal"]["statements"][0].to_string();
    let plain = dave.run(&["audit", "unseal", "request", "1", "--reason", "x"]).exits(1);
    assert!(plain.err.contains("no redacted statement"), "{}", plain.err);
    let one = dave.run(&["audit", "unseal", "request", &seq, "--reason", "x", "-o", "json"]).ok().json();
    dave.run(&["audit", "unseal", "deny", one["id"].as_str().unwrap(), "--reason", "found it"]).ok();
    carol.run(&["audit", "unseal", "approve", one["id"].as_str().unwrap()]).exits(1);
}

/// A restart keeps the server's half; without the other setting nothing is sealed.
#[tokio::test(flavor = "multi_thread")]
async fn r5_2_g8_the_servers_half_is_kept_and_whole_texts_stay_whole() {
    let Redacted { mut env, key } = redacted("").await;
    let session = {
        let alice = writer(&env, "hush").await;
        alice.run(&["exec", "hush", "SELECT 'S3-typed'"]).ok();
        alice.last_session()["session"]["id"].as_str().unwrap().to_owned()
    };
    let half = env.dir.path().join("data/unseal.key");
    assert_eq!(std::fs::metadata(&half).unwrap().permissions().mode() & 0o777, 0o600);
    env.kill_server();
    // It is not made anew.
    let elsewhere = half.with_extension("elsewhere");
    std::fs::rename(&half, &elsewhere).unwrap();
    let ran: Ran = std::process::Command::new(BINARY)
        .args(["server", "--config"])
        .arg(env.dir.path().join("server.toml"))
        .env("TEST_GATEWAY_PASSWORD", "gateway-login-for-tests")
        .output()
        .unwrap()
        .into();
    let refused = ran.exits(1).err;
    assert!(refused.contains("unseal.key is gone") && refused.contains("backup"), "{refused}");
    std::fs::rename(&elsewhere, &half).unwrap();
    let config = env.dir.path().join("server.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("text = \"redacted\"", "text = \"whole\"")).unwrap();
    env.start_server().await;
    let (carol, dave) = (env.signed_in("carol").await, env.signed_in("dave").await);
    let ask = ["audit", "unseal", "request", "--session", &session, "--reason", "INC-7", "-o", "json"];
    let id = carol.run(&ask).ok().json()["id"].as_str().unwrap().to_owned();
    dave.run(&["audit", "unseal", "approve", &id]).ok();
    let key = key.display().to_string();
    let opened = dave.run(&["audit", "unseal", "open", &id, "--key", &key]).ok();
    assert!(opened.out.contains("S3-typed"), "{}", opened.out);
    let alice = env.signed_in("alice").await;
    alice.run(&["exec", "hush", "SELECT 'S3-whole'"]).ok();
    let whole = alice.run(&["audit", "--text", "S3-whole", "-o", "json"]).ok().json();
    assert_eq!(whole[0]["text"], "SELECT 'S3-whole'");
    assert_eq!(whole[0]["text_sealed"], false);
}

/// As the document of the API says.
pub async fn unsealed(
    (alice, dave, carol): (&Api, &Api, &Api),
    seen: &impl AsyncFn(&Api, &str, &str, &str, Option<Value>) -> Value,
) {
    let page = seen(alice, "GET", "/v1/audit", "/v1/audit", None).await;
    let rows = page["statements"].as_array().unwrap();
    let failed = rows.iter().find(|row| row["message_sealed"] == true && row["text_sealed"] == true);
    let seqs: Vec<Value> = failed.into_iter().map(|row| row["seq"].clone()).collect();
    assert!(!seqs.is_empty(), "{page}");
    let ask = json!({"statements": seqs, "reason": "x"});
    let asked = seen(dave, "POST", "/v1/unseals", "/v1/unseals", Some(ask)).await;
    seen(dave, "GET", "/v1/unseals", "/v1/unseals?all=true", None).await;
    let path = format!("/v1/unseals/{}", asked["id"].as_str().unwrap());
    let agreed = json!({"approve": true, "comment": "x"});
    seen(carol, "POST", "/v1/unseals/{id}/decide", &format!("{path}/decide"), Some(agreed)).await;
    let opened = seen(carol, "POST", "/v1/unseals/{id}/open", &format!("{path}/open"), Some(json!({}))).await;
    assert!(opened["statements"][0]["message"]["share"].is_string(), "{opened}");
}
