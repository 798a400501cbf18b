//! Opening a session: one login role, member of one access role.

use super::control::Parameter;
use super::error::Failure;
use super::{ProvisionError, SETUP_VERSION, Target};
use crate::core::model::Secret;
use crate::core::profile::Profile;
use jiff::Timestamp;
use std::time::Duration;
use tokio_postgres::types::Type;

/// What one session's role is to be.
#[derive(Clone, Debug)]
pub struct OpenSession<'a> {
    /// From [`crate::core::profile::session_role`].
    pub role: &'a str,
    /// A SCRAM-SHA-256 verifier: the password itself never goes to the target (G4).
    pub verifier: &'a Secret,
    /// `VALID UNTIL`, the backstop; at most 25 hours from now.
    pub until: Timestamp,
    pub profile: &'a Profile,
    /// Who and why, for the DBA who lists roles (`COMMENT ON ROLE`).
    pub comment: &'a str,
    pub settings: SessionSettings,
    pub connection_limit: u16,
}

/// The role's settings. They are defaults that a session can change, except
/// the temporary file limit; the gateway is what holds them.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// Shown in `pg_stat_activity` and, by `%a`, in the server's log.
    pub application_name: String,
    pub read_only: bool,
    pub statement_timeout: Duration,
    pub lock_timeout: Duration,
    pub idle_in_transaction_timeout: Duration,
    pub temp_file_limit_mib: u32,
}

impl SessionSettings {
    /// Careful settings for a session on a busy production database: an idle
    /// transaction makes the application's next migration wait.
    pub fn careful(
        application_name: impl Into<String>,
        read_only: bool,
        statement_timeout: Duration,
    ) -> Self {
        Self {
            application_name: application_name.into(),
            read_only,
            statement_timeout,
            lock_timeout: Duration::from_secs(5),
            idle_in_transaction_timeout: Duration::from_secs(60),
            temp_file_limit_mib: 256,
        }
    }

    fn to_json(&self) -> String {
        let milliseconds = |length: Duration| length.as_millis().to_string();
        serde_json::json!({
            "application_name": self.application_name,
            "default_transaction_read_only": if self.read_only { "on" } else { "off" },
            "statement_timeout": milliseconds(self.statement_timeout),
            "lock_timeout": milliseconds(self.lock_timeout),
            "idle_in_transaction_session_timeout": milliseconds(self.idle_in_transaction_timeout),
            "temp_file_limit": format!("{}MB", self.temp_file_limit_mib),
        })
        .to_string()
    }
}

/// The target says that the profile is new or has drifted.
const NOT_READY: &str = "DB001";
/// A profile can be dropped again between being made ready and being used.
const ATTEMPTS: usize = 4;

/// Does nothing, and returns no row, under a setup of another version.
const OPEN: &str = "
    SELECT dbaccess.open_session($1, $2, $3::timestamptz, $4, $5, $6, $7::jsonb, $8)
    WHERE dbaccess.version() = $9";

/// How long a statement may run where nothing is configured; a person may SET
/// it longer.
pub const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);

impl Target {
    /// Makes the session's role. One round trip when the profile is there.
    ///
    /// On an error nothing is left behind, with one exception: the connection
    /// was lost after the call was sent and the target stayed away. So write
    /// the session down first, and close it when this fails; closing a role
    /// that never was is a success.
    ///
    /// Where the target is a standby, the role can log in there when this returns.
    ///
    /// Cancel-safety: the role may or may not come to be; close it.
    pub async fn open_session(&self, session: &OpenSession<'_>) -> Result<(), ProvisionError> {
        let Some(standby) = &self.standby else {
            return self.make_session(session).await;
        };
        standby.check().await?;
        self.make_session(session).await?;
        let shown = standby.shows(session.role).await;
        if shown.is_err()
            && let Err(error) = self.close_session(session.role).await
        {
            tracing::warn!(role = session.role, %error, "a role that its standby does not show stays for now");
        }
        shown
    }

    /// Moves the end of a session's credential to `until`, at most 8 hours from
    /// now. False: the session is gone, or is being ended.
    ///
    /// Cancel-safety: the end was moved or was not; call it again.
    pub async fn extend_session(&self, role: &str, until: Timestamp) -> Result<bool, ProvisionError> {
        let sql = "SELECT dbaccess.extend_session($1, $2::timestamptz)";
        let parameters: [Parameter<'_>; 2] = [(&role, Type::TEXT), (&until.to_string(), Type::TEXT)];
        let rows = self.opening.call(sql, &parameters).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    async fn make_session(&self, session: &OpenSession<'_>) -> Result<(), ProvisionError> {
        let mut attempts = 0;
        loop {
            let Err(failure) = self.try_open(session).await? else {
                return Ok(());
            };
            attempts += 1;
            match failure {
                Failure::Sql(code, _) if code.code() == NOT_READY && attempts < ATTEMPTS => {
                    self.ensure_profile(session.profile).await?;
                }
                // A warm connection that had died meanwhile, most likely. The role
                // may be there all the same, with an answer that got lost.
                Failure::Lost(_) if attempts < ATTEMPTS => {
                    self.close_session(session.role).await?;
                }
                failure => return Err(self.opening.error(failure)),
            }
        }
    }

    async fn try_open(&self, session: &OpenSession<'_>) -> Result<Result<(), Failure>, ProvisionError> {
        let until = session.until.to_string();
        let settings = session.settings.to_json();
        let limit = i32::from(session.connection_limit);
        let name = session.profile.name();
        let content = session.profile.to_json();
        let verifier = session.verifier.expose();
        let parameters: [Parameter<'_>; 9] = [
            (&session.role, Type::TEXT),
            (&verifier, Type::TEXT),
            (&until, Type::TEXT),
            (&name, Type::TEXT),
            (&content, Type::TEXT),
            (&session.comment, Type::TEXT),
            (&settings, Type::TEXT),
            (&limit, Type::INT4),
            (&SETUP_VERSION, Type::INT4),
        ];
        Ok(match self.opening.call_once(OPEN, &parameters).await? {
            Ok(rows) if rows.is_empty() => return Err(self.outdated()),
            Ok(_) => Ok(()),
            Err(failure) => Err(failure),
        })
    }

    async fn ensure_profile(&self, profile: &Profile) -> Result<(), ProvisionError> {
        let sql = "SELECT dbaccess.ensure_profile($1, $2)";
        let parameters = [(&profile.name() as _, Type::TEXT), (&profile.to_json() as _, Type::TEXT)];
        self.opening.call(sql, &parameters).await.map(drop)
    }

    /// Gives the tokens of one domain, or of all, new keys: those seen until now
    /// no longer join with those to come. Returns the number of domains.
    pub async fn rotate_tokens(&self, domain: Option<&str>) -> Result<i32, ProvisionError> {
        let sql = "SELECT dbaccess.rotate_tokens($1)";
        let rows = self.opening.call(sql, &[(&domain, Type::TEXT)]).await?;
        Ok(rows.first().map_or(0, |row| row.get(0)))
    }

    fn outdated(&self) -> ProvisionError {
        ProvisionError::Setup {
            database: self.upstream.database.clone(),
            why: format!("its setup is not version {SETUP_VERSION}"),
        }
    }
}
