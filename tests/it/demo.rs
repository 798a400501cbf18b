//! `dbaccess demo` as a person runs it: its story holds, and nothing is left of it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A running demo. Its environment carries a mark, which all its processes inherit.
struct Demo {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    temporary: TempDir,
    mark: String,
    said: String,
}

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let temporary = TempDir::with_prefix("dbaccess-demo-test-").unwrap();
        let mark = format!("DBACCESS_TEST_MARK={}", temporary.path().display());
        let mut command = Command::new(env!("CARGO_BIN_EXE_dbaccess"));
        command
            .arg("demo")
            .args(arguments)
            .env("TMPDIR", temporary.path())
            .env("DBACCESS_TEST_MARK", temporary.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines, temporary, mark, said: String::new() }
    }

    /// Reads on until a line has the text.
    fn until(&mut self, text: &str) {
        for line in self.lines.by_ref() {
            let line = line.unwrap();
            self.said.push_str(&line);
            self.said.push('\n');
            if line.contains(text) {
                return;
            }
        }
        panic!("it never said `{text}`:\n{}", self.said);
    }

    /// The command lines of its processes.
    fn processes(&self) -> Vec<String> {
        // With the environment behind the command: BSD's option letters, on Linux too.
        let letters = if cfg!(target_os = "macos") { "axEww" } else { "axeww" };
        let output = Command::new("ps").args([letters, "-o", "command"]).output().unwrap();
        let all = String::from_utf8_lossy(&output.stdout).into_owned();
        all.lines().filter(|line| line.contains(&self.mark)).map(str::to_owned).collect()
    }

    /// Where its PostgreSQL has its files.
    fn postgres_directory(&self) -> PathBuf {
        let processes = self.processes();
        let keeper = processes.iter().find_map(|line| line.split_once("keeper /tmp/dbaccess-pg-"));
        let (_, rest) = keeper.unwrap_or_else(|| panic!("no keeper among {processes:#?}"));
        PathBuf::from(format!("/tmp/dbaccess-pg-{}", rest.split(' ').next().unwrap()))
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Reads the rest, waits for its end, and sees that nothing is left.
    fn ends_cleanly(mut self, postgres: &Path) -> (bool, String) {
        for line in self.lines.by_ref() {
            self.said.push_str(&line.unwrap());
            self.said.push('\n');
        }
        let status = self.child.wait().unwrap();
        let started = Instant::now();
        // What was killed may take a moment to be gone.
        while !self.processes().is_empty() {
            assert!(started.elapsed() < Duration::from_secs(10), "left: {:#?}", self.processes());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!postgres.exists(), "left: {}", postgres.display());
        let left: Vec<_> = std::fs::read_dir(self.temporary.path()).unwrap().flatten().collect();
        assert!(left.is_empty(), "left: {left:?}");
        (status.success(), self.said)
    }
}

#[test]
fn the_story_holds_and_leaves_nothing() {
    let mut demo = Demo::start(&["--once"]);
    demo.until("Ready after");
    let postgres = demo.postgres_directory();
    assert!(postgres.join("data").exists());
    let (success, said) = demo.ends_cleanly(&postgres);
    assert!(success, "{said}");
    assert!(said.contains("claims of the story held") && !said.contains('✗'), "{said}");
    assert!(!said.contains('\u{1b}'), "colour in a pipe");
    let widest = said.lines().filter(|line| !line.contains('/')).map(|line| line.chars().count()).max();
    assert!(widest <= Some(82), "{widest:?} columns:\n{said}");
}

#[test]
fn a_signal_in_mid_story_leaves_nothing() {
    let moments = [
        ("INT", "a scratch PostgreSQL"),
        ("HUP", "alice$ dbaccess targets"),
        ("TERM", "It runs, in PostgreSQL"),
    ];
    for (signal, moment) in moments {
        let mut demo = Demo::start(&["--once"]);
        demo.until(moment);
        let postgres = demo.postgres_directory();
        demo.signal(signal);
        let (success, said) = demo.ends_cleanly(&postgres);
        assert!(!success, "{signal}: {said}");
    }
}

/// Presses a button of the incident's page, and reads what it shows then.
fn press(site: &str, button: &str) -> String {
    dbaccess::tls::install_provider();
    let asked = async {
        let post = reqwest::Client::new().post(site).body(format!("it={button}"));
        post.header("content-type", "application/x-www-form-urlencoded").send().await?.text().await
    };
    tokio::runtime::Runtime::new().unwrap().block_on(asked).unwrap()
}

#[test]
fn it_stays_until_a_signal_and_people_can_be_played() {
    let mut demo = Demo::start(&["--no-story"]);
    demo.until("its log:");
    let postgres = demo.postgres_directory();
    let line = demo.said.lines().find(|line| line.contains("source ")).unwrap();
    let file = line.trim().trim_start_matches("source ");
    let output =
        Command::new("/bin/sh").args(["-c", ". \"$1\" && dbaccess whoami", "sh", file]).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "nobody is signed in yet: {output:?}");
    let site = demo.said.split_whitespace().find(|word| word.ends_with("/site/Q7.")).unwrap();
    let pressed = press(site.trim_end_matches('.'), "is-resolved");
    assert!(pressed.contains("PD-Q7 is <strong>resolved</strong>"), "{pressed}");
    demo.signal("TERM");
    let (success, said) = demo.ends_cleanly(&postgres);
    assert!(success, "{said}");
}
