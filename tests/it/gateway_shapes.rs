//! The shape of each result is on record, of sessions that are recorded and of
//! others, whether the client has asked for it or not (R8.4).

use crate::support::env::{Setting, TestEnv, UNLIMITED};
use crate::support::held::{Held, outcome, settled_audit, writer};
use crate::support::raw_pg::RawPg;
use serde_json::Value;

const SQL: &str = "CREATE TYPE mood AS ENUM ('good', 'bad');
    CREATE TABLE t (i int, m mood, at timestamptz);
    INSERT INTO t SELECT g, 'good', now() FROM generate_series(1, 5) g";

async fn shaped() -> TestEnv {
    let extra = UNLIMITED.to_owned();
    TestEnv::with(Setting { databases: vec![("shaped", SQL)], extra, ..Setting::default() }).await
}

/// As in `i integer, s text`; `-` where no result is told of.
fn shape(row: &Value) -> String {
    let Some(columns) = row["shape"]["columns"].as_array() else { return "-".to_owned() };
    let said =
        |column: &Value| format!("{} {}", column["name"].as_str().unwrap(), column["type"].as_str().unwrap());
    columns.iter().map(said).collect::<Vec<_>>().join(", ")
}

/// What is said, and what the record has of it: each statement's shape, from the oldest.
struct Talk {
    raw: RawPg,
    expected: Vec<&'static str>,
}

impl Talk {
    async fn says(
        &mut self,
        ready: usize,
        say: impl FnOnce(&mut RawPg) -> &mut RawPg,
        replies: &str,
        shapes: &[&'static str],
    ) {
        say(&mut self.raw);
        assert_eq!(self.raw.replies(ready).await, replies);
        self.expected.extend(shapes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_a_result_that_nobody_asked_about_has_its_shape_on_record() {
    let env = shaped().await;
    let alice = writer(&env, "shaped").await;
    let held = Held::open(&alice, "shaped");
    let mut talk = Talk { raw: held.raw().await, expected: Vec::new() };

    // A Query is told of.
    talk.says(
        1,
        |raw| raw.query("SELECT 1 AS n, 'x'::text AS s; INSERT INTO t VALUES (6); SHOW lock_timeout"),
        "T D*1 C(SELECT 1) C(INSERT 0 1) T D*1 C(SHOW) Z(I)",
        &["n integer, s text", "-", "lock_timeout text"],
    )
    .await;
    // Of the extended protocol's, a client hears what it has asked, and no more.
    talk.says(
        1,
        |raw| raw.run("SELECT i, at FROM t WHERE i < 3").run("DELETE FROM t WHERE i = 6 RETURNING i").sync(),
        "1 2 D*2 C(SELECT 2) 1 2 D*1 C(DELETE 1) Z(I)",
        &["i integer, at timestamptz", "i integer"],
    )
    .await;
    talk.says(
        2,
        |raw| {
            raw.parse("s", "SELECT i FROM t ORDER BY i");
            raw.bind("", "s", &[]).execute("", 2).execute("", 0).sync();
            raw.bind("p", "s", &[]).bind("q", "s", &[]).execute("p", 1).execute("q", 1).sync()
        },
        "1 2 D*2 s D*3 C(SELECT 3) Z(I) 2 2 D*1 s D*1 s Z(I)",
        &["i integer"; 4],
    )
    .await;
    talk.says(
        2,
        |raw| {
            raw.parse("d", "SELECT 1::numeric AS d").describe('S', "d").sync();
            raw.bind("", "d", &[]).describe('P', "").execute("", 0).sync()
        },
        "1 t T Z(I) 2 T D*1 C(SELECT 1) Z(I)",
        &["d numeric"],
    )
    .await;
    talk.says(
        2,
        |raw| {
            raw.run("SELECT 1 / (i - 3) AS q FROM t").describe('S', "s").sync();
            raw.parse("l", "SELECT 2 AS late").describe('S', "nothing").sync();
            raw
        },
        "1 2 D*2 E(22012) Z(I) 1 E(26000) Z(I)",
        &["q integer"],
    )
    .await;
    // A question that was not answered is asked again.
    talk.says(
        2,
        |raw| {
            raw.run("SELECT 1 / (i - 3) AS q FROM t").describe('S', "l").sync();
            raw.bind("", "l", &[]).execute("", 0).sync()
        },
        "1 2 D*2 E(22012) Z(I) 2 D*1 C(SELECT 1) Z(I)",
        &["q integer", "late integer"],
    )
    .await;

    // What a name stands for changes, and so does what it returns.
    talk.says(
        4,
        |raw| {
            raw.query("BEGIN; DECLARE c CURSOR FOR SELECT 1 AS one");
            raw.parse("f", "FETCH 1 FROM c").describe('S', "f").bind("", "f", &[]).execute("", 0).sync();
            raw.query("CLOSE c; DECLARE c CURSOR FOR SELECT 'two'::text AS two FROM t");
            raw.bind("", "f", &[]).execute("", 0).execute("c", 1).sync()
        },
        "C(BEGIN) C(DECLARE CURSOR) Z(T) 1 t T 2 D*1 C(FETCH 1) Z(T) \
         C(CLOSE CURSOR) C(DECLARE CURSOR) Z(T) 2 D*1 C(FETCH 1) D*1 s Z(T)",
        &["-", "-", "one integer", "-", "-", "two text", "two text"],
    )
    .await;
    talk.says(
        4,
        |raw| {
            raw.query("COMMIT; PREPARE x AS SELECT 1 AS first");
            raw.parse("e", "EXECUTE x").bind("", "e", &[]).execute("", 0).sync();
            raw.query("DEALLOCATE x; PREPARE x AS SELECT 'y'::text AS second");
            raw.bind("", "e", &[]).execute("", 0).bind("", "x", &[]).execute("", 0).sync()
        },
        "C(COMMIT) C(PREPARE) Z(I) 1 2 D*1 C(SELECT 1) Z(I) C(DEALLOCATE) C(PREPARE) Z(I) \
         2 D*1 C(SELECT 1) 2 D*1 C(SELECT 1) Z(I)",
        &["-", "-", "first integer", "-", "-", "second text", "second text"],
    )
    .await;

    // The answer to the gateway's question may be the error of the statement.
    talk.says(
        3,
        |raw| {
            raw.execute("nothing", 0).run("SELECT 1").sync();
            raw.query("BEGIN; SELEC").execute("", 0).sync()
        },
        "E(34000) Z(I) E(42601) Z(I) E(34000) Z(I)",
        &["-", "-", "-", "-"],
    )
    .await;
    talk.says(
        3,
        |raw| {
            raw.query("BEGIN; SELECT 1/0").bind("", "s", &[]).execute("", 0).sync();
            raw.query("ROLLBACK")
        },
        "C(BEGIN) E(22012) Z(E) E(25P02) Z(E) C(ROLLBACK) Z(I)",
        &["-", "-", "i integer", "-"],
    )
    .await;

    let rows = settled_audit(&alice).await;
    let found: Vec<String> = rows.iter().map(shape).collect();
    assert_eq!(found, talk.expected, "{:#?}", rows.iter().map(outcome).collect::<Vec<_>>());
    let said: Vec<String> = rows.iter().map(outcome).collect();
    let ended = |text: &str, end: &str| assert!(said.contains(&format!("{text} → {end}")), "{said:#?}");
    ended("EXECUTE PORTAL \"nothing\"", "error 34000");
    ended("SELECT i FROM t ORDER BY i", "error 25P02");

    // A type of the database's own, many columns, and the same for those who play the session.
    let wide = format!("SELECT m, {} FROM t LIMIT 1", vec!["i"; 299].join(", "));
    talk.raw.query(&wide).replies(1).await;
    let rows = settled_audit(&alice).await;
    let last = &rows.last().unwrap()["shape"];
    assert!(last["columns"][0]["type"].as_str().unwrap().starts_with("type "), "{last}");
    assert_eq!((last["columns"].as_array().unwrap().len(), &last["left_out"]), (250, &50.into()));
    let played = alice.run(&["replay", &held.session]).ok().out;
    assert!(played.contains("… and 50 more columns"), "{played}");
    let model = alice.run(&["replay", &held.session, "-o", "json"]).ok().json();
    assert_eq!(model["statements"][0]["columns"][1], serde_json::json!({"name": "s", "type": "text"}));
    let ledger = env.ledger_dir().display().to_string();
    let copy = alice.run(&["replay", &held.session, "--ledger", &ledger, "-o", "json"]).ok().json();
    assert_eq!(copy["statements"][0]["columns"], model["statements"][0]["columns"]);
}

/// Nothing that a client sends makes the record have another result's shape, or
/// another statement's text.
#[tokio::test(flavor = "multi_thread")]
async fn g1_r8_4_names_that_change_on_the_way_forge_no_shape_and_no_text() {
    let env = shaped().await;
    let alice = writer(&env, "shaped").await;
    let held = Held::open(&alice, "shaped");
    let mut raw = held.raw().await;

    // What SQL on its way makes of a name is not what the statement returns.
    raw.query("BEGIN").parse("s", "SELECT m FROM t LIMIT 1").bind("p", "s", &[]).sync();
    raw.replies(2).await;
    raw.query("CLOSE p; DECLARE p CURSOR FOR SELECT 1 AS harmless").describe('P', "p").sync();
    raw.query("COMMIT; BEGIN").bind("p", "s", &[]).execute("p", 0).sync();
    assert!(raw.replies(4).await.ends_with("C(BEGIN) Z(T) 2 D*1 C(SELECT 1) Z(T)"));
    // With its transaction a portal is gone, whatever has its name then.
    raw.query("COMMIT; BEGIN").execute("p", 0).sync().query("ROLLBACK");
    assert_eq!(raw.replies(3).await, "C(COMMIT) C(BEGIN) Z(T) E(34000) Z(E) C(ROLLBACK) Z(I)");

    // A Sync that a COPY might have swallowed and has not is one answer more.
    raw.parse("a", "SELECT i AS taken FROM t LIMIT 1").parse("b", "SELECT 1 AS harmless");
    raw.parse("c", "SELECT $1::int").describe('S', "b").sync();
    raw.replies(1).await;
    raw.query("BEGIN; SAVEPOINT s").bind("", "b", &[]).sync().query("COPY t FROM STDIN").send().await;
    raw.until(b'G').await;
    raw.copy_data(b"not a number\n").sync().query("ROLLBACK TO s").bind("", "a", &[]);
    assert_eq!(raw.replies(3).await, "E(22P02) Z(E) Z(E) C(ROLLBACK) Z(T)");
    raw.execute("", 0).bind("", "c", &["x"]).sync();
    assert_eq!(raw.replies(1).await, "2 D*1 C(SELECT 1) E(22P02) Z(E)");
    raw.query("ROLLBACK").replies(1).await;

    let rows = settled_audit(&alice).await;
    let of = |text: &str| rows.iter().find(|row| row["text"] == text).unwrap_or_else(|| panic!("{rows:#?}"));
    assert!(shape(of("SELECT m FROM t LIMIT 1")).starts_with("m type "), "{rows:#?}");
    assert_eq!(outcome(of("EXECUTE PORTAL \"p\"")), "EXECUTE PORTAL \"p\" → error 34000");
    assert_eq!(shape(of("SELECT i AS taken FROM t LIMIT 1")), "taken integer");
    assert!(rows.iter().all(|row| row["text"] != "SELECT 1 AS harmless"), "{rows:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r8_4_a_description_longer_than_is_held_passes() {
    let env = shaped().await;
    let alice = writer(&env, "shaped").await;
    let held = Held::open(&alice, "shaped");
    let mut raw = held.raw().await;
    let columns: Vec<String> = (0..1500).map(|n| format!("i AS {:x>60}", format!("c{n}"))).collect();
    let text = format!("SELECT {} FROM t LIMIT 1", columns.join(", "));
    assert_eq!(raw.query(&text).replies(1).await, "T D*1 C(SELECT 1) Z(I)");
    raw.parse("", &text).bind("", "", &[]).describe('P', "").execute("", 0).run(&text).sync();
    assert_eq!(raw.replies(1).await, "1 2 T D*1 C(SELECT 1) 1 2 D*1 C(SELECT 1) Z(I)");
    let rows = settled_audit(&alice).await;
    assert_eq!(rows.len(), 3);
    for row in &rows {
        let named = row["shape"]["columns"].as_array().unwrap().len() as u64;
        assert!((100..250).contains(&named), "{named}: as many as fit their bytes");
        assert_eq!(row["shape"]["left_out"], 1500 - named);
    }
}
