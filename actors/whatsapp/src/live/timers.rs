//! After how long messages of a chat disappear. A phone says of a message without its chat's timer that it will stay, and keeps
//! it, so that each message has to bring it along.
//!
//! Two people tell each other, by a message of its own when one of them sets the timer and in each message from then on. Of a
//! group WhatsApp tells: it is asked once, and tells of each change, also of those while the number was away. What was told is
//! a row of the number's keys.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use whatsapp_rust::wacore::{proto_helpers::MessageExt as _, time::now_secs, types::message::MessageInfo};
use whatsapp_rust::wacore_binary::{Jid, JidExt as _};
use whatsapp_rust::waproto::whatsapp::{Conversation, Message, message::protocol_message};
use whatsapp_rust::{Client, features::GroupError};

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
    /// What the phone's history says of a chat.
    pub(crate) fn of_history(conversation: &Conversation) -> Option<Self> {
        Some(Self {
            seconds: conversation.ephemeral_expiration?,
            set_at: conversation.ephemeral_setting_timestamp?,
        })
    }
}

/// What a message tells two people of their chat's timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It was set by this message.
    Set(Timer),
    /// The message says how it is set.
    Said(Timer),
}

impl Told {
    /// What is told with a message, if anything is.
    pub(crate) fn of(info: &MessageInfo, message: &Message) -> Option<Self> {
        let chat = &info.source.chat;
        if !(chat.is_pn() || chat.is_lid()) {
            return None;
        }
        let sent_at = info.timestamp.timestamp();
        let setting = message.get_base_message().protocol_message.as_option();
        let setting = setting.filter(|it| it.r#type == Some(protocol_message::Type::EPHEMERAL_SETTING));
        match setting {
            // Nobody knows in advance: a time to come would outdo all that is set until then.
            Some(setting) => Some(Self::Set(Timer {
                seconds: setting.ephemeral_expiration.unwrap_or(0),
                set_at: setting.ephemeral_setting_timestamp.unwrap_or(sent_at).min(sent_at),
            })),
            None => Some(Self::Said(Timer {
                seconds: info.ephemeral_expiration?,
                set_at: sent_at,
            })),
        }
    }
}

/// The timers of one number's chats, for one link.
pub(crate) struct Timers {
    memory: Arc<Memory>,
    keys: Arc<DeviceKeys>,
    /// Held by whoever learns of one: what was set later is what is kept.
    learning: tokio::sync::Mutex<()>,
}

impl Timers {
    pub(crate) fn new(memory: Arc<Memory>, keys: Arc<DeviceKeys>) -> Self {
        let learning = tokio::sync::Mutex::default();
        Self { memory, keys, learning }
    }

    /// Somebody set a chat's timer. What was set later is not undone.
    pub(crate) async fn set(&self, chat: &Jid, timer: Timer) {
        self.learn(chat, timer, |_| true).await;
    }

    /// The same as of now.
    pub(crate) async fn set_now(&self, chat: &Jid, seconds: u32) {
        let set_at = now_secs();
        self.set(chat, Timer { seconds, set_at }).await;
    }

    /// Something says how the timer of a chat of two people is set, of which `other` is the other name, if it has one.
    pub(crate) async fn hear(&self, chat: &Jid, other: Option<Jid>, timer: Timer) {
        let other = match other {
            Some(other) => self.known(&other).await,
            None => Timer::default(),
        };
        // No row for each message, nor for each chat whose messages stay. But one where the other name's, which says something
        // else, would outdo what there is.
        let is_news = |known: Timer| {
            let is_outdone = other.seconds != timer.seconds && other.set_at >= known.set_at;
            timer.seconds != known.seconds || is_outdone
        };
        self.learn(chat, timer, is_news).await;
    }

    /// Remembers a timer, unless another was set later, and keeps it if it `is_kept` in place of what was known.
    async fn learn(&self, chat: &Jid, timer: Timer, is_kept: impl FnOnce(Timer) -> bool) {
        let chat = bare(chat);
        let _learning = self.learning.lock().await;
        let known = self.known(&chat).await;
        if timer.set_at < known.set_at {
            return;
        }
        self.memory.note_timer(&chat, timer);
        if is_kept(known)
            && let Err(error) = self.keys.keep_timer(&chat, timer).await
        {
            tracing::warn!(%error, "a chat's timer is remembered until the end of the process only");
        }
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
        let answer = async { Ok(client.groups().get_metadata(group).await?.ephemeral) };
        let Some(set) = ask(&self.memory, group, answer).await else {
            return Timer::default();
        };
        let seconds = set.and_then(|set| set.expiration).unwrap_or(0);
        self.set(group, Timer { seconds, set_at: 1 }).await;
        self.known(group).await
    }
}

/// What WhatsApp answers of a group, in its turn and in time. A group of which it told nothing is not asked for again for a while.
async fn ask<T>(memory: &Memory, group: &Jid, answer: impl Future<Output = Result<T, GroupError>>) -> Option<T> {
    if memory.is_untold(group) {
        return None;
    }
    let asked = tokio::time::timeout(PATIENCE, memory.subjects().in_turn(answer)).await;
    let told = asked.ok().flatten();
    if told.is_none() {
        memory.note_untold(group);
    }
    told
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use whatsapp_rust::IqError;
    use whatsapp_rust::buffa::MessageField;
    use whatsapp_rust::chrono::DateTime;
    use whatsapp_rust::waproto::whatsapp::message::ProtocolMessage;

    use super::*;
    use crate::live::subjects::AGAIN_AFTER;

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
        let told = |message: &Message| Told::of(&person, message);
        let set = |seconds, set_at| Some(Told::Set(Timer { seconds, set_at }));
        assert_eq!(told(&setting(Some(86_400), 90)), set(86_400, 90));
        assert_eq!(told(&setting(None, 90)), set(0, 90), "messages stay");
        assert_eq!(told(&setting(Some(86_400), i64::MAX)), set(86_400, 100));
        assert_eq!(told(&Message::default()), None);
        let timed = info("5511999999999@s.whatsapp.net", Some(604_800));
        let said = Told::Said(Timer {
            seconds: 604_800,
            set_at: 100,
        });
        assert_eq!(Told::of(&timed, &Message::default()), Some(said));
        // A member says nothing for a group, nor does a list.
        for many in ["120363000000000001@g.us", "1@broadcast", "status@broadcast"] {
            assert_eq!(Told::of(&info(many, Some(86_400)), &setting(Some(86_400), 90)), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_group_that_is_not_told_of_is_left_alone_for_a_while() {
        let asked = Cell::new(0);
        let answer = |result: Result<u32, GroupError>| {
            let asked = &asked;
            async move {
                asked.set(asked.get() + 1);
                result
            }
        };
        let refused = |code| {
            Err(GroupError::Iq(IqError::ServerError {
                code,
                text: "no".to_owned(),
                error_type: None,
                backoff: None,
            }))
        };
        let memory = Memory::default();
        let [first, second] = ["1@g.us", "2@g.us"].map(|group| group.parse::<Jid>().unwrap());
        assert_eq!(ask(&memory, &first, answer(refused(403))).await, None);
        assert_eq!(ask(&memory, &first, answer(Ok(7))).await, None);
        assert_eq!(asked.get(), 1, "not for each message");
        assert_eq!(
            ask(&memory, &second, answer(Ok(7))).await,
            Some(7),
            "others are asked for"
        );
        tokio::time::advance(AGAIN_AFTER).await;
        assert_eq!(ask(&memory, &first, answer(Ok(7))).await, Some(7));
        assert_eq!(
            ask(&memory, &first, std::future::pending::<Result<u32, _>>()).await,
            None
        );
        assert!(
            memory.is_untold(&first),
            "one that is not answered in time is not told of"
        );
        // Too much is too much, of whatever group.
        assert_eq!(ask(&memory, &second, answer(refused(429))).await, None);
        let third = "3@g.us".parse::<Jid>().unwrap();
        let before = asked.get();
        assert_eq!(ask(&memory, &third, answer(Ok(7))).await, None);
        assert_eq!(asked.get(), before);
    }
}
