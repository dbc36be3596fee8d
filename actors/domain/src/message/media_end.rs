//! What became of a download, in the payload of the event that waited for it.
//!
//! The payload is written with its link when the message is committed, and no attempt is made before the download has
//! ended: so it may be changed once, in the commit that makes the event due, and every attempt has the same bytes.

use serde_json::{Value, json};

use super::media::MediaError;
use crate::Timestamp;

/// What became of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaEnd {
    /// The file is kept.
    Kept {
        /// Its bytes; the sender may have said another number.
        size: u64,
        /// The file itself in base64, in place of the link.
        inline: Option<String>,
        /// Another link, and until when it is good.
        link: Option<(String, Timestamp)>,
    },
    /// There is no file.
    Failed(MediaError),
}

/// The payload that an event goes out with; `None` when it stays as it is.
pub fn end_media(payload: &str, end: &MediaEnd) -> Option<String> {
    let mut body: Value = serde_json::from_str(payload).ok()?;
    let media = body.get_mut("media")?.as_object_mut()?;
    match end {
        MediaEnd::Kept {
            size,
            inline: None,
            link: None,
        } if media.get("size") == Some(&json!(size)) => return None,
        MediaEnd::Kept { size, inline, link } => {
            media.insert("size".to_owned(), json!(size));
            if let Some((url, expires_at)) = link {
                media.insert("url".to_owned(), json!(url));
                media.insert("expires_at".to_owned(), json!(expires_at));
            }
            if let Some(base64) = inline {
                media.shift_remove("url");
                media.shift_remove("expires_at");
                media.insert("base64".to_owned(), json!(base64));
            }
        }
        MediaEnd::Failed(error) => {
            media.shift_remove("url");
            media.shift_remove("expires_at");
            media.insert("error".to_owned(), json!(error));
        }
    }
    serde_json::to_string(&body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAYLOAD: &str = r#"{"client_id":1,"content":"é \" \\","media":{"mime_type":"image/png","size":2,"sha256":"8f","width":4,"url":"https://w/media/1","expires_at":"2025-11-05T14:23:00.000Z"}}"#;

    #[test]
    fn a_kept_file_leaves_the_payload_as_it_was() {
        let kept = |size| MediaEnd::Kept {
            size,
            inline: None,
            link: None,
        };
        assert_eq!(end_media(PAYLOAD, &kept(2)), None);
        let corrected = PAYLOAD.replace(r#""size":2"#, r#""size":3"#);
        assert_eq!(end_media(PAYLOAD, &kept(3)), Some(corrected));
    }

    #[test]
    fn base64_and_an_error_stand_in_the_links_place() {
        let (before, _) = PAYLOAD.split_once(r#","url""#).unwrap();
        let inline = MediaEnd::Kept {
            size: 2,
            inline: Some("aGk=".into()),
            link: None,
        };
        assert_eq!(
            end_media(PAYLOAD, &inline),
            Some(format!(r#"{before},"base64":"aGk="}}}}"#))
        );
        let failed = MediaEnd::Failed(MediaError::Gone);
        assert_eq!(
            end_media(PAYLOAD, &failed),
            Some(format!(r#"{before},"error":"gone"}}}}"#))
        );
    }

    #[test]
    fn a_file_that_came_late_has_another_link() {
        let late = MediaEnd::Kept {
            size: 2,
            inline: None,
            link: Some(("https://w/media/2".into(), Timestamp(1_800_000_000_000))),
        };
        let (before, _) = PAYLOAD.split_once(r#","url""#).unwrap();
        assert_eq!(
            end_media(PAYLOAD, &late),
            Some(format!(
                r#"{before},"url":"https://w/media/2","expires_at":"2027-01-15T08:00:00.000Z"}}}}"#
            ))
        );
    }

    #[test]
    fn what_has_no_media_stays() {
        for payload in ["", "{}", "[]", r#"{"media":1}"#] {
            assert_eq!(end_media(payload, &MediaEnd::Failed(MediaError::Gone)), None);
        }
    }
}
