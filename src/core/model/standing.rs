//! Standing credentials: logins that people could be using beside dbaccess,
//! and whether one of ours is dead.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How the database answered a credential that must be dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeAnswer {
    /// As it must be.
    Refused { sqlstate: String },
    /// It lives.
    LetIn,
    /// The database could not be asked.
    Unknown { why: String },
}

/// The most names that a record of a scan holds.
pub const MOST_ROLES: usize = 1000;

/// A scan of a cluster's login roles, as it goes on record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleScan {
    /// Neither ours nor declared: how many, and as many names as a record holds.
    pub standing: usize,
    pub roles: Vec<String>,
    /// Ours: sessions' roles, and the server's own logins.
    pub managed: usize,
    /// Services', as configuration says.
    pub declared: usize,
    /// What the server's login may not read.
    pub unread: Vec<String>,
}

/// How a role's password is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PasswordKind {
    None,
    #[serde(rename = "scram-sha-256")]
    Scram,
    Md5,
    /// The server's login may not read it.
    Unread,
}

impl PasswordKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Scram => "scram-sha-256",
            Self::Md5 => "md5",
            Self::Unread => "not readable",
        }
    }
}

/// One login role that people could be using.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingRole {
    pub name: String,
    pub superuser: bool,
    pub createrole: bool,
    pub createdb: bool,
    pub bypassrls: bool,
    pub replication: bool,
    pub password: PasswordKind,
    /// Of its password; none is for ever.
    pub valid_until: Option<Timestamp>,
    /// Connections now. PostgreSQL keeps no time of the last login.
    pub connections: u32,
    /// Statements since the statistics began, where pg_stat_statements is there.
    pub statements: Option<u64>,
    /// The roles that it is a member of by itself, and those that it reaches through them.
    pub member_of: Vec<String>,
    pub through: Vec<String>,
    /// What all of that lets it do, in words.
    pub powers: Vec<String>,
    pub comment: Option<String>,
}
