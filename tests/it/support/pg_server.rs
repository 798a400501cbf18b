//! Scratch PostgreSQL servers: a cluster of their own in a temporary directory,
//! on a Unix socket and a free loopback port, gone with the test process
//! however that ends.

use dbaccess::core::model::Secret;
use dbaccess::server::config::{Upstream, UpstreamTls};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio_postgres::{Client, NoTls};

/// The versions that dbaccess supports.
pub const MAJORS: [u32; 5] = [14, 15, 16, 17, 18];

/// The superuser of every scratch cluster, and its password over TCP. Over the
/// Unix socket it needs none.
pub const ADMIN: &str = "postgres";
pub const ADMIN_PASSWORD: &str = "scratch-administrator";

/// Runs the server, and ends it when standard input does: so a test process
/// that was killed leaves no server behind. A line stops it and keeps the data.
const KEEPER: &str = r#"
dir=$1
shift
"$@" </dev/null >>"$dir/log" 2>&1 &
server=$!
if read -r _; then keep=1; else keep=; fi
kill -QUIT $server
wait $server
[ -n "$keep" ] || rm -rf "$dir"
"#;

pub struct PgServer {
    directory: PathBuf,
    bin: PathBuf,
    port: u16,
    settings: Vec<String>,
    keeper: Option<Child>,
}

impl PgServer {
    /// A cluster run by the newest installed version, alone for the caller.
    pub async fn newest() -> Self {
        Self::start(&newest_bin(), &[]).await
    }

    /// A cluster run by the programs in `bin`, with settings as `name=value`.
    pub async fn start(bin: &Path, settings: &[&str]) -> Self {
        let directory = scratch_directory();
        initdb(bin, &directory);
        let settings = settings.iter().map(ToString::to_string).collect();
        let mut server = Self { directory, bin: bin.to_owned(), port: free_port(), settings, keeper: None };
        server.restart().await;
        server
    }

    /// The process's one cluster of a major version, for one test at a time.
    pub async fn exclusive(major: u32) -> MutexGuard<'static, Self> {
        static SHARED: [OnceCell<Mutex<PgServer>>; 5] = [const { OnceCell::const_new() }; 5];
        let index = MAJORS.iter().position(|known| *known == major).expect("a supported version");
        let start = async || Mutex::new(Self::start(&bin_of(major), &["log_statement=all"]).await);
        SHARED[index].get_or_init(start).await.lock().await
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the server has logged, statements included where they are logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.directory.join("log")).unwrap_or_default()).into_owned()
    }

    /// Over TCP with a password, as dbaccess reaches its targets.
    pub fn upstream(&self, database: &str, user: &str, password: &str) -> Upstream {
        Upstream {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            database: database.to_owned(),
            user: user.to_owned(),
            password: Some(Secret::new(password)),
            tls: UpstreamTls::Off,
            object_owner: None,
        }
    }

    pub fn admin_upstream(&self, database: &str) -> Upstream {
        self.upstream(database, ADMIN, ADMIN_PASSWORD)
    }

    /// A connection as the superuser.
    pub async fn admin(&self, database: &str) -> Client {
        self.connect(database, ADMIN, ADMIN_PASSWORD).await.expect("the administrator connects")
    }

    /// A connection over TCP. Errors are the test's to judge.
    pub async fn connect(
        &self,
        database: &str,
        user: &str,
        password: &str,
    ) -> Result<Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(self.port).dbname(database).user(user).password(password);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Ends the server at once, as a crash would; the data stay.
    pub fn crash(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            keeper.stdin.take().expect("a pipe").write_all(b"keep\n").expect("the keeper listens");
            keeper.wait().expect("the keeper ends");
        }
    }

    /// Starts the server, again after [`Self::crash`], and waits until it answers.
    pub async fn restart(&mut self) {
        let mut command = as_server_user(Path::new("/bin/sh"));
        command.args(["-c", KEEPER, "keeper"]).arg(&self.directory).arg(self.bin.join("postgres"));
        command.arg("-D").arg(self.directory.join("data"));
        let fixed = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("unix_socket_directories={}", self.directory.display()),
            "fsync=off".to_owned(),
            "full_page_writes=off".to_owned(),
            "max_connections=200".to_owned(),
            "shared_buffers=32MB".to_owned(),
        ];
        for setting in fixed.iter().chain(&self.settings) {
            command.args(["-c", setting]);
        }
        self.keeper = Some(command.stdin(Stdio::piped()).spawn().expect("sh starts"));
        let started = Instant::now();
        while let Err(error) = self.connect("postgres", ADMIN, ADMIN_PASSWORD).await {
            assert!(started.elapsed() < Duration::from_secs(60), "{error}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for PgServer {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            drop(keeper.wait());
        }
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// The programs of one version, installed by `tests/tools/postgres.sh`.
pub fn bin_of(major: u32) -> PathBuf {
    let tools = std::env::var_os("DBACCESS_TEST_TOOLS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools"), PathBuf::from);
    let bin = tools.join(format!("postgres/{major}/bin"));
    assert!(
        bin.join("postgres").exists(),
        "PostgreSQL {major} is missing in {}: run tests/run.sh, which installs what the tests need",
        bin.display()
    );
    bin
}

/// The newest version in Debian's place, else the one on `PATH`, else ours.
pub fn newest_bin() -> PathBuf {
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed.map(|entry| entry.path()).max_by_key(version).map(|path| path.join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = newest.into_iter().chain(std::env::split_paths(&path));
    candidates
        .find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
        .unwrap_or_else(|| bin_of(18))
}

fn initdb(bin: &Path, directory: &Path) {
    let password_file = directory.join("password");
    std::fs::write(&password_file, ADMIN_PASSWORD).expect("the scratch directory is writable");
    give_to_server_user(&password_file);
    let output = as_server_user(&bin.join("initdb"))
        .arg("-D")
        .arg(directory.join("data"))
        .args(["-U", ADMIN, "--no-sync", "--encoding=UTF8", "--locale=C"])
        .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
        .arg(format!("--pwfile={}", password_file.display()))
        .output()
        .expect("initdb starts");
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

/// A short path: a Unix socket's may have 107 bytes.
fn scratch_directory() -> PathBuf {
    let directory = TempDir::with_prefix_in("dbaccess-pg-", "/tmp").expect("a temporary directory").keep();
    give_to_server_user(&directory);
    directory
}

/// A port that is free now. Whoever takes it meanwhile makes the start fail loudly.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a loopback port");
    listener.local_addr().expect("bound").port()
}

/// PostgreSQL refuses to run as root: then it runs as `postgres`, else `nobody`.
fn server_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let entry = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Some(entry("postgres").or_else(|| entry("nobody")).expect("a user `postgres` or `nobody`"))
}

pub fn as_server_user(program: &Path) -> Command {
    let mut command = Command::new(program);
    // Where it may stand: the tests' own directory may be closed to it.
    command.current_dir("/tmp");
    if let Some((uid, gid)) = server_user() {
        command.uid(uid).gid(gid);
    }
    command
}

/// Lets the server read a file that a test wrote for it.
pub fn give_to_server_user(path: &Path) {
    if let Some((uid, gid)) = server_user() {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).expect("root may give files away");
    }
}

#[tokio::test]
async fn a_scratch_server_and_its_files_end_with_its_owner() {
    let mut server = PgServer::newest().await;
    let (port, directory) = (server.port(), server.directory.clone());
    server.crash();
    assert!(directory.join("data").exists(), "a crash keeps the data");
    server.restart().await;
    drop(server);
    assert!(!directory.exists());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}
