//! Where a person's tokens live, one small secret for each server:
//! `DBACCESS_TOKEN` when it is set, else the system's keyring (unless
//! `DBACCESS_KEYRING=off`), else a file of mode 0600 in a directory of mode
//! 0700. Never decides whether a token is still good: the server does. Called
//! by `login`, `logout` and the API client.
//!
//! Reading asks the file first and the keyring only when there is no file:
//! saving leaves at most one of them, and most machines without a keyring are
//! then spared the question. These calls block: on the disk for a moment, and
//! on a locked keyring for as long as a person takes to unlock it, a minute at most.

use super::paths::{self, PathError};
use crate::core::hex::hex;
use crate::core::model::{ErrorKind, Secret};
use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Windows keeps at most 2,560 bytes; the same bound everywhere means the same behaviour.
const LARGEST_SECRET: usize = 2500;
/// A locked keyring asks the person for a password; nobody is there to answer for ever.
const KEYRING_PATIENCE: Duration = Duration::from_secs(60);
/// A renewal is a request or two.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);
const LOCK_PAUSE: Duration = Duration::from_millis(20);
const SERVICE: &str = "dbaccess";

/// What is kept of a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The server's own token.
    pub token: Secret,
    /// `None` for a token from the environment, of which nothing else is known.
    pub expires_at: Option<Timestamp>,
    pub refresh_token: Option<Secret>,
}

/// Where a sign-in was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    Keyring,
    File {
        path: PathBuf,
        /// Why not in the keyring.
        because: String,
        /// Whether the file is new: then it is worth a line.
        first: bool,
    },
}

impl Saved {
    /// The one clear line for stderr, where there is something to say.
    pub fn notice(&self) -> Option<String> {
        match self {
            Self::File { path, because, first: true } => Some(format!(
                "The sign-in is kept in {}, which only you can read, because {because}.",
                path.display()
            )),
            _ => None,
        }
    }
}

/// Tokens that cannot be kept or read. Never contains one.
#[derive(Debug, thiserror::Error)]
pub enum TokenStoreError {
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("cannot use {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{0} is damaged: run `dbaccess login` to replace it")]
    Corrupt(String),
    #[error("{path} can be read by others (mode {mode:o}): run `dbaccess logout`, then `dbaccess login`")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("another dbaccess has been renewing the sign-in for a minute: end it, or remove {0}")]
    Busy(PathBuf),
    #[error("the sign-in comes from DBACCESS_TOKEN: unset it to use `login` and `logout`")]
    FromEnvironment,
}

impl TokenStoreError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Path(_) | Self::Io { .. } => ErrorKind::Internal,
            Self::Busy(_) => ErrorKind::Conflict,
            Self::Corrupt(_) | Self::Exposed { .. } => ErrorKind::NotSignedIn,
            Self::FromEnvironment => ErrorKind::Usage,
        }
    }
}

/// Whether the system's keyring is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyring {
    System,
    Off,
}

/// The tokens for one server.
#[derive(Clone, Debug)]
pub struct TokenStore {
    server: String,
    dir: PathBuf,
    keyring: Keyring,
    environment: Option<Secret>,
}

/// Held while a token is renewed; released when dropped, or when the process dies.
#[derive(Debug)]
pub struct RenewLock {
    _file: File,
}

impl TokenStore {
    /// The store of this person on this machine, for the server at `url`.
    pub fn open(url: &str) -> Result<Self, TokenStoreError> {
        let environment = std::env::var("DBACCESS_TOKEN").ok().filter(|token| !token.trim().is_empty());
        let environment = environment.map(|token| Secret::new(token.trim()));
        let off = std::env::var_os("DBACCESS_KEYRING").is_some_and(|value| value == "off");
        let keyring = if off { Keyring::Off } else { Keyring::System };
        Self::new(url, paths::state_dir()?.join("tokens"), keyring, environment)
    }

    /// A store with each part named.
    pub fn new(
        url: &str,
        dir: PathBuf,
        keyring: Keyring,
        environment: Option<Secret>,
    ) -> Result<Self, TokenStoreError> {
        let server = url.trim_end_matches('/').to_ascii_lowercase();
        Ok(Self { server, dir: paths::private_dir(dir)?, keyring, environment })
    }

    /// What is kept, if anybody is signed in here.
    pub fn load(&self) -> Result<Option<Stored>, TokenStoreError> {
        if let Some(token) = &self.environment {
            return Ok(Some(Stored { token: token.clone(), expires_at: None, refresh_token: None }));
        }
        if let Some(stored) = self.load_file()? {
            return Ok(Some(stored));
        }
        // A keyring that cannot be asked holds nothing that we could use.
        let Some(text) = self.keyring_entry().and_then(|name| keyring::read(name).ok()).flatten() else {
            return Ok(None);
        };
        let damaged = || TokenStoreError::Corrupt("the sign-in in the keyring".to_owned());
        self.decode(&text).map(Some).ok_or_else(damaged)
    }

    /// Keeps a sign-in in place of the last one.
    pub fn save(&self, stored: &Stored) -> Result<Saved, TokenStoreError> {
        if self.environment.is_some() {
            return Err(TokenStoreError::FromEnvironment);
        }
        let text = self.encode(stored);
        let because = match self.keyring_entry() {
            None => "no keyring is used (DBACCESS_KEYRING=off)".to_owned(),
            Some(_) if text.len() > LARGEST_SECRET => "it is too large for a keyring".to_owned(),
            Some(name) => match keyring::write(name, text.clone()) {
                Ok(()) => {
                    self.remove_file()?;
                    return Ok(Saved::Keyring);
                }
                // What may still lie there is not read any more: the file comes first.
                Err(why) => format!("there is no usable keyring ({why})"),
            },
        };
        let path = self.file();
        let first = !path.exists();
        self.save_file(&text)?;
        Ok(Saved::File { path, because, first })
    }

    /// Forgets the sign-in, everywhere. Doing so twice is fine.
    pub fn clear(&self) -> Result<(), TokenStoreError> {
        if self.environment.is_some() {
            return Err(TokenStoreError::FromEnvironment);
        }
        self.remove_file()?;
        if let Some(name) = self.keyring_entry() {
            // Without a keyring there is nothing in it.
            drop(keyring::delete(name));
        }
        Ok(())
    }

    /// Whether the token comes from `DBACCESS_TOKEN`, so that nothing can be kept.
    pub fn is_read_only(&self) -> bool {
        self.environment.is_some()
    }

    /// Waits until no other process renews this sign-in. Take it, [`load`](Self::load)
    /// again, and renew only if the token is still the old one: providers that
    /// rotate refresh tokens end the sign-in when one is used twice.
    ///
    /// Cancel-safe.
    pub async fn lock(&self) -> Result<RenewLock, TokenStoreError> {
        let path = self.dir.join(format!("{}.lock", self.name()));
        let failed = |source| TokenStoreError::Io { path: path.clone(), source };
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = open.map_err(failed)?;
        // Asked for again and again, since a thread that waits for a lock cannot be interrupted.
        let locked = tokio::time::timeout(LOCK_PATIENCE, async {
            loop {
                match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                    Err(Errno::WOULDBLOCK | Errno::INTR) => tokio::time::sleep(LOCK_PAUSE).await,
                    done => return done,
                }
            }
        });
        match locked.await {
            Ok(locked) => locked.map_err(|error| failed(error.into()))?,
            Err(_) => return Err(TokenStoreError::Busy(path)),
        }
        Ok(RenewLock { _file: file })
    }

    /// The file that is used where there is no keyring.
    pub fn file(&self) -> PathBuf {
        self.dir.join(format!("{}.json", self.name()))
    }

    /// Readable, and different for different servers.
    fn name(&self) -> String {
        let readable: String = self
            .server
            .trim_start_matches("https://")
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' })
            .take(80)
            .collect();
        format!("{readable}-{:.8}", hex(&Sha256::digest(&self.server)))
    }

    fn keyring_entry(&self) -> Option<String> {
        (self.keyring == Keyring::System).then(|| self.server.clone())
    }

    fn load_file(&self) -> Result<Option<Stored>, TokenStoreError> {
        let path = self.file();
        let failed = |source| TokenStoreError::Io { path: path.clone(), source };
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenStoreError::Exposed { path, mode });
        }
        let mut text = Zeroizing::new(String::new());
        let damaged = || TokenStoreError::Corrupt(path.display().to_string());
        match file.read_to_string(&mut text) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(damaged()),
            Err(error) => return Err(failed(error)),
            Ok(_) => {}
        }
        self.decode(&text).map(Some).ok_or_else(damaged)
    }

    /// All or nothing: written beside, synced, renamed over.
    fn save_file(&self, text: &str) -> Result<(), TokenStoreError> {
        let path = self.file();
        let failed = |source| TokenStoreError::Io { path: path.clone(), source };
        // Created with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(&self.dir).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        sync_directory(&self.dir);
        Ok(())
    }

    fn remove_file(&self) -> Result<(), TokenStoreError> {
        let path = self.file();
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(TokenStoreError::Io { path, source })
            }
            _ => Ok(()),
        }
    }

    fn encode(&self, stored: &Stored) -> Zeroizing<String> {
        let kept = Kept {
            server: &self.server,
            token: stored.token.expose(),
            expires_at: stored.expires_at,
            refresh_token: stored.refresh_token.as_ref().map(Secret::expose),
        };
        // Strings and a time always have a JSON form.
        Zeroizing::new(serde_json::to_string(&kept).unwrap_or_default())
    }

    /// `None` for anything that was not written by [`Self::encode`] for this server.
    fn decode(&self, text: &str) -> Option<Stored> {
        let kept: KeptOwned = serde_json::from_str(text).ok()?;
        (kept.server == self.server).then_some(Stored {
            token: kept.token,
            expires_at: kept.expires_at,
            refresh_token: kept.refresh_token,
        })
    }
}

#[derive(Serialize)]
struct Kept<'a> {
    server: &'a str,
    token: &'a str,
    expires_at: Option<Timestamp>,
    refresh_token: Option<&'a str>,
}

#[derive(Deserialize)]
struct KeptOwned {
    server: String,
    token: Secret,
    expires_at: Option<Timestamp>,
    refresh_token: Option<Secret>,
}

/// So that the rename survives a power cut; a file system that cannot is no reason to fail.
fn sync_directory(dir: &Path) {
    if let Ok(dir) = File::open(dir) {
        drop(dir.sync_all());
    }
}

/// The system's keyring. Each call has its own thread, because the keyring may
/// ask the person for a password and would block a task for as long.
mod keyring {
    use super::*;
    use ::keyring::{Entry, Error};

    pub(super) fn read(name: String) -> Result<Option<Zeroizing<String>>, String> {
        ask(move || match Entry::new(SERVICE, &name)?.get_password() {
            Ok(text) => Ok(Some(Zeroizing::new(text))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// Writes and reads back: a locked keyring may take a secret that it never gives.
    pub(super) fn write(name: String, text: Zeroizing<String>) -> Result<(), String> {
        let (entry, expected) = (name.clone(), text.clone());
        ask(move || Entry::new(SERVICE, &entry)?.set_password(&text))?;
        match read(name)? {
            Some(kept) if kept == expected => Ok(()),
            _ => Err("it does not give back what it was given".to_owned()),
        }
    }

    pub(super) fn delete(name: String) -> Result<(), String> {
        ask(move || match Entry::new(SERVICE, &name)?.delete_credential() {
            Err(Error::NoEntry) => Ok(()),
            done => done,
        })
    }

    fn ask<T: Send + 'static>(
        question: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, String> {
        let (answer, answered) = mpsc::sync_channel(1);
        std::thread::spawn(move || drop(answer.send(question())));
        match answered.recv_timeout(KEYRING_PATIENCE) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(reason(&error)),
            Err(_) => Err("it did not answer within a minute".to_owned()),
        }
    }

    /// The crate's texts name platforms' insides; a person needs less.
    fn reason(error: &Error) -> String {
        match error {
            Error::NoDefaultStore | Error::PlatformFailure(_) => "none answers".to_owned(),
            Error::NoStorageAccess(_) => "it is locked".to_owned(),
            other => other.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(dir: &Path) -> TokenStore {
        TokenStore::new("https://db.example.com:7443/", dir.to_owned(), Keyring::Off, None).unwrap()
    }

    fn stored() -> Stored {
        Stored {
            token: Secret::new("server-token"),
            expires_at: Some("2026-11-23T10:00:00Z".parse().unwrap()),
            refresh_token: Some(Secret::new("refresh-token")),
        }
    }

    #[test]
    fn g8_the_file_is_private_whole_and_gone_after_logout() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir.path().join("tokens"));
        assert_eq!(store.load().unwrap(), None);
        let saved = store.save(&stored()).unwrap();
        assert!(saved.notice().unwrap().contains("only you can read"));
        assert_eq!(store.load().unwrap(), Some(stored()));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&store.file()), mode(&store.dir)), (0o600, 0o700));
        assert_eq!(store.save(&stored()).unwrap().notice(), None, "said once");
        assert_eq!(fs::read_dir(&store.dir).unwrap().count(), 1, "no temporary file is left");
        store.clear().unwrap();
        store.clear().unwrap();
        assert_eq!(store.load().unwrap(), None);
    }

    #[test]
    fn a_damaged_or_exposed_file_is_an_error_that_login_heals() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        store.save(&stored()).unwrap();
        let other = r#"{"server":"https://other","token":"t","expires_at":null,"refresh_token":null}"#;
        for text in ["", "{", "null", "\u{0}", other] {
            fs::write(store.file(), text).unwrap();
            let error = store.load().unwrap_err();
            assert!(matches!(error, TokenStoreError::Corrupt(_)), "{text}");
            assert_eq!(error.kind(), ErrorKind::NotSignedIn);
        }
        fs::write(store.file(), [0xff, 0xfe]).unwrap();
        assert!(matches!(store.load(), Err(TokenStoreError::Corrupt(_))));
        store.save(&stored()).unwrap();
        fs::set_permissions(store.file(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(store.load(), Err(TokenStoreError::Exposed { mode: 0o640, .. })));
        store.save(&stored()).unwrap();
        assert_eq!(store.load().unwrap(), Some(stored()));
    }

    #[test]
    fn the_environment_wins_and_is_never_written() {
        let dir = tempfile::tempdir().unwrap();
        store(dir.path()).save(&stored()).unwrap();
        let token = Some(Secret::new("from-environment"));
        let mut with = store(dir.path());
        with.environment = token;
        assert_eq!(with.load().unwrap().unwrap().token, Secret::new("from-environment"));
        assert!(matches!(with.save(&stored()), Err(TokenStoreError::FromEnvironment)));
        assert!(matches!(with.clear(), Err(TokenStoreError::FromEnvironment)));
        assert_eq!(store(dir.path()).load().unwrap(), Some(stored()));
    }

    #[test]
    fn servers_do_not_share_a_sign_in() {
        let dir = tempfile::tempdir().unwrap();
        let names: std::collections::BTreeSet<_> =
            ["https://a/x", "https://a_x", "https://a/x/y", "https://A/X/", "http://a/x"]
                .map(|url| TokenStore::new(url, dir.path().to_owned(), Keyring::Off, None).unwrap().name())
                .into();
        assert_eq!(names.len(), 4, "only case and a last slash do not matter: {names:?}");
    }

    #[tokio::test]
    async fn one_renewal_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let held = store.lock().await.unwrap();
        // Another open file is another holder, as another process would be.
        assert!(tokio::time::timeout(LOCK_PAUSE * 2, store.lock()).await.is_err());
        drop(held);
        store.lock().await.unwrap();
    }
}
