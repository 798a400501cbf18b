//! COPY both ways, large objects, notifications and long messages.

use crate::support::env::{Setting, TestEnv};
use crate::support::held::{Held, exporter, outcomes, settled_audit};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::SinkExt as _;

const SQL: &str = "CREATE TABLE t (i int); INSERT INTO t SELECT generate_series(1, 10)";

async fn copies() -> TestEnv {
    TestEnv::with(Setting { databases: vec![("copies", SQL)], ..Setting::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_both_ways_to_its_end_or_its_failure() {
    let env = copies().await;
    let alice = exporter(&env, "copies").await;
    let held = Held::open(&alice, "copies");
    let mut raw = held.raw().await;
    raw.query("COPY t FROM STDIN");
    assert_eq!(raw.until(b'G').await, "G");
    raw.copy_data(b"11\n12").copy_data(b"\n").copy_done();
    assert_eq!(raw.replies(1).await, "C(COPY 2) Z(I)");

    raw.query("COPY t FROM STDIN").copy_data(b"13\n").copy_done();
    assert_eq!(raw.replies(1).await, "G C(COPY 1) Z(I)", "data before it was asked for");

    raw.query("COPY t FROM STDIN").copy_data(b"no number\n").copy_data(b"14\n").copy_done().query("SELECT 1");
    assert_eq!(raw.replies(2).await, "G E(22P02) Z(I) T D*1 C(SELECT 1) Z(I)");

    raw.query("COPY t FROM STDIN").copy_data(b"15\n").copy_fail("changed my mind");
    assert_eq!(raw.replies(1).await, "G E(57014) Z(I)");

    raw.query("SELECT 2; COPY t FROM STDIN; SELECT 3; COPY t FROM STDIN; SELECT 4");
    assert_eq!(raw.until(b'G').await, "T D*1 C(SELECT 1) G");
    raw.copy_data(b"16\n").copy_done();
    assert_eq!(raw.until(b'G').await, "C(COPY 1) T D*1 C(SELECT 1) G");
    raw.copy_data(b"17\n").copy_done();
    assert_eq!(raw.replies(1).await, "C(COPY 1) T D*1 C(SELECT 1) Z(I)");

    // As tokio-postgres does it: the Sync before the data is swallowed.
    raw.run("COPY t FROM STDIN").sync();
    assert_eq!(raw.until(b'G').await, "1 2 G");
    raw.copy_data(b"18\n").copy_done().sync();
    assert_eq!(raw.replies(1).await, "C(COPY 1) Z(I)");

    raw.run("COPY t FROM STDIN").sync();
    assert_eq!(raw.until(b'G').await, "1 2 G");
    raw.copy_data(b"no number\n").copy_done().sync().query("SELECT 5");
    assert_eq!(raw.replies(2).await, "E(22P02) Z(I) T D*1 C(SELECT 1) Z(I)");

    raw.query("COPY t FROM STDIN").sync().copy_data(b"19\n").copy_done().run("SELECT 6").sync();
    assert_eq!(raw.replies(2).await, "G C(COPY 1) Z(I) 1 2 D*1 C(SELECT 1) Z(I)", "a Sync in simple COPY");

    raw.query("COPY (SELECT i FROM t WHERE i < 4) TO STDOUT; SELECT 7").run("COPY t TO STDOUT").sync();
    assert_eq!(raw.replies(2).await, "H d*3 c C(COPY 3) T D*1 C(SELECT 1) Z(I) 1 2 H d*17 c C(COPY 17) Z(I)");

    raw.query("COPY (SELECT 1 / (i - 3) FROM t) TO STDOUT").query("COPY t TO '/tmp/t'").query("SELECT 8");
    assert_eq!(raw.replies(3).await, "H d*2 E(22012) Z(I) E(42501) Z(I) T D*1 C(SELECT 1) Z(I)");

    let client = held.client().await;
    let sink = client.copy_in("COPY t FROM STDIN").await.unwrap();
    let mut sink = std::pin::pin!(sink);
    sink.send(Bytes::from_static(b"20\n21\n")).await.unwrap();
    assert_eq!(sink.finish().await.unwrap(), 2);

    let expected = [
        "COPY t FROM STDIN → ok COPY 2, 2 rows",
        "COPY t FROM STDIN → ok COPY 1, 1 row",
        "COPY t FROM STDIN → error 22P02",
        "SELECT 1 → ok SELECT 1, 1 row",
        "COPY t FROM STDIN → error 57014",
        "SELECT 2 → ok SELECT 1, 1 row",
        "COPY t FROM STDIN → ok COPY 1, 1 row",
        "SELECT 3 → ok SELECT 1, 1 row",
        "COPY t FROM STDIN → ok COPY 1, 1 row",
        "SELECT 4 → ok SELECT 1, 1 row",
        "COPY t FROM STDIN → ok COPY 1, 1 row",
        "COPY t FROM STDIN → error 22P02",
        "SELECT 5 → ok SELECT 1, 1 row",
        "COPY t FROM STDIN → ok COPY 1, 1 row",
        "SELECT 6 → ok SELECT 1, 1 row",
        "COPY (SELECT i FROM t WHERE i < 4) TO STDOUT → ok COPY 3, 3 rows",
        "SELECT 7 → ok SELECT 1, 1 row",
        "COPY t TO STDOUT → ok COPY 17, 17 rows",
        "COPY (SELECT 1 / (i - 3) FROM t) TO STDOUT → error 22012, 2 rows",
        "COPY t TO '/tmp/t' → refused 42501",
        "SELECT 8 → ok SELECT 1, 1 row",
        "COPY t FROM STDIN → ok COPY 2, 2 rows",
    ];
    assert_eq!(outcomes(&alice).await, expected);
    // A frame has five bytes around its data.
    let rows = settled_audit(&alice).await;
    let bytes: Vec<_> =
        [0, 1, 15, 21].iter().map(|index: &usize| rows[*index]["bytes"].as_u64().unwrap()).collect();
    assert_eq!(bytes, [5 + 5 + 5 + 1, 5 + 3, 3 * 7, 5 + 6]);
}

/// A FunctionCall's body.
fn call(oid: u32, arguments: &[&[u8]]) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_u32(oid);
    body.put_u16(1);
    body.put_u16(1);
    body.put_u16(arguments.len() as u16);
    for argument in arguments {
        body.put_u32(argument.len() as u32);
        body.put_slice(argument);
    }
    body.put_u16(1);
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn function_calls_and_messages_longer_than_is_held() {
    let env = copies().await;
    let alice = exporter(&env, "copies").await;
    let held = Held::open(&alice, "copies");
    let mut raw = held.raw().await;
    let (creat, open, write, unlink, backend_pid) = (957, 952, 955, 964, 2026);
    let mode = 0x0006_0000_u32.to_be_bytes();
    raw.query("BEGIN").send().await;
    raw.replies(1).await;
    let mut value = async |body: &[u8]| {
        raw.frame(b'F', body).send().await;
        let reply = raw.next().await.unwrap();
        assert_eq!(reply.tag, b'V', "{}", reply.message());
        assert_eq!(raw.replies(1).await, "Z(T)");
        reply.body.slice(4..)
    };
    let oid = value(&call(creat, &[&mode])).await;
    let descriptor = value(&call(open, &[&oid, &mode])).await;
    let data = vec![7; 700_000];
    let written = value(&call(write, &[&descriptor, &data])).await;
    assert_eq!(written[..], 700_000_u32.to_be_bytes());
    value(&call(unlink, &[&oid])).await;
    raw.query("COMMIT");
    assert_eq!(raw.replies(1).await, "C(COMMIT) Z(I)");

    // What follows the head of a refused message is not taken for messages.
    let mut inside = BytesMut::new();
    while inside.len() < 700_000 {
        inside.put_slice(b"Q\0\0\0\x21INSERT INTO t VALUES (-7777)\0");
    }
    raw.frame(b'F', &call(backend_pid, &[&inside])).query("SELECT 1");
    assert_eq!(raw.replies(2).await, "E(42501) Z(I) T D*1 C(SELECT 1) Z(I)");
    raw.bind("", "unknown", &[std::str::from_utf8(&inside).unwrap()]).execute("", 0).sync().query("SELECT 2");
    assert_eq!(raw.replies(2).await, "E(26000) Z(I) T D*1 C(SELECT 1) Z(I)");
    assert_eq!(raw.column("SELECT count(*) FROM t WHERE i = -7777").await, ["0"]);

    // Over the limit on texts, by either protocol; the connection goes on.
    let text = format!("SELECT '{}'", "x".repeat(17 << 20));
    raw.query("BEGIN").query(&text).query("ROLLBACK");
    assert_eq!(raw.replies(3).await, "C(BEGIN) Z(T) E(54000) Z(E) C(ROLLBACK) Z(I)");
    raw.run(&text).sync().run("SELECT 3").sync();
    assert_eq!(raw.replies(2).await, "E(54000) Z(I) 1 2 D*1 C(SELECT 1) Z(I)");
    let long = "v".repeat(1 << 20);
    raw.parse("", "SELECT length($1::text)").bind("", "", &[&long]).execute("", 0).sync();
    assert_eq!(raw.replies(1).await, "1 2 D*1 C(SELECT 1) Z(I)");
    let mid = "m".repeat(100_000);
    raw.parse("", "SELECT length($1::text)").bind("", "", &[&mid]).execute("", 0).sync();
    assert_eq!(raw.replies(1).await, "1 2 D*1 C(SELECT 1) Z(I)");

    let ledger = env.ledger_text();
    let hash_of = |value: &str| {
        let mut body = BytesMut::from(&b"\0\0\0\0\0\x01"[..]);
        body.put_u32(value.len() as u32);
        body.put_slice(value.as_bytes());
        body.put_u16(0);
        sha256(&body)
    };
    for hash in [hash_of(&long), sha256(&call(write, &[&descriptor, &data]))] {
        assert!(ledger.contains(&format!(r#""parameters_sha256":"{hash}""#)), "{hash}");
    }
    // Of a Bind that is held as a whole, only the long value stands as its hash.
    assert!(ledger.contains(&format!("100000 bytes, SHA-256 {}", sha256(mid.as_bytes()))));
    assert!(ledger.contains(&format!("SHA-256 {}", sha256(format!("{text}\0").as_bytes()))));
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn g2_channels_are_not_listened_to() {
    let env = copies().await;
    let alice = exporter(&env, "copies").await;
    let held = Held::open(&alice, "copies");
    // What the application tells there may be rows of any table, unmasked.
    let mut pg = held.raw().await;
    pg.query("LISTEN news");
    assert!(pg.replies(1).await.starts_with("E(42501)"));
    pg.query("NOTIFY news, 'here'");
    assert_eq!(pg.replies(1).await, "C(NOTIFY) Z(I)");
}
