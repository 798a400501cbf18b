//! All that is compared, running at once: PostgreSQL with synced commits,
//! pgbouncer with and without TLS, the relay, and dbaccess with two sessions
//! each way, one that reads and one that writes.

use super::masks;
use super::place::{Place, Way};
use super::records;
use super::relay;
use super::support::env::{Setting, TestEnv, TestPerson, UNLIMITED, eventually};
use super::support::pg_server::{give_to_server_user, installed_bin};
use dbaccess::demo::pki::Pki;
use dbaccess::demo::postgres::as_server_user;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use tempfile::TempDir;

pub const TARGET: &str = "prod-orders";
pub const SCALE: u32 = 10;
/// What is read: `SCALE` hundred thousand rows.
pub const ACCOUNTS: u64 = SCALE as u64 * 100_000;
pub const TABLES: [&str; 4] = ["pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history"];
const PASSWORD: &str = "benchmark";
const POSTGRES: &[&str] = &[
    "fsync=on",
    "full_page_writes=on",
    "synchronous_commit=on",
    "shared_buffers=512MB",
    "max_connections=1100",
    "max_wal_size=4GB",
    "autovacuum=off",
];
const LIMITS: &str = "[limits]\nstatement_timeout = \"15m\"\nidle_in_transaction = \"15m\"\nconnections_per_session = 1000\nsessions_per_person = 100\nwaiting_requests_per_person = 100\n";

pub struct World {
    /// The processes of `dbaccess connect`, tunnel first. They end before their server.
    held: Vec<Held>,
    pub env: TestEnv,
    pub bin: PathBuf,
    reads: BTreeMap<Way, Place>,
    writes: BTreeMap<Way, Place>,
    bouncers: [Bouncer; 2],
}

impl World {
    pub async fn start() -> Self {
        eprintln!("starting PostgreSQL, pgbouncer and dbaccess, and filling {ACCOUNTS} accounts");
        let bin = installed_bin();
        let mut env = serve("").await;
        fill(&env, &bin).await;
        let more = [masks::prepare(&env).await, records::prepare(&env)].concat();
        let config = env.dir.path().join("server.toml");
        let text = std::fs::read_to_string(&config).expect("a configuration");
        std::fs::write(&config, format!("{text}\n{more}")).expect("a configuration");
        env.server.take().expect("a running server").stop();
        env.start_server().await;

        // The same certificate for all, as `TestEnv` has made it.
        let file = |name: &str| env.dir.path().join(name);
        let pki = Pki { ca: env.ca.clone(), certificate: file("server.pem"), key: file("server.key") };
        let direct = Place {
            host: "127.0.0.1".to_owned(),
            port: env.pg.port(),
            user: "bench".to_owned(),
            password: PASSWORD.to_owned(),
            database: "shop".to_owned(),
            tls: None,
        };
        let bouncers = [Bouncer::start(&direct, None).await, Bouncer::start(&direct, Some(&pki)).await];
        let behind = |port, encrypted: bool| Place {
            host: "localhost".to_owned(),
            port,
            tls: encrypted.then(|| pki.ca.clone()),
            ..direct.clone()
        };
        let mut reads = BTreeMap::from([
            (Way::Direct, direct.clone()),
            (Way::Pgbouncer, behind(bouncers[0].port, false)),
            (Way::PgbouncerTls, behind(bouncers[1].port, true)),
            (Way::Relay, behind(relay::start(&pki, direct.port).await, true)),
        ]);
        let mut writes = reads.clone();
        let alice = env.signed_in("alice").await;
        let read = grant(&alice, &[]);
        let write = grant(&alice, &["--write"]);
        for (name, role) in [("bob", "peer"), ("carol", "lead")] {
            let approver = env.signed_in(name).await;
            eprintln!("{name} approves as {role}");
            approver.run(&["approve", &write, "--yes"]).ok();
        }
        let mut held = Vec::new();
        for (grant, places) in [(&read, &mut reads), (&write, &mut writes)] {
            for (way, flag) in [(Way::Tunnel, None), (Way::Native, Some("--native"))] {
                let session = Held::open(&alice, TARGET, grant_of(&alice, grant).as_str(), flag);
                places.insert(way, session.place.clone());
                held.push(session);
            }
        }
        Self { held, env, bin, reads, writes, bouncers }
    }

    pub fn reads(&self, way: Way) -> &Place {
        &self.reads[&way]
    }

    pub fn writes(&self, way: Way) -> &Place {
        &self.writes[&way]
    }

    pub fn server_pid(&self) -> u32 {
        self.env.server.as_ref().expect("a running server").child.id()
    }

    /// The process whose memory a connection by this way takes.
    pub fn pid(&self, way: Way) -> Option<u32> {
        match way {
            Way::Direct | Way::Relay => None,
            Way::Pgbouncer => Some(self.bouncers[0].child.id()),
            Way::PgbouncerTls => Some(self.bouncers[1].child.id()),
            Way::Native => Some(self.server_pid()),
            Way::Tunnel => self.held.first().map(|held| held.child.id()),
        }
    }
}

/// A server with a database of its own, and more in its configuration.
pub async fn serve(more: &str) -> TestEnv {
    let setting = Setting {
        extra: format!("{LIMITS}{UNLIMITED}{more}"),
        native: true,
        postgres: POSTGRES,
        ..Setting::default()
    };
    TestEnv::with(setting).await
}

/// The configuration of another target in the same database, in staging.
pub fn target(env: &TestEnv, name: &str) -> String {
    format!(
        "[targets.{name}]\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"shop\"\nuser = \"dbaccess\"\n\
         password_env = \"TEST_GATEWAY_PASSWORD\"\ntls = \"off\"\nenvironment = \"staging\"\n\
         owners = [\"shop\"]\n",
        env.pg.port(),
    )
}

pub async fn fill(env: &TestEnv, bin: &Path) {
    let mut admin = env.pg.admin_upstream("shop");
    let place = Place {
        host: admin.host.clone(),
        port: admin.port,
        user: admin.user.clone(),
        password: admin.password.take().expect("a password").expose().to_owned(),
        database: admin.database.clone(),
        tls: None,
    };
    let mut fill = place.command(&bin.join("pgbench").display().to_string());
    let output = fill
        .env("PGOPTIONS", "-c role=shop_owner")
        .args(["--initialize", "--quiet", "--scale", &SCALE.to_string()])
        .output()
        .expect("pgbench starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let shop = env.pg.admin("shop").await;
    let tables = TABLES.join(", ");
    shop.batch_execute(&format!(
        "CREATE ROLE bench LOGIN PASSWORD '{PASSWORD}';
         GRANT SELECT, INSERT, UPDATE ON {tables} TO bench;
         CHECKPOINT;"
    ))
    .await
    .expect("a role");
}

/// Asks for the tables; returns the request's id.
pub fn grant(person: &TestPerson<'_>, extra: &[&str]) -> String {
    let mut words = vec!["request", TARGET, "--reason", "benchmark", "--output", "json"];
    for table in TABLES {
        words.extend(["--table", table]);
    }
    words.extend(extra);
    let asked = person.run(&words);
    assert!([0, 4].contains(&asked.code), "{asked:?}");
    asked.json()["request"]["id"].as_str().expect("an id").to_owned()
}

/// The grant that a request became.
pub fn grant_of(person: &TestPerson<'_>, request: &str) -> String {
    let shown = person.run(&["show", request, "--output", "json"]).ok().json();
    shown["request"]["grant"]
        .as_str()
        .or(shown["grant"]["id"].as_str())
        .unwrap_or_else(|| panic!("{shown}"))
        .to_owned()
}

/// A session that stays open.
pub struct Held {
    child: Child,
    place: Place,
}

impl Held {
    pub fn open(person: &TestPerson<'_>, target: &str, grant: &str, flag: Option<&str>) -> Self {
        let mut command = person.command(&["connect", target, "--grant", grant]);
        command.args(flag).args(["--", "sh", "-c", "env; echo; read -r _"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("dbaccess starts");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let variables = lines
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())))
            .collect();
        Self { place: Place::from_environment(&variables), child }
    }

    /// A session that reads tables, on the person's word alone.
    pub fn reading(person: &TestPerson<'_>, target: &str, tables: &[&str], flag: Option<&str>) -> Self {
        let mut words = vec!["request", target, "--reason", "benchmark", "--output", "json"];
        tables.iter().for_each(|table| words.extend(["--table", table]));
        let asked = person.run(&words).ok().json();
        let grant = grant_of(person, asked["request"]["id"].as_str().expect("an id"));
        Self::open(person, target, &grant, flag)
    }

    pub fn place(&self) -> Place {
        self.place.clone()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        drop(self.child.wait());
    }
}

/// A pgbouncer in session pooling, with its files in a directory of its own.
struct Bouncer {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Bouncer {
    async fn start(direct: &Place, pki: Option<&Pki>) -> Self {
        let dir = TempDir::with_prefix_in("dbaccess-bouncer-", "/tmp").expect("a scratch directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let tls = match pki {
            None => "client_tls_sslmode = disable".to_owned(),
            Some(pki) => {
                std::fs::copy(&pki.certificate, at("server.pem")).expect("a copy");
                std::fs::copy(&pki.key, at("server.key")).expect("a copy");
                format!(
                    "client_tls_sslmode = require\nclient_tls_cert_file = {}\nclient_tls_key_file = {}",
                    at("server.pem"),
                    at("server.key")
                )
            }
        };
        let Place { host, port: upstream, database, user, password, .. } = direct;
        let config = format!(
            "[databases]\n{database} = host={host} port={upstream} dbname={database}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = scram-sha-256\nauth_file = {}\npool_mode = session\nlogfile = {}\n\
             max_client_conn = 2000\ndefault_pool_size = 1000\n{tls}\n",
            at("users.txt"),
            at("log"),
        );
        std::fs::write(at("pgbouncer.ini"), config).expect("a scratch directory");
        std::fs::write(at("users.txt"), format!("\"{user}\" \"{password}\"\n")).expect("a scratch directory");
        give_to_server_user(dir.path());
        for entry in dir.path().read_dir().expect("a directory") {
            give_to_server_user(&entry.expect("a file").path());
        }
        let program = ["/usr/sbin/pgbouncer", "/usr/local/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer"];
        let program = program.into_iter().find(|path| Path::new(path).exists()).unwrap_or("pgbouncer");
        let child = as_server_user(Path::new(program))
            .expect("a user to run as")
            .args(["--quiet", &at("pgbouncer.ini")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pgbouncer starts: tests/bench/run.sh installs it");
        eventually("pgbouncer answers", || std::net::TcpStream::connect(("127.0.0.1", port)).ok()).await;
        Self { child, port, _dir: dir }
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
