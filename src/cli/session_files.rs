//! What a session leaves on this machine while it lives: a directory 0700 with
//! a password file 0600, gone when the session is (G8).
//!
//! The process that holds a session holds a lock on the directory's `lock`
//! file; the kernel lets go of it when the process dies, however it dies. So a
//! directory whose lock can be taken belongs to nobody, and the next run of
//! dbaccess wipes it.

use super::error::CliError;
use super::paths;
use crate::core::model::Secret;
use jiff::Timestamp;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where a client connects and as whom.
pub struct PassEntry<'a> {
    pub host: &'a str,
    pub port: u16,
    pub database: &'a str,
    pub user: &'a str,
    pub password: &'a Secret,
}

/// The files of one session. Dropping it wipes them.
#[derive(Debug)]
pub struct SessionFiles {
    directory: PathBuf,
    /// Held for as long as this process has the session.
    _lock: File,
    /// A detached session's files stay until its window ends.
    kept: bool,
}

impl SessionFiles {
    /// Makes the directory and writes the password file.
    pub fn create(session: &str, entry: &PassEntry<'_>) -> Result<Self, CliError> {
        Self::create_in(&sessions_dir()?, session, entry)
            .map_err(|error| CliError::local("the session's password file cannot be written", error))
    }

    fn create_in(sessions: &Path, session: &str, entry: &PassEntry<'_>) -> io::Result<Self> {
        private_directory(sessions)?;
        let _guard = exclusive(sessions)?;
        let directory = sessions.join(session);
        DirBuilder::new().mode(0o700).create(&directory)?;
        let lock = private_file(&directory.join("lock"))?;
        lock.lock()?;
        let files = Self { directory, _lock: lock, kept: false };
        let mut file = private_file(&files.password_file())?;
        file.write_all(pgpass_line(entry).as_bytes())?;
        Ok(files)
    }

    pub fn password_file(&self) -> PathBuf {
        self.directory.join("pgpass")
    }

    /// Leaves the files for a session that outlives this process, until `until`.
    pub fn keep_until(mut self, until: Timestamp) -> Result<PathBuf, CliError> {
        let mut file = private_file(&self.directory.join("until"))
            .map_err(|error| CliError::local("the session's files cannot be kept", error))?;
        file.write_all(until.to_string().as_bytes())
            .map_err(|error| CliError::local("the session's files cannot be kept", error))?;
        self.kept = true;
        Ok(self.password_file())
    }
}

impl Drop for SessionFiles {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be wiped now is wiped by the next run.
            drop(wipe(&self.directory));
        }
    }
}

/// Wipes what dead processes left behind, and detached sessions past their window.
pub fn sweep(now: Timestamp) -> Result<(), CliError> {
    sweep_in(&sessions_dir()?, now)
        .map_err(|error| CliError::local("files of earlier sessions cannot be wiped", error))
}

fn sweep_in(sessions: &Path, now: Timestamp) -> io::Result<()> {
    if !sessions.exists() {
        return Ok(());
    }
    let _guard = exclusive(sessions)?;
    for entry in fs::read_dir(sessions)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && is_dead(&entry.path(), now) {
            wipe(&entry.path())?;
        }
    }
    Ok(())
}

fn is_dead(directory: &Path, now: Timestamp) -> bool {
    // Opened for writing but not made: a directory without a lock is a leftover.
    if let Ok(lock) = OpenOptions::new().write(true).open(directory.join("lock"))
        && lock.try_lock().is_err()
    {
        return false;
    }
    let until = fs::read_to_string(directory.join("until")).ok();
    until.and_then(|text| text.parse::<Timestamp>().ok()).is_none_or(|until| until <= now)
}

/// Overwrites and removes. The overwriting is for ordinary file systems; on
/// the memory-backed runtime directory it is free.
fn wipe(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if let Ok(mut file) = OpenOptions::new().write(true).open(&path) {
            let length = file.seek(SeekFrom::End(0))?;
            file.rewind()?;
            io::copy(&mut io::Read::take(io::repeat(0), length), &mut file)?;
        }
        fs::remove_file(&path)?;
    }
    fs::remove_dir(directory)
}

fn sessions_dir() -> Result<PathBuf, CliError> {
    Ok(paths::runtime_dir()?.join("sessions"))
}

/// Held while directories are made or swept, so that none is swept between
/// being made and being locked.
fn exclusive(sessions: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(sessions.join(".lock"))?;
    file.lock()?;
    Ok(file)
}

fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}

fn private_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// One line of a password file (PostgreSQL manual, "The Password File").
fn pgpass_line(entry: &PassEntry<'_>) -> String {
    let escape = |text: &str| text.replace('\\', "\\\\").replace(':', "\\:");
    let (host, database, user) = (escape(entry.host), escape(entry.database), escape(entry.user));
    format!("{host}:{}:{database}:{user}:{}\n", entry.port, escape(entry.password.expose()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn entry(password: &Secret) -> PassEntry<'_> {
        PassEntry { host: "127.0.0.1", port: 5433, database: "or:ders", user: "ana\\x", password }
    }

    #[test]
    fn g8_the_password_is_in_a_private_file_that_goes_with_the_session() {
        let room = tempfile::tempdir().unwrap();
        let password = Secret::new("s:e\\c");
        let files =
            SessionFiles::create_in(&room.path().join("sessions"), "ses-1", &entry(&password)).unwrap();
        let path = files.password_file();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        let line = fs::read_to_string(&path).unwrap();
        assert_eq!(line, "127.0.0.1:5433:or\\:ders:ana\\\\x:s\\:e\\\\c\n");
        sweep_in(&room.path().join("sessions"), Timestamp::UNIX_EPOCH).unwrap();
        assert!(path.exists(), "a living session keeps its files");
        drop(files);
        assert!(!path.parent().unwrap().exists());
    }

    #[test]
    fn g8_the_next_run_wipes_what_a_killed_one_left() {
        let room = tempfile::tempdir().unwrap();
        let sessions = room.path().join("sessions");
        let password = Secret::new("p");
        let now = Timestamp::from_second(1000).unwrap();
        let later = Timestamp::from_second(2000).unwrap();

        let mut killed = SessionFiles::create_in(&sessions, "ses-killed", &entry(&password)).unwrap();
        // A process that dies runs no destructor, and loses its lock.
        killed.kept = true;
        drop(killed);
        let detached = SessionFiles::create_in(&sessions, "ses-detached", &entry(&password)).unwrap();
        let kept = detached.keep_until(later).unwrap();

        sweep_in(&sessions, now).unwrap();
        assert!(!sessions.join("ses-killed").exists());
        assert!(kept.exists(), "its window is still open");
        sweep_in(&sessions, later).unwrap();
        assert!(!kept.exists());
    }
}
