//! Where a client connects: the ways that are compared.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    Direct,
    Pgbouncer,
    PgbouncerTls,
    /// TLS ended, bytes copied, nothing looked at.
    Relay,
    /// dbaccess, one hop: its own PostgreSQL endpoint.
    Native,
    /// dbaccess, the whole path: through `dbaccess connect`.
    Tunnel,
}

pub const WAYS: [Way; 6] =
    [Way::Direct, Way::Pgbouncer, Way::PgbouncerTls, Way::Relay, Way::Native, Way::Tunnel];

impl Way {
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Pgbouncer => "pgbouncer",
            Self::PgbouncerTls => "pgbouncer, TLS",
            Self::Relay => "raw TLS relay",
            Self::Native => "dbaccess, one hop",
            Self::Tunnel => "dbaccess, whole path",
        }
    }
}

/// What libpq needs, by its environment.
#[derive(Clone, Debug)]
pub struct Place {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: String,
    pub database: String,
    /// The certificate authority, where the way is encrypted.
    pub tls: Option<PathBuf>,
}

impl Place {
    /// From the environment that `dbaccess connect` gives its command.
    pub fn from_environment(variables: &BTreeMap<String, String>) -> Self {
        let text = |name: &str| variables.get(name).unwrap_or_else(|| panic!("no {name}")).clone();
        Self {
            host: text("PGHOST"),
            port: text("PGPORT").parse().expect("a port"),
            user: text("PGUSER"),
            password: text("PGPASSWORD"),
            database: text("PGDATABASE"),
            tls: variables.get("PGSSLROOTCERT").map(PathBuf::from),
        }
    }

    /// A program of PostgreSQL's that connects here.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let mode = if self.tls.is_some() { "verify-full" } else { "disable" };
        command
            .env("PGHOST", &self.host)
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", &self.user)
            .env("PGPASSWORD", &self.password)
            .env("PGDATABASE", &self.database)
            .env("PGGSSENCMODE", "disable")
            .env("PGSSLMODE", mode);
        if let Some(ca) = &self.tls {
            command.env("PGSSLROOTCERT", ca);
        }
        command
    }
}
