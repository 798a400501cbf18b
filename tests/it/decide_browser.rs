//! The same page in a real browser: through the sign-in of a certified provider,
//! and with words in it that would like to be more than words.

use crate::requests::id;
use crate::support::api::Api;
use crate::support::env::{Setting, TestEnv};
use crate::support::pki::Pki;
use crate::support::providers::RealProvider;
use crate::support::tools;
use serde_json::{Value, json};

const LATER: &str = "2100-01-01T00:00:00Z";

/// Follows a link as a person does; what the browser saw in the end.
async fn follow(env: &TestEnv, provider: &str, link: &str, person: &str, decision: [&str; 2]) -> Value {
    let mut command = tokio::process::Command::new(tools::node());
    command.arg(tools::repository().join("tests/providers/decide.mjs"));
    command.args([provider, &format!("{}{link}", env.url), person, decision[0], decision[1]]);
    // For whoever wants to look at the pages: a directory to put pictures into.
    command.args(std::env::var_os("DBACCESS_TEST_SCREENSHOTS"));
    let run = command.envs(tools::environment()).kill_on_drop(true).output();
    let output = run.await.expect("the browser's program");
    assert!(output.status.success(), "the browser failed: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

async fn state(api: &Api, request: &str) -> Value {
    api.get(&format!("/v1/requests/{request}")).await.is(200)["request"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_reasons_and_table_names_stay_words_in_a_browser() {
    let hostile = r#"<img src=x onerror="window.pwned=1">"#;
    let sql = format!(
        "CREATE TABLE {name} (email text); INSERT INTO {name} VALUES ('a@example.com')",
        name = format!("\"{}\"", hostile.replace('"', "\"\""))
    );
    let sql: &'static str = Box::leak(sql.into_boxed_str());
    let env = TestEnv::with(Setting { databases: vec![("odd", sql)], ..Setting::default() }).await;
    let alice = env.signed_in("alice").await.api();
    let reason =
        "</dd></dl><script>window.pwned=1</script>\"'><svg onload=window.pwned=1>\u{202e}txt.exe\n&lt;b&gt;";
    let quoted = format!("\"{}\"", hostile.replace('"', "\"\""));
    let scope = json!({"tables": [quoted], "write": true});
    let asked = alice.post("/v1/requests", json!({"target": "odd", "reason": reason, "scope": scope})).await;
    let request = id(&asked.is(200));
    let link = env.link(&request, None, LATER);
    let seen = follow(&env, "dev", &link, "carol", ["approve", "<script>window.pwned=2</script>"]).await;
    let text = seen["text"].as_str().unwrap();
    for words in [
        "</dd></dl><script>window.pwned=1</script>",
        "<img src=x onerror=",
        "<script>window.pwned=2</script>",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains('\u{202e}'), "{text}");
    assert_eq!(seen["scripts"], json!([0, null, 0]), "{seen}");
    assert_eq!((&seen["refused"], &seen["requests"]), (&json!([]), &json!([])), "{seen}");
    assert_eq!(state(&alice, &request).await["approvals"][0]["via"], "web");
}

#[tokio::test(flavor = "multi_thread")]
async fn r4_2_somebody_signs_in_at_a_certified_provider_and_denies() {
    let mut env = TestEnv::start().await;
    let alice = env.signed_in("alice").await.api();
    let scope = json!({"tables": ["payments"], "unmask": ["card_number"]});
    let asked =
        alice.post("/v1/requests", json!({"target": "prod-orders", "reason": "INC-1", "scope": scope})).await;
    let request = id(&asked.is(200));

    // The same people at another provider, which knows our pages as a client of their own.
    let pki = Pki::new();
    let callback = format!("{}{}", env.url, dbaccess::server::web::CALLBACK);
    let real = RealProvider::oidc_provider_for_pages(&pki, &callback).await;
    env.kill_server();
    let (path, issuer) = (env.dir.path().join("server.toml"), env.idp.issuer().to_owned());
    let secret = env.dir.path().join("web-secret");
    std::fs::write(&secret, "secret-of-the-pages").unwrap();
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let client = format!(
        "web_sign_in = true\nweb_client_id = \"dbaccess-pages\"\nweb_client_secret_file = \"{}\"",
        secret.display()
    );
    let config = std::fs::read_to_string(&path).unwrap();
    let config = config
        .replace(&format!("issuer = \"{issuer}\""), &format!("issuer = \"{}\"", real.issuer))
        .replace(
            &format!("ca = \"{}\"", env.ca.display()),
            &format!("ca = \"{}\"", pki.authority().display()),
        )
        .replace("web_sign_in = true", &client)
        .replace("groups = [\"eng-shop\"]", "groups = [\"eng-shop\", \"payments\"]")
        .replace("groups = [\"eng-leads\"]", "groups = [\"leads\"]");
    std::fs::write(&path, config).unwrap();
    env.start_server().await;

    let link = env.link(&request, Some("bob"), LATER);
    let seen = follow(&env, "oidc-provider", &link, "bob", ["deny", "ask the <owner> first"]).await;
    let text = seen["text"].as_str().unwrap();
    assert!(text.contains("Denied by bob@example.com") && text.contains("ask the <owner> first"), "{text}");
    let closed = state(&alice, &request).await["closed"].take();
    assert_eq!((&closed["via"], &closed["by"]["subject"]), (&"web".into(), &"bob".into()));
}
