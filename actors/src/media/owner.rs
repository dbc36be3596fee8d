//! Whose the directory of media is. What no row knows of is removed from it at the start: what was not finished, what is to be sent,
//! all of clients that are gone, and of what was received whatever is older than it is kept. A gateway with another database, or with
//! a new one in the place of the old, would remove every file.

use std::{
    fs, io,
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use thiserror::Error;
use uuid::Uuid;
use wharf_store::private;

/// The file that names the database.
const OWNER: &str = "database";

/// Why a gateway may not use its directory of media.
#[derive(Debug, Error)]
pub enum OwnerError {
    /// Files of another database lie there.
    #[error(
        "{} has the media of another database, as its file {OWNER} says; give this one a media.directory of its own, or move that \
         directory away",
        .0.display()
    )]
    Other(PathBuf),
    /// The system says something else.
    #[error("media.directory {}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
}

/// Makes the directory that of this database, if it is nobody's.
///
/// # Errors
/// `OwnerError`.
pub(crate) fn claim(root: &Path, database: Uuid) -> Result<(), OwnerError> {
    let failed = |error| OwnerError::Io(root.to_owned(), error);
    let name = root.join(OWNER);
    match fs::read_to_string(&name) {
        Ok(owner) if owner.trim() == database.to_string() => return Ok(()),
        // Empty: the first start ended before it had written it.
        Ok(owner) if !owner.trim().is_empty() => return Err(OwnerError::Other(root.to_owned())),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        Ok(_) | Err(_) => {}
    }
    private::make_directory(root).map_err(failed)?;
    let mut file = private::options()
        .create(true)
        .truncate(true)
        .open(&name)
        .map_err(failed)?;
    writeln!(file, "{database}")
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_belongs_to_one_database() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("media");
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        claim(&root, one).unwrap();
        claim(&root, one).unwrap();
        let refused = claim(&root, other).unwrap_err();
        assert!(matches!(refused, OwnerError::Other(_)), "{refused}");
        fs::write(root.join(OWNER), "").unwrap();
        claim(&root, other).unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(claim(&file, one), Err(OwnerError::Io(..))));
    }
}
