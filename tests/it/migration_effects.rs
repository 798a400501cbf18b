//! What is said of a statement's locks and rewrites, held against PostgreSQL.

use crate::support::pg_server::PgServer;
use dbaccess::core::migration::{Finding, LockMode, Script};
use dbaccess::server::provision::Target;
use std::collections::BTreeMap;
use tokio_postgres::{Client, SimpleQueryMessage};

const LOCKS: &str = "SELECT relation::oid::text, array_agg(mode)::text FROM pg_locks
    WHERE pid = pg_backend_pid() AND locktype = 'relation' AND granted GROUP BY relation";
const FILES: &str =
    "SELECT c.oid::text, pg_relation_filenode(c.oid)::text || ' ' || c.relkind::text FROM pg_class c
    WHERE c.relnamespace = 's'::regnamespace AND c.relkind IN ('r', 'm')";
const NAMES: &str =
    "SELECT c.oid::text, 's.' || c.relname FROM pg_class c WHERE c.relnamespace = 's'::regnamespace";

async fn pairs(client: &Client, sql: &str) -> BTreeMap<String, String> {
    let messages = client.simple_query(sql).await.unwrap();
    let row = |message| match message {
        SimpleQueryMessage::Row(row) => {
            Some((row.get(0)?.to_owned(), row.get(1).unwrap_or_default().to_owned()))
        }
        _ => None,
    };
    messages.into_iter().filter_map(row).collect()
}

/// `{AccessShareLock,ShareLock}` to the strongest of them.
fn strongest(modes: &str) -> LockMode {
    let all = [
        ("AccessShareLock", LockMode::AccessShare),
        ("RowShareLock", LockMode::RowShare),
        ("RowExclusiveLock", LockMode::RowExclusive),
        ("ShareUpdateExclusiveLock", LockMode::ShareUpdateExclusive),
        ("ShareLock", LockMode::Share),
        ("ShareRowExclusiveLock", LockMode::ShareRowExclusive),
        ("ExclusiveLock", LockMode::Exclusive),
        ("AccessExclusiveLock", LockMode::AccessExclusive),
    ];
    let held = |name: &str| modes.trim_matches(['{', '}']).split(',').any(|mode| mode == name);
    all.into_iter().filter(|(name, _)| held(name)).map(|(_, mode)| mode).max().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_2_locks_and_rewrites_are_those_of_postgresql() {
    let server = PgServer::exclusive(18).await;
    let admin = server.admin("postgres").await;
    admin.batch_execute("CREATE DATABASE effects").await.unwrap();
    let client = server.admin("effects").await;
    client.batch_execute(include_str!("../../src/core/migration/cases.sql")).await.unwrap();
    let catalog = Target::new(server.admin_upstream("effects")).unwrap().catalog().await.unwrap();
    let names = pairs(&client, NAMES).await;
    let mut wrong = Vec::new();
    let mut count = 0;
    let cases = include_str!("../../src/core/migration/cases.txt").lines();
    for case in cases.filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let sql = case.split_once("=>").unwrap().0.trim();
        let [effects] = Script::parse("case", sql).unwrap().effects(&catalog).try_into().unwrap();
        let before = pairs(&client, FILES).await;
        client.batch_execute("BEGIN").await.unwrap();
        let ran = client.batch_execute(sql).await;
        let refused = ran.as_ref().err().and_then(|error| error.code()).map(|code| code.code().to_owned());
        if effects.alone {
            if refused.as_deref() != Some("25001") {
                wrong.push(format!("{sql}: said to run outside of a transaction only: {ran:?}"));
            }
        } else if let Err(error) = ran {
            wrong.push(format!("{sql}: {error:?}"));
        } else {
            let held: BTreeMap<&str, LockMode> = pairs(&client, LOCKS)
                .await
                .iter()
                .filter_map(|(oid, modes)| Some((names.get(oid)?.as_str(), strongest(modes))))
                .collect();
            for (name, mode) in &effects.locks {
                if held.get(name.to_string().as_str()) != Some(mode) {
                    wrong.push(format!("{sql}: {mode} on {name} was said, {held:?} is"));
                }
            }
            // What blocks others and was not said; an index's table is not named.
            let of_index = sql.starts_with("DROP INDEX") || sql.starts_with("REINDEX INDEX");
            for (name, mode) in held.iter().filter(|(_, mode)| mode.blocks_writes() && !of_index) {
                let table = catalog.relations.iter().any(|known| known.name.to_string() == **name);
                let said = effects.locks.keys().any(|known| known.to_string() == **name);
                if table && !said {
                    wrong.push(format!("{sql}: {mode} on {name} was not said"));
                }
            }
            let after = pairs(&client, FILES).await;
            let rewritten = before.iter().filter(|(oid, file)| {
                after.get(*oid).is_some_and(|now| now != *file) && !sql.starts_with("TRUNCATE")
            });
            let rewritten: Vec<&str> = rewritten.map(|(oid, _)| names[oid].as_str()).collect();
            let said: Vec<String> = effects
                .findings
                .iter()
                .filter_map(|finding| match finding {
                    Finding::Rewrite { table, .. } => Some(table.to_string()),
                    _ => None,
                })
                .collect();
            if rewritten != said {
                wrong.push(format!("{sql}: a rewrite of {said:?} was said, {rewritten:?} is"));
            }
        }
        client.batch_execute("ROLLBACK").await.unwrap();
        count += 1;
    }
    drop(client);
    admin.batch_execute("DROP DATABASE effects WITH (FORCE)").await.unwrap();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 80, "{count}");
}
