//! Scratch PostgreSQL servers: a cluster of their own in a temporary
//! directory, on a Unix socket and a free loopback port, gone with the process
//! that started them however that ends. For the demo and the tests.

use crate::core::model::Secret;
use crate::server::config::{Address, Upstream, UpstreamTls};
use anyhow::{Context as _, Result, bail};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio_postgres::{Client, NoTls};

/// The superuser of every scratch cluster.
pub const ADMIN: &str = "postgres";

/// Runs the server, and ends it when standard input does: so a process that
/// was killed leaves no server behind. A line stops it and keeps the data.
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

/// Reached only when something is broken.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A cluster. Dropping it stops the server and removes its files.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    bin: PathBuf,
    port: u16,
    password: Secret,
    settings: Vec<String>,
    keeper: Option<Child>,
}

impl Cluster {
    /// A cluster run by the programs in `bin`, with settings as `name=value`.
    /// It answers when this returns.
    ///
    /// Cancel-safety: dropping the future removes what was made.
    pub async fn start(bin: &Path, settings: &[&str]) -> Result<Self> {
        let mut cluster = Self {
            directory: scratch_directory()?,
            bin: bin.to_owned(),
            port: free_port()?,
            password: Secret::from_random(crate::os::random()),
            settings: settings.iter().map(ToString::to_string).collect(),
            keeper: None,
        };
        cluster.initdb().await?;
        cluster.restart().await?;
        Ok(cluster)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn directory(&self) -> &Path {
        &self.directory
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
            ddl_owners: Vec::new(),
            primary: None,
        }
    }

    /// The same for a standby, whose primary is `primary`.
    pub fn standby_upstream(&self, primary: &Self, database: &str, user: &str, password: &str) -> Upstream {
        let primary = Address { host: "127.0.0.1".to_owned(), port: primary.port };
        Upstream { primary: Some(primary), ..self.upstream(database, user, password) }
    }

    pub fn admin_upstream(&self, database: &str) -> Upstream {
        self.upstream(database, ADMIN, self.password.expose())
    }

    /// A connection as the superuser.
    pub async fn admin(&self, database: &str) -> Result<Client, tokio_postgres::Error> {
        self.connect(database, ADMIN, self.password.expose()).await
    }

    /// A connection over TCP.
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

    /// A streaming standby of this cluster, with `settings` of its own. The
    /// server stops for as long as its files are copied, which needs no
    /// `pg_basebackup`: not every installation has it.
    pub async fn standby(&mut self, settings: &[&str]) -> Result<Self> {
        self.crash()?;
        let directory = scratch_directory()?;
        let socket = self.directory.display();
        let conninfo = format!(
            "primary_conninfo=host={socket} port={} user={ADMIN} application_name=standby",
            self.port
        );
        let mut standby = Self {
            bin: self.bin.clone(),
            port: free_port()?,
            password: self.password.clone(),
            settings: settings.iter().map(ToString::to_string).chain([conninfo]).collect(),
            keeper: None,
            directory,
        };
        let data = standby.directory.join("data");
        let mut copy = as_server_user(Path::new("cp"))?;
        copy.arg("-a").arg(self.directory.join("data")).arg(&data);
        let copied = tokio::process::Command::from(copy).status().await.context("cannot run cp")?;
        if !copied.success() {
            bail!("the cluster's files could not be copied");
        }
        let signal = data.join("standby.signal");
        std::fs::write(&signal, "")?;
        give_to_server_user(&signal)?;
        self.restart().await?;
        standby.restart().await?;
        Ok(standby)
    }

    /// Ends the server at once, as a crash would; the data stay.
    pub fn crash(&mut self) -> io::Result<()> {
        let Some(mut keeper) = self.keeper.take() else { return Ok(()) };
        if let Some(mut orders) = keeper.stdin.take() {
            orders.write_all(b"keep\n")?;
        }
        keeper.wait().map(drop)
    }

    /// Starts the server, again after [`Self::crash`], and waits until it answers.
    pub async fn restart(&mut self) -> Result<()> {
        let mut command = as_server_user(Path::new("/bin/sh"))?;
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
        // A group of its own: Ctrl-C on the terminal is for us, and we still need the server to tidy up.
        command.process_group(0).stdin(Stdio::piped());
        self.keeper = Some(command.spawn().context("cannot run /bin/sh")?);
        let started = Instant::now();
        while let Err(error) = self.admin("postgres").await {
            if started.elapsed() > START_LIMIT {
                bail!("PostgreSQL does not start: {error}\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn initdb(&self) -> Result<()> {
        let password_file = self.directory.join("password");
        std::fs::write(&password_file, self.password.expose())?;
        give_to_server_user(&password_file)?;
        let mut command = as_server_user(&self.bin.join("initdb"))?;
        command
            .arg("-D")
            .arg(self.directory.join("data"))
            .args(["-U", ADMIN, "--no-sync", "--encoding=UTF8", "--locale=C"])
            .args(["--auth-local=trust", "--auth-host=scram-sha-256"])
            .arg(format!("--pwfile={}", password_file.display()));
        let mut command = tokio::process::Command::from(command);
        let output = command.kill_on_drop(true).output().await.context("cannot run initdb")?;
        std::fs::remove_file(&password_file)?;
        if !output.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut keeper) = self.keeper.take() {
            drop(keeper.stdin.take());
            drop(keeper.wait());
        }
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// The directory with `initdb` and `postgres`: the newest version where
/// packages put it (Debian, Homebrew), else what is on `PATH`.
pub fn newest_bin() -> Result<PathBuf> {
    let packaged = [
        ("/usr/lib/postgresql", ""),
        ("/opt/homebrew/opt", "postgresql@"),
        ("/usr/local/opt", "postgresql@"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql@"),
    ];
    let mut versions: Vec<(u32, PathBuf)> = packaged
        .into_iter()
        .flat_map(|(directory, prefix)| {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            entries.filter_map(move |entry| {
                let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
                Some((version, entry.path().join("bin")))
            })
        })
        .collect();
    versions.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates = versions.into_iter().map(|(_, bin)| bin).chain(std::env::split_paths(&path));
    candidates.find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists()).context(
        "PostgreSQL's server programs (initdb, postgres) are not installed: \
         `sudo apt install postgresql` on Debian and Ubuntu, `brew install postgresql@17` on macOS",
    )
}

/// A port that is free now. Whoever takes it meanwhile makes the start fail loudly.
pub fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// A short path: a Unix socket's may have 103 bytes.
fn scratch_directory() -> Result<PathBuf> {
    let directory = tempfile::TempDir::with_prefix_in("dbaccess-pg-", "/tmp")
        .context("cannot make a directory in /tmp")?;
    give_to_server_user(directory.path())?;
    Ok(directory.keep())
}

/// PostgreSQL refuses to run as root: then it runs as `postgres`, else `nobody`.
fn server_user() -> Result<Option<(u32, u32)>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let passwd = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    let entry = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let user = entry("postgres").or_else(|| entry("nobody"));
    user.map(Some).context("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")
}

/// A command that runs as the user whom PostgreSQL accepts.
pub fn as_server_user(program: &Path) -> Result<Command> {
    let mut command = Command::new(program);
    // Where it may stand: the caller's own directory may be closed to it.
    command.current_dir("/tmp");
    if let Some((uid, gid)) = server_user()? {
        command.uid(uid).gid(gid);
    }
    Ok(command)
}

/// Makes a file readable for the server where that runs as another user.
pub fn give_to_server_user(path: &Path) -> Result<()> {
    if let Some((uid, gid)) = server_user()? {
        std::os::unix::fs::chown(path, Some(uid), Some(gid))
            .with_context(|| format!("cannot give {} to PostgreSQL's user", path.display()))?;
    }
    Ok(())
}
