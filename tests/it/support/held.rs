//! A session that is held open: `dbaccess connect TARGET --listen` as a
//! process, and clients of the test's own that connect to its port.

use super::env::{TestEnv, TestPerson, eventually};
use super::raw_pg::RawPg;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::{Arc, Mutex};

pub struct Held {
    child: Child,
    pub host: String,
    pub port: u16,
    pub user: String,
    pub database: String,
    pub password: String,
    pub session: String,
}

impl Held {
    /// Opens a session on `target` under the person's grant.
    pub fn open(person: &TestPerson<'_>, target: &str) -> Self {
        Self::open_with(person, &["connect", target, "--listen"])
    }

    pub fn open_with(person: &TestPerson<'_>, args: &[&str]) -> Self {
        let mut child = person.spawn(args);
        let said = Arc::new(Mutex::new(String::new()));
        let (stderr, into) = (child.stderr.take().unwrap(), Arc::clone(&said));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                into.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        let mut place = std::collections::HashMap::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while !place.contains_key("JDBC URL") {
            let line = lines.next().unwrap_or_else(|| panic!("{}", said.lock().unwrap())).unwrap();
            let (name, value) = line.split_once("  ").unwrap();
            place.insert(name.to_owned(), value.trim().to_owned());
        }
        let entry = std::fs::read_to_string(&place["password file"]).unwrap();
        let password = entry.trim().rsplit(':').next().unwrap().to_owned();
        // Said before, but on the other stream.
        let session = loop {
            let words = said.lock().unwrap().clone();
            match words.split_once("session ").and_then(|(_, rest)| rest.split_whitespace().next()) {
                Some(session) => break session.to_owned(),
                None => std::thread::yield_now(),
            }
        };
        Self {
            child,
            host: place["host"].clone(),
            port: place["port"].parse().unwrap(),
            user: place["user"].clone(),
            database: place["database"].clone(),
            password,
            session,
        }
    }

    /// A client that speaks frames.
    pub async fn raw(&self) -> RawPg {
        RawPg::connect(self).await
    }

    /// A client like an application's.
    pub async fn client(&self) -> tokio_postgres::Client {
        self.try_client().await.unwrap()
    }

    pub async fn try_client(&self) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host(&self.host).port(self.port).dbname(&self.database);
        config.user(&self.user).password(&self.password);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Politely, so that the session ends and its role with it.
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).ok();
        drop(self.child.wait());
    }
}

/// A person with a grant to read and write a staging target, whatever is in it.
pub async fn writer<'e>(env: &'e TestEnv, target: &str) -> TestPerson<'e> {
    let carol = env.signed_in("carol").await;
    person_who(env, target, &["--write"], &[carol]).await
}

/// As [`writer`], who may take rows out as files too.
pub async fn exporter<'e>(env: &'e TestEnv, target: &str) -> TestPerson<'e> {
    let (bob, carol) = (env.signed_in("bob").await, env.signed_in("carol").await);
    person_who(env, target, &["--write", "--export"], &[bob, carol]).await
}

async fn person_who<'e>(
    env: &'e TestEnv,
    target: &str,
    more: &[&str],
    approvers: &[TestPerson<'_>],
) -> TestPerson<'e> {
    let alice = env.signed_in("alice").await;
    let asking = ["request", target, "--schema", "public", "--reason", "tests", "--output", "json"];
    let asked = alice.run(&[&asking, more].concat());
    let asked = if asked.code == 4 { asked.exits(4) } else { asked.ok() };
    let id = asked.json()["request"]["id"].as_str().unwrap().to_owned();
    for approver in approvers {
        approver.run(&["approve", &id, "--yes"]).ok();
    }
    alice
}

/// The record, oldest first.
pub fn audit(person: &TestPerson<'_>) -> Vec<Value> {
    let rows = person.run(&["audit", "--limit", "100000", "--output", "json"]).ok().json();
    let mut rows = rows.as_array().unwrap().clone();
    rows.reverse();
    rows
}

/// As [`audit`], once every statement has an outcome.
pub async fn settled_audit(person: &TestPerson<'_>) -> Vec<Value> {
    eventually("every statement has its outcome", || {
        let rows = audit(person);
        rows.iter().all(|row| !row["result"].is_null()).then_some(rows)
    })
    .await
}

/// The record in one line a statement: `TEXT → ok INSERT 0 1, 1 row`.
pub async fn outcomes(person: &TestPerson<'_>) -> Vec<String> {
    settled_audit(person).await.iter().map(outcome).collect()
}

pub fn outcome(row: &Value) -> String {
    let result = &row["result"];
    let code = |kind: &str| result[kind]["sqlstate"].as_str().map(|code| format!("{kind} {code}"));
    let mut line = match result["ok"]["tag"].as_str() {
        Some(tag) => format!("ok {tag}"),
        None => code("error")
            .or_else(|| code("refused"))
            .or_else(|| code("cut"))
            .unwrap_or_else(|| result.as_str().unwrap_or("?").to_owned()),
    };
    match row["rows"].as_u64().unwrap() {
        0 => {}
        1 => line += ", 1 row",
        rows => line += &format!(", {rows} rows"),
    }
    format!("{} → {line}", row["text"].as_str().unwrap())
}
