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
    /// The database has files, and where they should lie there is nothing.
    #[error(
        "{place} has no file {OWNER} and no files, and this database has files there: mount its disk, or name their place as \
         media.directory. If they are lost, or were not restored, go on without them: mkdir -p {place} && touch {place}/{OWNER}",
        place = .0.display()
    )]
    Empty(PathBuf),
    /// The system says something else.
    #[error("media.directory {}: {}", .0.display(), .1)]
    Io(PathBuf, #[source] io::Error),
}

/// Makes the directory that of this database, if it is nobody's. Where the database has `files` that may not be the mount point of a disk
/// that is not there: they would be missing, and what comes would lie below it, without a word.
///
/// # Errors
/// `OwnerError`.
pub(crate) fn claim(root: &Path, database: Uuid, files: bool) -> Result<(), OwnerError> {
    let failed = |error| OwnerError::Io(root.to_owned(), error);
    let name = root.join(OWNER);
    match fs::read_to_string(&name) {
        Ok(owner) if owner.trim() == database.to_string() => return Ok(()),
        Ok(owner) if !owner.trim().is_empty() => return Err(OwnerError::Other(root.to_owned())),
        // Empty: the first start ended before it had written it, or a person made it, as `Empty` says.
        Ok(_) => {}
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        Err(_) if files && !has_clients(root).map_err(failed)? => return Err(OwnerError::Empty(root.to_owned())),
        Err(_) => {}
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

/// Whether clients' files lie there: directories had no owner once.
fn has_clients(root: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    for entry in entries {
        if entry?
            .file_name()
            .to_str()
            .is_some_and(|name| name.parse::<i64>().is_ok())
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_belongs_to_one_database() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("media");
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        claim(&root, one, false).unwrap();
        claim(&root, one, true).unwrap();
        let refused = claim(&root, other, true).unwrap_err();
        assert!(matches!(refused, OwnerError::Other(_)), "{refused}");
        fs::write(root.join(OWNER), "").unwrap();
        claim(&root, other, true).unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(claim(&file, one, true), Err(OwnerError::Io(..))));
    }

    /// As when the disk that it is on was not mounted.
    #[test]
    fn one_without_the_files_that_are_known_is_not_taken_for_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("media");
        let database = Uuid::from_u128(1);
        for made in [false, true] {
            if made {
                fs::create_dir_all(root.join("incoming")).unwrap();
            }
            let refused = claim(&root, database, true).unwrap_err();
            assert!(matches!(refused, OwnerError::Empty(_)), "{refused}");
            let way_out = format!("touch {}", root.join(OWNER).display());
            assert!(refused.to_string().contains(&way_out), "{refused}");
        }
        fs::write(root.join(OWNER), "").unwrap();
        claim(&root, database, true).unwrap();
        let old = directory.path().join("of a version without owners");
        fs::create_dir_all(old.join("1")).unwrap();
        claim(&old, database, true).unwrap();
    }
}
