//! Pipelines, refusals, names and portals through the gateway, message by
//! message: what the client sees, and what the record says of it.

use crate::support::env::{Setting, TestEnv};
use crate::support::held::{Held, outcomes, writer};
use crate::support::raw_pg::RawPg;

const SQL: &str = "CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 10)";
/// Not parsed away: it fails when it is executed.
const FAILS: &str = "SELECT 1 / (i - 3) FROM t";

/// One conversation after the other on one connection, which must be usable
/// after each; the record of all is compared at the end.
struct Talk {
    raw: RawPg,
    expected: Vec<&'static str>,
}

impl Talk {
    async fn says(
        &mut self,
        what: &str,
        ready: usize,
        say: impl FnOnce(&mut RawPg) -> &mut RawPg,
        replies: &str,
        record: &[&'static str],
    ) {
        say(&mut self.raw);
        assert_eq!(self.raw.replies(ready).await, replies, "{what}");
        self.expected.extend(record);
    }
}

async fn proto() -> TestEnv {
    TestEnv::with(Setting { databases: vec![("proto", SQL)], ..Setting::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_and_refusals() {
    let env = proto().await;
    let alice = writer(&env, "proto").await;
    let held = Held::open(&alice, "proto");
    let mut talk = Talk { raw: held.raw().await, expected: Vec::new() };

    talk.says(
        "an error in the middle, two Syncs",
        2,
        |raw| raw.run("SELECT 1").run(FAILS).run("SELECT 2").sync().run("SELECT 3").sync(),
        "1 2 D*1 C(SELECT 1) 1 2 D*2 E(22012) Z(I) 1 2 D*1 C(SELECT 1) Z(I)",
        &[
            "SELECT 1 → ok SELECT 1, 1 row",
            "SELECT 1 / (i - 3) FROM t → error 22012, 2 rows",
            "SELECT 2 → skipped",
            "SELECT 3 → ok SELECT 1, 1 row",
        ],
    )
    .await;
    talk.says(
        "errors of Parse and Bind are those of the statement",
        2,
        |raw| raw.run("SELECT nothing").sync().run("SELECT 1/0").run("SELECT 4").sync(),
        "E(42703) Z(I) 1 E(22012) Z(I)",
        &["SELECT nothing → error 42703", "SELECT 1/0 → error 22012", "SELECT 4 → skipped"],
    )
    .await;
    talk.says(
        "several Syncs at once",
        3,
        |raw| raw.sync().sync().run("SELECT 5").sync(),
        "Z(I) Z(I) 1 2 D*1 C(SELECT 1) Z(I)",
        &["SELECT 5 → ok SELECT 1, 1 row"],
    )
    .await;
    talk.says(
        "a refused Parse poisons its batch only",
        2,
        |raw| raw.run("SELECT 6").run("CREATE ROLE r").run("SELECT 7").sync().run("SELECT 8").sync(),
        "1 2 D*1 C(SELECT 1) E(42501) Z(I) 1 2 D*1 C(SELECT 1) Z(I)",
        &[
            "SELECT 6 → ok SELECT 1, 1 row",
            "CREATE ROLE r → refused 42501",
            "SELECT 7 → skipped",
            "SELECT 8 → ok SELECT 1, 1 row",
        ],
    )
    .await;
    talk.says(
        "a refused Query",
        1,
        |raw| raw.query("VACUUM t"),
        "E(42501) Z(I)",
        &["VACUUM t → refused 42501"],
    )
    .await;
    talk.says(
        "of a text with a refused statement in it nothing runs",
        2,
        |raw| raw.query("INSERT INTO t VALUES (99); CREATE ROLE r").query("SELECT i FROM t WHERE i = 99"),
        "E(42501) Z(I) T C(SELECT 0) Z(I)",
        &[
            "INSERT INTO t VALUES (99); CREATE ROLE r → refused 42501",
            "SELECT i FROM t WHERE i = 99 → ok SELECT 0",
        ],
    )
    .await;
    talk.says(
        "a refusal inside a transaction aborts it",
        4,
        |raw| raw.query("BEGIN").query("CREATE ROLE r").query("SELECT 9").query("ROLLBACK"),
        "C(BEGIN) Z(T) E(42501) Z(E) E(25P02) Z(E) C(ROLLBACK) Z(I)",
        &[
            "BEGIN → ok BEGIN",
            "CREATE ROLE r → refused 42501",
            "SELECT 9 → error 25P02",
            "ROLLBACK → ok ROLLBACK",
        ],
    )
    .await;
    talk.says(
        "a refusal in a failed transaction is still the refusal",
        4,
        |raw| raw.query("BEGIN").query("SELECT nothing").run("CREATE ROLE r").sync().query("ROLLBACK"),
        "C(BEGIN) Z(T) E(42703) Z(E) E(42501) Z(E) C(ROLLBACK) Z(I)",
        &[
            "BEGIN → ok BEGIN",
            "SELECT nothing → error 42703",
            "CREATE ROLE r → refused 42501",
            "ROLLBACK → ok ROLLBACK",
        ],
    )
    .await;
    talk.says(
        "a Query that the server skips",
        2,
        |raw| raw.run(FAILS).query("SELECT 10").sync().run("SELECT 11").sync(),
        "1 2 D*2 E(22012) Z(I) 1 2 D*1 C(SELECT 1) Z(I)",
        &[
            "SELECT 1 / (i - 3) FROM t → error 22012, 2 rows",
            "SELECT 10 → skipped",
            "SELECT 11 → ok SELECT 1, 1 row",
        ],
    )
    .await;
    talk.raw.run(FAILS).flush();
    assert_eq!(talk.raw.until(b'E').await, "1 2 D*2 E(22012)");
    talk.expected.push("SELECT 1 / (i - 3) FROM t → error 22012, 2 rows");
    talk.says(
        "a refused Query that the server skips, known to be",
        2,
        |raw| raw.query("CREATE ROLE r").sync().run("SELECT 12").sync(),
        "Z(I) 1 2 D*1 C(SELECT 1) Z(I)",
        &["CREATE ROLE r → skipped", "SELECT 12 → ok SELECT 1, 1 row"],
    )
    .await;
    talk.says(
        "empty texts",
        3,
        |raw| raw.query("").query(" -- nothing\n").run("").sync(),
        "I Z(I) I Z(I) 1 2 I Z(I)",
        &[],
    )
    .await;
    talk.says(
        "several statements, the last fails",
        1,
        |raw| raw.query("SELECT 13; SELECT nothing; SELECT 14"),
        "T D*1 C(SELECT 1) E(42703) Z(I)",
        &["SELECT 13 → ok SELECT 1, 1 row", "SELECT nothing → error 42703", "SELECT 14 → skipped"],
    )
    .await;
    talk.says(
        "not UTF-8",
        3,
        |raw| raw.query(b"SELECT '\xff'").frame(b'P', b"\0SELECT '\xff'\0\0\0").sync().query("SELECT 15"),
        "E(22021) Z(I) E(22021) Z(I) T D*1 C(SELECT 1) Z(I)",
        &[
            "SELECT '\u{fffd}' → refused 22021",
            "SELECT '\u{fffd}' → refused 22021",
            "SELECT 15 → ok SELECT 1, 1 row",
        ],
    )
    .await;
    assert_eq!(outcomes(&alice).await, talk.expected);
}

/// Whatever a client does with names, the record has the text that ran.
#[tokio::test(flavor = "multi_thread")]
async fn g1_names_stand_for_what_runs() {
    let env = proto().await;
    let alice = writer(&env, "proto").await;
    let held = Held::open(&alice, "proto");
    let mut talk = Talk { raw: held.raw().await, expected: Vec::new() };
    let long = |end: &str| "n".repeat(63) + end;

    talk.says(
        "a name that exists cannot be parsed again",
        3,
        |raw| {
            raw.parse("a", "SELECT 'first'").sync();
            raw.parse("a", "SELECT 'second'").sync();
            raw.bind("", "a", &[]).execute("", 0).sync()
        },
        "1 Z(I) E(42P05) Z(I) 2 D*1 C(SELECT 1) Z(I)",
        &["SELECT 'first' → ok SELECT 1, 1 row"],
    )
    .await;
    talk.says(
        "a Parse that is skipped prepares nothing",
        2,
        |raw| {
            raw.run(FAILS).parse("b", "SELECT 'skipped'").sync();
            raw.bind("", "b", &[]).execute("", 0).sync()
        },
        "1 2 D*2 E(22012) Z(I) E(26000) Z(I)",
        &["SELECT 1 / (i - 3) FROM t → error 22012, 2 rows", "BIND \"b\" → refused 26000"],
    )
    .await;
    talk.says(
        "closed and made anew in one batch",
        1,
        |raw| raw.close('S', "a").parse("a", "SELECT 'anew'").bind("", "a", &[]).execute("", 0).sync(),
        "3 1 2 D*1 C(SELECT 1) Z(I)",
        &["SELECT 'anew' → ok SELECT 1, 1 row"],
    )
    .await;
    talk.says(
        "SQL takes the protocol's name away and gives it another text",
        4,
        |raw| {
            raw.query("DEALLOCATE a").query("PREPARE a AS SELECT 'by SQL'").bind("", "a", &[]).execute("", 0);
            raw.sync().query("DISCARD ALL")
        },
        "C(DEALLOCATE) Z(I) C(PREPARE) Z(I) 2 D*1 C(SELECT 1) Z(I) C(DISCARD ALL) Z(I)",
        &[
            "DEALLOCATE a → ok DEALLOCATE",
            "PREPARE a AS SELECT 'by SQL' → ok PREPARE",
            "PREPARE a AS SELECT 'by SQL' → ok SELECT 1, 1 row",
            "DISCARD ALL → ok DISCARD ALL",
        ],
    )
    .await;
    talk.says(
        "nothing is left after DISCARD ALL",
        2,
        |raw| {
            raw.bind("", "a", &[])
                .execute("", 0)
                .sync()
                .parse("a", "SELECT 'later'")
                .bind("", "a", &[])
                .execute("", 0)
                .sync()
        },
        "E(26000) Z(I) 1 2 D*1 C(SELECT 1) Z(I)",
        &["BIND \"a\" → refused 26000", "SELECT 'later' → ok SELECT 1, 1 row"],
    )
    .await;
    talk.says(
        "DISCARD PLANS leaves names alone, a DEALLOCATE that fails too",
        3,
        |raw| raw.query("DISCARD PLANS").query("DEALLOCATE nothing").bind("", "a", &[]).execute("", 0).sync(),
        "C(DISCARD PLANS) Z(I) E(26000) Z(I) 2 D*1 C(SELECT 1) Z(I)",
        &[
            "DISCARD PLANS → ok DISCARD PLANS",
            "DEALLOCATE nothing → error 26000",
            "SELECT 'later' → ok SELECT 1, 1 row",
        ],
    )
    .await;
    talk.says(
        "two batches in flight",
        3,
        |raw| {
            raw.close('S', "a").parse("a", "SELECT 'one'").sync();
            raw.run(FAILS).close('S', "a").parse("a", "SELECT 'two'").sync();
            raw.bind("", "a", &[]).execute("", 0).sync()
        },
        "3 1 Z(I) 1 2 D*2 E(22012) Z(I) 2 D*1 C(SELECT 1) Z(I)",
        &["SELECT 1 / (i - 3) FROM t → error 22012, 2 rows", "SELECT 'one' → ok SELECT 1, 1 row"],
    )
    .await;
    talk.says(
        "the server tells names apart by 63 bytes",
        3,
        |raw| {
            raw.parse(&long("x"), "SELECT 'long'").sync();
            raw.parse(&long("y"), "SELECT 'longer'").sync();
            raw.bind("", &long("y"), &[]).execute("", 0).sync()
        },
        "1 Z(I) E(42P05) Z(I) 2 D*1 C(SELECT 1) Z(I)",
        &["SELECT 'long' → ok SELECT 1, 1 row"],
    )
    .await;
    talk.says(
        "a portal outlives a Bind of its name that fails",
        5,
        |raw| {
            raw.query("BEGIN");
            raw.parse("p1", "SELECT 'kept'").bind("p", "p1", &[]).sync();
            raw.query("SAVEPOINT s");
            raw.parse("p2", "SELECT 'not bound'").bind("p", "p2", &[]).sync();
            raw.query("ROLLBACK TO s")
        },
        "C(BEGIN) Z(T) 1 2 Z(T) C(SAVEPOINT) Z(T) 1 E(42P03) Z(E) C(ROLLBACK) Z(T)",
        &["BEGIN → ok BEGIN", "SAVEPOINT s → ok SAVEPOINT", "ROLLBACK TO s → ok ROLLBACK"],
    )
    .await;
    talk.says(
        "and a cursor of SQL takes its name over",
        4,
        |raw| {
            raw.execute("p", 0).sync().query("CLOSE p").query("DECLARE p CURSOR FOR SELECT 'cursor'");
            raw.execute("p", 0).sync()
        },
        "D*1 C(SELECT 1) Z(T) C(CLOSE CURSOR) Z(T) C(DECLARE CURSOR) Z(T) D*1 C(SELECT 1) Z(T)",
        &[
            "SELECT 'kept' → ok SELECT 1, 1 row",
            "CLOSE p → ok CLOSE CURSOR",
            "DECLARE p CURSOR FOR SELECT 'cursor' → ok DECLARE CURSOR",
            "EXECUTE PORTAL \"p\" → ok SELECT 1, 1 row",
        ],
    )
    .await;
    talk.says("", 1, |raw| raw.query("COMMIT"), "C(COMMIT) Z(I)", &["COMMIT → ok COMMIT"]).await;
    talk.says(
        "a portal in parts, two of them in turns",
        1,
        |raw| {
            raw.query("BEGIN").parse("", "SELECT i FROM t ORDER BY i").bind("x", "", &[]);
            raw.parse("", "SELECT -i FROM t").bind("y", "", &[]);
            raw.execute("x", 4).execute("y", 3).execute("x", 4).execute("x", 4).execute("y", 0)
        },
        "C(BEGIN) Z(T)",
        &["BEGIN → ok BEGIN"],
    )
    .await;
    talk.says(
        "",
        2,
        |raw| raw.sync().query("COMMIT"),
        "1 2 1 2 D*4 s D*3 s D*4 s D*2 C(SELECT 2) D*7 C(SELECT 7) Z(T) C(COMMIT) Z(I)",
        &[
            "SELECT i FROM t ORDER BY i → suspended, 4 rows",
            "SELECT -i FROM t → suspended, 3 rows",
            "SELECT i FROM t ORDER BY i → suspended, 4 rows",
            "SELECT i FROM t ORDER BY i → ok SELECT 2, 2 rows",
            "SELECT -i FROM t → ok SELECT 7, 7 rows",
            "COMMIT → ok COMMIT",
        ],
    )
    .await;
    talk.says(
        "cursors",
        5,
        |raw| {
            raw.query("BEGIN").query("DECLARE c SCROLL CURSOR FOR SELECT i FROM t").query("FETCH 4 FROM c");
            raw.query("MOVE 2 IN c; FETCH ALL c; CLOSE c").query("END")
        },
        "C(BEGIN) Z(T) C(DECLARE CURSOR) Z(T) T D*4 C(FETCH 4) Z(T) C(MOVE 2) T D*4 C(FETCH 4) C(CLOSE CURSOR) Z(T) C(COMMIT) Z(I)",
        &[
            "BEGIN → ok BEGIN",
            "DECLARE c SCROLL CURSOR FOR SELECT i FROM t → ok DECLARE CURSOR",
            "FETCH 4 FROM c → ok FETCH 4, 4 rows",
            "MOVE 2 IN c → ok MOVE 2, 2 rows",
            "FETCH ALL c → ok FETCH 4, 4 rows",
            "CLOSE c → ok CLOSE CURSOR",
            "END → ok COMMIT",
        ],
    )
    .await;
    assert_eq!(outcomes(&alice).await, talk.expected);
}
