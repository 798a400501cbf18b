//! Keys of 32 bytes that the server makes for itself, each in a file of its own.

use anyhow::{Context as _, Result, bail};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// What a key is for.
pub(super) struct Purpose {
    /// As in `the key of links`.
    pub name: &'static str,
    /// What to do about a file that cannot be used.
    pub repair: &'static str,
}

/// Without it, links that were given out lead nowhere; nothing else depends on it.
pub(super) const LINKS: Purpose =
    Purpose { name: "the key of links", repair: "remove it, and the next start makes another" };

/// Without it, what redacted texts left out until now is lost.
pub(super) const UNSEALING: Purpose = Purpose {
    name: "the server's half of the key of redacted texts",
    repair: "put it back from a backup, with mode 0600: without it no redacted text is ever unsealed",
};

/// Reads the key, or makes one.
pub(super) fn load_or_create(path: &Path, purpose: &Purpose) -> Result<Zeroizing<[u8; 32]>> {
    match load(path, purpose)? {
        Some(key) => Ok(key),
        None => create(path).with_context(|| format!("cannot make {}, {}", purpose.name, path.display())),
    }
}

/// Reads the key; none where there is none.
pub(super) fn load(path: &Path, purpose: &Purpose) -> Result<Option<Zeroizing<[u8; 32]>>> {
    let (shown, Purpose { name, repair }) = (path.display(), purpose);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {name}, {shown}")),
    };
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        bail!("others can read {name}, {shown}: {repair}");
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    file.take(64).read_to_end(&mut bytes).with_context(|| format!("cannot read {shown}"))?;
    match <[u8; 32]>::try_from(bytes.as_slice()) {
        Ok(key) => Ok(Some(Zeroizing::new(key))),
        Err(_) => bail!("{shown} is not a key of 32 bytes: {repair}"),
    }
}

/// The file appears under its name only when it is whole.
fn create(path: &Path) -> Result<Zeroizing<[u8; 32]>> {
    let key = Zeroizing::new(crate::os::random::<32>());
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(key.as_slice())?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    if let Some(dir) = path.parent() {
        File::open(dir)?.sync_all()?;
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g8_a_key_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("link.key");
        assert!(load(&path, &LINKS).unwrap().is_none());
        let key = load_or_create(&path, &LINKS).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_create(&path, &LINKS).unwrap(), key);
        assert_eq!(load(&path, &LINKS).unwrap(), Some(key));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = load_or_create(&path, &UNSEALING).unwrap_err().to_string();
        assert!(refused.contains("others can read") && refused.contains("backup"), "{refused}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"short").unwrap();
        assert!(load_or_create(&path, &LINKS).unwrap_err().to_string().contains("not a key"));
    }
}
