//! Scratch PostgreSQL servers as tests use them: the demo's, which must start,
//! in every supported version.

use dbaccess::demo::postgres::{Cluster, newest_bin};
use dbaccess::server::config::Upstream;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio_postgres::Client;

/// The versions that dbaccess supports.
pub const MAJORS: [u32; 5] = [14, 15, 16, 17, 18];

pub struct PgServer(Cluster);

impl PgServer {
    /// A cluster run by the newest installed version, alone for the caller.
    pub async fn newest() -> Self {
        Self::start(&installed_bin(), &[]).await
    }

    /// A cluster run by the programs in `bin`, with settings as `name=value`.
    pub async fn start(bin: &Path, settings: &[&str]) -> Self {
        Self(Cluster::start(bin, settings).await.expect("PostgreSQL starts"))
    }

    /// The process's one cluster of a major version, for one test at a time.
    pub async fn exclusive(major: u32) -> MutexGuard<'static, Self> {
        static SHARED: [OnceCell<Mutex<PgServer>>; 5] = [const { OnceCell::const_new() }; 5];
        let index = MAJORS.iter().position(|known| *known == major).expect("a supported version");
        let start = async || Mutex::new(Self::start(&bin_of(major), &["log_statement=all"]).await);
        SHARED[index].get_or_init(start).await.lock().await
    }

    pub fn admin_upstream(&self, database: &str) -> Upstream {
        self.0.admin_upstream(database)
    }

    /// A connection as the superuser.
    pub async fn admin(&self, database: &str) -> Client {
        self.0.admin(database).await.expect("the administrator connects")
    }

    /// A streaming standby of this cluster, with settings as `name=value`.
    pub async fn standby(&mut self, settings: &[&str]) -> Self {
        Self(self.0.standby(settings).await.expect("the standby starts"))
    }

    /// Ends the server at once, as a crash would; the data stay.
    pub fn crash(&mut self) {
        self.0.crash().expect("the keeper listens");
    }

    /// Starts the server again and waits until it answers.
    pub async fn restart(&mut self) {
        self.0.restart().await.expect("PostgreSQL starts again");
    }
}

impl Deref for PgServer {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.0
    }
}

/// The newest version that is installed, else ours.
pub fn installed_bin() -> PathBuf {
    newest_bin().unwrap_or_else(|_| bin_of(18))
}

/// Makes a file readable for the server where that runs as another user.
pub fn give_to_server_user(path: &Path) {
    dbaccess::demo::postgres::give_to_server_user(path).expect("root may give files away");
}

/// The programs of one version, installed by `tests/tools/postgres.sh`.
pub fn bin_of(major: u32) -> PathBuf {
    let bin = super::tools::directory().join(format!("postgres/{major}/bin"));
    assert!(
        bin.join("postgres").exists(),
        "PostgreSQL {major} is missing in {}: run tests/run.sh, which installs what the tests need",
        bin.display()
    );
    bin
}

#[tokio::test]
async fn a_scratch_server_and_its_files_end_with_its_owner() {
    let mut server = PgServer::newest().await;
    let (port, directory) = (server.port(), server.directory().to_owned());
    server.crash();
    assert!(directory.join("data").exists(), "a crash keeps the data");
    server.restart().await;
    drop(server);
    assert!(!directory.exists());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
}
