//! What a number does at WhatsApp besides sending messages: receipts, presence, look-ups; groups are in `groups`, the rest below.

mod chats;
mod people;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::time::Instant;
use wharf_domain::{
    PhoneNumber, Recipient,
    action::{Action, Done, PresenceState},
};
use whatsapp_rust::features::{ChatStateError, ChatStateType, ContactError, PresenceError, PresenceStatus};
use whatsapp_rust::wacore_binary::{Jid, JidExt};
use whatsapp_rust::{Client, IqError};

use super::{
    ids,
    memory::Memory,
    numbers,
    reporter::Reporter,
    send::{chat, of_client, of_iq, parsed},
    timers::Timers,
};
use crate::SendError;

/// What is said of a request whose answer was not heard.
pub(crate) const UNANSWERED: &str = "the connection ended before WhatsApp answered; it may have been done";

/// What it takes to do something.
pub(crate) struct Acting {
    pub(crate) client: Arc<Client>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) reporter: Arc<Reporter>,
    /// When whoever waits for it gives up.
    pub(crate) by: Instant,
    pub(crate) deadline: Duration,
    /// Whether WhatsApp was asked for nothing so far but what it takes to know whom it is about.
    pub(crate) looks_up: Arc<AtomicBool>,
}

impl Acting {
    pub(crate) async fn act(self, action: Action) -> Result<Done, SendError> {
        match action {
            Action::MarkRead {
                chat,
                from,
                message_ids,
            } => self.mark_read(&chat, from.as_ref(), &message_ids).await,
            Action::Presence { to, state } => self.show(to.as_ref(), state).await,
            Action::CheckNumbers(numbers) => self.check(&numbers).await,
            Action::Contact(who) => self.contact(&who).await,
            Action::Picture { of, preview } => self.picture(&of, preview).await,
            Action::Blocks => self.blocks().await,
            Action::Block(who) => self.block(&who, true).await,
            Action::Unblock(who) => self.block(&who, false).await,
            Action::Profile => self.profile().await,
            Action::ChangeProfile { name, about } => self.change_profile(name, about).await,
            Action::SetPicture { group: None, picture } => self.set_picture(picture).await,
            Action::SetPicture {
                group: Some(group),
                picture,
            } => self.set_group_picture(&group, picture).await,
            Action::RejectCall { call_id, from } => self.reject_call(&call_id, &from).await,
            Action::ArrangeChat { chat, how } => self.arrange(&chat, how).await,
            Action::Groups => self.groups().await,
            Action::Group(group) => self.group(&group).await,
            Action::CreateGroup { subject, participants } => self.create(subject, &participants).await,
            Action::ChangeParticipants {
                group,
                add,
                remove,
                promote,
                demote,
            } => self.change(&group, [&add, &remove, &promote, &demote]).await,
            Action::LeaveGroup(group) => self.leave(&group).await,
            Action::ChangeGroup { group, patch } => self.patch(&group, patch).await,
            Action::Invite { group, reset } => self.invite(&group, reset).await,
            Action::InvitedTo(code) => self.invited_to(&code).await,
            Action::JoinByInvite(code) => self.join(&code).await,
            Action::AcceptInvitation(invitation) => self.accept(&invitation).await,
            Action::JoinRequests(group) => self.requests(&group).await,
            Action::DecideJoinRequests { group, approve, reject } => self.decide(&group, &approve, &reject).await,
        }
    }

    async fn mark_read(
        &self,
        chat: &Recipient,
        from: Option<&Recipient>,
        message_ids: &[String],
    ) -> Result<Done, SendError> {
        let chat = self.chat(chat).await?;
        let from = match from {
            Some(from) if chat.is_group() => {
                let known = ids::in_group(&self.client, &chat, std::slice::from_ref(from))
                    .await
                    .pop();
                Some(known.map_or_else(|| parsed(&from.jid()), |(_, jid)| Ok(jid))?)
            }
            // Their authors are known by hidden id.
            Some(from) if chat.is_status_broadcast() => {
                Some(ids::called(&self.client, parsed(&from.jid())?, true).await)
            }
            _ => None,
        };
        let ids: Vec<&str> = message_ids.iter().map(String::as_str).collect();
        let marked = self.client.mark_as_read(&chat, from.as_ref(), &ids).await;
        // Nothing but a link that breaks makes it fail, and a mark that is made twice is one.
        marked.map(|()| Done::Done).map_err(|error| {
            tracing::debug!(%error, "messages are not marked as read");
            SendError::NotConnected
        })
    }

    /// Looks up what has to be known before anything is done. If the link breaks meanwhile nothing was.
    pub(super) async fn look_up<T>(&self, asking: impl Future<Output = Result<T, SendError>>) -> Result<T, SendError> {
        self.looks_up.store(true, Relaxed);
        let found = asking.await?;
        // Some look-ups go on without an answer.
        if !self.client.is_connected() {
            return Err(SendError::NotConnected);
        }
        self.looks_up.store(false, Relaxed);
        Ok(found)
    }

    /// A chat under the id that WhatsApp has it under.
    async fn chat(&self, who: &Recipient) -> Result<Jid, SendError> {
        let finding = async {
            let found = chat(&self.client, &self.memory, who).await?;
            Ok(ids::of_chat(&self.client, found).await)
        };
        self.look_up(finding).await
    }

    async fn show(&self, to: Option<&Recipient>, state: PresenceState) -> Result<Done, SendError> {
        let shown = match state {
            PresenceState::Available => return self.show_online(true).await,
            PresenceState::Unavailable => return self.show_online(false).await,
            PresenceState::Typing => ChatStateType::Composing,
            PresenceState::Recording => ChatStateType::Recording,
            PresenceState::Paused => ChatStateType::Paused,
        };
        let to = to.ok_or_else(|| SendError::Impossible("this needs a chat".to_owned()))?;
        let to = self.chat(to).await?;
        let sent = self.client.chatstate().send(&to, shown).await;
        sent.map(|()| Done::Done).map_err(|error| match error {
            ChatStateError::Client(error) => of_client(&error),
            other => SendError::Failed(other.to_string()),
        })
    }

    async fn show_online(&self, shown: bool) -> Result<Done, SendError> {
        let status = match shown {
            true => PresenceStatus::Available,
            false => PresenceStatus::Unavailable,
        };
        self.client.presence().set(status).await.map_err(|error| match error {
            PresenceError::PushNameEmpty => SendError::Impossible(
                "WhatsApp has not told the account's name yet; without it nobody is online".to_owned(),
            ),
            PresenceError::Client(error) => of_client(&error),
            other => SendError::Failed(other.to_string()),
        })?;
        self.memory.show_online(shown);
        Ok(Done::Done)
    }

    async fn check(&self, asked: &[PhoneNumber]) -> Result<Done, SendError> {
        let found = self
            .memory
            .numbers()
            .ask(&self.client, asked)
            .await
            .map_err(of_contact)?;
        numbers::checks(found).map(Done::Numbers)
    }
}

/// Of what leaves something behind at WhatsApp.
fn changed(error: &IqError) -> SendError {
    match is_unanswered(error) {
        true => SendError::Failed(UNANSWERED.to_owned()),
        false => of_iq(error),
    }
}

/// Whether a request was not answered that may be out: only its answer says what came of it. The client calls one `NotConnected`
/// whose link broke after it was written, too; a link that was down before was refused by then.
pub(super) const fn is_unanswered(error: &IqError) -> bool {
    matches!(
        error,
        IqError::NotConnected | IqError::Socket(_) | IqError::Disconnected(_) | IqError::InternalChannelClosed
    )
}

fn of_contact(error: ContactError) -> SendError {
    match error {
        ContactError::Iq(error) => of_iq(&error),
        other => SendError::Failed(other.to_string()),
    }
}
