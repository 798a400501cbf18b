//! Login roles of a target's cluster, as far as the server's login may read:
//! what is not ours is for whoever asks to weigh (R1.5).

use super::{ProvisionError, Target};
use crate::core::model::{PasswordKind, StandingRole};
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// What a scan found.
#[derive(Clone, Debug)]
pub struct LoginRoles {
    pub roles: Vec<LoginRole>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct LoginRole {
    /// A session's, of this server or another.
    pub is_session: bool,
    pub found: StandingRole,
}

const PASSWORDS: &str = "SELECT has_column_privilege('pg_catalog.pg_authid', 'rolpassword', 'SELECT')";

/// Where pg_stat_statements is, if it is in this database.
const STATISTICS: &str = "
    SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
    WHERE e.extname = 'pg_stat_statements' AND has_schema_privilege(n.oid, 'USAGE')";

/// `$1`: whether passwords can be read, which stands in for PASSWORD's own text.
/// A role reaches what its own roles are members of, whether it inherits or has to SET ROLE.
const ROLES: &str = "
    WITH RECURSIVE reach AS (
        SELECT m.member AS login, m.roleid AS role, true AS direct FROM pg_auth_members m
        UNION
        SELECT r.login, m.roleid, false FROM reach r JOIN pg_auth_members m ON m.member = r.role
    ), owned AS (
        SELECT relowner AS owner, count(*) AS tables FROM pg_class
        WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace NOT IN (
            SELECT oid FROM pg_namespace WHERE nspname ~ '^(pg_|information_schema$)') GROUP BY 1
    ), strong AS (
        SELECT r.oid, r.rolname, array_remove(ARRAY[
            CASE WHEN rolsuper THEN 'superuser' END, CASE WHEN rolcreaterole THEN 'may create roles' END,
            CASE WHEN rolcreatedb THEN 'may create databases' END,
            CASE WHEN rolbypassrls THEN 'passes row-level security' END,
            CASE WHEN rolreplication THEN 'may replicate everything' END,
            CASE WHEN o.tables > 0 THEN 'owns ' || o.tables || CASE o.tables WHEN 1 THEN ' table' ELSE ' tables' END
                || ' of ' || current_database() END,
            CASE rolname WHEN 'pg_read_all_data' THEN 'reads every table'
                WHEN 'pg_write_all_data' THEN 'writes every table'
                WHEN 'pg_execute_server_program' THEN 'runs programs on the server'
                WHEN 'pg_read_server_files' THEN 'reads files of the server'
                WHEN 'pg_write_server_files' THEN 'writes files of the server'
                WHEN 'pg_signal_backend' THEN 'ends others'' connections'
                WHEN 'pg_create_subscription' THEN 'subscribes to other servers'
                WHEN 'pg_monitor' THEN 'sees what everybody runs'
                WHEN 'pg_read_all_stats' THEN 'sees what everybody runs' END], NULL) AS powers
        FROM pg_roles r LEFT JOIN owned o ON o.owner = r.oid
    )
    SELECT r.rolname::text, r.rolsuper, r.rolcreaterole, r.rolcreatedb, r.rolbypassrls, r.rolreplication,
           CASE WHEN isfinite(r.rolvaliduntil) THEN (extract(epoch FROM r.rolvaliduntil) * 1000000)::bigint END,
           (SELECT count(*) FROM pg_stat_activity a WHERE a.usesysid = r.oid)::int,
           ARRAY(SELECT g.rolname::text FROM reach h JOIN pg_roles g ON g.oid = h.role
                 WHERE h.login = r.oid AND h.direct ORDER BY 1),
           ARRAY(SELECT DISTINCT g.rolname::text FROM reach h JOIN pg_roles g ON g.oid = h.role
                 WHERE h.login = r.oid AND NOT h.direct
                   AND NOT EXISTS (SELECT FROM reach d WHERE d.login = r.oid AND d.role = h.role AND d.direct) ORDER BY 1),
           (SELECT powers FROM strong s WHERE s.oid = r.oid)
               || ARRAY(SELECT DISTINCT power || ' (' || s.rolname || ')' FROM reach h JOIN strong s ON s.oid = h.role,
                        unnest(s.powers) AS power WHERE h.login = r.oid ORDER BY 1),
           shobj_description(r.oid, 'pg_authid'),
           r.rolname ~ '^dbaccess_s_[0-9a-f]{16,40}$' AND EXISTS (
               SELECT FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
               WHERE m.member = r.oid AND g.rolname = 'dbaccess_sessions')
    FROM pg_roles r WHERE r.rolcanlogin ORDER BY 1";

const KINDS: &str = "
    SELECT rolname::text, CASE WHEN rolpassword IS NULL THEN 'none' WHEN starts_with(rolpassword, 'SCRAM-SHA-256$') THEN 'scram'
        ELSE 'md5' END FROM pg_authid WHERE rolcanlogin";

impl Target {
    /// Every role that can log in. Nothing is changed; what the server's login
    /// may not read is said. Cancel-safe.
    pub async fn login_roles(&self) -> Result<LoginRoles, ProvisionError> {
        let mut unread = vec!["the time of the last login: PostgreSQL keeps none".to_owned()];
        let mut roles: Vec<LoginRole> = self.closing.call(ROLES, &[]).await?.iter().map(login_role).collect();
        let passwords = self.closing.call(PASSWORDS, &[]).await?;
        if passwords.first().is_some_and(|row| row.get(0)) {
            let kinds = self.closing.call(KINDS, &[]).await?;
            for (name, kind) in kinds.iter().map(|row| (row.get::<_, String>(0), row.get::<_, String>(1))) {
                if let Some(role) = roles.iter_mut().find(|role| role.found.name == name) {
                    role.found.password = match kind.as_str() {
                        "none" => PasswordKind::None,
                        "scram" => PasswordKind::Scram,
                        _ => PasswordKind::Md5,
                    };
                }
            }
        } else {
            unread.push(format!(
                "passwords: `{}` may not read pg_authid, so whether there is one and of which kind is not known",
                self.writable.user
            ));
        }
        match self.closing.call(STATISTICS, &[]).await?.first() {
            Some(row) => self.count_statements(&row.get::<_, String>(0), &mut roles).await?,
            None => unread
                .push(format!("past use: pg_stat_statements is not in database {}", self.writable.database)),
        }
        Ok(LoginRoles { roles, unread })
    }

    async fn count_statements(&self, schema: &str, roles: &mut [LoginRole]) -> Result<(), ProvisionError> {
        let sql = format!(
            "SELECT r.rolname::text, sum(s.calls)::bigint FROM {schema}.pg_stat_statements s
             JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = ANY ($1) GROUP BY 1"
        );
        let names: Vec<&str> = roles.iter().map(|role| role.found.name.as_str()).collect();
        let rows = self.closing.call(&sql, &[(&names as _, Type::TEXT_ARRAY)]).await?;
        let counts: Vec<(String, i64)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        for role in roles {
            let known = counts.iter().find(|(name, _)| *name == role.found.name);
            role.found.statements = Some(known.map_or(0, |(_, count)| count.unsigned_abs()));
        }
        Ok(())
    }
}

fn login_role(row: &Row) -> LoginRole {
    LoginRole {
        is_session: row.get(12),
        found: StandingRole {
            name: row.get(0),
            superuser: row.get(1),
            createrole: row.get(2),
            createdb: row.get(3),
            bypassrls: row.get(4),
            replication: row.get(5),
            password: PasswordKind::Unread,
            valid_until: row.get::<_, Option<i64>>(6).and_then(|us| Timestamp::from_microsecond(us).ok()),
            connections: u32::try_from(row.get::<_, i32>(7)).unwrap_or_default(),
            statements: None,
            member_of: row.get(8),
            through: row.get(9),
            powers: row.get(10),
            comment: row.get(11),
        },
    }
}
