//! A copy of the database, whole and as of one moment, while it is used.

use std::{
    io::{self, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use sqlx::{Connection as _, query, query_scalar};

use crate::{
    StoreError,
    open::{hold_lock, refuse_log_of_another},
    place::Place,
    sql,
    unfinished::Unfinished,
};

/// What `PRAGMA user_version` of a copy says until it was made harmless ([`restored`](crate::Group::restored)) or [`take_for_unused`]: no
/// server opens it.
pub(crate) const COPY: i32 = i32::from_be_bytes(*b"COPY");
/// Where a database's header has that number, big-endian (<https://sqlite.org/fileformat.html>, 1.3).
const USER_VERSION: u64 = 60;

/// Copies the database that `url` names into `file`, which must not be there and is made for its owner alone. Answers the
/// copy's size in bytes.
///
/// It is one read: writers wait for nothing, what they commit meanwhile is not in the copy, and the write-ahead log cannot be
/// begun anew before it ends. The schema is not looked at, so that a newer program copies what it is about to bring up to date.
/// The key that secrets are encrypted with is not in the database. The copy says that it is one, and is not served as it is. It has
/// its name when it is whole and says so: a process that is killed leaves `FILE.unfinished`, which the next copy to `file` removes.
///
/// # Errors
/// `Url`; `Unavailable` says what cannot be read or written, and leaves no file behind.
pub async fn back_up(url: &str, file: &Path) -> Result<u64, StoreError> {
    let place = url.parse::<Place>()?.resolved();
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        StoreError::Unavailable(place.named(format!("{what} {}: {error}", file.display())))
    };
    let Some(name) = file.to_str() else {
        return Err(failed("cannot be copied to", &"its name is not UTF-8"));
    };
    if !place.path.exists() {
        return Err(StoreError::Unavailable(place.named("there is no such file")));
    }
    let copy = Unfinished::begin(name).map_err(|error| failed("cannot be copied to", &error))?;
    // SQLite takes an empty file for one that is not there.
    copy_into(&place, copy.path()).await?;
    settle(copy).map_err(|error| failed("was copied, but is not on the disk as", &error))
}

/// Takes a copy for the database itself, which was not used since it was copied: nothing in it changes, its schema neither, but it is
/// served. `false`: it is no copy that [`back_up`] made.
///
/// # Errors
/// `Url`, `Locked`, `Corrupt` (the log of another one lies beside it) or `Unavailable`.
pub async fn take_for_unused(url: &str) -> Result<bool, StoreError> {
    let place = url.parse::<Place>()?.resolved();
    let _lock = hold_lock(&place)?;
    refuse_log_of_another(&place)?;
    let mut connection = place.connect(&place.writer()).await?;
    let taken = async {
        let is_copy = query_scalar::<_, i32>("PRAGMA user_version")
            .fetch_one(&mut connection)
            .await?
            == COPY;
        if is_copy {
            query(sql::IS_NO_COPY).execute(&mut connection).await?;
        }
        Ok(is_copy)
    };
    let taken = taken.await;
    let closed = connection.close().await;
    taken
        .and_then(|is_copy| closed.map(|()| is_copy))
        .map_err(|error| place.error(error))
}

async fn copy_into(place: &Place, name: &str) -> Result<(), StoreError> {
    let mut connection = place.connect(&place.copier()).await?;
    let copied = query("VACUUM INTO $1").bind(name).execute(&mut connection).await;
    // Waits until its thread has let go of both files.
    let _ = connection.close().await;
    copied.map(drop).map_err(|error| place.error(error))
}

/// Has the copy say that it is one, and has it on the disk, and then by its name. Nobody else has it open.
fn settle(mut copy: Unfinished) -> io::Result<u64> {
    copy.file.seek(SeekFrom::Start(USER_VERSION))?;
    copy.file.write_all(&COPY.to_be_bytes())?;
    copy.file.sync_all()?;
    let bytes = copy.file.metadata()?.len();
    copy.finish()?;
    Ok(bytes)
}
