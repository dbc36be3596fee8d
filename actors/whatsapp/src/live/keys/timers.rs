//! The timers of chats, which whatsapp-rust does not keep. They lie among what is known of groups: no group's name begins as
//! theirs do, with the length of a part.

use wharf_store::KeyKind;
use whatsapp_rust::{store::error::Result, wacore_binary::Jid};

use super::{DeviceKeys, name_of};
use crate::live::timers::Timer;

impl DeviceKeys {
    /// What was told last of a chat's timer.
    ///
    /// # Errors
    /// What the store or the cipher says.
    pub(crate) async fn timer(&self, chat: &Jid) -> Result<Option<Timer>> {
        self.get_json(KeyKind::Group, name(chat)).await
    }

    /// Keeps it. Answers after the commit.
    ///
    /// # Errors
    /// What the store or the cipher says.
    pub(crate) async fn keep_timer(&self, chat: &Jid, timer: Timer) -> Result<()> {
        self.put_json(KeyKind::Group, name(chat), &timer).await
    }
}

fn name(chat: &Jid) -> Vec<u8> {
    name_of(&["timer"], &chat.to_string())
}
