//! Secrets come from a file that only its owner can read, or from the
//! environment; never from the configuration's own text.

use super::Outside;
use super::reader::Section;
use crate::core::model::Secret;
use std::path::{Path, PathBuf};

/// The secret named by `NAME_file` or `NAME_env`; `None` when neither is there
/// or it cannot be had, which is reported then.
pub(super) fn secret(section: &Section<'_>, name: &str, outside: &Outside<'_>) -> Option<Secret> {
    let (file_key, env_key) = (format!("{name}_file"), format!("{name}_env"));
    let file = section.text(&file_key, "the path of a file with the secret");
    let env = section.text(&env_key, "the name of an environment variable");
    if let Some(inline) = section.text(name, "no secret in this file") {
        inline.say(format!("a secret does not belong in this file: use {file_key} or {env_key}"));
    }
    match (file, env) {
        (Some(_), Some(env)) => {
            env.say(format!("there is {file_key} already: expected one of them"));
            None
        }
        (Some(file), None) => {
            read_file(&outside.path(file.value), outside).map_err(|message| file.say(message)).ok()
        }
        (None, Some(env)) => match (outside.env)(env.value).filter(|value| !value.is_empty()) {
            Some(value) => Some(Secret::new(value)),
            None => {
                env.say(format!("the environment variable {} is not set", env.value));
                None
            }
        },
        (None, None) => None,
    }
}

fn read_file(path: &Path, outside: &Outside<'_>) -> Result<Secret, String> {
    let shown = path.display();
    let cannot = |error: std::io::Error| format!("cannot read {shown}: {error}");
    private(path, outside).map_err(cannot)??;
    let text = std::fs::read_to_string(path).map_err(cannot)?;
    let text = zeroize::Zeroizing::new(text);
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err(format!("{shown} is empty: expected the secret")),
        secret => Ok(Secret::new(secret)),
    }
}

/// systemd's credentials show group bits for their access list, in a directory
/// that is private by itself (systemd.exec(5), LoadCredential=).
#[cfg(unix)]
fn private(path: &Path, outside: &Outside<'_>) -> std::io::Result<Result<(), String>> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path)?.permissions().mode() & 0o777;
    let credentials = (outside.env)("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let by_systemd = credentials.is_some_and(|dir| dir.is_absolute() && path.parent() == Some(&dir));
    let shown = path.display();
    Ok(if mode & 0o077 == 0 || by_systemd {
        Ok(())
    } else {
        Err(format!("{shown} can be read by others (mode {mode:03o}): run `chmod 600 {shown}`"))
    })
}

#[cfg(not(unix))]
fn private(_: &Path, _: &Outside<'_>) -> std::io::Result<Result<(), String>> {
    Ok(Ok(()))
}
