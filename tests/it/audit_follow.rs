//! R5.2, as it happens: `audit --follow` and what it rests on.

use crate::support::env::{Setting, TestEnv, TestPerson, eventually};
use crate::support::held::{Held, writer};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read};
use std::process::Child;
use std::sync::{Arc, Mutex};

type Lines = Arc<Mutex<Vec<String>>>;

/// `audit --follow` as a process, and what it has said on its two streams.
struct Follower {
    child: Child,
    out: Lines,
    err: Lines,
}

impl Follower {
    /// From when it follows.
    async fn start(person: &TestPerson<'_>, args: &[&str]) -> Self {
        let mut child = person.spawn(&[&["audit", "--follow"], args].concat());
        let (out, err) = (lines(child.stdout.take().unwrap()), lines(child.stderr.take().unwrap()));
        let follower = Self { child, out, err };
        follower.says("following").await;
        follower
    }

    async fn says(&self, what: &str) {
        eventually(what, || self.err.lock().unwrap().iter().any(|line| line.contains(what)).then_some(()))
            .await;
    }

    /// Its first lines, once there are so many.
    async fn lines(&self, count: usize) -> Vec<String> {
        let what = format!("{count} lines");
        eventually(&what, || {
            let lines = self.out.lock().unwrap();
            (lines.len() >= count).then(|| lines.clone())
        })
        .await
    }

    /// Text and whether it has ended, of each line of JSON.
    async fn told(&self, count: usize) -> Vec<(String, bool)> {
        let rows = self.lines(count).await.into_iter().map(|line| serde_json::from_str(&line).unwrap());
        rows.map(|row: Value| (row["text"].as_str().unwrap().to_owned(), !row["result"].is_null())).collect()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.child.kill().ok();
        drop(self.child.wait());
    }
}

fn lines(stream: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let into = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            into.lock().unwrap().push(line);
        }
    });
    lines
}

const LOCK: &str = "SELECT id FROM orders FOR UPDATE";

fn pairs(expected: &[(&str, bool)]) -> Vec<(String, bool)> {
    expected.iter().map(|(text, ended)| ((*text).to_owned(), *ended)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r5_2_statements_are_told_as_they_come_through_a_restart_of_the_server() {
    let sql = "CREATE TABLE orders (id bigint); INSERT INTO orders VALUES (1)";
    let mut env = TestEnv::with(Setting { databases: vec![("live", sql)], ..Setting::default() }).await;
    let (everything, updates) = {
        let alice = writer(&env, "live").await;
        let dave = env.signed_in("dave").await;
        let held = Held::open(&alice, "live");
        let client = held.client().await;
        client.batch_execute("SELECT 'before'").await.unwrap();
        let everything = Follower::start(&dave, &["-o", "json"]).await;
        let updates = Follower::start(&dave, &["--verb", "update", "--result", "ok"]).await;

        // One that waits for a lock is told when it is known, and again when it has ended.
        client.batch_execute("BEGIN").await.unwrap();
        client.batch_execute(LOCK).await.unwrap();
        let other = held.client().await;
        let waiting = tokio::spawn(async move { other.batch_execute("UPDATE orders SET id = 1").await });
        let begun = [("BEGIN", true), (LOCK, true), ("UPDATE orders SET id = 1", false)];
        assert_eq!(everything.told(3).await, pairs(&begun));
        client.batch_execute("COMMIT").await.unwrap();
        waiting.await.unwrap().unwrap();
        let mut told = everything.told(5).await.split_off(3);
        told.sort();
        assert_eq!(told, pairs(&[("COMMIT", true), ("UPDATE orders SET id = 1", true)]));
        // A filter that looks at the end finds it at the end.
        let line = updates.lines(1).await.remove(0);
        for part in ["alice@example.com", "live", "UPDATE 1", "UPDATE orders SET id = 1"] {
            assert!(line.contains(part), "{line}");
        }
        let since = Follower::start(&dave, &["-o", "json", "--since", "1d", "--text", "before"]).await;
        assert_eq!(since.told(1).await, pairs(&[("SELECT 'before'", true)]));
        (everything, updates)
    };
    env.kill_server();
    everything.says("going on when it is back").await;
    env.start_server().await;
    let alice = env.person("alice");
    alice.run(&["exec", "live", "SELECT 'after'"]).ok();
    everything.says("the server is back").await;
    assert_eq!(everything.told(6).await[5], ("SELECT 'after'".to_owned(), true));
    assert_eq!(updates.lines(1).await.len(), 1);

    let refused = alice.run(&["audit", "--follow", "--target", "liev"]).exits(1);
    assert!(refused.err.contains("there is no target liev"), "{}", refused.err);
}
