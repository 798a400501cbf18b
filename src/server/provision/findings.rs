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
    SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC;', p.oid::regprocedure)
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE p.prosecdef AND has_function_privilege('public', p.oid, 'EXECUTE')
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                      AND d.objid = p.oid AND d.deptype = 'e') ORDER BY 1";

const TRUST: &str = "
    SELECT format('line %s: %s %s %s', line_number, type, array_to_string(database, ','),
                  array_to_string(user_name, ','))
    FROM pg_hba_file_rules WHERE auth_method = 'trust' ORDER BY line_number";

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
        let control = Control::new(&self.upstream, database)?;
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
                "no function lends its owner's rights to everybody",
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
    async fn lines(&self, sql: &str) -> Result<Vec<String>, ProvisionError> {
        let text = |row: &Row| row.get(0);
        Ok(self.closing.call(sql, &[]).await?.iter().map(text).collect())
    }
}

fn listed(check: &str, items: &[String], fine: &str, lax: &str, remedy: &str) -> Finding {
    if items.is_empty() {
        ok(check, fine.to_owned())
    } else {
        warning(check, format!("{lax}: {}", shortened(items, "; ")), Some(remedy.to_owned()))
    }
}

fn shortened(items: &[String], separator: &str) -> String {
    let shown: Vec<&str> = items.iter().take(SHOWN).map(String::as_str).collect();
    match items.len().saturating_sub(SHOWN) {
        0 => shown.join(separator),
        more => format!("{}{separator}… and {more} more", shown.join(separator)),
    }
}

fn ok(check: &str, message: String) -> Finding {
    Finding { check: check.to_owned(), level: FindingLevel::Ok, message, remedy: None }
}

fn warning(check: &str, message: String, remedy: Option<String>) -> Finding {
    Finding { check: check.to_owned(), level: FindingLevel::Warning, message, remedy }
}

fn problem(check: &str, message: String, remedy: Option<String>) -> Finding {
    Finding { check: check.to_owned(), level: FindingLevel::Problem, message, remedy }
}
