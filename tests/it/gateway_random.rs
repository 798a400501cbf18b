//! Random conversations through the gateway to a real PostgreSQL: pipelines of
//! good, failing and refused statements, names used again, COPY, errors
//! anywhere. Every statement's rows carry its own number, so what the client
//! saw must be what the record says of that text, and the connection must be
//! in order at the end.

use crate::support::env::{Setting, TestEnv};
use crate::support::held::{Held, exporter, settled_audit};
use crate::support::raw_pg::RawPg;
use std::collections::BTreeMap;

const CONVERSATIONS: u64 = 250;
const SQL: &str = "CREATE TABLE t (i int); CREATE TABLE u (i int UNIQUE DEFERRABLE INITIALLY DEFERRED)";
/// Numbers of rows that the client saw, by the number of the text.
type Counts = BTreeMap<u64, u64>;

/// Xorshift: the same conversations in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }
}

struct Speaker {
    random: Random,
    raw: RawPg,
    said: Vec<String>,
    next: u64,
}

impl Speaker {
    fn text(&mut self) -> String {
        self.next += 1;
        let n = self.next;
        match self.random.below(14) {
            0 => format!("SELECT 'x{n}x'::int"),
            1 => format!("SELECT ('x{n}x' || pg_backend_pid())::int"),
            2 => format!("SELECT 'x{n}x' FROM generate_series(1, 3)"),
            3 => format!("SELECT 'x{n}x', 1 / (i - 3) FROM generate_series(1, 5) i"),
            4 => format!("BEGIN /* x{n}x */"),
            5 => format!("COMMIT /* x{n}x */"),
            6 => format!("COPY (SELECT 'x{n}x') TO STDOUT"),
            7 => format!("COPY t FROM STDIN /* x{n}x */"),
            8 => format!("INSERT INTO u VALUES (1), (1) /* x{n}x */"),
            9 => format!("SAVEPOINT a /* x{n}x */"),
            10 => format!("CREATE ROLE r /* x{n}x */"),
            11 => format!("DEALLOCATE {} /* x{n}x */", self.random.pick(&["a", "b", "ALL"])),
            12 => format!("PREPARE {} AS SELECT 'x{n}x'", self.random.pick(&["a", "b"])),
            _ => format!("SELECT 'x{n}x'"),
        }
    }

    /// The data that a COPY of `text` waits for.
    fn data(&mut self, text: &str) {
        for _ in 0..text.matches("FROM STDIN").count() {
            let line = self.random.pick(&[&b"1\n"[..], b"1\n", b"bad\n"]);
            self.raw.copy_data(line);
            if self.random.below(4) == 0 {
                self.raw.copy_fail("no")
            } else {
                self.raw.copy_done()
            };
        }
    }

    fn step(&mut self) {
        let name = self.random.pick(&["", "", "a", "b"]);
        let portal = self.random.pick(&["", "", "p"]);
        match self.random.below(12) {
            0 | 1 => {
                let statements = self.random.below(4);
                let text = (0..statements).map(|_| self.text()).collect::<Vec<_>>().join("; ");
                self.said.push(format!("Query {text}"));
                self.raw.query(&text);
                self.data(&text);
            }
            2..=5 => {
                let text = self.text();
                let most = self.random.below(3) as u32;
                self.said.push(format!("Parse {name:?} {text}, Bind {portal:?}, Execute {most}"));
                self.raw.parse(name, &text).bind(portal, name, &[]).execute(portal, most);
                self.data(&text);
            }
            // Only of SELECT: an Execute of COPY would wait for its data.
            6 => {
                self.said.push(format!("Bind {portal:?} {name:?}, Describe"));
                self.raw.bind(portal, name, &[]).describe('P', portal);
            }
            7 => {
                self.said.push(format!("Close {name:?}"));
                self.raw.close('S', name);
            }
            8 => {
                self.said.push("Flush".to_owned());
                self.raw.flush();
            }
            _ => {
                self.said.push("Sync".to_owned());
                self.raw.sync();
            }
        }
    }

    /// Reads up to the answer to a last query; counts rows by their number.
    async fn finish(&mut self, end: u64, counts: &mut Counts) {
        self.raw.sync().query("ROLLBACK").query(format!("SELECT 'x{end}x'")).send().await;
        let mut last = false;
        loop {
            let Some(reply) = self.raw.next().await else { panic!("cut off: {:#?}", self.said) };
            match reply.tag {
                b'D' | b'd' => {
                    let text = String::from_utf8_lossy(&reply.body).into_owned();
                    let number = text.split('x').nth(1).unwrap().parse().unwrap();
                    *counts.entry(number).or_default() += 1;
                    last |= number == end;
                }
                b'E' => assert_ne!(reply.sqlstate(), "08P01", "{}: {:#?}", reply.message(), self.said),
                b'Z' if last => return,
                _ => {}
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn g1_random_conversations_are_recorded_as_they_went() {
    let env = TestEnv::with(Setting { databases: vec![("random", SQL)], ..Setting::default() }).await;
    let alice = exporter(&env, "random").await;
    let held = Held::open(&alice, "random");
    let mut seen = Counts::new();
    let mut texts = BTreeMap::new();
    for seed in 1..=CONVERSATIONS {
        let random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let raw = held.raw().await;
        let mut speaker = Speaker { random, raw, said: Vec::new(), next: seed * 1000 };
        for _ in 0..3 + speaker.random.below(25) {
            speaker.step();
            // Sometimes the server is quicker than the client.
            if speaker.random.below(3) == 0 {
                speaker.raw.send().await;
                tokio::task::yield_now().await;
            }
        }
        speaker.finish(seed * 1000 + 999, &mut seen).await;
        texts.insert(seed, speaker.said);
    }
    let mut recorded = Counts::new();
    for row in settled_audit(&alice).await {
        assert_ne!(row["result"], "unknown", "{row}");
        let text = row["text"].as_str().unwrap();
        let Some(number) = text.split('x').nth(1).and_then(|number| number.parse().ok()) else { continue };
        // Of what changes rows or takes them, the count is not of rows that were seen.
        let shows = text.starts_with("SELECT") || text.starts_with("COPY (") || text.starts_with("PREPARE");
        let rows = row["rows"].as_u64().unwrap();
        if shows && rows > 0 {
            *recorded.entry(number).or_default() += rows;
        }
    }
    if seen != recorded {
        let differs = |number: &&u64| seen.get(number) != recorded.get(number);
        let number = seen.keys().chain(recorded.keys()).find(differs).unwrap();
        let (was, is) = (seen.get(number), recorded.get(number));
        panic!("x{number}x: the client saw {was:?}, the record has {is:?}: {:#?}", texts[&(number / 1000)]);
    }
    assert!(seen.len() > 400, "{}", seen.len());
}
