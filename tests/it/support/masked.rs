//! Sessions that see masks, opened in a target without any gateway, and the
//! plans of what they ask.

use dbaccess::core::model::{
    Classification, Classified, Mask, Objects, Partial, PartialKind, Permission, Rule, Scope, Secret,
    Selector, Sensitivity, TableName,
};
use dbaccess::core::profile::{Profile, session_role};
use dbaccess::os;
use dbaccess::server::provision::{OpenSession, ProvisionError, SessionSettings, Target};
use jiff::SignedDuration;
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio_postgres::{Client, SimpleQueryMessage};

/// A session's role, and whom its connections work as.
pub struct Role {
    pub name: String,
    pub password: String,
    pub works_as: Option<String>,
}

/// Opens a session of a profile for an hour.
pub async fn open_profile(
    target: &Target,
    profile: &Profile,
    read_only: bool,
) -> Result<Role, ProvisionError> {
    let (name, password) = (session_role(os::random()), Secret::from_random(os::random()));
    let verifier = Secret::new(postgres_protocol::password::scram_sha_256(password.expose().as_bytes()));
    let session = OpenSession {
        role: &name,
        verifier: &verifier,
        until: os::now() + SignedDuration::from_hours(1),
        profile,
        comment: "alice@example.com grt-000000000000",
        settings: SessionSettings {
            application_name: "dbaccess alice@example.com".to_owned(),
            read_only,
            statement_timeout: Duration::from_secs(20),
            lock_timeout: Duration::from_secs(3),
            idle_in_transaction_timeout: Duration::from_secs(60),
            temp_file_limit_mib: 256,
        },
        connection_limit: 8,
    };
    target.open_session(&session).await?;
    let works_as = profile.views().become_role.clone();
    Ok(Role { name, password: password.expose().to_owned(), works_as })
}

/// Opens a session that reads tables of `public` under rules.
pub async fn open_masked(target: &Target, tables: &[&str], rules: &[Rule]) -> Role {
    let catalog = target.catalog().await.expect("the catalog is readable");
    let classification = Classification::of(rules, &catalog);
    let tables = tables.iter().map(|name| TableName::new("public", *name)).collect();
    let objects = Objects::Only { schemas: BTreeSet::new(), tables };
    let scope = Scope::new(objects, BTreeSet::from([Permission::Read]));
    let profile = target.profile(&scope, &catalog, &classification);
    open_profile(target, &profile, true).await.expect("the session opens")
}

/// A rule for one column of `public`.
pub fn rule(table: &str, column: &str, mask: Mask) -> Rule {
    let table = TableName::new("public", table);
    Rule {
        selector: Selector::Column { table, column: column.to_owned() },
        classified: Classified { sensitivity: Sensitivity::Pii, mask },
    }
}

pub fn partial(kind: PartialKind) -> Mask {
    Mask::Partial(Partial { kind, first: None, last: None })
}

/// The node types of a plan, from the top, each with the index it uses.
pub async fn plan(client: &Client, sql: &str) -> Vec<String> {
    let answer = client.simple_query(&format!("EXPLAIN (FORMAT JSON, COSTS off) {sql}")).await;
    let answer = answer.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    let text = answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    let plan: Value = serde_json::from_str(text.expect("a plan")).expect("JSON");
    let mut nodes = Vec::new();
    let mut waiting = vec![&plan[0]["Plan"]];
    while let Some(node) = waiting.pop() {
        let index = node["Index Name"].as_str().map(|name| format!(" {name}")).unwrap_or_default();
        nodes.push(format!("{}{index}", node["Node Type"].as_str().unwrap()));
        waiting.extend(node["Plans"].as_array().into_iter().flatten());
    }
    nodes
}
