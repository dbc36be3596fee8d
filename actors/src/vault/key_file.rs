//! The file beside the database that holds the key, when the configuration has none.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use wharf_store::private;

use super::{KEY_BYTES, SecretsKey, VaultError, random};

/// Its name.
pub(crate) const NAME: &str = "secrets.key";

/// Reads the key; makes one when there is no file and `may_make`.
///
/// # Errors
/// `NoKey`, `Damaged` or `File`. A file that is there is never overwritten.
pub(super) fn read_or_make(path: &Path, may_make: bool) -> Result<SecretsKey, VaultError> {
    match fs::read_to_string(path) {
        Ok(text) => text.parse().map_err(|_| VaultError::Damaged(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::InvalidData => Err(VaultError::Damaged(path.to_owned())),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(VaultError::File {
            path: path.to_owned(),
            error,
        }),
        Err(_) if !may_make => Err(VaultError::NoKey(path.to_owned())),
        Err(_) => {
            let key = SecretsKey(random::<KEY_BYTES>()?);
            match write(path, &key) {
                Ok(()) => {
                    tracing::info!(file = %path.display(), "made a key for the webhooks' secrets: back it up with the database");
                    Ok(key)
                }
                // Another server on another database in this directory was faster.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => read_or_make(path, false),
                Err(error) => Err(VaultError::File {
                    path: path.to_owned(),
                    error,
                }),
            }
        }
    }
}

/// Whole or not at all, and on the disk before the first secret is encrypted with it.
fn write(path: &Path, key: &SecretsKey) -> io::Result<()> {
    let unfinished = path.with_extension(format!("key.{}", std::process::id()));
    let _left_by_a_crash = fs::remove_file(&unfinished);
    let mut file = private::options().create_new(true).open(&unfinished)?;
    let written = writeln!(file, "{}", STANDARD.encode(key.0)).and_then(|()| file.sync_all());
    // A link, because it does not replace a file that is there.
    let linked = written.and_then(|()| fs::hard_link(&unfinished, path));
    let _removed = fs::remove_file(&unfinished);
    linked?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_for_this_user_only() {
        let dir = wharf_support::temp_dir();
        let path = dir.path().join(NAME);
        let key = read_or_make(&path, true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "and nothing else is left");
        assert_eq!(read_or_make(&path, true).unwrap(), key);
        assert_eq!(read_or_make(&path, false).unwrap(), key);
        assert_eq!(write(&path, &key).unwrap_err().kind(), ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_key_that_is_missed_or_damaged_is_not_replaced() {
        let dir = wharf_support::temp_dir();
        let path = dir.path().join(NAME);
        assert!(matches!(read_or_make(&path, false), Err(VaultError::NoKey(_))));
        assert!(!path.exists());
        for damaged in [&b""[..], b"c2hvcnQ=\n", b"\xff\xfe"] {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(read_or_make(&path, true), Err(VaultError::Damaged(_))));
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }
}
