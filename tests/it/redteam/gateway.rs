//! Through `dbaccess connect`, asked for and approved as people do.

use super::{SCOPES, Scope, dsn, fill, lines, run, targets};
use crate::support::env::{GATEWAY_PASSWORD, Setting, TestEnv, TestPerson};
use crate::support::held::Held;
use dbaccess::server::provision::apply_setup;
use dbaccess::server::setup;
use std::collections::BTreeMap;

/// What the cases for limits wait for.
const LIMITS: &str = "[limits]\nstatement_timeout = \"10s\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn g2_g3_every_case_through_connect() {
    let mut env = TestEnv::with(Setting { extra: LIMITS.to_owned(), ..Setting::default() }).await;
    fill(&env.pg, "redteam").await;
    for configured in targets("redteam", env.pg.port(), GATEWAY_PASSWORD).into_values() {
        if configured.upstream.database == "redteam" {
            let params = setup::params(&configured.upstream).unwrap();
            apply_setup(&env.pg.admin_upstream("redteam"), &params).await.unwrap();
        }
    }
    let config = env.dir.path().join("server.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}\n{}", lines("redteam", env.pg.port()))).unwrap();
    env.server.take().unwrap().stop();
    env.start_server().await;

    let alice = env.signed_in("alice").await;
    let mut approvers = Vec::new();
    for name in ["bob", "carol", "dave"] {
        approvers.push(env.signed_in(name).await);
    }
    let mut held = Vec::new();
    let mut sessions = BTreeMap::new();
    for scope in &SCOPES {
        let grant = granted(&alice, &approvers, scope);
        let session = Held::open_with(&alice, &["connect", scope.target, "--grant", &grant, "--listen"]);
        let place = dsn(&session.host, session.port, &session.database, &session.user, &session.password);
        sessions.insert(scope.name, place);
        held.push(session);
    }
    run(&env.pg, "redteam", &sessions, "all").await;
}

/// Asks, and has it approved by whoever may, until there is a grant.
fn granted(alice: &TestPerson<'_>, approvers: &[TestPerson<'_>], scope: &Scope) -> String {
    let mut words = vec!["request", scope.target, "--reason", "INC-1 red team", "--output", "json"];
    let rows: Vec<String> = scope
        .tenant
        .iter()
        .flat_map(|tenant| scope.tables.iter().map(move |table| format!("{table}: tenant_id = {tenant}")))
        .collect();
    let unmask: Vec<String> = scope.unmask.iter().map(|column| format!("public.users.{column}")).collect();
    for schema in scope.schemas {
        words.extend(["--schema", schema]);
    }
    match rows.as_slice() {
        [] => scope.tables.iter().for_each(|table| words.extend(["--table", table])),
        rows => rows.iter().for_each(|row| words.extend(["--row", row])),
    }
    unmask.iter().for_each(|column| words.extend(["--unmask", column]));
    words.extend(scope.more);
    let asked = alice.run(&words);
    assert!([0, 4].contains(&asked.code), "{}: {asked:?}", scope.name);
    let asked = asked.json();
    let id = asked["request"]["id"].as_str().expect("an id").to_owned();
    let mut said = Vec::new();
    for approver in approvers {
        let shown = alice.run(&["show", &id, "--output", "json"]).ok().json();
        if let Some(grant) = shown["grant"]["id"].as_str() {
            return grant.to_owned();
        }
        said.push(approver.run(&["approve", &id, "--yes"]));
    }
    let shown = alice.run(&["show", &id, "--output", "json"]).ok().json();
    let grant = shown["grant"]["id"].as_str();
    grant.unwrap_or_else(|| panic!("{}: {shown}, {said:?}", scope.name)).to_owned()
}
