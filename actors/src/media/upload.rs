//! The way of a message's file to WhatsApp's media hosts: tried a few times, on each of the hosts.

use std::{io::ErrorKind, path::Path, time::Duration};

use thiserror::Error;
use wharf_domain::{ConnectionKey, message::MediaReference};
use wharf_whatsapp::{Link, MediaHosts, SendError};

use crate::{
    shared::Shared,
    web::upload::{UploadError, Uploaded},
};

/// Tries, each on up to [`HOSTS`] hosts.
const TRIES: u32 = 4;
/// Hosts that are tried in one go.
const HOSTS: usize = 3;
/// The wait before the second try; three times as long before each further one (1, 3, 9 s).
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long the question for the hosts may take.
const HOSTS_DEADLINE: Duration = Duration::from_secs(10);

/// Why a file is not at WhatsApp.
#[derive(Debug, Error)]
pub(crate) enum NotUploaded {
    /// There is no link to ask by. It may be tried on the next one.
    #[error("not connected to WhatsApp")]
    NotConnected,
    /// The file is not here any more.
    #[error("the file is not here any more")]
    Lost,
    /// The hosts do not take it, for all the tries; in words.
    #[error("the file could not be uploaded to WhatsApp: {0}")]
    Failed(String),
}

/// How a try ended that did not succeed.
enum Ended {
    Known(NotUploaded),
    /// Worth another try; in words. What lets us upload may not be good any more.
    Again {
        why: String,
        stale: bool,
    },
}

/// Uploads a file; each try when it is this client's turn.
///
/// # Errors
/// See [`NotUploaded`].
pub(crate) async fn upload(
    shared: &Shared,
    link: &dyn Link,
    key: &ConnectionKey,
    reference: &MediaReference,
    path: &Path,
) -> Result<Uploaded, NotUploaded> {
    let client = key.client_id;
    let (mut tries, mut stale) = (0, false);
    loop {
        tries += 1;
        let slot = shared.media.transfers.turn(client).await;
        let tried = try_once(shared, link, key, (reference, path), (stale, tries > 1)).await;
        drop(slot);
        let why = match tried {
            Ok(uploaded) => return Ok(uploaded),
            Err(Ended::Known(known)) => return Err(known),
            Err(Ended::Again { why, stale: is_stale }) => {
                stale = is_stale;
                why
            }
        };
        tracing::info!(%client, tries, why, "a file could not be uploaded");
        if tries >= TRIES {
            return Err(NotUploaded::Failed(why));
        }
        // What is not good any more is asked for anew at once, the first time.
        if !(stale && tries == 1) {
            tokio::time::sleep(FIRST_WAIT * 3_u32.saturating_pow(tries - 1)).await;
        }
    }
}

async fn try_once(
    shared: &Shared,
    link: &dyn Link,
    key: &ConnectionKey,
    (reference, path): (&MediaReference, &Path),
    (stale, again): (bool, bool),
) -> Result<Uploaded, Ended> {
    let asked = tokio::time::timeout(HOSTS_DEADLINE, link.media_hosts(stale, HOSTS_DEADLINE)).await;
    let hosts: MediaHosts = match asked {
        Ok(Ok(hosts)) => hosts,
        Ok(Err(SendError::NotConnected)) => return Err(Ended::Known(NotUploaded::NotConnected)),
        Ok(Err(error)) => return Err(again_because(error.to_string())),
        Err(_) => return Err(again_because("WhatsApp does not say where to".to_owned())),
    };
    let way = match shared.way(key).await {
        Ok(Some(way)) => way,
        Ok(None) => return Err(again_because("the connection was deleted".to_owned())),
        Err(error) => return Err(again_because(error.to_string())),
    };
    let mut last = "WhatsApp names no media host".to_owned();
    for host in hosts.hosts.iter().take(HOSTS) {
        let upload = shared.media.upload.upload(&way, (host, &hosts), reference, path, again);
        match upload.await {
            Ok(uploaded) => return Ok(uploaded),
            Err(error @ UploadError::Auth(_)) => {
                return Err(Ended::Again {
                    why: error.to_string(),
                    stale: true,
                });
            }
            Err(UploadError::Disk(error)) => {
                tracing::error!(path = %path.display(), %error, "a file that waits cannot be read");
                return Err(match error.kind() {
                    ErrorKind::NotFound => Ended::Known(NotUploaded::Lost),
                    // Of a moment maybe: too many open files, a disk that does not answer.
                    _ => again_because(format!("the file cannot be read: {error}")),
                });
            }
            // It leads to the next host as little.
            Err(error @ UploadError::Proxy(_)) => return Err(again_because(error.to_string())),
            Err(error @ (UploadError::Refused(_) | UploadError::Unreachable(_))) => last = error.to_string(),
        }
    }
    Err(again_because(last))
}

fn again_because(why: String) -> Ended {
    Ended::Again { why, stale: false }
}
