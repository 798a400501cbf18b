//! `dbaccess target setup`: the SQL that a DBA reads and runs, or that is
//! applied with an administrator's connection. Either way it is the same text.

use super::control::Control;
use super::error::ProvisionError;
use crate::core::model::Secret;
use crate::core::profile::{quote_ident, quote_literal};
use crate::server::config::Upstream;

/// Raised with every change of the setup's SQL: targets of another version are asked
/// to run the setup again.
pub const SETUP_VERSION: i32 = 3;

/// Who owns what a session leaves behind when nobody is configured.
const NOBODY: &str = "dbaccess_objects";

/// What the setup of a target depends on.
#[derive(Clone, Debug)]
pub struct SetupParams {
    /// The server's login in the target; made without a password when missing.
    pub gateway_login: String,
    /// A SCRAM verifier to set as its password.
    pub gateway_verifier: Option<Secret>,
    /// Who gets the ordinary tables that write sessions leave behind.
    pub object_owner: Option<String>,
    /// Owners of schemas as whom a session that changes them may work.
    pub ddl_owners: Vec<String>,
}

/// The script in its order: each part is a chapter for the DBA who reads it.
const CHAPTERS: [&str; 8] = [
    include_str!("setup/roles.sql"),
    include_str!("setup/masks.sql"),
    include_str!("setup/sealed.sql"),
    include_str!("setup/views.sql"),
    include_str!("setup/profiles.sql"),
    include_str!("setup/sessions.sql"),
    include_str!("setup/deploys.sql"),
    include_str!("setup/finish.sql"),
];

/// The script for one database; it is to be run in each of the cluster.
pub fn setup_sql(params: &SetupParams) -> String {
    render(&CHAPTERS.concat(), params)
}

/// The script that undoes it, likewise.
pub fn teardown_sql(params: &SetupParams) -> String {
    render(include_str!("setup/teardown.sql"), params)
}

/// Applies the setup in every database that accepts connections, as the
/// administrator that `admin` connects as. Returns their names.
///
/// Each database is one transaction; running it again completes what failed.
pub async fn apply_setup(admin: &Upstream, params: &SetupParams) -> Result<Vec<String>, ProvisionError> {
    in_every_database(admin, &setup_sql(params)).await
}

/// Removes what [`apply_setup`] made, in every database.
pub async fn apply_teardown(admin: &Upstream, params: &SetupParams) -> Result<Vec<String>, ProvisionError> {
    in_every_database(admin, &teardown_sql(params)).await
}

async fn in_every_database(admin: &Upstream, script: &str) -> Result<Vec<String>, ProvisionError> {
    let databases = databases(&Control::new(admin, &admin.database)?).await?;
    for database in &databases {
        Control::new(admin, database)?.run_script(script).await?;
    }
    Ok(databases)
}

/// Every database that accepts connections, template1 included.
pub(super) async fn databases(control: &Control) -> Result<Vec<String>, ProvisionError> {
    let sql = "SELECT datname::text FROM pg_database WHERE datallowconn ORDER BY datname";
    Ok(control.call(sql, &[]).await?.iter().map(|row| row.get(0)).collect())
}

/// Fills in psql's own notation for variables, in one pass, so that a value
/// that looks like a placeholder stays a value.
fn render(template: &str, params: &SetupParams) -> String {
    let owner = params.object_owner.as_deref().unwrap_or(NOBODY);
    let verifier = params.gateway_verifier.as_ref().map_or("", Secret::expose);
    let values = [
        (":version", SETUP_VERSION.to_string()),
        (":'gateway'", quote_literal(&params.gateway_login)),
        (":\"gateway\"", quote_ident(&params.gateway_login)),
        (":'verifier'", quote_literal(verifier)),
        (":'object_owner'", quote_literal(owner)),
        (":'ddl_owners'", quote_literal(&array(&params.ddl_owners))),
    ];
    let mut script = String::with_capacity(template.len() + 256);
    let mut rest = template;
    loop {
        let next = values
            .iter()
            .filter_map(|(mark, value)| rest.find(mark).map(|at| (at, *mark, value)))
            .min_by_key(|(at, ..)| *at);
        let Some((at, mark, value)) = next else {
            script.push_str(rest);
            return script;
        };
        let (before, after) = rest.split_at(at);
        script.push_str(before);
        script.push_str(value);
        rest = after.strip_prefix(mark).unwrap_or_default();
    }
}

/// As PostgreSQL reads `text[]` (manual 8.15.2).
fn array(items: &[String]) -> String {
    let quoted = |item: &String| format!("\"{}\"", item.replace('\\', "\\\\").replace('"', "\\\""));
    format!("{{{}}}", items.iter().map(quoted).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_and_never_rendered_twice() {
        let params = SetupParams {
            gateway_login: "we:'verifier'ird\"".to_owned(),
            gateway_verifier: Some(Secret::new("SCRAM")),
            object_owner: Some("o'brien".to_owned()),
            ddl_owners: vec!["plain".to_owned(), "o'\\\"x".to_owned()],
        };
        let script = setup_sql(&params);
        assert!(script.contains("TO \"we:'verifier'ird\"\"\";"), "{script}");
        assert!(script.contains("SET LOCAL dbaccess.gateway = 'we:''verifier''ird\"';"));
        assert!(script.contains("RETURN 'o''brien';"));
        assert!(script.contains(r#"RETURN  E'{"plain","o''\\\\\\"x"}'::text[];"#), "{script}");
        let plain = SetupParams {
            gateway_login: "gw".to_owned(),
            gateway_verifier: None,
            object_owner: None,
            ddl_owners: Vec::new(),
        };
        for script in [setup_sql(&plain), teardown_sql(&plain)] {
            let marks =
                [":version", ":'gateway'", ":\"gateway\"", ":'verifier'", ":'object_owner'", ":'ddl_owners'"];
            assert!(!marks.iter().any(|mark| script.contains(mark)));
        }
    }
}
