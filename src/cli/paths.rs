//! Where the command line tool keeps what it keeps (XDG Base Directory
//! Specification 0.8, on macOS too). What may be private is private: 0700.

use crate::core::model::ErrorKind;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A directory that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PathError {
    #[error("no home directory: set HOME, or {0} to an absolute path")]
    NoHome(&'static str),
    #[error("cannot use {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{0} belongs to somebody else: remove it, or point the XDG variables elsewhere")]
    Foreign(PathBuf),
}

impl PathError {
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Internal
    }
}

/// `$XDG_CONFIG_HOME/dbaccess`; not created, since a person writes there.
pub fn config_dir() -> Result<PathBuf, PathError> {
    base(&environment, "XDG_CONFIG_HOME", ".config")
}

/// `$XDG_STATE_HOME/dbaccess`, created, 0700.
pub fn state_dir() -> Result<PathBuf, PathError> {
    private_dir(base(&environment, "XDG_STATE_HOME", ".local/state")?)
}

/// `$XDG_RUNTIME_DIR/dbaccess`, created, 0700; where there is none (cron, a
/// container, macOS), `run` in the state directory, and never a shared `/tmp`.
pub fn runtime_dir() -> Result<PathBuf, PathError> {
    match absolute(&environment, "XDG_RUNTIME_DIR") {
        Some(dir) => private_dir(dir.join("dbaccess")),
        None => private_dir(state_dir()?.join("run")),
    }
}

/// Creates a directory that nobody else can enter, or makes it so.
pub fn private_dir(path: PathBuf) -> Result<PathBuf, PathError> {
    let failed = |source| PathError::Io { path: path.clone(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed)?;
    let metadata = fs::symlink_metadata(&path).map_err(failed)?;
    if !metadata.is_dir() || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(PathError::Foreign(path));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(path)
}

type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

fn base(environment: Environment<'_>, name: &'static str, below_home: &str) -> Result<PathBuf, PathError> {
    let dir = absolute(environment, name)
        .or_else(|| absolute(environment, "HOME").map(|home| home.join(below_home)))
        .ok_or(PathError::NoHome(name))?;
    Ok(dir.join("dbaccess"))
}

/// "All paths must be absolute. If an implementation encounters a relative
/// path it should consider the path invalid and ignore it."
fn absolute(environment: Environment<'_>, name: &str) -> Option<PathBuf> {
    environment(name).map(PathBuf::from).filter(|path| Path::is_absolute(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xdg_variables_win_when_they_are_absolute() {
        type Set = &'static [(&'static str, &'static str)];
        let cases: [(Set, Option<&str>); 5] = [
            (&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")], Some("/s/dbaccess")),
            (&[("XDG_STATE_HOME", "s"), ("HOME", "/h")], Some("/h/.local/state/dbaccess")),
            (&[("XDG_STATE_HOME", ""), ("HOME", "/h")], Some("/h/.local/state/dbaccess")),
            (&[("HOME", "/h")], Some("/h/.local/state/dbaccess")),
            (&[("HOME", "h")], None),
        ];
        for (set, expected) in cases {
            let environment =
                |name: &str| set.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value));
            let dir = base(&environment, "XDG_STATE_HOME", ".local/state").ok();
            assert_eq!(dir.as_deref(), expected.map(Path::new), "{set:?}");
        }
    }

    #[test]
    fn g8_a_private_directory_is_made_private_and_no_symlink() {
        let dir = tempfile::tempdir().unwrap();
        let path = private_dir(dir.path().join("a/b")).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        private_dir(path.clone()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(private_dir(link), Err(PathError::Foreign(_))));
    }
}
