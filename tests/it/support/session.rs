//! Sessions as tests need them: a grant, a `connect` that is running a
//! statement, and the proof that nothing of it is left.

use super::env::{Ran, TestEnv, TestPerson, eventually};
use serde_json::Value;
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// A statement that runs for as long as a test may last.
pub const ENDLESS: &str = "SELECT pg_sleep(600)";

impl TestPerson<'_> {
    /// Asks for tables, auto-approved; returns the grant's id.
    pub fn granted(&self, more: &[&str]) -> String {
        let mut args = vec!["request", "prod-orders", "--reason", "INC-1", "--output", "json"];
        args.extend(more);
        let asked = self.run(&args).ok().json();
        asked["grant"]["id"].as_str().unwrap_or_else(|| panic!("no grant: {asked}")).to_owned()
    }

    /// Asks for write on orders and has it approved by bob and carol.
    pub fn granted_write(&self, bob: &TestPerson<'_>, carol: &TestPerson<'_>) -> String {
        let args = [
            "request",
            "prod-orders",
            "--table",
            "orders",
            "--write",
            "--reason",
            "INC-2",
            "--output",
            "json",
        ];
        let asked = self.run(&args).exits(4).json();
        let id = asked["request"]["id"].as_str().unwrap().to_owned();
        bob.run(&["approve", &id, "--yes"]).ok();
        carol.run(&["approve", &id, "--yes"]).ok();
        let shown = self.run(&["show", &id, "--output", "json"]).ok().json();
        shown["grant"]["id"].as_str().unwrap_or_else(|| panic!("no grant: {shown}")).to_owned()
    }

    /// `connect` with more arguments, going on by itself.
    pub fn connect(&self, more: &[&str]) -> Running {
        let mut args = vec!["connect", "prod-orders"];
        args.extend(more);
        let mut command = self.command(&args);
        Running::of(
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts"),
        )
    }

    /// `connect`, running an endless statement in psql by now.
    pub async fn connect_endless(&self, more: &[&str]) -> Running {
        let before = self.env.active().await;
        let mut args = more.to_vec();
        args.extend(["--", "psql", "-Xc", ENDLESS]);
        let running = self.connect(&args);
        self.env.until("the statement runs", async || self.env.active().await > before).await;
        running
    }

    /// The session directories that this person's runs have left.
    pub fn session_files(&self) -> Vec<std::path::PathBuf> {
        let mut found = Vec::new();
        let mut places = vec![self.home.join("run")];
        while let Some(place) = places.pop() {
            for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with("ses-") {
                    found.push(entry.path());
                } else if entry.path().is_dir() {
                    places.push(entry.path());
                }
            }
        }
        found
    }

    /// This person's newest session, dead or alive.
    pub fn last_session(&self) -> Value {
        self.run(&["sessions", "--mine", "--all", "--output", "json"]).ok().json()[0].clone()
    }
}

impl TestEnv {
    /// Session roles' statements that run in the target now.
    pub async fn active(&self) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE usename LIKE 'dbaccess\\_s\\_%' AND state = 'active' AND query LIKE '%pg_sleep%'";
        self.pg.admin("postgres").await.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// Backends that belong to session roles, or to a role that is gone.
    pub async fn session_backends(&self) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity a WHERE backend_type = 'client backend'
                   AND (usename LIKE 'dbaccess\\_s\\_%' OR usename IS NULL)";
        self.pg.admin("postgres").await.query_one(sql, &[]).await.unwrap().get(0)
    }

    pub async fn until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let started = Instant::now();
        while !condition().await {
            assert!(started.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Nothing of any session is left in the target.
    pub async fn assert_clean(&self) {
        assert_eq!(self.session_roles().await, Vec::<String>::new());
        assert_eq!(self.session_backends().await, 0, "backends without a session");
    }

    /// The records of the ledger, verified by the command.
    pub fn ledger(&self) -> Vec<Value> {
        let dir = self.ledger_dir();
        let verified: Ran = self.person("auditor").run(&["ledger", "verify", &dir.display().to_string()]);
        verified.ok();
        let mut segments: Vec<_> = std::fs::read_dir(&dir)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .collect();
        segments.sort();
        let lines = segments.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect::<String>();
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A command that goes on by itself; what it says is collected meanwhile.
pub struct Running {
    pub child: Child,
    out: std::sync::Arc<std::sync::Mutex<String>>,
    err: std::sync::Arc<std::sync::Mutex<String>>,
    readers: Vec<std::thread::JoinHandle<()>>,
}

impl Running {
    /// A command whose output is piped.
    pub fn of(mut child: Child) -> Self {
        let mut readers = Vec::new();
        let mut collect = |mut from: Box<dyn std::io::Read + Send>| {
            let into = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
            let shared = std::sync::Arc::clone(&into);
            readers.push(std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(n @ 1..) = from.read(&mut buffer) {
                    shared.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..n]));
                }
            }));
            into
        };
        let out = collect(Box::new(child.stdout.take().unwrap()));
        let err = collect(Box::new(child.stderr.take().unwrap()));
        Self { child, out, err, readers }
    }

    pub fn out(&self) -> String {
        self.out.lock().unwrap().clone()
    }

    pub fn err(&self) -> String {
        self.err.lock().unwrap().clone()
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal)
            .expect("it runs");
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ran {
        let status = eventually("the command ends", || self.child.try_wait().unwrap()).await;
        for reader in self.readers.drain(..) {
            reader.join().unwrap();
        }
        let (stdout, stderr) = (self.out().into_bytes(), self.err().into_bytes());
        std::process::Output { status, stdout, stderr }.into()
    }

    /// The id of the session that the greeting names.
    pub async fn session(&self) -> String {
        eventually("the session's greeting", || {
            let err = self.err();
            let at = err.find("session ses-")? + "session ".len();
            err.get(at..)?.split([' ', ':']).next().map(str::to_owned)
        })
        .await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
