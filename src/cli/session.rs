//! A session as this machine has it: opened at the server, held, with its
//! files and its tunnel; and its end, which wipes all of that.

use super::client::Client;
use super::error::CliError;
use super::hold::{Ended, Hold};
use super::output::{note, rounded, spinner};
use super::session_files::{PassEntry, SessionFiles};
use super::settings::Endpoint;
use super::tunnel::Tunnel;
use super::view::scope_on;
use crate::core::model::{self, EndReason, Grant, Secret, SessionId};
use crate::core::scope::request_command;
pub use crate::core::scope::shell_quoted;
use crate::os;
use crate::proto::{OpenSession, SessionSummary};
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How local programs reach the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Through the tunnel, on this loopback port or a free one.
    Tunnel { port: Option<u16> },
    /// Straight to the server's native PostgreSQL endpoint.
    Native,
}

/// What a PostgreSQL client needs to know, apart from the password.
#[derive(Clone, Debug)]
pub struct Connection {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub database: String,
    pub password_file: PathBuf,
    /// The certificate authority to verify against; `None` inside the tunnel, which is encrypted itself.
    tls: Option<TlsRoots>,
    session: SessionId,
}

#[derive(Clone, Debug)]
enum TlsRoots {
    System,
    File(PathBuf),
}

impl Connection {
    /// The environment that libpq reads (PostgreSQL manual, "Environment Variables").
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let mut variables = vec![
            ("PGHOST", self.host.clone()),
            ("PGPORT", self.port.to_string()),
            ("PGUSER", self.user.clone()),
            ("PGDATABASE", self.database.clone()),
            ("PGPASSFILE", self.password_file.display().to_string()),
            ("PGGSSENCMODE", "disable".to_owned()),
            ("PGAPPNAME", format!("dbaccess {}", self.session)),
            ("DBACCESS_SESSION", self.session.to_string()),
        ];
        match &self.tls {
            None => variables.push(("PGSSLMODE", "disable".to_owned())),
            Some(roots) => {
                variables.push(("PGSSLMODE", "verify-full".to_owned()));
                let roots = match roots {
                    TlsRoots::System => "system".to_owned(),
                    TlsRoots::File(path) => path.display().to_string(),
                };
                variables.push(("PGSSLROOTCERT", roots));
            }
        }
        variables
    }

    pub fn jdbc_url(&self) -> String {
        let escape = |text: &str| {
            let mut shown = String::new();
            for byte in text.bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                        shown.push(char::from(byte));
                    }
                    other => shown.push_str(&format!("%{other:02X}")),
                }
            }
            shown
        };
        let mode = if self.tls.is_some() { "verify-full" } else { "disable" };
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!(
            "jdbc:postgresql://{host}:{}/{}?user={}&sslmode={mode}",
            self.port,
            escape(&self.database),
            escape(&self.user)
        )
    }
}

/// Variables of the caller that would lead a client elsewhere than into the session.
pub const MISLEADING: [&str; 10] = [
    "PGHOSTADDR",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGPASSWORD",
    "PGREQUIREAUTH",
    "PGREQUIRESSL",
    "PGCHANNELBINDING",
    "PGSSLNEGOTIATION",
    "PGTARGETSESSIONATTRS",
    "PGSSLROOTCERT",
];

/// An open session. [`Live::end`] ends it; when it is only dropped, the server
/// ends it once it misses this client.
pub struct Live {
    pub client: Arc<Client>,
    pub id: SessionId,
    pub connection: Connection,
    pub password: Secret,
    pub until: Timestamp,
    pub hold: Hold,
    pub signals: Signals,
    files: SessionFiles,
    /// Cut when the session is gone.
    _tunnel: Option<Tunnel>,
}

/// The signals that end a session, caught.
pub struct Signals {
    pub interrupt: Signal,
    pub terminate: Signal,
    pub hang_up: Signal,
}

impl Signals {
    pub fn catch() -> Result<Self, CliError> {
        let catch = |kind| signal(kind).map_err(|error| CliError::local("signals cannot be caught", error));
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
            hang_up: catch(SignalKind::hangup())?,
        })
    }
}

impl Live {
    /// Opens a session under `grant` and everything local that belongs to it.
    pub async fn open(
        client: Arc<Client>,
        endpoint: &Endpoint,
        grant: &Grant,
        way: Way,
    ) -> Result<Self, CliError> {
        // Before the session: what fails here costs nobody a role, and from now
        // on no signal ends this process without the session.
        let signals = Signals::catch()?;
        let tunnel = match way {
            Way::Tunnel { port } => Some(Tunnel::open(endpoint, port).await?),
            Way::Native => None,
        };
        let spinner = spinner(format!("opening a session on {}", grant.target));
        let opened = open_at_server(&client, endpoint, grant, tunnel.as_ref(), false).await;
        spinner.finish_and_clear();
        let (id, until, password, reached) = opened?;
        let made = reached.and_then(|reached| write_files(reached, &password));
        let (connection, files) = match made {
            Ok(made) => made,
            Err(error) => {
                // The error that matters is the first one.
                drop(client.close_session(id.as_str()).await);
                return Err(error);
            }
        };
        let extend = match grant.path {
            model::Path::BreakGlass => {
                "it goes on by itself while the incident stays open and yours".to_owned()
            }
            _ => format!("to go on after that: {} --reason", request_command(&grant.target, &grant.scope)),
        };
        let hold = Hold::start(Arc::clone(&client), id.to_string(), until, extend);
        Ok(Self { client, id, connection, password, until, hold, signals, files, _tunnel: tunnel })
    }

    /// Ends the session, wipes its files and says in one line how it was;
    /// returns that, where the server could be asked.
    pub async fn end(self, ended: Option<&Ended>) -> Option<SessionSummary> {
        let Self { client, id, hold, files, _tunnel: tunnel, password, .. } = self;
        drop((hold, tunnel, password));
        drop(files);
        let summary = match ended.and_then(|ended| ended.summary.clone()) {
            Some(summary) => Ok(summary),
            None => client.close_session(id.as_str()).await,
        };
        match summary {
            Ok(summary) => {
                note(&summary_line(&summary));
                Some(summary)
            }
            Err(error) => {
                note(&format!("session {id} ended here, but the server could not be told: {error}"));
                note("the server ends it by itself when it misses this client");
                None
            }
        }
    }
}

/// Opens a session that outlives this process; returns where it is reached, by what password, and until when.
pub async fn open_detached(
    client: &Client,
    endpoint: &Endpoint,
    grant: &Grant,
) -> Result<(SessionId, Connection, Secret, Timestamp), CliError> {
    let (id, until, password, reached) = open_at_server(client, endpoint, grant, None, true).await?;
    let kept = reached
        .and_then(|reached| write_files(reached, &password))
        .and_then(|(connection, files)| files.keep_until(until).map(|_| connection));
    match kept {
        Ok(connection) => Ok((id, connection, password, until)),
        Err(error) => {
            drop(client.close_session(id.as_str()).await);
            Err(error)
        }
    }
}

type Reached = (SessionId, Timestamp, Secret, Result<Connection, CliError>);

async fn open_at_server(
    client: &Client,
    endpoint: &Endpoint,
    grant: &Grant,
    tunnel: Option<&Tunnel>,
    detached: bool,
) -> Result<Reached, CliError> {
    let opened = client.open_session(&OpenSession { grant: grant.id.clone(), detached }).await?;
    let place = match tunnel {
        Some(tunnel) => Ok(("127.0.0.1".to_owned(), tunnel.port(), None)),
        None => native_place(opened.native.as_deref(), endpoint.ca.as_deref()),
    };
    let connection = place.map(|(host, port, tls)| Connection {
        host,
        port,
        user: opened.user,
        database: opened.database,
        password_file: PathBuf::new(),
        tls,
        session: opened.session.clone(),
    });
    Ok((opened.session, opened.until, Secret::new(opened.password), connection))
}

fn native_place(
    native: Option<&str>,
    ca: Option<&Path>,
) -> Result<(String, u16, Option<TlsRoots>), CliError> {
    let none = || {
        CliError::usage("this server has no native PostgreSQL endpoint")
            .hint("leave out --native: the tunnel works everywhere")
    };
    let (host, port) = native.and_then(|native| native.rsplit_once(':')).ok_or_else(none)?;
    let port = port.parse().map_err(|_| none())?;
    let roots = ca.map_or(TlsRoots::System, |path| TlsRoots::File(path.to_path_buf()));
    Ok((host.trim_matches(['[', ']']).to_owned(), port, Some(roots)))
}

fn write_files(
    mut connection: Connection,
    password: &Secret,
) -> Result<(Connection, SessionFiles), CliError> {
    let files = SessionFiles::create(
        connection.session.as_str(),
        &PassEntry {
            host: &connection.host,
            port: connection.port,
            database: &connection.database,
            user: &connection.user,
            password,
        },
    )?;
    connection.password_file = files.password_file();
    Ok((connection, files))
}

/// The line that a session leaves on stderr.
pub fn summary_line(summary: &SessionSummary) -> String {
    let plural = |n: u64, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let reason = match summary.reason {
        EndReason::ServerStopped => "server stopped",
        EndReason::IncidentOver => "incident over",
        other => other.as_str(),
    };
    let role = match summary.dead_after_ms {
        Some(ms) => format!("role dead after {ms} ms"),
        None => "its role is still being removed, retried until it is gone".to_owned(),
    };
    format!(
        "session {} ended ({reason}): {}, {}; {role}",
        summary.session,
        plural(summary.totals.statements, "statement"),
        plural(summary.totals.rows, "row"),
    )
}

/// The line that greets the person: what, on what, how long.
pub fn greeting(live: &Live, grant: &Grant) -> String {
    let left = u64::try_from(live.until.duration_since(os::now()).as_secs()).unwrap_or(0);
    let left = rounded(Duration::from_secs(left));
    let scope = scope_on(grant.path, &grant.scope.to_string());
    format!("session {} on {}: {scope}, {left} left", live.id, grant.target)
}

/// What to know of a grant for a script.
pub fn of_script(grant: &Grant) -> Option<String> {
    let script = grant.script.as_ref()?;
    Some(format!(
        "this grant is for the reviewed script {}: its statements pass, one by one, and nothing else; to run it: \
         dbaccess migrate {}",
        script.name, grant.request
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::Totals;

    #[test]
    fn a_session_ends_with_one_line() {
        let mut summary = SessionSummary {
            session: SessionId::from_stored("ses-1"),
            reason: EndReason::Exit,
            totals: Totals { statements: 12, rows: 1, bytes: 9 },
            dead_after_ms: Some(23),
        };
        assert_eq!(
            summary_line(&summary),
            "session ses-1 ended (exit): 12 statements, 1 row; role dead after 23 ms"
        );
        summary.dead_after_ms = None;
        assert!(summary_line(&summary).contains("still being removed"));
    }

    #[test]
    fn clients_are_led_into_the_session_and_nowhere_else() {
        let mut connection = Connection {
            host: "127.0.0.1".into(),
            port: 5433,
            user: "dba_ana".into(),
            database: "or ders/ü".into(),
            password_file: "/run/x/pgpass".into(),
            tls: None,
            session: SessionId::from_stored("ses-1"),
        };
        let has = |connection: &Connection, name: &str, value: &str| {
            assert!(connection.environment().contains(&(name_of(name), value.to_owned())), "{name}");
        };
        has(&connection, "PGSSLMODE", "disable");
        has(&connection, "PGPASSFILE", "/run/x/pgpass");
        assert!(connection.environment().iter().all(|(name, _)| *name != "PGPASSWORD"));
        assert_eq!(
            connection.jdbc_url(),
            "jdbc:postgresql://127.0.0.1:5433/or%20ders%2F%C3%BC?user=dba_ana&sslmode=disable"
        );
        let (host, port, tls) = native_place(Some("[::1]:6432"), None).unwrap();
        assert_eq!((host.as_str(), port), ("::1", 6432));
        connection.tls = tls;
        has(&connection, "PGSSLMODE", "verify-full");
        has(&connection, "PGSSLROOTCERT", "system");
        assert!(native_place(None, None).is_err());
    }

    fn name_of(name: &str) -> &'static str {
        ["PGSSLMODE", "PGPASSFILE", "PGSSLROOTCERT"].into_iter().find(|known| *known == name).unwrap()
    }
}
