//! Asking the phone to upload a file again.

use std::{sync::Arc, time::Duration};

use whatsapp_rust::{
    Client,
    features::{MediaReuploadError, MediaReuploadRequest},
    wacore::media_retry::MediaRetryResult,
    wacore_binary::{Jid, JidExt as _},
};

use super::inbound::is_own;
use crate::{LostFile, ReuploadError};

/// How long the client library waits for the phone's answer, for the words of the error only.
const LIBRARY_WAIT: Duration = Duration::from_secs(30);

/// Answers the file's new direct path.
pub(crate) async fn ask(client: Arc<Client>, file: LostFile) -> Result<String, ReuploadError> {
    let jid = |text: &str| {
        let jid: Result<Jid, _> = text.parse();
        jid.map_err(|_| ReuploadError::Refused(format!("{text:?} is no JID")))
    };
    let (chat, sender) = (jid(&file.chat)?, jid(&file.sender)?);
    let request = MediaReuploadRequest {
        msg_id: &file.message_id,
        chat_jid: &chat,
        media_key: &file.media_key,
        is_from_me: is_own(&client, &sender),
        participant: chat.is_group().then_some(&sender),
    };
    match client.media_reupload().request(&request).await {
        Ok(MediaRetryResult::Success { direct_path }) => Ok(direct_path),
        Ok(MediaRetryResult::NotFound) => Err(ReuploadError::Refused("it does not have it any more".to_owned())),
        Ok(other) => Err(ReuploadError::Refused(format!("{other:?}"))),
        Err(MediaReuploadError::Timeout) => Err(ReuploadError::TimedOut(LIBRARY_WAIT)),
        Err(MediaReuploadError::Client(_) | MediaReuploadError::NotLoggedIn) => Err(ReuploadError::NotConnected),
        Err(error) => Err(ReuploadError::Refused(error.to_string())),
    }
}
