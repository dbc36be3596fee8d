//! How chats are shown in the account's apps: app state, which its phone and its other devices share.

use wharf_domain::{
    Recipient,
    action::{Arrangement, Done},
};
use whatsapp_rust::IqError;
use whatsapp_rust::features::AppStateError;

use super::{Acting, changed};
use crate::SendError;

impl Acting {
    pub(super) async fn arrange(&self, which: &Recipient, how: Arrangement) -> Result<Done, SendError> {
        let chat = self.chat(which).await?;
        let chats = self.client.chat_actions();
        let done = match how {
            Arrangement::Archived(true) => chats.archive_chat(&chat, None).await,
            Arrangement::Archived(false) => chats.unarchive_chat(&chat, None).await,
            Arrangement::Pinned(true) => chats.pin_chat(&chat).await,
            Arrangement::Pinned(false) => chats.unpin_chat(&chat).await,
            Arrangement::Muted(true) => chats.mute_chat(&chat).await,
            Arrangement::Muted(false) => chats.unmute_chat(&chat).await,
            Arrangement::MutedUntil(until) => chats.mute_chat_until(&chat, until.0).await,
        };
        done.map(|()| Done::Done).map_err(of_app_state)
    }
}

fn of_app_state(error: AppStateError) -> SendError {
    match error {
        // Mostly: the phone has not shared the key of the account's settings yet.
        AppStateError::InvalidRequest(why) => SendError::Impossible(format!("the chat cannot be changed: {why}")),
        AppStateError::Internal(error) => match error.downcast_ref::<IqError>() {
            Some(error) => changed(error),
            None => SendError::Failed(error.to_string()),
        },
        other => SendError::Failed(other.to_string()),
    }
}
