//! `dbaccess target setup`: prepares a target, or prints the SQL for a DBA to
//! read and run. Both ways it is the same text.

use super::config::{Config, Upstream};
use super::provision::{SetupParams, apply_setup, apply_teardown, setup_sql, teardown_sql};
use crate::core::model::Secret;
use crate::wire::postgres::scram::{DEFAULT_ITERATIONS, Keys, SALT_BYTES};
use anyhow::{Context as _, bail};
use std::io::Write as _;
use std::path::Path;

/// Applies the setup (or, with `remove`, its undoing) as the administrator
/// `admin`, or prints it.
pub async fn run(
    config: &Path,
    target: &str,
    admin: Option<(&str, Secret)>,
    print: bool,
    remove: bool,
) -> anyhow::Result<()> {
    let config = Config::load(config)?;
    let Some(configured) = config.targets.get(target) else {
        let names: Vec<&str> = config.targets.keys().map(String::as_str).collect();
        bail!("the configuration has no target {target}; it has {}", names.join(", "));
    };
    let params = params(&configured.upstream)?;
    let mut out = std::io::stdout().lock();
    if print {
        let script = if remove { teardown_sql(&params) } else { setup_sql(&params) };
        out.write_all(script.as_bytes())?;
        return Ok(());
    }
    let Some((user, password)) = admin else {
        bail!("say whom to connect as: --admin USER; or print the SQL for a DBA: --print");
    };
    let admin =
        Upstream { user: user.to_owned(), password: Some(password), ..configured.upstream.writable() };
    if remove {
        let databases = apply_teardown(&admin, &params).await.context("as the administrator")?;
        writeln!(out, "{target} is as it was: the setup is gone from {}", databases.join(", "))?;
    } else {
        let databases = apply_setup(&admin, &params).await.context("as the administrator")?;
        writeln!(out, "{target} is ready: the setup is in {}", databases.join(", "))?;
    }
    Ok(())
}

/// What a target's setup depends on. The server's login gets its configured
/// password as a SCRAM verifier, so that no log of the database holds it.
pub fn params(upstream: &Upstream) -> anyhow::Result<SetupParams> {
    let verifier = match &upstream.password {
        Some(password) => {
            let keys =
                Keys::derive(password.expose(), &crate::os::random::<SALT_BYTES>(), DEFAULT_ITERATIONS)
                    .context("the target's configured password")?;
            Some(Secret::new(keys.verifier().to_postgres().as_str()))
        }
        None => None,
    };
    Ok(SetupParams {
        gateway_login: upstream.user.clone(),
        gateway_verifier: verifier,
        object_owner: upstream.object_owner.clone(),
        ddl_owners: upstream.ddl_owners.clone(),
    })
}
