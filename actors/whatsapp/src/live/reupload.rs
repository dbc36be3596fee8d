//! Asking the phone to upload a file again.
//!
//! The phone looks the message up by the names that its stanza had, hidden ids for the most part, while events have numbers
//! where they are known. So it is asked by the one and, if it knows no such message, by the other.

use std::{sync::Arc, time::Duration};

use whatsapp_rust::{
    Client,
    features::{MediaReuploadError, MediaReuploadRequest},
    wacore::{media_retry::MediaRetryResult, types::message::AddressingMode},
    wacore_binary::{Jid, JidExt as _},
};

use super::{
    convert::{bare, is_hidden},
    inbound::{is_own, other_name},
};
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
    let is_from_me = is_own(&client, &sender);
    // In a group the members have the two names, of status updates their author, else the chat.
    let has_authors = chat.is_group() || chat.is_status_broadcast();
    let person = if has_authors { &sender } else { &chat };
    for person in names(&client, &chat, person).await {
        let (chat_jid, participant) = match has_authors {
            true => (&chat, Some(&person)),
            false => (&person, None),
        };
        let request = MediaReuploadRequest {
            msg_id: &file.message_id,
            chat_jid,
            media_key: &file.media_key,
            is_from_me,
            participant,
        };
        match client.media_reupload().request(&request).await {
            Ok(MediaRetryResult::Success { direct_path }) => return Ok(direct_path),
            Ok(MediaRetryResult::NotFound) => {}
            Ok(other) => return Err(ReuploadError::Refused(format!("{other:?}"))),
            Err(MediaReuploadError::Timeout) => return Err(ReuploadError::TimedOut(LIBRARY_WAIT)),
            Err(MediaReuploadError::Client(_) | MediaReuploadError::NotLoggedIn) => {
                return Err(ReuploadError::NotConnected);
            }
            Err(error) => return Err(ReuploadError::Refused(error.to_string())),
        }
    }
    Err(ReuploadError::Refused("it does not have it any more".to_owned()))
}

/// What a person is called, first as the chat's stanzas do.
async fn names(client: &Client, chat: &Jid, person: &Jid) -> Vec<Jid> {
    let mut names = vec![bare(person)];
    names.extend(other_name(client, person).await);
    let by_number = chat.is_group()
        && matches!(client.groups().query_info(chat).await, Ok(group) if group.addressing_mode == AddressingMode::Pn);
    names.sort_by_key(|name| is_hidden(name) == by_number);
    names
}
