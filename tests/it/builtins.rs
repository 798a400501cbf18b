//! The names that PostgreSQL brings, which the guard lets pass or refuses by
//! its own list (`src/core/guard/builtins.txt` and `operators.txt`): they are
//! what the supported servers have, no more and no less.

use crate::support::pg_server::{MAJORS, PgServer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::Path;

const UPDATE: &str = "DBACCESS_UPDATE";

/// Functions that SQL can call, and whether one of that name is volatile; and
/// types, whose names can be called as functions (manual, section 4.2.9).
const FUNCTIONS: &str = "
    SELECT proname::text, bool_or(provolatile = 'v') FROM pg_proc
    WHERE pronamespace = 'pg_catalog'::regnamespace
      AND NOT 'internal'::regtype = ANY (proargtypes::oid[])
      AND prorettype <> ALL (ARRAY['trigger', 'event_trigger', 'internal', 'language_handler', 'fdw_handler',
                                   'index_am_handler', 'table_am_handler', 'tsm_handler']::regtype[])
    GROUP BY proname
    UNION ALL
    SELECT tsm, false FROM unnest(ARRAY['bernoulli', 'system']) tsm
    UNION ALL
    SELECT typname::text, false FROM pg_type
    WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typelem = 0";
const OPERATORS: &str = "SELECT DISTINCT oprname::text FROM pg_operator";

#[tokio::test]
async fn g2_the_lists_of_builtins_are_what_the_servers_have() {
    let mut functions: BTreeMap<String, bool> = BTreeMap::new();
    let mut operators = BTreeSet::new();
    for major in MAJORS {
        let server = PgServer::exclusive(major).await;
        let client = server.admin("postgres").await;
        for row in client.query(FUNCTIONS, &[]).await.expect("the server lists its functions") {
            *functions.entry(row.get(0)).or_default() |= row.get::<_, bool>(1);
        }
        for row in client.query(OPERATORS, &[]).await.expect("the server lists its operators") {
            operators.insert(row.get::<_, String>(0));
        }
    }
    let mut lines = String::new();
    for (name, volatile) in functions {
        let _ = writeln!(lines, "{name}{}", if volatile { " volatile" } else { "" });
    }
    current("builtins.txt", &lines);
    current("operators.txt", &operators.into_iter().map(|name| name + "\n").collect::<String>());
}

fn current(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/core/guard").join(name);
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, made).expect("the list can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "src/core/guard/{name} is not current; run: {UPDATE}=1 tests/run.sh builtins, then judge what is new"
    );
}
