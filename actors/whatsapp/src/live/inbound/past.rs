//! The history that the phone sends after linking, where the configuration asks for it.

use std::sync::Arc;

use wharf_domain::{ConnectionKey, IncomingMessage};
use whatsapp_rust::Client;
use whatsapp_rust::wacore::types::events::LazyHistorySync;
use whatsapp_rust::wacore::types::message::MessageInfo;
use whatsapp_rust::wacore_binary::Jid;
use whatsapp_rust::waproto::whatsapp::Conversation;

use super::{Inbound, other_name};
use crate::live::{
    convert::{Chat, bare, info_of, is_hidden, named},
    timers::Timer,
};

/// Messages handed to the inbox at a time: live ones get their turn in between.
const BATCH: usize = 64;

/// A piece of history that is being taken in. Its link may end meanwhile, and takes the rest along.
struct Piece<'a> {
    of: &'a ConnectionKey,
    carried: usize,
    is_whole: bool,
}

impl Drop for Piece<'_> {
    fn drop(&mut self) {
        let Self { of, carried, is_whole } = self;
        if !*is_whole {
            tracing::error!(client_id = %of.client_id, phone_number = %of.phone_number, carried, "the rest of a piece of history is lost");
        }
    }
}

impl Inbound {
    /// Carries one piece of the history, chat by chat, each in the order of sending. WhatsApp does not send it again: what
    /// the inbox refuses for longer than its patience is lost, and said in the log.
    pub(super) async fn carry_history(&self, client: &Arc<Client>, history: &LazyHistorySync) {
        let mut stream = history.stream();
        let mut piece = Piece {
            of: self.reporter.key(),
            carried: 0,
            is_whole: false,
        };
        loop {
            let conversation = match stream.next_conversation() {
                Ok(Some(conversation)) => conversation,
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "a piece of history cannot be read");
                    return;
                }
            };
            match self.carry_chat(client, conversation).await {
                Ok(messages) => piece.carried += messages,
                Err(refused) => {
                    tracing::error!(refused, "a message of the history could not be stored");
                    return;
                }
            }
        }
        piece.is_whole = true;
        let (of, carried) = (piece.of, piece.carried);
        tracing::info!(client_id = %of.client_id, phone_number = %of.phone_number, carried, progress = ?history.progress(), "a piece of history was taken in");
    }

    async fn carry_chat(&self, client: &Arc<Client>, conversation: Conversation) -> Result<usize, String> {
        let Some(chat) = Chat::of(&conversation) else {
            return Ok(0);
        };
        if let Some(timer) = Timer::of_history(&conversation) {
            let other = other_name(client, chat.jid()).await;
            self.timers.hear(chat.jid(), other, timer).await;
        }
        let messages = conversation.messages.into_iter();
        let mut messages: Vec<_> = messages.filter_map(|message| message.message.into_option()).collect();
        messages.sort_by_key(|message| message.message_timestamp);
        let number = client.pn().map(|own| bare(&own));
        let own = (
            number.unwrap_or_else(|| Jid::pn(self.reporter.key().phone_number.as_str())),
            client.lid().map(|own| bare(&own)),
        );
        let mut carried = 0;
        for some in messages.chunks(BATCH) {
            let mut batch = Vec::new();
            for message in some {
                let (Some(mut info), Some(content)) = (info_of(&chat, message, &own), message.message.as_option())
                else {
                    continue;
                };
                self.number_sender(client, &mut info).await;
                let mut read = self.read(client, &info, content, false).await?;
                let told = read.message.take();
                read.message = told.map(|message| of_the_past(message, &chat, named(&info)));
                self.read_again(client, &read, content, &mut batch).await?;
                batch.push(read);
            }
            carried += batch.iter().filter(|read| read.message.is_some()).count();
            self.commit(batch).await?;
        }
        Ok(carried)
    }

    /// A stanza brings the sender's number beside the hidden id, and the key of its message has it; the phone's history
    /// leaves it out. It is the same message, so the number is looked up, unless stanzas of this person have none.
    async fn number_sender(&self, client: &Arc<Client>, info: &mut MessageInfo) {
        let source = &mut info.source;
        let unnumbered = is_hidden(&source.sender) && source.sender_alt.is_none();
        if !unnumbered || self.memory.is_unnamed(source.sender.user_base()) {
            return;
        }
        if let Ok(Some(entry)) = client.get_lid_pn_entry(&source.sender).await {
            source.sender_alt = Some(Jid::pn(entry.phone_number.as_ref()));
        }
    }
}

fn of_the_past(mut message: IncomingMessage, chat: &Chat, push_name: Option<String>) -> IncomingMessage {
    let details = message.details.get_or_insert_default();
    details.history = true;
    details.push_name = push_name;
    if let (Some(group), Some(subject)) = (&mut details.group, &chat.subject) {
        group.subject = Some(subject.clone());
    }
    message
}
