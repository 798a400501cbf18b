//! What doctor finds in a target: what is missing, what is lax, what was left.

use super::control::Control;
use super::setup::databases;
use super::{ProvisionError, SETUP_VERSION, Target};
use crate::os;
use crate::proto::{Finding, FindingLevel};
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::Row;

/// A finding of this and more is shown as a list of this many.
const SHOWN: usize = 5;
/// Beyond this, windows end early or late by more than anybody expects.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_secs(5);

const SERVER: &str = "
    SELECT current_setting('server_version_num')::int, current_setting('server_version'),
           (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

const LOGIN: &str = "
    SELECT rolname::text, rolsuper, rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
    FROM pg_roles WHERE rolname = current_user";

const CREATE_ON_SCHEMA: &str = "
    SELECT format('REVOKE CREATE ON SCHEMA %I FROM PUBLIC;', nspname) FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
      AND has_schema_privilege('public', oid, 'CREATE') ORDER BY 1";

const CONNECT_AND_TEMPORARY: &str = "
    SELECT format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC;', datname) FROM pg_database
    WHERE datallowconn AND (has_database_privilege('public', oid, 'CONNECT')
                            OR has_database_privilege('public', oid, 'TEMPORARY')) ORDER BY 1";

/// Those of an extension are its authors' and the administrator's to judge.
const DEFINER_FUNCTIONS: &str = "
    SELECT format('REVOKE EXECUTE ON ROUTINE %s FROM PUBLIC;', p.oid::regprocedure)
           || coalesce((SELECT ' -- behind ' || string_agg(lead, ', ') FROM (
                SELECT 'operator ' || o.oid::regoperator::text AS lead FROM pg_operator o WHERE o.oprcode = p.oid
                UNION ALL
                SELECT format('cast %s AS %s', c.castsource::regtype, c.casttarget::regtype)
                FROM pg_cast c WHERE c.castfunc = p.oid) leads), '')
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND has_function_privilege('public', p.oid, 'EXECUTE')
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                      AND d.objid = p.oid AND d.deptype = 'e') ORDER BY 1";

const TRUST: &str = "
    SELECT format('line %s: %s %s %s', line_number, type, array_to_string(database, ','),
                  array_to_string(user_name, ','))
    FROM pg_hba_file_rules WHERE auth_method = 'trust' ORDER BY line_number";

/// Leaks past views and row security in older minor versions: from which minor
/// of 14, 15, 16 and so on it is mended.
const LEAKS: [(&str, &str, &[i32]); 4] = [
    ("CVE-2024-4317", "extended statistics are shown to everybody", &[12, 7, 3]),
    ("CVE-2024-10976", "cached plans keep the row security of another role", &[14, 9, 5, 1]),
    ("CVE-2025-8713", "the planner's statistics tell values past views and row security", &[19, 14, 10, 6]),
    ("CVE-2026-6473", "any login can corrupt the server's memory", &[23, 18, 14, 10, 4]),
];

/// Clusters made before 14.12, 15.7 and 16.3 keep the old views after an update.
const OLD_STATISTICS_VIEWS: &str = "
    SELECT format('%I', relname) FROM pg_class
    WHERE oid IN ('pg_catalog.pg_stats_ext'::regclass, 'pg_catalog.pg_stats_ext_exprs'::regclass)
      AND pg_get_viewdef(oid) NOT LIKE '%pg_has_role%' ORDER BY 1";

const PASSWORDS: &str = "SELECT current_setting('password_encryption')";
const PREPARED: &str = "SELECT current_setting('max_prepared_transactions')::int";

impl Target {
    /// Everything worth saying about this target, problems and all. Never an
    /// error: a target that cannot be reached is a finding too.
    pub async fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        match self.server_findings().await {
            Ok(found) => findings.extend(found),
            Err(error) => {
                findings.push(problem("reachable", error.to_string(), None));
                return findings;
            }
        }
        let checks = [
            self.setup_findings().await,
            self.login_findings().await,
            self.public_findings().await,
            self.leftover_findings().await,
            self.standby_findings().await,
        ];
        for found in checks {
            match found {
                Ok(found) => findings.extend(found),
                Err(error) => findings.push(problem("check", error.to_string(), None)),
            }
        }
        // Readable by superusers only, so most often not ours to see.
        if let Ok(rules) = self.lines(TRUST).await {
            findings.push(listed(
                "pg_hba",
                &rules,
                "no rule lets anybody in without a password",
                "pg_hba.conf trusts some connections: no password is asked, and VALID UNTIL is ignored",
                "replace `trust` by `scram-sha-256` in pg_hba.conf and reload",
            ));
        }
        findings
    }

    async fn server_findings(&self) -> Result<Vec<Finding>, ProvisionError> {
        // Connects, so that the clocks are compared over one short round trip.
        self.closing.call("SELECT 1", &[]).await?;
        let asked = os::now();
        let rows = self.closing.call(SERVER, &[]).await?;
        let answered = os::now();
        let Some(row) = rows.first() else { return Ok(Vec::new()) };
        let (number, version): (i32, String) = (row.get(0), row.get(1));
        let message = format!("PostgreSQL {version}");
        let remedy = "dbaccess supports PostgreSQL 14 to 18".to_owned();
        let mut findings = vec![match number / 10_000 {
            14..=18 => ok("version", message),
            ..14 => problem("version", message, Some(remedy)),
            _ => warning("version", message, Some(remedy)),
        }];
        findings.extend(leaks(number));
        let theirs = Timestamp::from_microsecond(row.get(2)).unwrap_or(asked);
        // The truth lies between asking and answering.
        let ahead = if theirs < asked {
            theirs.duration_since(asked)
        } else if theirs > answered {
            theirs.duration_since(answered)
        } else {
            SignedDuration::ZERO
        };
        let message = format!("the target's clock is {} ms ahead of ours", ahead.as_millis());
        findings.push(if ahead.abs() > CLOCK_TOLERANCE {
            problem("clock", message, Some("run NTP on both machines".to_owned()))
        } else {
            ok("clock", "the clocks agree".to_owned())
        });
        Ok(findings)
    }

    async fn setup_findings(&self) -> Result<Vec<Finding>, ProvisionError> {
        let mut findings = Vec::new();
        let names = databases(&self.closing).await?;
        for database in &names {
            if let Err(error) = self.setup_in(database).await {
                let remedy = "run `dbaccess target setup` for this target".to_owned();
                findings.push(problem("setup", format!("database {database}: {error}"), Some(remedy)));
            }
        }
        if findings.is_empty() {
            let message = format!("version {SETUP_VERSION} in {} databases", names.len());
            findings.push(ok("setup", message));
        }
        Ok(findings)
    }

    async fn setup_in(&self, database: &str) -> Result<(), ProvisionError> {
        let control = Control::new(&self.writable, database)?;
        let rows = control.call("SELECT dbaccess.version()", &[]).await?;
        match rows.first().map(|row| row.get::<_, i32>(0)) {
            Some(SETUP_VERSION) => Ok(()),
            other => Err(ProvisionError::Setup {
                database: database.to_owned(),
                why: format!("its setup is version {}", other.unwrap_or_default()),
            }),
        }
    }

    async fn login_findings(&self) -> Result<Vec<Finding>, ProvisionError> {
        let rows = self.closing.call(LOGIN, &[]).await?;
        let Some(row) = rows.first() else { return Ok(Vec::new()) };
        let (name, superuser, strong): (String, bool, bool) = (row.get(0), row.get(1), row.get(2));
        let remedy = "run `dbaccess target setup` and name the login it makes as the target's `user`";
        Ok(vec![match (superuser, strong) {
            (true, _) => {
                warning("login", format!("`{name}` is a superuser: for trials only"), Some(remedy.to_owned()))
            }
            (_, true) => warning(
                "login",
                format!("`{name}` may do more than call dbaccess's functions"),
                Some(format!(
                    "ALTER ROLE {} NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS;",
                    crate::core::profile::quote_ident(&name)
                )),
            ),
            _ => ok("login", format!("`{name}` has no rights of its own")),
        }])
    }

    async fn public_findings(&self) -> Result<Vec<Finding>, ProvisionError> {
        let mut findings = Vec::new();
        for (check, sql, fine, lax) in [
            (
                "public_create",
                CREATE_ON_SCHEMA,
                "no schema lets everybody create objects",
                "everybody may create objects, sessions too: others may come to run them",
            ),
            (
                "public_connect",
                CONNECT_AND_TEMPORARY,
                "no database is open to everybody",
                "everybody may connect or make temporary tables, sessions too (their own target stays open to them)",
            ),
            (
                "definer_functions",
                DEFINER_FUNCTIONS,
                "no function, operator or cast lends its owner's rights to everybody",
                "functions lend their owner's rights to everybody, past every scope",
            ),
        ] {
            let remedies = self.lines(sql).await?;
            findings.push(if remedies.is_empty() {
                ok(check, fine.to_owned())
            } else {
                warning(check, format!("{lax} ({})", remedies.len()), Some(shortened(&remedies, "\n")))
            });
        }
        Ok(findings)
    }

    async fn leftover_findings(&self) -> Result<Vec<Finding>, ProvisionError> {
        let now = os::now();
        let roles = self.managed_roles().await?;
        let overdue: Vec<String> = roles
            .into_iter()
            .filter(|role| role.until.is_none_or(|until| until < now))
            .map(|role| role.name)
            .collect();
        let old = self.lines(OLD_STATISTICS_VIEWS).await?;
        let mut findings = vec![if overdue.is_empty() {
            ok("orphans", "no session role is past its window".to_owned())
        } else {
            let message = format!("session roles past their window: {}", shortened(&overdue, ", "));
            problem(
                "orphans",
                message,
                Some("the server sweeps them every minute: its log says why it could not".to_owned()),
            )
        }];
        if !old.is_empty() {
            findings.push(problem(
                "statistics_views",
                format!(
                    "{} show statistics, values among them, to everybody (CVE-2024-4317)",
                    old.join(" and ")
                ),
                Some(
                    "run fix-CVE-2024-4317.sql from PostgreSQL's share directory in every database"
                        .to_owned(),
                ),
            ));
        }
        let encryption = self.lines(PASSWORDS).await?.concat();
        if encryption != "scram-sha-256" {
            findings.push(warning(
                "password_encryption",
                format!("new passwords are kept as {encryption}"),
                Some(
                    "ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_reload_conf();"
                        .to_owned(),
                ),
            ));
        }
        let prepared: i32 = self.closing.call(PREPARED, &[]).await?.first().map_or(0, |row| row.get(0));
        if prepared > 0 {
            findings.push(warning(
                "prepared_transactions",
                "a session that goes round the gateway may leave a prepared transaction, which outlives it"
                    .to_owned(),
                Some(
                    "set max_prepared_transactions = 0 where no application uses two-phase commit".to_owned(),
                ),
            ));
        }
        Ok(findings)
    }

    /// The one text column of a query.
    pub(super) async fn lines(&self, sql: &str) -> Result<Vec<String>, ProvisionError> {
        let text = |row: &Row| row.get(0);
        Ok(self.closing.call(sql, &[]).await?.iter().map(text).collect())
    }
}

/// What a server of this version number is known to leak.
fn leaks(version: i32) -> Option<Finding> {
    let (major, minor) = (version / 10_000, version % 10_000);
    let place = usize::try_from(major.checked_sub(14)?).ok()?;
    let mended = |minors: &&[i32]| minors.get(place).copied();
    let open: Vec<String> = LEAKS
        .iter()
        .filter(|(.., minors)| mended(minors).is_some_and(|mended| minor < mended))
        .map(|(name, what, _)| format!("{what} ({name})"))
        .collect();
    let newest = LEAKS.iter().filter_map(|(.., minors)| mended(minors)).max()?;
    (!open.is_empty()).then(|| {
        let remedy = format!("update PostgreSQL to {major}.{newest} or newer");
        problem("minor_version", open.join("; "), Some(remedy))
    })
}

pub(super) fn listed(check: &str, items: &[String], fine: &str, lax: &str, remedy: &str) -> Finding {
    if items.is_empty() {
        ok(check, fine.to_owned())
    } else {
        warning(check, format!("{lax}: {}", shortened(items, "; ")), Some(remedy.to_owned()))
    }
}

pub(super) fn shortened(items: &[String], separator: &str) -> String {
    let shown: Vec<&str> = items.iter().take(SHOWN).map(String::as_str).collect();
    match items.len().saturating_sub(SHOWN) {
        0 => shown.join(separator),
        more => format!("{}{separator}… and {more} more", shown.join(separator)),
    }
}

pub(super) fn ok(check: &str, message: String) -> Finding {
    Finding { check: check.to_owned(), level: FindingLevel::Ok, message, remedy: None }
}

pub(super) fn warning(check: &str, message: String, remedy: Option<String>) -> Finding {
    Finding { check: check.to_owned(), level: FindingLevel::Warning, message, remedy }
}

pub(super) fn problem(check: &str, message: String, remedy: Option<String>) -> Finding {
    Finding { check: check.to_owned(), level: FindingLevel::Problem, message, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_minor_versions_are_told_with_what_they_leak() {
        for (version, names) in [
            (140_011, ["4317", "10976", "8713", "6473"].as_slice()),
            (150_013, &["8713", "6473"]),
            (160_010, &["6473"]),
            (170_005, &["8713", "6473"]),
            (180_001, &["6473"]),
            (180_004, &[]),
            (140_023, &[]),
            (190_000, &[]),
            (130_001, &[]),
        ] {
            let message = leaks(version).map(|finding| finding.message).unwrap_or_default();
            assert_eq!(message.matches("CVE-").count(), names.len(), "{version}: {message}");
            assert!(names.iter().all(|name| message.contains(name)), "{version}: {message}");
        }
        assert_eq!(leaks(170_005).unwrap().remedy.unwrap(), "update PostgreSQL to 17.10 or newer");
    }
}
