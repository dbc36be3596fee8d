//! Whether there can be what a path names, as far as that can be said without making anything. Whether this user may write there
//! only a start can say: what is asked for may be somebody else's to run.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, absolute},
};

/// Where the system shows itself as files, and keeps none.
const KEEP_NOTHING: [&str; 2] = ["/proc", "/sys"];

/// Why no file can be kept under this name; one that is there need not be made.
pub(super) fn check_file(path: &Path) -> Result<(), String> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(format!("{} is a directory", path.display())),
        Ok(found) if !found.is_file() => Err(format!("{} is no regular file", path.display())),
        Ok(_) => check_kept(path),
        // One that this user may not follow leads somewhere.
        Err(error) if error.kind() != ErrorKind::PermissionDenied && is_link(path) => {
            Err(format!("{} is a link that leads nowhere", path.display()))
        }
        Err(_) => absolute(path)
            .ok()
            .and_then(|path| path.parent().map(check_directory))
            .unwrap_or(Ok(())),
    }
}

/// Why there can be no such directory; one that is not there is made, with those above it.
pub(super) fn check_directory(path: &Path) -> Result<(), String> {
    let Ok(path) = absolute(path) else { return Ok(()) };
    for part in path.ancestors() {
        match fs::metadata(part) {
            Ok(found) if found.is_dir() => return check_kept(part),
            Ok(_) => return Err(format!("{} is no directory", part.display())),
            // Below a file, too: that is found further up.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                if is_link(part) {
                    return Err(format!("{} is a link that leads nowhere", part.display()));
                }
            }
            // Hidden from this user.
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

fn check_kept(found: &Path) -> Result<(), String> {
    let Ok(real) = fs::canonicalize(found) else {
        return Ok(());
    };
    match KEEP_NOTHING.iter().find(|top| real.starts_with(top)) {
        Some(top) => Err(format!("nothing is kept in {top}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn what_is_there_or_can_be_made_is_told_from_what_cannot_be() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        fs::write(at("file"), "").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("nothing", at("dangling")).unwrap();
        for (path, file, directory) in [
            ("file", "", "is no directory"),
            ("link", "", "is no directory"),
            ("file/below/it", "file is no directory", "file is no directory"),
            (".", "is a directory", ""),
            ("new", "", ""),
            ("new/below/it", "", ""),
            ("dangling", "leads nowhere", "leads nowhere"),
            ("dangling/below", "leads nowhere", "leads nowhere"),
            ("/dev/null", "is no regular file", "is no directory"),
            ("/proc/version", "kept in /proc", "is no directory"),
            ("/proc/wharf/new", "kept in /proc", "kept in /proc"),
            ("/proc", "is a directory", "kept in /proc"),
        ] {
            for (kind, found, expected) in [
                ("file", check_file(&at(path)), file),
                ("directory", check_directory(&at(path)), directory),
            ] {
                match found {
                    Ok(()) => assert_eq!(expected, "", "{kind} {path}"),
                    Err(why) => assert!(!expected.is_empty() && why.contains(expected), "{kind} {path}: {why}"),
                }
            }
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3, "nothing was made");
    }

    #[test]
    fn a_link_that_this_user_may_not_follow_is_left_to_the_start() {
        let dir = tempfile::tempdir().unwrap();
        let (closed, link) = (dir.path().join("closed"), dir.path().join("link"));
        fs::create_dir(&closed).unwrap();
        symlink("closed/file", &link).unwrap();
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
        let is_root = fs::read_dir(&closed).is_ok();
        assert_eq!(
            check_file(&link).is_err(),
            is_root,
            "who may follow it sees that it leads nowhere"
        );
    }
}
