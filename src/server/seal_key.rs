//! The key of sealed texts: made at the first start. Without it, links that
//! were given out lead nowhere; nothing else depends on it.

use crate::core::seal::SealKey;
use anyhow::{Context as _, Result, bail};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Reads the key, or makes one.
pub(super) fn load_or_create(path: &Path) -> Result<SealKey> {
    let shown = path.display();
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return create(path).with_context(|| format!("cannot make the key of links, {shown}"));
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read the key of links, {shown}")),
    };
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        bail!("others can read the key of links, {shown}: remove it, and the next start makes another");
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    file.take(64).read_to_end(&mut bytes).with_context(|| format!("cannot read {shown}"))?;
    match <[u8; 32]>::try_from(bytes.as_slice()) {
        Ok(key) => Ok(SealKey::new(key)),
        Err(_) => bail!("{shown} is not a key of 32 bytes: remove it, and the next start makes another"),
    }
}

/// The file appears under its name only when it is whole.
fn create(path: &Path) -> Result<SealKey> {
    let key = crate::os::random::<32>();
    let new = path.with_extension("new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(&key)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    Ok(SealKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::seal::Purpose;

    #[test]
    fn g8_the_key_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("link.key");
        let text = load_or_create(&path).unwrap().seal(Purpose::Link, &1).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load_or_create(&path).unwrap().open::<u8>(Purpose::Link, &text), Ok(1));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(load_or_create(&path).unwrap_err().to_string().contains("others can read"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, b"short").unwrap();
        assert!(load_or_create(&path).unwrap_err().to_string().contains("not a key"));
    }
}
