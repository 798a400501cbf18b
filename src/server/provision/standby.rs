//! Targets that are standbys: sessions are there, while their roles are made
//! and removed on the primary.
//!
//! What this waits for is always a role as the standby shows it. One
//! transaction makes a role with all that belongs to it, and a standby shows a
//! transaction wholly or not at all.

use super::control::{Control, Parameter};
use super::{ProvisionError, Target};
use crate::proto::Finding;
use crate::server::config::Upstream;
use std::time::{Duration, Instant};
use tokio_postgres::types::Type;

/// How long a standby may take to show what the primary has.
const PATIENCE: Duration = Duration::from_secs(10);
/// The same for doctor, which has other things to look at, and when it warns.
const DOCTORS_PATIENCE: Duration = Duration::from_secs(3);
const SLOW: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

const CAN_LOGIN: &str = "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1 AND rolcanlogin)";

/// Ends the role's connections and says how many there were. Those end before
/// anything else is replayed: a transaction can hold up replay, that of NOLOGIN too.
const END: &str = "
    SELECT dbaccess.end_connections($1),
           EXISTS (SELECT FROM pg_roles WHERE rolname = $1 AND rolcanlogin)";

const NO_BACKENDS: &str = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = $1)";

const IN_RECOVERY: &str = "SELECT pg_is_in_recovery()";

/// Which cluster a server is of: its standbys have the same number.
const SYSTEM: &str = "SELECT system_identifier FROM pg_control_system()";

const WRITTEN: &str = "SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_wal_lsn()::text END";
const REPLAYED: &str = "SELECT coalesce(pg_last_wal_replay_lsn() >= $1::text::pg_lsn, false)";
const BEHIND: &str = "
    SELECT pg_wal_lsn_diff($1::text::pg_lsn, pg_last_wal_replay_lsn())::bigint, pg_is_wal_replay_paused()";

/// The server where a target's sessions are, when that only follows.
pub(super) struct Standby {
    control: Control,
    address: String,
}

impl Standby {
    /// `None`: the target can be written itself. Connects on first use.
    pub(super) fn of(upstream: &Upstream) -> Result<Option<Self>, ProvisionError> {
        if upstream.primary.is_none() {
            return Ok(None);
        }
        let control = Control::new(upstream, &upstream.database)?;
        Ok(Some(Self { control, address: format!("{}:{}", upstream.host, upstream.port) }))
    }

    /// Before a role is made for it: a standby that is away, or that was
    /// promoted, would never show it.
    pub(super) async fn check(&self) -> Result<(), ProvisionError> {
        if self.holds(IN_RECOVERY, &[]).await? {
            return Ok(());
        }
        Err(ProvisionError::Promoted { address: self.address.clone() })
    }

    /// Waits until a role can log in here.
    pub(super) async fn shows(&self, role: &str) -> Result<(), ProvisionError> {
        match self.until(CAN_LOGIN, &[(&role, Type::TEXT)], PATIENCE).await? {
            Some(_) => Ok(()),
            None => Err(self.lagging()),
        }
    }

    /// Ends the connections of a role that is locked on the primary, until none
    /// is left and none can come. Returns how many there were at first. A role
    /// that has not come here yet needs no waiting: it comes and goes in one order.
    pub(super) async fn end(&self, role: &str) -> Result<i32, ProvisionError> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        let mut first = None;
        loop {
            let rows = self.control.call(END, &[(&role, Type::TEXT)]).await?;
            let (left, can_login) = rows.first().map_or((0, false), |row| (row.get(0), row.get(1)));
            let terminated = *first.get_or_insert(left);
            if left == 0 && !can_login {
                return Ok(terminated);
            }
            if started.elapsed() > PATIENCE {
                return Err(match left {
                    0 => self.lagging(),
                    connections => ProvisionError::StillConnected { role: role.to_owned(), connections },
                });
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    pub(super) async fn has_no_backends(&self, role: &str) -> Result<bool, ProvisionError> {
        self.holds(NO_BACKENDS, &[(&role, Type::TEXT)]).await
    }

    /// How long it took until a query said so; `None`: too long.
    async fn until(
        &self,
        sql: &str,
        parameters: &[Parameter<'_>],
        patience: Duration,
    ) -> Result<Option<Duration>, ProvisionError> {
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            if self.holds(sql, parameters).await? {
                return Ok(Some(started.elapsed()));
            }
            if started.elapsed() > patience {
                return Ok(None);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn holds(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<bool, ProvisionError> {
        let rows = self.control.call(sql, parameters).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }

    fn lagging(&self) -> ProvisionError {
        ProvisionError::Lagging { address: self.address.clone(), seconds: PATIENCE.as_secs() }
    }
}

impl Target {
    /// What is wrong between a standby and its primary. Nothing where the
    /// target is no standby.
    pub(super) async fn standby_findings(&self) -> Result<Vec<Finding>, ProvisionError> {
        use super::findings::{ok, problem, warning};
        let Some(standby) = &self.standby else { return Ok(Vec::new()) };
        let address = &standby.address;
        let found = |message: String, remedy: &str| problem("standby", message, Some(remedy.to_owned()));
        match standby.check().await {
            Ok(()) => {}
            Err(error @ ProvisionError::Promoted { .. }) => {
                let remedy = "name a standby as the target's `host`, or take `primary_host` out";
                return Ok(vec![found(error.to_string(), remedy)]);
            }
            Err(error) => {
                let remedy = "check that the standby runs and lets the same `user` in as its primary";
                return Ok(vec![found(error.to_string(), remedy)]);
            }
        }
        // A managed service may keep this from everybody.
        if let (Ok(ours), Ok(theirs)) =
            tokio::join!(self.closing.call(SYSTEM, &[]), standby.control.call(SYSTEM, &[]))
            && let (Some(ours), Some(theirs)) = (ours.first(), theirs.first())
            && ours.get::<_, i64>(0) != theirs.get::<_, i64>(0)
        {
            let message = format!("{address} is a standby of another server than `primary_host`");
            return Ok(vec![found(message, "make `host` and `primary_host` servers of one cluster")]);
        }
        let rows = self.closing.call(WRITTEN, &[]).await?;
        let Some(written) = rows.first().and_then(|row| row.get::<_, Option<String>>(0)) else {
            let message = "`primary_host` is a standby itself: roles cannot be made there".to_owned();
            return Ok(vec![found(message, "name the server that takes writes as `primary_host`")]);
        };
        let parameters = [(&written as _, Type::TEXT)];
        let told = "see pg_stat_replication on the primary, and what holds up replay on the standby: long \
                    queries with max_standby_streaming_delay, recovery_min_apply_delay, pg_wal_replay_pause()";
        Ok(vec![match standby.until(REPLAYED, &parameters, DOCTORS_PATIENCE).await? {
            Some(took) => {
                let message = format!("{address} is {} ms behind its primary", took.as_millis());
                if took < SLOW {
                    ok("standby", message)
                } else {
                    warning("standby", format!("{message}: sessions open slowly"), Some(told.to_owned()))
                }
            }
            None => {
                let rows = standby.control.call(BEHIND, &parameters).await?;
                let (bytes, is_paused): (Option<i64>, bool) =
                    rows.first().map_or((None, false), |row| (row.get(0), row.get(1)));
                let behind = bytes.map(|bytes| format!(" ({bytes} bytes)")).unwrap_or_default();
                let paused = if is_paused { ", where replay is paused" } else { "" };
                let message = format!(
                    "{address} is more than {} s behind its primary{behind}{paused}: sessions do not open, \
                     and those that end are not proven gone",
                    DOCTORS_PATIENCE.as_secs()
                );
                found(message, told)
            }
        }])
    }
}
