//! The red-team corpus (`tests/redteam`): every case against sessions of the
//! product's own making, straight at the database (G3) and through the gateway
//! (G2). `tests/redteam/README.md` shows how to run a single case.

mod database;
mod gateway;
mod hostile;

use crate::support::pg_server::PgServer;
use crate::support::tools;
use dbaccess::server::config::{Config, ConfiguredTarget, Outside};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "redteam";
/// The same database with aggregates only, where [`TARGET`] shows nothing.
const SEALED: &str = "redteam-sealed";
/// What a request is made of, by scope of the corpus: as scopes.json tells it.
const SCOPES: [Scope; 5] = [
    Scope {
        name: "ro_masked",
        target: TARGET,
        tables: &[
            "public.users",
            "public.payments",
            "public.orders",
            "public.events",
            "public.people",
            "public.people_vip",
            "public.\"Weird \"\"Täble\"\" ☃\"",
            "public.a_table_name_that_is_exactly_sixty_three_bytes_long_0123456789a",
            "shop.products",
            "shop.stock",
        ],
        ..Scope::NOTHING
    },
    Scope {
        name: "rw_masked",
        target: TARGET,
        tables: &["public.users", "public.payments", "public.orders", "shop.products", "shop.stock"],
        more: &["--write"],
        ..Scope::NOTHING
    },
    Scope {
        name: "ro_row",
        target: TARGET,
        tables: &["public.users", "public.orders", "public.payments", "public.tickets"],
        tenant: Some("7"),
        unmask: &["email", "email_lc", "phone", "profile"],
        ..Scope::NOTHING
    },
    Scope {
        name: "agg_only",
        target: SEALED,
        tables: &["public.users", "public.payments"],
        ..Scope::NOTHING
    },
    Scope { name: "ddl_shop", target: TARGET, schemas: &["shop"], more: &["--ddl"], ..Scope::NOTHING },
];

struct Scope {
    name: &'static str,
    target: &'static str,
    schemas: &'static [&'static str],
    tables: &'static [&'static str],
    /// The only rows of each table, by `tenant_id`.
    tenant: Option<&'static str>,
    /// Columns of `public.users`.
    unmask: &'static [&'static str],
    /// Further words of the request.
    more: &'static [&'static str],
}

impl Scope {
    const NOTHING: Self =
        Self { name: "", target: "", schemas: &[], tables: &[], tenant: None, unmask: &[], more: &[] };
}

fn file(name: &str) -> PathBuf {
    tools::repository().join("tests/redteam").join(name)
}

/// A database with the red-team schema, and PUBLIC as PostgreSQL has it.
async fn fill(pg: &PgServer, database: &str) {
    let admin = pg.admin("postgres").await;
    admin.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
    let place = pg.admin_upstream(database);
    let output = Command::new(tools::postgres("psql"))
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", &place.host, "-p", &place.port.to_string()])
        .args(["-U", &place.user, "-d", database, "-f"])
        .arg(file("schema.sql"))
        .env("PGPASSWORD", place.password.as_ref().unwrap().expose())
        .output()
        .expect("psql starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The lines of a configuration that make targets of a database.
fn lines(database: &str, port: u16) -> String {
    let text = std::fs::read_to_string(file("targets.toml")).unwrap();
    text.replace("{name}", database).replace("{port}", &port.to_string())
}

/// The targets as the server's own configuration reads them.
fn targets(database: &str, port: u16, password: &str) -> BTreeMap<String, ConfiguredTarget> {
    let example = include_str!("../../../docs/server.example.toml");
    let text = format!("{example}\n{}", lines(database, port));
    let env = |name: &str| match name {
        "TEST_GATEWAY_PASSWORD" => Some(password.to_owned()),
        _ => None,
    };
    Config::parse(&text, "targets.toml", &Outside { dir: Path::new("/"), env: &env }).unwrap().targets
}

/// Where one session is, as libpq reads it.
fn dsn(host: &str, port: u16, database: &str, user: &str, password: &str) -> String {
    format!("host={host} port={port} dbname={database} user={user} password='{password}'")
}

/// Runs the corpus; `DBACCESS_REDTEAM_ONLY` names cases or categories.
async fn run(pg: &PgServer, database: &str, sessions: &BTreeMap<&str, String>, layer: &str) {
    let place = pg.admin_upstream(database);
    let password = place.password.as_ref().unwrap().expose();
    let admin = dsn(&place.host, place.port, database, &place.user, password);
    let mut command = Command::new(tools::python());
    command.arg(file("run.py")).args(["--sessions", "-", "--layer", layer, "--psql"]);
    command.arg(tools::postgres("psql"));
    if let Ok(only) = std::env::var("DBACCESS_REDTEAM_ONLY") {
        command.args(["--only", &only]);
    }
    let told = serde_json::json!({ "admin": admin, "scopes": sessions }).to_string();
    let output = tokio::task::spawn_blocking(move || {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(told.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{out}{err}");
    assert!(
        output.status.success(),
        "cases failed (tests/redteam/README.md tells how to run one):\n{out}{err}"
    );
    // A scope that nobody opened would be skipped, and nobody would notice.
    assert!(out.contains("skipped: 0"), "{out}");
}
