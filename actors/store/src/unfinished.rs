//! A file that gets its name when it is whole. Until then it has another one, by which nobody takes it for what it is not yet.

use std::{
    fs::{self, File, TryLockError},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use crate::private;

/// Added to the name of a file that is being made.
const UNFINISHED: &str = ".unfinished";

/// The file, which is removed with all that lies beside it unless it is [finished](Unfinished::finish).
#[derive(Debug)]
pub(crate) struct Unfinished {
    /// To be written to.
    pub(crate) file: File,
    place: Claim,
    name: PathBuf,
}

/// The right to the unfinished file's name. With its end nothing of that is left there.
#[derive(Debug)]
struct Claim {
    path: String,
    /// Beside the file and not the file itself: over a network a lock on that is one of those that SQLite asks for.
    _lock: File,
}

impl Unfinished {
    /// Makes the file that is to be called `name`, for its owner alone. What one that was killed has left of the same name goes.
    ///
    /// # Errors
    /// That there is a `name`, that somebody else makes it at the moment, or what the system says.
    pub(crate) fn begin(name: &str) -> io::Result<Self> {
        let path = format!("{name}{UNFINISHED}");
        let name = PathBuf::from(name);
        refuse_existing(&name)?;
        let (lock, was_left) = hold(&lock_of(&path))?;
        if !was_left && fs::symlink_metadata(&path).is_ok() {
            // The lock's file is made first and goes last, so this is none of ours.
            let _as_it_was = fs::remove_file(lock_of(&path));
            let what = format!("{path} is there and was not left by a backup: move it away");
            return Err(io::Error::new(ErrorKind::AlreadyExists, what));
        }
        let place = Claim { path, _lock: lock };
        place.clear();
        let file = private::options().create_new(true).open(&place.path)?;
        Ok(Self { file, place, name })
    }

    /// Where it is as yet.
    pub(crate) fn path(&self) -> &str {
        &self.place.path
    }

    /// Gives it its name, on the disk, too. What it holds has to be there already.
    ///
    /// # Errors
    /// That there is such a name meanwhile, or what the system says: it is gone then.
    pub(crate) fn finish(self) -> io::Result<()> {
        match fs::hard_link(self.path(), &self.name) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(exists()),
            // Not every file system has links. Without them somebody may make such a file between the look and the new name.
            Err(_) => {
                refuse_existing(&self.name)?;
                fs::rename(self.path(), &self.name)?;
            }
        }
        let directory = self.name.parent().filter(|parent| !parent.as_os_str().is_empty());
        let synced = File::open(directory.unwrap_or(Path::new("."))).and_then(|directory| directory.sync_all());
        if synced.is_err() {
            let _nothing_to_remove = fs::remove_file(&self.name);
        }
        synced
    }
}

impl Claim {
    /// Removes the file and SQLite's journal of it, if they are there.
    fn clear(&self) {
        for suffix in ["", "-journal"] {
            let _not_there = fs::remove_file(format!("{}{suffix}", self.path));
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.clear();
        let _not_there = fs::remove_file(lock_of(&self.path));
    }
}

fn lock_of(path: &str) -> String {
    format!("{path}-lock")
}

/// Holds the lock; answers whether its file was there before, which nobody holds.
fn hold(path: &str) -> io::Result<(File, bool)> {
    let (lock, was_left) = match private::options().create_new(true).open(path) {
        Ok(lock) => (lock, false),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => (private::options().open(path)?, true),
        Err(error) => return Err(error),
    };
    match lock.try_lock() {
        Ok(()) => Ok((lock, was_left)),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            ErrorKind::WouldBlock,
            "another wharf backup writes it at the moment",
        )),
        // Not every file system has locks. Who has made the file is alone there, too; whether one that was there is held, nobody can say.
        Err(TryLockError::Error(_)) if !was_left => Ok((lock, was_left)),
        Err(TryLockError::Error(error)) => {
            let what = format!("{path} cannot be locked ({error}): remove it unless another wharf backup runs");
            Err(io::Error::new(error.kind(), what))
        }
    }
}

fn refuse_existing(name: &Path) -> io::Result<()> {
    match fs::symlink_metadata(name) {
        Ok(_) => Err(exists()),
        // Whatever else is wrong with it, making the file meets it, too.
        Err(_) => Ok(()),
    }
}

fn exists() -> io::Error {
    io::Error::new(ErrorKind::AlreadyExists, "File exists, and nothing is written over")
}
