//! What of ours exists in a target now: for the sweeper, and as proof of an end.

use super::{ProvisionError, Target};
use jiff::Timestamp;
use tokio_postgres::types::Type;

/// Before the name of the server that made a role, at the end of the role's
/// comment: others leave it alone until its window ends.
pub const SERVER: &str = ", server ";

/// A session role that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedRole {
    pub name: String,
    /// `None`: no end was set, which is never ours.
    pub until: Option<Timestamp>,
    pub connections: i32,
    pub can_login: bool,
    pub comment: Option<String>,
    pub profile: Option<String>,
}

/// An access role that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagedProfile {
    pub name: String,
    /// Sessions that use it.
    pub members: i32,
    /// Some of its tables are masked or filtered.
    pub has_views: bool,
}

/// Roles belong to the cluster, targets to a database of it: a session is
/// here when its profile is; one without any profile is everybody's to sweep.
const ROLES: &str = "
    SELECT r.rolname::text,
           CASE WHEN isfinite(r.rolvaliduntil) THEN (extract(epoch FROM r.rolvaliduntil) * 1000000)::bigint END,
           (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid)::int,
           r.rolcanlogin, shobj_description(r.oid, 'pg_authid'), p.name
    FROM pg_roles r
    LEFT JOIN LATERAL (
        SELECT g.rolname::text AS name, shobj_description(g.oid, 'pg_authid') AS about
        FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
        WHERE m.member = r.oid AND g.rolname ~ '^dbaccess_p_' LIMIT 1) p ON true
    WHERE r.rolname ~ '^dbaccess_s_[0-9a-f]{16,40}$'
      AND EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
                  WHERE m.member = r.oid AND g.rolname = 'dbaccess_sessions')
      AND (p.name IS NULL OR p.about = 'dbaccess: privileges in database ' || current_database())
    ORDER BY 1";

const PROFILES: &str = "
    SELECT p.rolname::text,
           (SELECT count(DISTINCT m.member) FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
            WHERE m.roleid = p.oid AND r.rolname ~ '^dbaccess_s_')::int,
           EXISTS (SELECT FROM pg_roles o WHERE o.rolname = 'dbaccess_o_' || right(p.rolname, 32))
    FROM pg_roles p
    WHERE p.rolname ~ '^dbaccess_p_[0-9a-f]{32}$'
      AND shobj_description(p.oid, 'pg_authid') = 'dbaccess: privileges in database ' || current_database()
    ORDER BY 1";

/// A backend outlives a role that is dropped under it, without a name: closing
/// a session terminates by oid after the drop, which this cannot.
const IS_GONE: &str = "
    SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)
       AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = $1)";

impl Target {
    /// The session roles that exist now.
    pub async fn managed_roles(&self) -> Result<Vec<ManagedRole>, ProvisionError> {
        let rows = self.closing.call(ROLES, &[]).await?;
        let role = |row: &tokio_postgres::Row| ManagedRole {
            name: row.get(0),
            until: row.get::<_, Option<i64>>(1).and_then(|us| Timestamp::from_microsecond(us).ok()),
            connections: row.get(2),
            can_login: row.get(3),
            comment: row.get(4),
            profile: row.get(5),
        };
        Ok(rows.iter().map(role).collect())
    }

    /// The access roles of this database that exist now.
    pub async fn managed_profiles(&self) -> Result<Vec<ManagedProfile>, ProvisionError> {
        let rows = self.closing.call(PROFILES, &[]).await?;
        let profile = |row: &tokio_postgres::Row| ManagedProfile {
            name: row.get(0),
            members: row.get(1),
            has_views: row.get(2),
        };
        Ok(rows.iter().map(profile).collect())
    }

    /// Drops a profile. Refused by the target while a session uses it; one
    /// that is gone is a success. Cancel-safety: safe.
    pub async fn drop_profile(&self, name: &str) -> Result<(), ProvisionError> {
        let parameters = [(&name as _, Type::TEXT)];
        loop {
            let rows = self.closing.call("SELECT dbaccess.drop_profile($1)", &parameters).await?;
            let elsewhere: Vec<String> = rows.first().map(|row| row.get(0)).unwrap_or_default();
            if elsewhere.is_empty() {
                return Ok(());
            }
            for database in elsewhere {
                self.dispose_owned(&database, name).await?;
            }
        }
    }

    /// Proof, asked of the target's own catalog: no such role, no backend of it,
    /// on a standby neither.
    pub async fn is_role_gone(&self, role: &str) -> Result<bool, ProvisionError> {
        let rows = self.closing.call(IS_GONE, &[(&role, Type::TEXT)]).await?;
        let is_gone = rows.first().is_some_and(|row| row.get(0));
        match &self.standby {
            Some(standby) if is_gone => standby.has_no_backends(role).await,
            _ => Ok(is_gone),
        }
    }
}
