//! Migrations with a reviewed script: asked for, reviewed, amended, run, resumed,
//! compared (R2.2, R5.2), on real PostgreSQL through the real gateway and tool.

use crate::requests::{id, says};
use crate::support::api::events;
use crate::support::env::{Ran, Setting, TestEnv, TestPerson};
use crate::support::held::Held;
use crate::support::raw_pg::Reply;
use crate::support::session::Running;
use serde_json::{Value, json};
use std::process::Stdio;

/// Alice asks, bob and carol approve.
struct World<'e> {
    env: &'e TestEnv,
    alice: TestPerson<'e>,
    bob: TestPerson<'e>,
    carol: TestPerson<'e>,
}

impl<'e> World<'e> {
    async fn of(env: &'e TestEnv) -> Self {
        let (alice, bob) = (env.signed_in("alice").await, env.signed_in("bob").await);
        Self { env, alice, bob, carol: env.signed_in("carol").await }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.env.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Asks for a script and returns the request as JSON, waiting.
    fn ask(&self, name: &str, text: &str) -> Value {
        let file = self.file(name, text);
        let args = ["request", "prod-orders", "--migrate", &file, "--reason", "CHG-1", "-o", "json"];
        self.alice.run(&args).exits(4).json()
    }

    /// The same, approved by both.
    fn approved(&self, text: &str) -> String {
        let id = id(&self.ask("V1__change.sql", text));
        self.bob.run(&["approve", &id, "--yes"]).ok();
        self.carol.run(&["approve", &id, "--yes"]).ok();
        id
    }

    fn migrate(&self, id: &str, more: &[&str]) -> Ran {
        self.alice.run(&[&["migrate", id], more].concat())
    }

    fn spawn(&self, id: &str, more: &[&str]) -> Running {
        let args = [&["migrate", id], more].concat();
        let mut command = self.alice.command(&args);
        Running::of(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts"))
    }

    fn compared(&self, id: &str) -> Ran {
        self.alice.run(&["audit", "compare", id, "-o", "json"])
    }

    /// The states of the script's statements.
    fn states(&self, id: &str) -> Vec<String> {
        let compared = self.compared(id).json();
        let states = compared["statements"].as_array().unwrap().iter();
        states.map(|one| one["state"].as_str().unwrap().to_owned()).collect()
    }

    async fn column(&self, table: &str, column: &str) -> bool {
        let sql =
            "SELECT count(*) FROM information_schema.columns WHERE table_name = $1 AND column_name = $2";
        let row = self.env.pg.admin("shop").await.query_one(sql, &[&table, &column]).await.unwrap();
        row.get::<_, i64>(0) == 1
    }
}

const THREE: &str = "-- V1: notes\nALTER TABLE public.orders ADD COLUMN note text;\n\n\
                     CREATE INDEX CONCURRENTLY orders_note ON public.orders (note);\n\
                     /* at last */ UPDATE public.orders\n   SET note = 'old' WHERE id < 10;\n";

#[tokio::test(flavor = "multi_thread")]
async fn r2_2_a_script_is_reviewed_run_as_approved_and_compared() {
    let env = TestEnv::start().await;
    let world = World::of(&env).await;
    let file = world.file("V1__notes.sql", THREE);
    let args = ["request", "prod-orders", "--migrate", &file, "--reason", "CHG-7"];
    let asked = world.alice.run(&args).exits(4);
    says(
        &asked,
        &[
            "(dual-schema-change)",
            "V1__notes.sql, revision 1: 3 statements in 3 pieces",
            "^ note takes ACCESS EXCLUSIVE on public.orders",
        ],
    );
    let view = world.ask("V1__notes.sql", THREE);
    let (id, request) = (id(&view), &view["request"]);
    assert_eq!(
        (&request["path"], &request["scope"]["objects"]["only"]["schemas"]),
        (&json!("migration"), &json!(["public"]))
    );
    assert_eq!(request["migration"]["text"], THREE);

    // Review: numbered lines with hazards beside them, or the bytes themselves.
    let shown = world.bob.run(&["show", &id]).ok();
    says(
        &shown,
        &[
            "4 CREATE INDEX CONCURRENTLY orders_note",
            "^ note runs outside of a transaction",
            "can approve as peer",
        ],
    );
    assert_eq!(world.bob.run(&["show", &id, "--script"]).ok().out, THREE);
    let listed = world.bob.run(&["requests", "-o", "json"]).ok().json();
    let listed = listed.as_array().unwrap().iter().find(|view| view["request"]["id"] == id.as_str()).unwrap();
    assert_eq!(listed["request"]["migration"]["text"], "", "lists stay small");
    says(&world.migrate(&id, &[]).exits(4), &["waits for approval", "peer"]);
    let sha256 = request["migration"]["sha256"].as_str().unwrap();
    let question = format!(
        "Approve as peer: script \"V1__notes.sql\" (revision 1, sha256 {}; no danger seen) on prod-orders for 1h?",
        &sha256[..12]
    );
    says(&world.bob.run(&["approve", &id]).exits(2), &[&question]);
    says(
        &world.bob.run(&["approve", &id, "--yes"]).ok(),
        &["1 -- V1: notes", "approved; still needed: manager or security"],
    );
    // Whoever is still to decide sees what it would do.
    let plan = world.carol.run(&["migrate", &id, "--dry-run"]).ok();
    says(&plan, &["statement 2 by itself", "line 4: CREATE INDEX", "^ note runs outside of a transaction"]);
    let plan: Value =
        serde_json::from_str(&world.carol.run(&["migrate", &id, "--dry-run", "-o", "json"]).ok().out)
            .unwrap();
    assert_eq!((&plan["event"], &plan["hazards"][0]["statement"]), (&json!("plan"), &json!(1)), "{plan}");
    world.carol.run(&["approve", &id, "--yes"]).ok();
    let approvals = events(&env, "request.approved", 2, |body| body["request"] == id.as_str()).await;
    assert!(
        approvals.iter().all(|one| one["approval"]["script"] == request["migration"]["sha256"]),
        "{approvals:?}"
    );

    let plan = world.migrate(&id, &["--dry-run"]).ok();
    says(
        &plan,
        &[
            "statement 1 in one transaction",
            "statement 2 by itself, outside of a transaction",
            "statement 3 in one transaction",
        ],
    );
    assert!(!world.column("orders", "note").await, "a dry run runs nothing");
    let ran = world.migrate(&id, &["-o", "json"]).ok();
    let steps: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = steps.iter().map(|step| step["event"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["plan", "statement", "committed", "statement", "committed", "statement", "committed", "done"]
    );
    assert!(world.column("orders", "note").await);
    let sql = "SELECT i.indisvalid, pg_get_userbyid(c.relowner) = 'shop_owner', (SELECT count(*) FROM orders WHERE note = 'old')
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname = 'orders_note'";
    let row = env.pg.admin("shop").await.query_one(sql, &[]).await.unwrap();
    assert_eq!((row.get(0), row.get(1), row.get::<_, i64>(2)), (true, true, 9), "as the owner");

    // R5.2: did it run the approved script?
    let compared = world.compared(&id).ok().json();
    assert_eq!((&compared["same"], &compared["others"]), (&json!(true), &json!([])), "{compared}");
    let session = compared["sessions"][0].as_str().unwrap();
    says(&world.alice.run(&["audit", "compare", session]).ok(), &["3 5 ran", "the same as the script"]);
    let other = world
        .file("other.sql", "DROP TABLE public.payments; UPDATE public.orders SET note='old' WHERE id < 10");
    let differs = world.alice.run(&["audit", "compare", session, "--script", &other]).exits(1);
    says(&differs, &["1 1 not run", "not in the script: ran", "not the same as the script"]);
    // Whoever approved it may see that, and somebody else may not.
    says(&world.bob.run(&["audit", "compare", session]).ok(), &["3 5 ran", "the same as the script"]);
    let colleague = env.signed_in("erin").await;
    colleague.run(&["audit", "compare", session]).exits(1);
    let dave = env.signed_in("dave").await;
    let film = dave.run(&["recording", "show", session]).ok();
    assert!(!film.out.contains("ERROR"), "{}", film.out);

    // Once is once.
    says(&world.migrate(&id, &[]).exits(1), &["was applied already, all of it"]);
    let grant = view_of(&world, &id)["grant"]["id"].as_str().unwrap().to_owned();
    says(
        &world.alice.run(&["exec", "prod-orders", "--grant", &grant, "SELECT 1"]).exits(1),
        &["applied already"],
    );
    env.assert_clean().await;
}

fn view_of(world: &World<'_>, id: &str) -> Value {
    world.alice.run(&["show", id, "-o", "json"]).ok().json()
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_2_what_is_no_script_for_the_target_is_refused_with_its_line() {
    let env = TestEnv::start().await;
    let world = World::of(&env).await;
    env.pg
        .admin("shop")
        .await
        .batch_execute("CREATE ROLE other_owner; CREATE SCHEMA hr AUTHORIZATION other_owner; CREATE TABLE hr.pay (id int)")
        .await
        .unwrap();
    for (text, more, words) in [
        ("DROP TABLE public.orders;\nDROP TABEL x", &[][..], "V1.sql, line 2, column 6: syntax error"),
        ("\nBEGIN; DROP TABLE public.orders; COMMIT", &[], "V1.sql, line 2: BEGIN has no place"),
        (
            "DROP TABLE public.orders;\nDROP TABLE orders",
            &[],
            "line 2: DROP TABLE does not say where orders is",
        ),
        (
            "DROP TABLE public.orders;\n\nDROP TABLE stock.items",
            &["--schema", "public"],
            "line 3: a change of stock.items is outside",
        ),
        ("DROP TABLE public.orders;\nDROP TABLE hr.pay", &[], "schema hr: line 2; schema public: line 1"),
        (
            "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            &[],
            "line 1: CREATE FUNCTION is not allowed",
        ),
        ("DROP TABLE public.orders CASCADE", &[], "line 1: CASCADE"),
        ("ALTER TABLE public.orders OWNER TO alice", &[], "line 1: ALTER … OWNER TO is not allowed"),
        ("VACUUM", &[], "name the tables"),
        ("SELECT 1", &[], "changes nothing"),
        ("UPDATE public.orders SET total = pg_read_file('x')::int", &[], "line 1: the function pg_read_file"),
        ("COPY public.orders TO PROGRAM 'x'", &[], "line 1: COPY"),
    ] {
        let file = world.file("V1.sql", text);
        let args = [&["request", "prod-orders", "--migrate", &file, "--reason", "x"], more].concat();
        let refused = world.alice.run(&args);
        assert!(matches!(refused.code, 1 | 2 | 5), "{text}: {refused:?}");
        says(&refused, &[words]);
    }
    let bad = env.dir.path().join("bad.sql");
    std::fs::write(&bad, b"SELECT '\xff'").unwrap();
    let ask = |file: &str| {
        world.alice.run(&["request", "prod-orders", "--migrate", file, "--reason", "x"]).exits(2)
    };
    says(&ask(&bad.display().to_string()), &["is not UTF-8: see the byte at 8"]);
    says(&ask(&world.file("long.sql", &"-- x\n".repeat(30_000))), &["longer than 102400 bytes"]);
    let file = world.file("V1.sql", "DROP TABLE public.orders");
    says(
        &world.alice.run(&["request", "prod-orders", "-t", "orders", "--migrate", &file]).exits(2),
        &["cannot be used with"],
    );
    // A script cannot drive the terminal that it is reviewed on.
    let view = world.ask("V2.sql", "DROP TABLE public.orders -- \u{1b}[2J\u{202e}");
    says(&world.bob.run(&["show", &id(&view)]).ok(), &["\\u{1b}[2J\\u{202e}"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_2_r4_5_an_amended_script_needs_every_approval_again() {
    let env = TestEnv::start().await;
    let world = World::of(&env).await;
    let first = world.ask("V1.sql", "ALTER TABLE public.orders ADD COLUMN a int");
    let id = id(&first);
    world.bob.run(&["approve", &id, "--yes"]).ok();
    let file = world.file("V1.sql", "ALTER TABLE stock.items ADD COLUMN b int");
    let amend = ["request", "--amend", &id, "--migrate", &file, "-o", "json"];
    let theirs = world.bob.run(&amend).exits(5);
    says(&theirs, &["only alice@example.com, who asked, can amend"]);
    let amended = world.alice.run(&amend).exits(4).json();
    let request = &amended["request"];
    assert_eq!((&request["approvals"], &request["migration"]["revision"]), (&json!([]), &json!(2)));
    assert_eq!(request["scope"]["objects"]["only"]["schemas"], json!(["stock"]), "the scope follows");
    says(&world.alice.run(&amend).exits(1), &["has this very script already"]);
    let recorded = events(&env, "request.amended", 1, |body| body["request"]["id"] == id.as_str()).await;
    assert_eq!(recorded[0]["was"], first["request"]["migration"]["sha256"]);
    assert_eq!(recorded[0]["request"]["migration"]["sha256"], request["migration"]["sha256"]);
    assert_eq!(recorded[0]["voided"], 1);

    // Nobody approves what they have not seen.
    let (bob, path) = (world.bob.api(), format!("/v1/requests/{id}/approve"));
    let of = |view: &Value| {
        let script = &view["migration"];
        json!({"sha256": script["sha256"], "revision": script["revision"]})
    };
    let stale = bob.post(&path, of(&first["request"])).await;
    assert!(stale.message().contains("changed since you saw it (it is revision 2 now)"), "{stale:?}");
    assert!(stale.body["hint"].as_str().unwrap().contains(&format!("`dbaccess show {id}`")), "{stale:?}");
    stale.is(409);
    bob.post(&path, json!({})).await.is(400);
    // Nor what was changed, and changed back.
    let (there, back) =
        (json!({"name": "V1.sql", "text": "DROP TABLE stock.items"}), request["migration"].clone());
    let back = json!({"name": back["name"], "text": back["text"]});
    let amend_path = format!("/v1/requests/{id}/amend");
    let alice = world.alice.api();
    alice.post(&amend_path, json!({"migration": there})).await.is(200);
    let request = alice.post(&amend_path, json!({"migration": back})).await.is(200)["request"].take();
    assert_eq!(request["migration"]["sha256"], amended["request"]["migration"]["sha256"]);
    bob.post(&path, of(&amended["request"])).await.is(409);
    let plain = world
        .alice
        .run(&["request", "prod-orders", "-t", "orders", "--write", "--reason", "x", "-o", "json"])
        .exits(4)
        .json();
    let plain = format!("/v1/requests/{}/approve", self::id(&plain));
    bob.post(&plain, json!({"sha256": "00"})).await.is(400);

    // An approval and an amendment at once: whichever comes first, no approval
    // stands for a script that it was not given for.
    let mut seen = of(&request);
    for round in 0..20 {
        let text = format!("ALTER TABLE public.orders ADD COLUMN c{round} int");
        let body = json!({"migration": {"name": "V1.sql", "text": text}});
        let (approved, amended) = tokio::join!(bob.post(&path, seen.clone()), alice.post(&amend_path, body));
        let now = alice.get(&format!("/v1/requests/{id}")).await.is(200);
        seen = of(&amended.is(200)["request"]);
        assert_eq!(
            (&now["request"]["approvals"], of(&now["request"])),
            (&json!([]), seen.clone()),
            "{approved:?}"
        );
        assert!(matches!(approved.status, 200 | 409), "{approved:?}");
    }
    bob.post(&path, seen).await.is(200);
    world.carol.run(&["approve", &id, "--yes"]).ok();
    says(
        &world.alice.run(&["request", "--amend", &id, "--migrate", &file]).exits(1),
        &["was already granted"],
    );
    world.migrate(&id, &[]).ok();
    assert!(world.column("orders", "c19").await && !world.column("orders", "c18").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_2_an_error_stops_a_migration_and_says_what_was_done() {
    let env = TestEnv::start().await;
    let world = World::of(&env).await;
    let admin = env.pg.admin("shop").await;
    // In a transaction: the lock is another's, and nothing is left.
    let id = world.approved("ALTER TABLE stock.items ADD COLUMN a int;\nALTER TABLE public.orders ADD COLUMN a int;\nDROP TABLE public.payments");
    admin.batch_execute("BEGIN; LOCK TABLE public.orders").await.unwrap();
    let refused = world.migrate(&id, &["--lock-timeout", "200ms"]);
    let refused = if refused.code == 2 { world.migrate(&id, &["--lock-timeout", "1s"]) } else { refused };
    let refused = refused.exits(1);
    says(
        &refused,
        &[
            "statement 2, line 2: ALTER TABLE of public.orders: canceling statement due to lock timeout (55P03)",
            "rolled back: statements 1 to 2",
            "not run: statement 3",
            "another session holds the lock",
            "goes on behind what is committed",
        ],
    );
    assert!(!world.column("items", "a").await);
    assert_eq!(world.states(&id), ["rolled_back", "failed", "not_run"]);
    admin.batch_execute("ROLLBACK").await.unwrap();
    world.migrate(&id, &[]).ok();
    assert_eq!(world.states(&id), ["ran", "ran", "ran"]);

    // Between pieces: what is committed stays, and the next run goes on behind it.
    let id = world.approved(
        "ALTER TABLE public.orders ADD COLUMN b int;\nCREATE UNIQUE INDEX CONCURRENTLY orders_status ON public.orders (status);\n\
         ALTER TABLE public.orders ADD COLUMN c int",
    );
    let failed = world.migrate(&id, &["-o", "json"]).exits(1);
    says(
        &failed,
        &[
            "committed: statement 1",
            "not run: statement 3",
            "an invalid index is left: public.orders_status",
            "DROP INDEX CONCURRENTLY public.orders_status",
            "hint: correct what is not committed, and ask with it: dbaccess request prod-orders --migrate FILE",
            &format!(
                "hint: or change what stands in its way, and then: dbaccess migrate {id} goes on behind"
            ),
        ],
    );
    let last: Value = serde_json::from_str(failed.out.lines().last().unwrap()).unwrap();
    assert_eq!(
        (&last["committed"], &last["failed"], &last["not_run"]),
        (&json!([1]), &json!(2), &json!([3])),
        "{last}"
    );
    assert_eq!(last["invalid_indexes"], json!(["public.orders_status"]));
    assert!(world.column("orders", "b").await && !world.column("orders", "c").await);
    admin
        .batch_execute("DROP INDEX public.orders_status; UPDATE orders SET status = id::text")
        .await
        .unwrap();
    let resumed = world.migrate(&id, &[]).ok();
    says(&resumed, &["statement 1 committed by an earlier run", "done: statements 1 to 3 committed"]);
    let compared = world.compared(&id).ok().json();
    assert_eq!(compared["sessions"].as_array().unwrap().len(), 2);
    assert_eq!(compared["statements"][1]["runs"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_2_a_killed_migration_goes_on_and_a_stopped_one_rolls_back() {
    let env = TestEnv::start().await;
    let world = World::of(&env).await;
    let admin = env.pg.admin("shop").await;
    let text = "ALTER TABLE stock.items ADD COLUMN a int;\nVACUUM stock.items;\nALTER TABLE stock.items ADD COLUMN b int;\n\
                ALTER TABLE public.orders ADD COLUMN b int";
    let id = world.approved(text);
    let waits = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'ALTER TABLE public.orders%'";
        env.pg.admin("shop").await.query_one(sql, &[]).await.unwrap().get::<_, i64>(0) == 1
    };
    admin.batch_execute("BEGIN; LOCK TABLE public.orders").await.unwrap();
    let killed = world.spawn(&id, &["--lock-timeout", "5m"]);
    env.until("it waits for the lock", waits).await;
    // One session at a time.
    says(&world.migrate(&id, &[]).exits(1), &["is running this script: one session at a time does"]);
    killed.signal(rustix::process::Signal::KILL);
    drop(killed);
    admin.batch_execute("ROLLBACK").await.unwrap();
    let resumed = world
        .env
        .eventually("the dead client is noticed", || {
            let ran = world.migrate(&id, &[]);
            (ran.code == 0).then_some(ran)
        })
        .await;
    says(&resumed, &["statements 1 to 2 committed by an earlier run", "done: statements 1 to 4 committed"]);
    let compared = world.compared(&id).ok().json();
    assert_eq!(compared["same"], true, "{compared}");

    // Ctrl-C: the statement is cancelled, its piece rolled back.
    let id = world
        .approved("ALTER TABLE stock.items ADD COLUMN c int; ALTER TABLE public.orders ADD COLUMN c int");
    admin.batch_execute("BEGIN; LOCK TABLE public.orders").await.unwrap();
    let stopped = world.spawn(&id, &["--lock-timeout", "5m"]);
    env.until("it waits for the lock", waits).await;
    stopped.signal(rustix::process::Signal::INT);
    let stopped = stopped.ended().await.exits(130);
    says(&stopped, &["cancelling the statement", "stopped", "rolled back: statements 1 to 2"]);
    admin.batch_execute("ROLLBACK").await.unwrap();
    assert!(!world.column("items", "c").await);
    world.migrate(&id, &[]).ok();
    env.assert_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r2_2_g2_the_gateway_lets_the_script_through_and_nothing_else() {
    let env = TestEnv::with(Setting::default()).await;
    let world = World::of(&env).await;
    let add = "ALTER TABLE public.orders ADD COLUMN d int";
    let id = world.approved(&format!("/* one */ {add} ;\n DROP TABLE public.payments"));
    let grant = view_of(&world, &id)["grant"]["id"].as_str().unwrap().to_owned();
    let held = Held::open_with(&world.alice, &["connect", "prod-orders", "--grant", &grant, "--listen"]);
    let mut raw = held.raw().await;
    for text in [
        "ALTER TABLE public.orders ADD COLUMN d  int",
        "alter table public.orders add column d int",
        "ALTER TABLE public.orders ADD COLUMN d int -- x\n, ADD COLUMN e int",
        "ALTER TABLE public.orders ADD COLUMN e int",
        "SELECT 1",
        "SELECT * FROM public.customers",
        "TABLE public.orders",
        "DELETE FROM public.orders",
        "SET search_path = stock",
        "SET LOCAL statement_timeout = 0",
        "SET statement_timeout = DEFAULT",
        "BEGIN READ ONLY",
        "SAVEPOINT a",
        "EXPLAIN SELECT 1",
        "PREPARE p AS SELECT 1",
        "COPY public.orders TO STDOUT",
        "BEGIN; COMMIT",
        &format!("{add}; {add}"),
    ] {
        let replies = raw.query(text).replies(1).await;
        assert!(replies.starts_with("E(42501)") && replies.ends_with("Z(I)"), "{text}: {replies}");
    }
    // Not by a prepared statement, nor by a function call.
    assert_eq!(raw.run(add).sync().replies(1).await, "E(42501) Z(I)");
    let mut body = 1598_u32.to_be_bytes().to_vec();
    body.extend([0, 0, 0, 0, 0, 0]);
    assert_eq!(raw.frame(b'F', &body).replies(1).await, "E(42501) Z(I)");
    let said = raw.query("SELECT 1").send().await.next().await.map(|reply: Reply| reply.message()).unwrap();
    assert!(
        said.contains("is for the reviewed script V1__change.sql (")
            && said.contains("not one of its, to the byte"),
        "{said}"
    );
    raw.until(b'Z').await;
    assert!(!world.column("orders", "d").await);
    // Its own statements, in a transaction or not, and the timeouts.
    assert_eq!(raw.query("SET lock_timeout = '2s'").replies(1).await, "C(SET) Z(I)");
    assert_eq!(raw.query("SHOW lock_timeout").replies(1).await, "T D*1 C(SHOW) Z(I)");
    assert_eq!(raw.query("BEGIN").replies(1).await, "C(BEGIN) Z(T)");
    assert_eq!(raw.query(format!("  {add};")).replies(1).await, "C(ALTER TABLE) Z(T)");
    assert_eq!(raw.query("COMMIT").replies(1).await, "C(COMMIT) Z(I)");
    // Each once, whichever connection sends it, also where the database would take it again.
    let mut other = held.raw().await;
    for connection in [&mut raw, &mut other] {
        let said = connection.query(add).send().await.next().await.map(|reply: Reply| reply.message());
        assert!(said.as_ref().is_some_and(|said| said.contains("was sent already")), "{said:?}");
        connection.until(b'Z').await;
    }
    // Settings of the client's own would give the statements another meaning.
    let mut config = tokio_postgres::Config::new();
    config.host(&held.host).port(held.port).dbname(&held.database).user(&held.user);
    config.password(&held.password).options("-c search_path=stock -c lock_timeout=7s");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for (setting, brought) in [("search_path", "stock"), ("lock_timeout", "7s")] {
        let shown = client.simple_query(&format!("SHOW {setting}")).await.unwrap();
        let value = shown.iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        });
        assert!(value.as_ref().is_some_and(|value| !value.contains(brought)), "{setting}: {value:?}");
    }
    drop((raw, other, client));
    let connected = world.alice.run(&["connect", "prod-orders", "--grant", &grant, "--", "true"]).exits(1);
    says(&connected, &["is running this script: one session at a time does"]);
    drop(held);
    assert_eq!(world.states(&id), ["ran", "not_run"]);
    says(&world.migrate(&id, &[]).ok(), &["statement 1 committed by an earlier run"]);
    let compared = world.compared(&id).ok().json();
    assert!(
        compared["others"].as_array().unwrap().iter().all(|other| other["differs"] == false),
        "{compared}"
    );
    world.alice.run(&["revoke", &grant]).ok();
    says(&world.migrate(&id, &[]).exits(6), &["was revoked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn r3_5_r5_2_a_session_by_hand_is_compared_with_a_script_afterwards() {
    let env = TestEnv::start().await;
    let world = World::of(&env).await;
    let ask = ["request", "prod-orders", "--schema", "public", "--ddl", "--reason", "CHG-9", "-o", "json"];
    let id = id(&world.alice.run(&ask).exits(4).json());
    world.bob.run(&["approve", &id, "--yes"]).ok();
    world.carol.run(&["approve", &id, "--yes"]).ok();
    says(&world.migrate(&id, &[]).exits(2), &["came without a script", "--migrate FILE"]);
    let script = "ALTER TABLE public.orders ADD COLUMN e int;\nALTER TABLE public.orders ADD COLUMN f int;\n-- the end";
    let file = world.file("V9.sql", script);
    let psql = |sql: &str| {
        world.alice.run(&["connect", "prod-orders", "--", "psql", "-Xqc", sql]).ok();
        world.alice.last_session()["session"]["id"].as_str().unwrap().to_owned()
    };
    let session = world.alice.run(&["connect", "prod-orders", "--", "psql", "-Xqf", &file]).ok();
    drop(session);
    let session = world.alice.last_session()["session"]["id"].as_str().unwrap().to_owned();
    says(
        &world.alice.run(&["audit", "compare", &session]).exits(2),
        &["came without a script", "--script FILE"],
    );
    says(
        &world.alice.run(&["audit", "compare", &session, "--script", &file]).ok(),
        &["the same as the script"],
    );
    // One message is one transaction: its error undid the first statement.
    let args = [
        "exec",
        "prod-orders",
        "ALTER TABLE public.orders ADD COLUMN g int; ALTER TABLE public.orders ADD COLUMN e int",
    ];
    world.alice.run(&args).exits(1);
    let failed = world.alice.last_session()["session"]["id"].as_str().unwrap().to_owned();
    let script = "ALTER TABLE public.orders ADD COLUMN g int";
    let g = world.file("g.sql", script);
    says(&world.alice.run(&["audit", "compare", &failed, "--script", &g]).exits(1), &["1 1 rolled back"]);
    let more = psql("ALTER TABLE public.orders ADD COLUMN g int; DELETE FROM public.payments WHERE id = 1");
    says(
        &world.alice.run(&["audit", "compare", &more, "--script", &g]).exits(1),
        &["1 1 ran", "not in the script: ran"],
    );
    let auditor = env.signed_in("dave").await;
    auditor.run(&["audit", "compare", &more, "--script", &g]).exits(1);
}
