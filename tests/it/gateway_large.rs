//! Messages of hundreds of megabytes, both ways, in a server that stays small.

use crate::support::env::{Setting, TestEnv, UNLIMITED};
use crate::support::held::{Held, audit, exporter, outcomes};
use crate::support::raw_pg::RawPg;
use bytes::{BufMut as _, BytesMut};
use std::time::Duration;

const SIZE: usize = 300 << 20;
const SQL: &str = "CREATE TABLE blobs (n int, data bytea)";
/// What the server may take at most, ever, in bytes. A debug build with its
/// parser and policies takes a third of it at rest.
const MOST: usize = 220 << 20;

/// The most memory that a process has had.
fn peak(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

/// Sends `size` bytes that need not be kept.
async fn pour(raw: &mut RawPg, size: usize, chunk: impl for<'r> Fn(&'r mut RawPg, &[u8]) -> &'r mut RawPg) {
    let block = vec![b'7'; 1 << 20];
    for _ in 0..size / block.len() {
        chunk(raw, &block).send().await;
    }
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn g9_three_hundred_megabytes_pass_with_bounded_memory() {
    let env = TestEnv::with(Setting {
        databases: vec![("large", SQL)],
        extra: UNLIMITED.to_owned(),
        ..Setting::default()
    })
    .await;
    let alice = exporter(&env, "large").await;
    let held = Held::open(&alice, "large");
    let mut raw = held.raw().await;
    let server = env.server.as_ref().unwrap().child.id();

    // A parameter in one Bind, in binary.
    raw.parse("", "INSERT INTO blobs VALUES (1, $1)");
    let mut begin = BytesMut::from(&b"\0\0\0\x01\0\x01\0\x01"[..]);
    begin.put_u32(SIZE as u32);
    let mut header = BytesMut::from(&b"B"[..]);
    header.put_u32((4 + begin.len() + SIZE + 2) as u32);
    raw.bytes(&header).bytes(&begin);
    pour(&mut raw, SIZE, |raw, block| raw.bytes(block)).await;
    raw.bytes(&[0, 0]).execute("", 0).sync();
    assert_eq!(raw.replies(1).await, "1 2 C(INSERT 0 1) Z(I)");

    // The same as one value of a row, in binary: it is longer than is kept here.
    raw.parse("", "SELECT data FROM blobs").frame(b'B', b"\0\0\0\0\0\0\0\x01\0\x01").execute("", 0).sync();
    assert_eq!(raw.lengths(1).await, [(b'1', 0), (b'2', 0), (b'D', SIZE + 6), (b'C', 9), (b'Z', 1)]);

    // COPY, both ways.
    raw.query("COPY blobs (n) FROM STDIN");
    assert_eq!(raw.until(b'G').await, "G");
    let rows = b"1234567\n".repeat(1 << 17);
    pour(&mut raw, SIZE, |raw, _| raw.copy_data(&rows)).await;
    raw.copy_done();
    assert_eq!(raw.replies(1).await, format!("C(COPY {}) Z(I)", SIZE >> 3));
    raw.query("COPY (SELECT repeat('x', 1023) FROM generate_series(1, 300 * 1024)) TO STDOUT");
    let lengths = raw.lengths(1).await;
    assert_eq!(lengths.iter().filter(|(tag, length)| (*tag, *length) == (b'd', 1024)).count(), SIZE >> 10);

    let most = peak(server);
    assert!(most < MOST, "the server took {} MB", most >> 20);
    let expected = [
        "INSERT INTO blobs VALUES (1, $1) → ok INSERT 0 1, 1 row".to_owned(),
        "SELECT data FROM blobs → ok SELECT 1, 1 row".to_owned(),
        format!("COPY blobs (n) FROM STDIN → ok COPY {0}, {0} rows", SIZE >> 3),
        format!(
            "COPY (SELECT repeat('x', 1023) FROM generate_series(1, 300 * 1024)) TO STDOUT → ok COPY {0}, {0} rows",
            SIZE >> 10
        ),
    ];
    assert_eq!(outcomes(&alice).await, expected);
    let rows = audit(&alice);
    assert_eq!(rows[1]["bytes"], SIZE + 11);
    assert_eq!(rows[2]["bytes"], SIZE + 300 * 5);
    assert_eq!(rows[3]["bytes"], SIZE + (SIZE >> 10) * 5);
    assert!(Duration::from_micros(rows[1]["duration_us"].as_u64().unwrap()) > Duration::from_millis(10));
}
