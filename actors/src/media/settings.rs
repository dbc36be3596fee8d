//! What can be set about media.

use std::{path::PathBuf, time::Duration};

use url::Url;
use wharf_domain::media_link::PublicUrl;

/// What can be set about media; config.toml says what each value means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaSettings {
    /// Whether files are downloaded.
    pub download: bool,
    /// Where this server is reached from outside. Without it there is nothing to link to, and nothing is downloaded.
    pub public_url: Option<PublicUrl>,
    /// Where files are kept; `None` is the directory `media` beside the database.
    pub directory: Option<PathBuf>,
    /// How long.
    pub keep: Duration,
    /// How long a receiver has at the least to fetch the file of an event that it got.
    pub time_to_fetch: Duration,
    /// Bytes of one client's files; 0 is no limit.
    pub max_bytes: u64,
    /// Files of up to so many bytes go out in the event itself.
    pub inline_max_bytes: u64,
    /// Downloads at a time, in all.
    pub max_downloads: usize,
    /// Downloads at a time, of one client.
    pub max_downloads_per_client: usize,
    /// Bytes of a file that is sent; of some kinds WhatsApp takes fewer.
    pub send_max_bytes: u64,
    /// Files that are fetched or uploaded at a time to be sent, in all.
    pub max_uploads: usize,
    /// The same of one client.
    pub max_uploads_per_client: usize,
    /// The media store of a test network instead of WhatsApp's hosts.
    pub test_network: Option<Url>,
}

impl Default for MediaSettings {
    fn default() -> Self {
        Self {
            download: true,
            public_url: None,
            directory: None,
            keep: Duration::from_hours(7 * 24),
            time_to_fetch: Duration::from_hours(24),
            max_bytes: 10 << 30,
            inline_max_bytes: 0,
            max_downloads: 16,
            max_downloads_per_client: 4,
            send_max_bytes: 100 << 20,
            max_uploads: 16,
            max_uploads_per_client: 4,
            test_network: None,
        }
    }
}
