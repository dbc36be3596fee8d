//! After how long messages of a chat disappear. A phone says of a message without its chat's timer that it will stay, and keeps
//! it, so that each message has to bring it along.
//!
//! Two people tell each other, by a message of its own when one of them sets the timer and in each message from then on. Of a
//! group WhatsApp tells: it is asked once, and tells of each change, also of those while the number was away. What was told is
//! a row of the number's keys.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use whatsapp_rust::Client;
use whatsapp_rust::wacore::{proto_helpers::MessageExt as _, time::now_secs, types::message::MessageInfo};
use whatsapp_rust::wacore_binary::{Jid, JidExt as _};
use whatsapp_rust::waproto::whatsapp::{Conversation, Message, message::protocol_message};

use super::{convert::bare, inbound::other_name, keys::DeviceKeys, memory::Memory};

/// How long a message waits for the timer of a group that is asked for.
const PATIENCE: Duration = Duration::from_secs(3);

/// A chat's timer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timer {
    /// After how many messages disappear; 0: they stay.
    pub(crate) seconds: u32,
    /// Since when, in Unix seconds, as far as it was said; 0: nothing was ever told.
    pub(crate) set_at: i64,
}

impl Timer {
    /// What a chat of two people was told with a message.
    pub(crate) fn told(info: &MessageInfo, message: &Message) -> Option<Self> {
        let chat = &info.source.chat;
        if !(chat.is_pn() || chat.is_lid()) {
            return None;
        }
        let sent_at = info.timestamp.timestamp();
        let setting = message.get_base_message().protocol_message.as_option();
        let setting = setting.filter(|it| it.r#type == Some(protocol_message::Type::EPHEMERAL_SETTING));
        match setting {
            // Nobody knows in advance: a time to come would outdo all that is set until then.
            Some(setting) => Some(Self {
                seconds: setting.ephemeral_expiration.unwrap_or(0),
                set_at: setting.ephemeral_setting_timestamp.unwrap_or(sent_at).min(sent_at),
            }),
            None => Some(Self {
                seconds: info.ephemeral_expiration?,
                set_at: sent_at,
            }),
        }
    }

    /// What the phone's history says of a chat.
    pub(crate) fn of_history(conversation: &Conversation) -> Option<Self> {
        Some(Self {
            seconds: conversation.ephemeral_expiration?,
            set_at: conversation.ephemeral_setting_timestamp?,
        })
    }
}

/// The timers of one number's chats, for one link.
pub(crate) struct Timers {
    pub(crate) memory: Arc<Memory>,
    pub(crate) keys: Arc<DeviceKeys>,
}

impl Timers {
    /// Somebody set a chat's timer. What was set later is not undone.
    pub(crate) async fn learn(&self, chat: &Jid, timer: Timer) {
        let chat = bare(chat);
        let known = self.known(&chat).await;
        if timer.set_at < known.set_at {
            return;
        }
        self.memory.note_timer(&chat, timer);
        // That messages stay is kept of a group alone, which would be asked for again.
        if timer.seconds == known.seconds && (known != Timer::default() || !chat.is_group()) {
            return;
        }
        if let Err(error) = self.keys.keep_timer(&chat, timer).await {
            tracing::warn!(%error, "a chat's timer is remembered until the end of the process only");
        }
    }

    /// The same as of now.
    pub(crate) async fn learn_now(&self, chat: &Jid, seconds: u32) {
        let set_at = now_secs();
        self.learn(chat, Timer { seconds, set_at }).await;
    }

    /// After how many seconds messages of a chat disappear; `None`: they stay, as far as is known.
    pub(crate) async fn of(&self, client: &Client, chat: &Jid) -> Option<u32> {
        let chat = bare(chat);
        let mut timer = self.known(&chat).await;
        if chat.is_group() {
            if timer == Timer::default() {
                timer = self.asked(client, &chat).await;
            }
        } else if let Some(other) = other_name(client, &chat).await {
            // A chat may have been told of under the one name and be written to under the other.
            let other = self.known(&other).await;
            if other.set_at > timer.set_at {
                timer = other;
            }
        }
        Some(timer.seconds).filter(|seconds| *seconds > 0)
    }

    async fn known(&self, chat: &Jid) -> Timer {
        if let Some(timer) = self.memory.timer(chat) {
            return timer;
        }
        match self.keys.timer(chat).await {
            Ok(kept) => self.memory.recall_timer(chat, kept.unwrap_or_default()),
            Err(error) => {
                tracing::warn!(%error, "a chat's timer could not be read");
                Timer::default()
            }
        }
    }

    /// What WhatsApp says of a group. Any change of which it tells is later than this.
    async fn asked(&self, client: &Client, group: &Jid) -> Timer {
        let asked = tokio::time::timeout(PATIENCE, client.groups().get_metadata(group)).await;
        let Ok(Ok(group_now)) = asked else {
            return Timer::default();
        };
        let seconds = group_now.ephemeral.and_then(|set| set.expiration).unwrap_or(0);
        self.learn(group, Timer { seconds, set_at: 1 }).await;
        self.known(group).await
    }
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::buffa::MessageField;
    use whatsapp_rust::chrono::DateTime;
    use whatsapp_rust::waproto::whatsapp::message::ProtocolMessage;

    use super::*;

    fn info(chat: &str, ephemeral_expiration: Option<u32>) -> MessageInfo {
        let mut info = MessageInfo {
            timestamp: DateTime::from_timestamp(100, 0).unwrap(),
            ephemeral_expiration,
            ..MessageInfo::default()
        };
        info.source.chat = chat.parse().unwrap();
        info
    }

    fn setting(seconds: Option<u32>, at: i64) -> Message {
        Message {
            protocol_message: MessageField::some(ProtocolMessage {
                r#type: Some(protocol_message::Type::EPHEMERAL_SETTING),
                ephemeral_expiration: seconds,
                ephemeral_setting_timestamp: Some(at),
                ..Default::default()
            }),
            ..Default::default()
        }
    }

    #[test]
    fn two_people_tell_each_other() {
        let person = info("100000000000007@lid", None);
        let told = |message: &Message| Timer::told(&person, message).map(|timer| (timer.seconds, timer.set_at));
        assert_eq!(told(&setting(Some(86_400), 90)), Some((86_400, 90)));
        assert_eq!(told(&setting(None, 90)), Some((0, 90)), "messages stay");
        assert_eq!(told(&setting(Some(86_400), i64::MAX)), Some((86_400, 100)));
        assert_eq!(told(&Message::default()), None);
        let timed = Timer::told(
            &info("5511999999999@s.whatsapp.net", Some(604_800)),
            &Message::default(),
        );
        assert_eq!(timed.map(|timer| (timer.seconds, timer.set_at)), Some((604_800, 100)));
        // A member says nothing for a group, nor does a list.
        for many in ["120363000000000001@g.us", "1@broadcast", "status@broadcast"] {
            assert_eq!(Timer::told(&info(many, Some(86_400)), &setting(Some(86_400), 90)), None);
        }
    }
}
