//! The signing key: made at the first start, never replaced by itself.

use super::disk::sync_dir;
use super::{JournalError, recover};
use crate::core::ledger::PublicKey;
use ed25519_dalek::SigningKey;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Reads the key, or makes one where there is no ledger yet, and keeps the
/// public key beside the ledger. The caller holds the directory's lock.
pub(super) fn load_or_create(dir: &Path, key_file: Option<&Path>) -> Result<SigningKey, JournalError> {
    let default = dir.join("signing.key");
    let path = key_file.unwrap_or(&default);
    let refuse = |problem| Err(JournalError::Key { path: path.to_owned(), problem });
    let key = match File::open(path) {
        Ok(file) => {
            let mode = file.metadata().map_err(JournalError::io("reading", path))?.permissions().mode();
            if mode & 0o077 != 0 {
                return refuse("others can read it: chmod 600, and consider it known");
            }
            let mut seed = Zeroizing::new(Vec::with_capacity(64));
            file.take(64).read_to_end(&mut seed).map_err(JournalError::io("reading", path))?;
            let Ok(seed) = <&[u8; 32]>::try_from(seed.as_slice()) else {
                return refuse("it is not a key: it must be 32 bytes");
            };
            SigningKey::from_bytes(seed)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if !recover::segments(dir)?.is_empty() {
                return refuse("it is missing, but the ledger was signed with it: restore it from a backup");
            }
            create(path).map_err(JournalError::io("making", path))?
        }
        Err(error) => return Err(JournalError::io("reading", path)(error)),
    };
    let public = dir.join("signing.pub");
    let text = format!("{}\n", PublicKey::of(&key));
    if fs::read_to_string(&public).ok().as_deref() != Some(&text) {
        fs::write(&public, text).map_err(JournalError::io("writing", &public))?;
    }
    Ok(key)
}

/// The file appears under its name only when it is whole and on disk.
fn create(path: &Path) -> std::io::Result<SigningKey> {
    let seed = Zeroizing::new(crate::os::random::<32>());
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(seed.as_slice())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))?;
    Ok(SigningKey::from_bytes(&seed))
}
