//! A whole dbaccess for a test: a scratch database, the development identity
//! provider, the server as a process, and people who type real commands.

use super::pg_server::{PgServer, installed_bin};
use dbaccess::demo::identity::{Answer, DevIdp, DevPerson, Options, answer_without_browser};
use dbaccess::demo::pki::Pki;
use dbaccess::demo::site::Site;
use dbaccess::server::config::Upstream;
use dbaccess::server::provision::apply_setup;
use dbaccess::server::setup;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::net::TcpListener;

pub const BINARY: &str = env!("CARGO_BIN_EXE_dbaccess");
/// Budgets for tests that move more than a person should.
pub const UNLIMITED: &str = r#"
[budgets]
auto = { statement_rows = "unlimited", statement_bytes = "unlimited", session_rows = "unlimited", session_bytes = "unlimited" }
single = { statement_rows = "unlimited", statement_bytes = "unlimited", session_rows = "unlimited", session_bytes = "unlimited" }
dual = { statement_rows = "unlimited", statement_bytes = "unlimited", session_rows = "unlimited", session_bytes = "unlimited" }
"#;
/// Tests run statements for as long as they take, unless they say otherwise.
const PATIENT: &str = "[limits]\nstatement_timeout = \"15m\"\nidle_in_transaction = \"15m\"\n";
pub const GATEWAY_PASSWORD: &str = "gateway-login-for-tests";

/// What a test wants to be different.
pub struct Setting {
    /// Added at the end of the configuration.
    pub extra: String,
    /// Business hours are always, or never.
    pub open_hours: bool,
    pub native: bool,
    /// How long our own tokens last, as the configuration says it.
    pub token_lifetime: &'static str,
    /// More targets, in staging: the name, which is the database's too, and what
    /// its owner runs in it.
    pub databases: Vec<(&'static str, &'static str)>,
    /// Settings of the scratch database, as `name=value`.
    pub postgres: &'static [&'static str],
}

impl Default for Setting {
    fn default() -> Self {
        Self {
            extra: String::new(),
            open_hours: true,
            native: false,
            token_lifetime: "1h",
            databases: Vec::new(),
            postgres: &[],
        }
    }
}

pub struct TestEnv {
    pub pg: PgServer,
    pub idp: DevIdp,
    pub dir: TempDir,
    pub ca: PathBuf,
    pub url: String,
    pub port: u16,
    pub native_port: u16,
    pub server: Option<Server>,
}

/// The server's process and what it logs.
pub struct Server {
    pub child: Child,
    log: Arc<Mutex<String>>,
}

impl TestEnv {
    pub async fn start() -> Self {
        Self::with(Setting::default()).await
    }

    pub async fn with(setting: Setting) -> Self {
        let pg = PgServer::start(&installed_bin(), setting.postgres).await;
        let admin = pg.admin("postgres").await;
        admin.batch_execute("CREATE ROLE shop_owner NOLOGIN").await.unwrap();
        admin.batch_execute("CREATE DATABASE shop OWNER shop_owner").await.unwrap();
        let shop = pg.admin("shop").await;
        shop.batch_execute(include_str!("shop.sql")).await.unwrap();
        let mut upstream = pg.upstream("shop", "dbaccess", GATEWAY_PASSWORD);
        upstream.object_owner = Some("shop_owner".to_owned());
        upstream.ddl_owners = vec!["shop_owner".to_owned()];
        let params = setup::params(&upstream).unwrap();
        apply_setup(&pg.admin_upstream("shop"), &params).await.unwrap();

        let mut targets = String::new();
        for (name, sql) in &setting.databases {
            admin.batch_execute(&format!("CREATE DATABASE {name} OWNER shop_owner")).await.unwrap();
            let database = pg.admin(name).await;
            database.batch_execute(&format!("SET ROLE shop_owner; {sql}")).await.unwrap();
            let upstream = Upstream { database: (*name).to_owned(), ..upstream.clone() };
            apply_setup(&pg.admin_upstream(name), &setup::params(&upstream).unwrap()).await.unwrap();
            targets += &format!(
                "[targets.{name}]\nhost = \"127.0.0.1\"\nport = {port}\ndatabase = \"{name}\"\n\
                 user = \"dbaccess\"\npassword_env = \"TEST_GATEWAY_PASSWORD\"\ntls = \"off\"\n\
                 environment = \"staging\"\nowners = [\"shop\"]\nobject_owner = \"shop_owner\"\n",
                port = pg.port(),
            );
        }

        let dir = tempfile::tempdir().unwrap();
        let pki = Pki::new(dir.path()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tls = pki.server_config(&[b"http/1.1"]).unwrap();
        let people = vec![
            DevPerson::new("alice", &["eng-shop"]),
            DevPerson::new("bob", &["eng-shop"]),
            DevPerson::new("carol", &["eng-shop", "eng-leads", "eng-managers"]),
            DevPerson::new("dave", &["security"]),
            DevPerson::new("erin", &["eng-other"]),
        ];
        let idp = DevIdp::start(listener, tls, people, Options::default()).unwrap();
        let (port, native_port) = (free_port(), free_port());
        let url = format!("https://localhost:{port}");
        let callback = format!("{url}{}", dbaccess::server::web::CALLBACK);
        idp.change(|options| options.redirect_uris = vec![callback]);
        let data = dir.path().join("data");
        let site = Site {
            port,
            native_port: setting.native.then_some(native_port),
            data: &data,
            pki: &pki,
            issuer: idp.issuer(),
            token_lifetime: setting.token_lifetime,
            open_hours: setting.open_hours,
        };
        let config = format!(
            r#"{sections}
[teams.other]
groups = ["eng-other"]
[targets.prod-orders]
host = "127.0.0.1"
port = {pg_port}
database = "shop"
user = "dbaccess"
password_env = "TEST_GATEWAY_PASSWORD"
tls = "off"
environment = "production"
service = "orders"
owners = ["shop"]
object_owner = "shop_owner"
ddl_owners = ["shop_owner"]
service_roles = ["shop_app"]
classified = {{ "public.payments.card_number" = "pii", "public.customers.email" = "pii" }}

{targets}
{extra}
"#,
            sections = site.sections(),
            pg_port = pg.port(),
            extra = if setting.extra.contains("[limits]") {
                setting.extra
            } else {
                format!("{PATIENT}{}", setting.extra)
            },
        );
        std::fs::write(dir.path().join("server.toml"), config).unwrap();
        let mut env = Self { pg, idp, ca: pki.ca, dir, url, port, native_port, server: None };
        env.start_server().await;
        env
    }

    pub async fn start_server(&mut self) {
        self.server = Some(Server::start(&self.dir.path().join("server.toml")));
        self.eventually("the server answers", || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok().then_some(())
        })
        .await;
    }

    /// Ends the server as a crash would.
    pub fn kill_server(&mut self) {
        let mut server = self.server.take().expect("a running server");
        server.child.kill().unwrap();
        server.child.wait().unwrap();
        // Killed on purpose: what it logged is not a fault.
        server.log.lock().unwrap().clear();
    }

    pub fn person(&self, name: &'static str) -> TestPerson<'_> {
        let home = self.dir.path().join(name);
        for sub in ["config", "state", "run"] {
            let dir = home.join(sub);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        }
        TestPerson { env: self, name, home }
    }

    /// Signed in through the device flow, with the real command.
    pub async fn signed_in(&self, name: &'static str) -> TestPerson<'_> {
        let person = self.person(name);
        person.login().await;
        person
    }

    /// Waits for a condition, at most half a minute.
    pub async fn eventually<T>(&self, what: &str, condition: impl FnMut() -> Option<T>) -> T {
        eventually(what, condition).await
    }

    pub fn server_log(&self) -> String {
        self.server.as_ref().map(|server| server.log.lock().unwrap().clone()).unwrap_or_default()
    }

    pub fn ledger_dir(&self) -> PathBuf {
        self.dir.path().join("data/ledger")
    }

    /// All that is in the ledger, as its lines are.
    pub fn ledger_text(&self) -> String {
        let mut files: Vec<_> =
            std::fs::read_dir(self.ledger_dir()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
        files.sort();
        files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }

    /// Session roles that exist in the target now.
    pub async fn session_roles(&self) -> Vec<String> {
        let admin = self.pg.admin("postgres").await;
        let rows = admin
            .query("SELECT rolname FROM pg_roles WHERE rolname LIKE 'dbaccess\\_s\\_%'", &[])
            .await
            .unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// Waits for a condition, at most half a minute.
pub async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Server {
    fn start(config: &Path) -> Self {
        let mut child = Command::new(BINARY)
            .args(["server", "--config"])
            .arg(config)
            .env("TEST_GATEWAY_PASSWORD", GATEWAY_PASSWORD)
            .env("DBACCESS_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, into) = (child.stderr.take().expect("piped"), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                into.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Self { child, log }
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(&mut self) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
        self.child.wait().expect("the server ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("--- the server's log ---\n{}", self.log.lock().unwrap());
        }
    }
}

/// Somebody with a home of their own.
pub struct TestPerson<'e> {
    pub env: &'e TestEnv,
    pub name: &'static str,
    pub home: PathBuf,
}

/// What a command left.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        Self {
            code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl TestPerson<'_> {
    pub fn environment(&self) -> BTreeMap<String, String> {
        let home = |sub: &str| self.home.join(sub).display().to_string();
        BTreeMap::from([
            ("HOME".to_owned(), self.home.display().to_string()),
            ("XDG_CONFIG_HOME".to_owned(), home("config")),
            ("XDG_STATE_HOME".to_owned(), home("state")),
            ("XDG_RUNTIME_DIR".to_owned(), home("run")),
            ("DBACCESS_SERVER".to_owned(), self.env.url.clone()),
            ("DBACCESS_CA".to_owned(), self.env.ca.display().to_string()),
            ("PATH".to_owned(), std::env::var("PATH").unwrap_or_default()),
            ("LC_ALL".to_owned(), "C.UTF-8".to_owned()),
        ])
    }

    /// The command, ready to run, in an environment that is only this person's.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(args).env_clear().envs(self.environment()).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().expect("the command starts").into()
    }

    /// Starts a command that goes on by itself.
    pub fn spawn(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command starts")
    }

    pub async fn login(&self) {
        self.login_at(&self.env.url).await;
    }

    /// Signs in to the server by another of its addresses.
    pub async fn login_at(&self, url: &str) {
        let mut command = self.command(&["login", "--no-browser"]);
        command.env("DBACCESS_SERVER", url).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        let link = loop {
            let line = lines.next().unwrap_or_else(|| panic!("the login shows no link:\n{said}")).unwrap();
            said += &format!("{line}\n");
            let found =
                line.split_whitespace().find(|word| word.starts_with("https://") && word.contains("code="));
            if let Some(link) = found {
                break link.to_owned();
            }
        };
        let drained = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>().join("\n"));
        answer_without_browser(&self.env.ca, &link, Answer::ApproveAs(self.name)).await.unwrap();
        let status = child.wait().unwrap();
        let mut out = String::new();
        child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        assert!(status.success(), "{out}\n{}", drained.join().unwrap());
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
