//! A person's own names for masked tables, through the gateway: the database
//! denies the tables, and the gateway finds their views.

use crate::support::pg_server::PgServer;
use crate::support::raw_pg::RawPg;
use dbaccess::core::guard::Permit;
use dbaccess::core::model::Permission::{Export, Read, Write};
use dbaccess::core::model::{Budget, GrantId, Objects, Path, PersonRef, Scope, SessionId, TableName};
use dbaccess::core::profile::Views;
use dbaccess::server::config::Limits;
use dbaccess::server::gateway::{Gateway, Live, Registry, Watch, Way};
use dbaccess::server::journal::{Journal, Options};
use dbaccess::wire::postgres::backend::Fields;
use dbaccess::wire::postgres::scram::{DEFAULT_ITERATIONS, Keys};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::DuplexStream;

const ROLE: &str = "dbaccess_s_00000000000000000000000000000001";
const PASSWORD: &str = "names";

/// Tables, their views, and a role that may see the views alone.
const SQL: &str = r#"
    CREATE TABLE users (id int PRIMARY KEY, email text, plan text DEFAULT 'free');
    INSERT INTO users VALUES (1, 'secret-1', 'pro'), (2, 'secret-2', 'free');
    CREATE TABLE products (id int PRIMARY KEY);
    CREATE TABLE audit_secrets (secret text);
    CREATE SCHEMA hr;
    CREATE TABLE hr."Weird ""Täble"" ☃" (a int, salary text);
    INSERT INTO hr."Weird ""Täble"" ☃" VALUES (7, 'secret-3');
    CREATE SCHEMA dbaccess_v_test_0;
    CREATE SCHEMA dbaccess_v_test_1;
    CREATE VIEW dbaccess_v_test_0.users AS SELECT id, left(email, 1) || '***' AS email, plan FROM public.users;
    CREATE VIEW dbaccess_v_test_1."Weird ""Täble"" ☃" AS
        SELECT a, NULL::text AS salary FROM hr."Weird ""Täble"" ☃";
    GRANT USAGE ON SCHEMA hr, dbaccess_v_test_0, dbaccess_v_test_1 TO dbaccess_s_00000000000000000000000000000001;
    GRANT SELECT, INSERT (id, plan), UPDATE (plan), DELETE ON dbaccess_v_test_0.users
        TO dbaccess_s_00000000000000000000000000000001;
    GRANT SELECT ON dbaccess_v_test_1."Weird ""Täble"" ☃", products TO dbaccess_s_00000000000000000000000000000001;
    ALTER ROLE dbaccess_s_00000000000000000000000000000001
        SET search_path = dbaccess_v_test_0, public, dbaccess_v_test_1, hr;
"#;

struct World {
    gateway: Arc<Gateway>,
    dir: TempDir,
    journal: Journal,
    _pg: PgServer,
}

impl World {
    async fn start() -> Self {
        let pg = PgServer::newest().await;
        let keys = || Keys::derive(PASSWORD, b"salt of the test", DEFAULT_ITERATIONS).unwrap();
        let verifier = keys().verifier();
        let admin = pg.admin("postgres").await;
        let role = format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{}'", verifier.to_postgres().as_str());
        admin.batch_execute(&role).await.unwrap();
        admin.batch_execute("CREATE DATABASE shop").await.unwrap();
        pg.admin("shop").await.batch_execute(SQL).await.unwrap();

        let mut views = Views::default();
        for (schema, name, view) in
            [("public", "users", "dbaccess_v_test_0"), ("hr", "Weird \"Täble\" ☃", "dbaccess_v_test_1")]
        {
            views.schemas.insert(schema.to_owned(), view.to_owned());
            views.relations.insert(TableName::new(schema, name), TableName::new(view, name));
        }
        let permit = Permit {
            session: SessionId::from_stored("ses-1"),
            grant: GrantId::from_stored("grt-1"),
            person: PersonRef { subject: "alice".into(), email: "alice@example.org".into() },
            target: "shop".into(),
            scope: Scope::new(Objects::Database, BTreeSet::from([Read, Write, Export])),
            path: Path::Write,
            until: dbaccess::os::now() + jiff::SignedDuration::from_hours(1),
            views: Arc::new(views),
            vocabulary: Arc::default(),
            budget: Budget::UNLIMITED,
            script: None,
        };
        let way = Arc::new(Way::new(pg.admin_upstream("shop")).unwrap());
        let live = Live::new(
            permit,
            ROLE.to_owned(),
            verifier,
            keys(),
            way,
            10,
            dbaccess::server::gateway::Keeping::default(),
        );
        let registry = Arc::new(Registry::default());
        registry.insert(Arc::new(live));
        let dir = TempDir::new().unwrap();
        let (journal, _) = Journal::open(dir.path(), Options::default()).unwrap();
        let limits = Limits {
            statement_bytes: 1 << 20,
            sessions_per_person: 1,
            connections_per_session: 10,
            waiting_requests_per_person: 1,
            statement_timeout: Duration::from_secs(30),
            idle_in_transaction: Duration::from_secs(60),
        };
        let gateway = Arc::new(Gateway::new(
            registry,
            journal.clone(),
            Arc::default(),
            Watch::new(u64::MAX).0,
            &limits,
        ));
        Self { gateway, dir, journal, _pg: pg }
    }

    /// A port where programs of their own connect, and what they need to know.
    async fn environment(&self) -> Vec<(&'static str, String)> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let gateway = Arc::clone(&self.gateway);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let gateway = Arc::clone(&gateway);
                tokio::spawn(async move { gateway.serve(stream).await });
            }
        });
        let port = port.to_string();
        let known = [("PGHOST", "127.0.0.1"), ("PGPORT", &port), ("PGUSER", ROLE), ("PGPASSWORD", PASSWORD)];
        let more = [("PGDATABASE", "shop"), ("PGSSLMODE", "disable"), ("PGGSSENCMODE", "disable")];
        known.into_iter().chain(more).map(|(name, value)| (name, value.to_owned())).collect()
    }

    fn stream(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let gateway = Arc::clone(&self.gateway);
        tokio::spawn(async move { gateway.serve(theirs).await });
        ours
    }

    async fn raw(&self) -> RawPg {
        let login = RawPg::login(self.stream(), ROLE, "shop", PASSWORD).await;
        login.unwrap_or_else(|error| panic!("{}", error.message()))
    }

    async fn client(&self, options: &str) -> tokio_postgres::Client {
        let mut config = tokio_postgres::Config::new();
        config.user(ROLE).password(PASSWORD).dbname("shop").options(options);
        let (client, connection) = config.connect_raw(self.stream(), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// The texts on record, in order.
    async fn texts(&self) -> Vec<String> {
        self.journal.written(self.journal.last_queued()).await.unwrap();
        let mut segments: Vec<_> = std::fs::read_dir(self.dir.path()).unwrap().flatten().collect();
        segments.sort_by_key(std::fs::DirEntry::file_name);
        let lines = segments
            .iter()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "jsonl"))
            .map(|entry| std::fs::read_to_string(entry.path()).unwrap())
            .collect::<String>();
        let text = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line.pointer("/body/text")
                .or(line.pointer("/event/text"))
                .or(line.get("text"))?
                .as_str()
                .map(str::to_owned)
        };
        lines.lines().filter_map(text).collect()
    }
}

/// What the error of one message says: SQLSTATE, and the text from its place on.
async fn error(raw: &mut RawPg, text: &str) -> (String, String) {
    raw.send().await;
    let mut found = None;
    loop {
        let reply = raw.next().await.expect("a reply");
        match reply.tag {
            b'E' => found = Some(reply),
            b'Z' => break,
            _ => {}
        }
    }
    let reply = found.expect("an error");
    let position = Fields::new(&reply.body).field(b'P').map(|at| at.parse::<usize>().unwrap());
    let rest = position.map(|at| text.chars().skip(at - 1).collect()).unwrap_or_default();
    (reply.sqlstate(), rest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_own_names_lead_to_views() {
    let world = World::start().await;
    let mut raw = world.raw().await;
    for text in [
        "SELECT email FROM public.users ORDER BY id LIMIT 1",
        "SELECT email FROM PUBLIC.Users ORDER BY id LIMIT 1",
        "SELECT email FROM public/**/./* x */users ORDER BY id LIMIT 1",
        "SELECT email FROM public -- c\n . users ORDER BY id LIMIT 1",
        "SELECT email FROM U&\"\\0070ublic\".U&\"\\0075sers\" ORDER BY id LIMIT 1",
        "SELECT email FROM U&\"!0070ublic\" UESCAPE '!' . users ORDER BY id LIMIT 1",
        "SELECT email FROM users WHERE id IN (SELECT id FROM public.users WHERE email > 'a') ORDER BY id LIMIT 1",
        "WITH users AS (SELECT * FROM public.users) SELECT email FROM users ORDER BY id LIMIT 1",
        "SELECT public.users.email FROM public.users WHERE public.users.id = 1",
        "SELECT public.users.email FROM users WHERE public.users.id = 1",
        "SELECT shop.public.users.email FROM shop.public.users WHERE users.id = 1",
        "SELECT u.email FROM public.users AS u WHERE u.id = 1",
        "SET search_path TO public; SELECT email FROM users ORDER BY id LIMIT 1",
        "SET SCHEMA 'public'; SELECT email FROM users ORDER BY id LIMIT 1",
        "SET search_path = hr; SET search_path = DEFAULT; SELECT email FROM users ORDER BY id LIMIT 1",
        "DISCARD ALL",
        "BEGIN; SET LOCAL search_path TO pg_catalog, \"public\"; SELECT email FROM users ORDER BY id LIMIT 1; COMMIT",
    ] {
        let expected: &[&str] = if text == "DISCARD ALL" { &[] } else { &["s***"] };
        assert_eq!(raw.column(text).await, expected, "{text}");
    }
    let set = "SELECT set_config('search_path', 'public', false)";
    assert_eq!(raw.column(set).await, ["\"dbaccess_v_test_0\", public"]);
    assert_eq!(raw.column("SELECT email FROM users WHERE id = 1").await, ["s***"]);
    assert_eq!(raw.column("TABLE hr.\"Weird \"\"Täble\"\" ☃\"").await, ["7"]);
    assert_eq!(raw.column("EXPLAIN (COSTS off) TABLE public.products").await, ["Seq Scan on products"]);
    // One integer for another, by the same rewrite.
    for id in [1, 2, 9] {
        let found = raw.column(&format!("SELECT id FROM public.users WHERE id = {id}")).await;
        assert_eq!(found.len(), usize::from(id < 3));
    }
    // A table that nobody may see stays one, and so does what is no name.
    for text in ["TABLE public.audit_secrets", "SET search_path TO public; TABLE audit_secrets"] {
        assert_eq!(error(raw.query(text), text).await.0, "42501");
    }
    let regclass = "SELECT relkind FROM pg_class WHERE oid = 'public.users'::regclass";
    assert_eq!(raw.column(regclass).await, ["r"]);

    let texts = world.texts().await;
    assert!(texts.contains(&"SELECT email FROM PUBLIC.Users ORDER BY id LIMIT 1".to_owned()), "{texts:?}");
    assert!(texts.contains(&set.to_owned()), "{texts:?}");
    assert!(!texts.iter().any(|text| text.contains("dbaccess_v_")), "{texts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_pass_by_views_prepared_and_not() {
    let world = World::start().await;
    let mut raw = world.raw().await;
    raw.query("INSERT INTO public.users (id, plan) VALUES (3, 'x') RETURNING public.users.id; UPDATE public.users SET plan = 'y' WHERE public.users.id = 3");
    assert_eq!(raw.replies(1).await, "T D*1 C(INSERT 0 1) C(UPDATE 1) Z(I)");
    raw.parse("s", "SELECT plan, public.users.id FROM public.users WHERE id = $1")
        .describe('S', "s")
        .bind("", "s", &["3"])
        .execute("", 0)
        .run("DELETE FROM public.users WHERE id = 3")
        .sync();
    assert_eq!(raw.replies(1).await, "1 t T 2 D*1 C(SELECT 1) 1 2 C(DELETE 1) Z(I)");
    raw.query("PREPARE q(int) AS SELECT email FROM public.users WHERE id = $1; EXECUTE q(1)");
    assert_eq!(raw.replies(1).await, "C(PREPARE) T D*1 C(SELECT 1) Z(I)");
    raw.query("BEGIN; DECLARE c CURSOR FOR TABLE public.users; FETCH ALL FROM c; COMMIT");
    assert_eq!(raw.replies(1).await, "C(BEGIN) C(DECLARE CURSOR) T D*2 C(FETCH 2) C(COMMIT) Z(I)");
    raw.query("COPY (SELECT email FROM public.users ORDER BY id) TO STDOUT");
    assert_eq!(raw.replies(1).await, "H d*2 c C(COPY 2) Z(I)");
    // A type that the client gives for a parameter reaches the server.
    let client = world.client("").await;
    let types = [tokio_postgres::types::Type::INT8];
    let statement =
        client.prepare_typed("SELECT $1, email FROM public.users WHERE id = 1", &types).await.unwrap();
    let row = client.query_one(&statement, &[&8_589_934_592_i64]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, &str>(1)), (8_589_934_592, "s***"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_path_at_the_start_has_its_views() {
    let world = World::start().await;
    for options in ["-c search_path=public", "-c search_path=hr,\\ \"public\" -c jit=off"] {
        let client = world.client(options).await;
        let row = client.query_one("SELECT email FROM users WHERE id = 1", &[]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), "s***", "{options}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_says_where_it_is_in_the_persons_own_text() {
    let world = World::start().await;
    let mut raw = world.raw().await;
    for (text, at) in [
        ("SELECT '☃', nope FROM public.users", "nope FROM public.users"),
        ("SELECT 1 FROM public.users WHERE nope", "nope"),
        ("TABLE public.users; SELECT public.users.nope FROM public.users, nowhere", "nowhere"),
        ("SELECT public.users.nope FROM public.users", "public.users.nope FROM public.users"),
        ("SELECT 1 FROM public.users JOIN nowhere ON true", "nowhere ON true"),
        // Runs, and fails while it runs: without a place.
        ("SELECT 1 / (id - 1) FROM public.users", ""),
        // Not rewritten.
        ("SELECT nope FROM products", "nope FROM products"),
    ] {
        assert_eq!(error(raw.query(text), text).await.1, at, "{text}");
        assert_eq!(
            error(raw.run(text.rsplit("; ").next().unwrap()).sync(), text.rsplit("; ").next().unwrap())
                .await
                .1,
            at,
            "{text}"
        );
    }
}

/// Runs a program with a script on its standard input; gives what it printed.
async fn run(
    program: &std::path::Path,
    args: &[&str],
    script: &str,
    environment: &[(&str, String)],
) -> String {
    use tokio::io::AsyncWriteExt as _;
    let mut command = tokio::process::Command::new(program);
    command.args(args).envs(environment.iter().map(|(name, value)| (name, value)));
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// What a person types in psql, backslash commands included.
#[tokio::test(flavor = "multi_thread")]
async fn psql_speaks_of_tables_and_gets_views() {
    let world = World::start().await;
    let environment = world.environment().await;
    let script = r#"
\d public.users
SELECT email FROM public.users WHERE id = 1 \gdesc
\set FETCH_COUNT 1
SELECT 'fetched ' || email FROM public.users;
\set FETCH_COUNT 0
\copy (SELECT 'copied', email FROM public.users ORDER BY id) TO STDOUT
SET search_path TO public;
SELECT 'found ' || email FROM users WHERE id = 2;
SELECT public.users.plan,
       nope
FROM public.users;
"#;
    let out = run(&crate::support::tools::postgres("psql"), &["-XAtq"], script, &environment).await;
    for line in ["email|text|||", "email|text", "fetched s***", "copied\ts***", "found s***"] {
        assert!(out.lines().any(|printed| printed == line), "{line}\n{out}");
    }
    assert!(out.contains("LINE 2:        nope\n               ^"), "{out}");
    assert!(!out.contains("secret"), "{out}");
}

/// An application's driver, and what an ORM asks of the catalog first.
#[tokio::test(flavor = "multi_thread")]
async fn psycopg_speaks_of_tables_and_gets_views() {
    let world = World::start().await;
    let environment = world.environment().await;
    let script = r#"
import psycopg
db = psycopg.connect("", autocommit=True)
for _ in range(7): # from the sixth time on it is prepared
    row = db.execute("SELECT public.users.email, %s::text FROM public.users WHERE id = %s", ["é", 1]).fetchone()
    assert row == ("s***", "é"), row
with db.cursor() as cursor:
    cursor.executemany('INSERT INTO "public"."users" (id, plan) VALUES (%s, %s)', [(n, "x") for n in range(10, 60)])
    cursor.execute("SET search_path TO public")
assert db.execute("SELECT count(*), max(email) FROM users", binary=True).fetchone() == (52, "s***")
with db.pipeline():
    found = [db.execute("SELECT plan FROM public.users WHERE id = %s", [n]) for n in range(10, 20)]
    assert [cursor.fetchone() for cursor in found] == [("x",)] * 10
with db.cursor().copy("COPY (SELECT id FROM public.users WHERE id >= 10) TO STDOUT") as copy:
    assert len(list(copy.rows())) == 50
with db.transaction(), db.cursor(name="c") as cursor:
    assert len(cursor.execute("SELECT * FROM public.users").fetchall()) == 52
try:
    db.execute("SELECT nope, public.users.id FROM public.users")
except psycopg.errors.UndefinedColumn as error:
    assert error.diag.statement_position == "8", error.diag.statement_position
columns = db.execute("SELECT a.attname FROM pg_attribute a WHERE a.attrelid = 'public.users'::regclass AND attnum > 0")
assert [name for name, in columns] == ["id", "email", "plan"]
print("all is well")
"#;
    let out = run(&crate::support::tools::python(), &["-"], script, &environment).await;
    assert_eq!(out, "all is well\n");
}
