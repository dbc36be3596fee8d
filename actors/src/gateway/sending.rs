//! What goes out: messages, receipts, presence, groups. With an `Idempotency-Key` each at most once within 24 h.

use ractor::{MessagingErr, rpc::CallResult};
use serde::{Deserialize, Serialize};
use wharf_domain::{
    ClientId, Connection, InvalidField, Outgoing, OutgoingMessage, PhoneNumber, Recipient, SendStatus,
    action::{Action, Arrangement, Done},
    outgoing::{Content, ForwardSource, MediaMessage, Quote, StatusUpdate},
};
use wharf_store::{OutgoingFilter, OutgoingPage};
use wharf_whatsapp::SendError;

use super::{Gateway, GatewayError, IdempotencyKey, SEND_DEADLINE, once::key_in_use, restarting};
use crate::{
    clock,
    media::outbound::ReceivedFile,
    preview::with_preview,
    session::{
        self,
        outbox::{Answer, Request, Undone, new_message_id},
    },
};

/// A message that a client wants sent.
#[derive(Debug)]
pub struct NewMessage {
    /// Whom it goes to.
    pub to: Recipient,
    /// What it is.
    pub content: NewContent,
    /// The message that it answers.
    pub reply_to: Option<Quote>,
    /// For how long the other one sees it being typed or recorded first.
    pub typing_seconds: Option<u8>,
    /// Who gets it and how it looks, of a status update. One that is taken back may do without, if it was posted here.
    pub update: Option<StatusUpdate>,
    /// Whether it may wait while the number is not connected.
    pub queue: bool,
    /// Whether the answer says what became of it.
    pub wait: bool,
}

impl NewMessage {
    /// A plain text that goes at once.
    pub fn text(to: Recipient, text: impl Into<String>) -> Self {
        let Outgoing { to, content, .. } = Outgoing::text(to, text);
        Self {
            to,
            content: NewContent::Own(content),
            reply_to: None,
            typing_seconds: None,
            update: None,
            queue: false,
            wait: true,
        }
    }
}

/// What a client wants sent.
#[derive(Debug)]
pub enum NewContent {
    /// What the request says.
    Own(Content),
    /// This, with what the page of the first link in it says of itself.
    Previewed(Content),
    /// A file.
    Media(Box<NewMedia>),
    /// What is here already.
    Forward(ForwardSource),
}

/// A file that a client wants sent.
#[derive(Debug)]
pub struct NewMedia {
    /// The message; of its file only what the client says.
    pub message: MediaMessage,
    /// The file.
    pub file: NewFile,
}

/// Where a file that a client wants sent is.
#[derive(Debug)]
pub enum NewFile {
    /// At the address that its message names.
    Url,
    /// It is here.
    Received {
        /// The file.
        file: ReceivedFile,
        /// What the client gave it in, or named it by.
        field: &'static str,
    },
}

/// A message that WhatsApp took, or that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentMessage {
    /// WhatsApp's id of it.
    pub message_id: String,
    /// Whom it goes to.
    pub to: Recipient,
    /// `sent`: WhatsApp's server has it. `queued`: it waits.
    pub status: SendStatus,
    /// When the server took it, or when it began to wait; RFC 3339.
    pub timestamp: String,
}

impl SentMessage {
    /// Whether it waits.
    pub fn is_queued(&self) -> bool {
        self.status == SendStatus::Queued
    }
}

/// What an invite link is called where there is none.
const INVITE: &str = "invite link";
/// The same of an invitation that somebody sent.
const INVITATION: &str = "invitation";

impl Gateway {
    /// Sends a message: waits for WhatsApp's ack if it starts within 5 s and `wait` is set, else answers that it is
    /// queued.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when not connected, or for a key that is in use; `Refused` by WhatsApp, for a number that is
    /// not on it, or for what cannot be forwarded; `Busy` when as many wait as may; `TimedOut`.
    pub async fn send(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        message: NewMessage,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<SentMessage, GatewayError> {
        let connection = self.connection(client, number).await?;
        let NewMessage {
            to,
            content,
            reply_to,
            typing_seconds,
            update,
            queue,
            wait,
        } = message;
        let gateway = self.clone();
        let sending = |connection: Connection| async move {
            // Behind the claim: who repeats a request gets its answer, also when what was passed on is gone.
            let message_id = new_message_id();
            let place = gateway.shared.places.take(connection.key(), to.clone());
            let (content, file) = match content {
                NewContent::Own(content) => (gateway.informed(&connection, &to, content).await?, None),
                NewContent::Previewed(content) => {
                    // No page is fetched for a message that would be refused.
                    gateway.check_session(&connection, queue).await?;
                    (with_preview(&gateway.shared, connection.client_id, content).await, None)
                }
                NewContent::Forward(source) => gateway.forwarded(&connection, &message_id, source, queue).await?,
                NewContent::Media(media) => gateway.ready_file(&connection, &message_id, *media).await?,
            };
            let reply_to = match reply_to {
                Some(quote) => Some(gateway.quoted(&connection, quote).await?),
                None => None,
            };
            let update = match update {
                None if to.is_status() => Some(gateway.posted(&connection, &content).await?),
                update => update,
            };
            let outgoing = Outgoing {
                to,
                content,
                reply_to,
                typing_seconds,
                update: update.map(Box::new),
            };
            place.turn().await;
            let request = Request {
                message_id,
                outgoing,
                file,
                queue,
                wait,
                place: Some(place),
            };
            gateway.hand_over(&connection, request).await
        };
        self.once(connection, idempotency, false, sending).await
    }

    /// One message that this number sent or is to send.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn outgoing_message(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        message_id: &str,
    ) -> Result<OutgoingMessage, GatewayError> {
        let connection = self.connection(client, number).await?;
        let found = self
            .shared
            .store
            .outgoing_message(&connection.key(), message_id)
            .await?;
        found.ok_or(GatewayError::NotFound("message"))
    }

    /// A page of the messages that this number sent or is to send, newest first.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` for a cursor that is none.
    pub async fn outgoing_messages(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        filter: OutgoingFilter,
    ) -> Result<OutgoingPage, GatewayError> {
        let connection = self.connection(client, number).await?;
        let _turn = self.shared.reads.turn(client).await?;
        let page = self.shared.store.outgoing_messages(&connection.key(), &filter).await?;
        page.ok_or_else(|| {
            let text = "is not one that this route gave out, or its message is gone; begin anew without it";
            InvalidField::new("cursor", text).into()
        })
    }

    /// Does something else at WhatsApp.
    ///
    /// # Errors
    /// `NotFound`, also for a group that this number is not in, or an invite link that there is not, and for the picture of a
    /// number that nobody has; `Gone` for an invite link that was reset; `Conflict` when not connected, or for a key that is in use;
    /// `Busy` when this client has had as much done under keys as it may of late; `Refused`; `TimedOut`.
    pub async fn act(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        action: Action,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<Done, GatewayError> {
        let connection = self.connection(client, number).await?;
        let gateway = self.clone();
        let acting = |connection| async move { gateway.carry_out(&connection, action).await };
        self.once(connection, idempotency, true, acting).await
    }

    async fn hand_over(&self, connection: &Connection, request: Request) -> Result<SentMessage, GatewayError> {
        let session = self.session(connection).await?;
        let to = request.outgoing.to.clone();
        let ask = |reply| session::Message::Send(Box::new(request), reply);
        let result = match session.call(ask, Some(SEND_DEADLINE)).await {
            Ok(CallResult::Success(result)) => result,
            outcome => return Err(unanswered(&outcome)),
        };
        match result {
            Ok(Answer { message_id, sent, at }) => Ok(SentMessage {
                message_id,
                to,
                status: if sent.is_some() {
                    SendStatus::Sent
                } else {
                    SendStatus::Queued
                },
                timestamp: at.to_string(),
            }),
            Err(undone) => Err(of_undone(undone)),
        }
    }

    /// Refuses what [`Gateway::send`] would refuse whatever the message is. `queue`: whether it may wait for its connection, if
    /// that is known; `idempotency_key`: the key that it comes under.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when not connected, or for a key that is in use; `Busy` when as many wait as may.
    pub async fn check_send(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        queue: Option<bool>,
        idempotency_key: Option<&str>,
    ) -> Result<(), GatewayError> {
        let connection = self.connection(client, number).await?;
        if let Some(used) = idempotency_key {
            let (key, now) = (connection.key(), clock::now());
            match self.shared.store.key_is_answered(&key, used, now).await? {
                // What it is to be compared with is still to come.
                Some(true) => return Ok(()),
                Some(false) => return Err(key_in_use()),
                None => {}
            }
        }
        // What is not known speaks for it.
        self.check_session(&connection, queue.unwrap_or(true)).await
    }

    /// Refuses what its session would refuse whatever the message is.
    pub(super) async fn check_session(&self, connection: &Connection, queue: bool) -> Result<(), GatewayError> {
        let session = self.session(connection).await?;
        let ask = |reply| session::Message::CheckSend { queue, reply };
        match session.call(ask, Some(SEND_DEADLINE)).await {
            Ok(CallResult::Success(result)) => result.map_err(of_undone),
            outcome => Err(unanswered(&outcome)),
        }
    }

    pub(super) async fn carry_out(&self, connection: &Connection, action: Action) -> Result<Done, GatewayError> {
        // Here and not where it is read: a repeat under a key gets its answer, however late it comes.
        if let Action::ArrangeChat { how, .. } = &action
            && matches!(how, Arrangement::MutedUntil(until) if *until <= clock::now())
        {
            return Err(InvalidField::new("until", "must lie ahead").into());
        }
        let session = self.session(connection).await?;
        let thing = match &action {
            action if action.group().is_some() => Some("group"),
            Action::InvitedTo(_) | Action::JoinByInvite(_) => Some(INVITE),
            Action::AcceptInvitation(_) => Some(INVITATION),
            _ => None,
        };
        let picture = matches!(action, Action::Picture { .. });
        let ask = |reply| session::Message::Act(Box::new(action), reply);
        let result = match session.call(ask, Some(SEND_DEADLINE)).await {
            Ok(CallResult::Success(result)) => result,
            outcome => return Err(unanswered(&outcome)),
        };
        match result {
            Ok(done) => Ok(done),
            Err(Undone::Link(SendError::NotOnWhatsApp(_))) if picture => {
                Err(GatewayError::NotFound("number on WhatsApp"))
            }
            Err(Undone::Link(error)) => Err(of_act(thing, &error)),
            Err(undone) => Err(of_undone(undone)),
        }
    }
}

/// What is said of something that was not done to a `thing` that WhatsApp knows or not.
fn of_act(thing: Option<&'static str>, error: &SendError) -> GatewayError {
    let code = match error {
        SendError::Refused { code, .. } => code.as_str(),
        _ => "",
    };
    match (thing, code) {
        (Some(thing), "404") => GatewayError::NotFound(thing),
        // Its codes for what is no code at all, and for one that was good once.
        (Some(thing @ (INVITE | INVITATION)), "400" | "406") => GatewayError::NotFound(thing),
        (Some(INVITE), "410") => GatewayError::Gone(
            "this invite link was reset, or its group is no more; ask an admin of the group for a new one",
        ),
        (Some(INVITATION), "410") => {
            GatewayError::Gone("this invitation is over, or was taken back; ask who sent it for a new one")
        }
        _ => of_link(error),
    }
}

fn of_undone(undone: Undone) -> GatewayError {
    match undone {
        Undone::Link(error @ SendError::NotConnected) => {
            GatewayError::Conflict(format!("{error}; with \"queue\": true a message waits for it"))
        }
        Undone::Link(error) => of_link(&error),
        Undone::Expired => {
            GatewayError::Conflict("the message was not sent before its deadline (sending.deadline_seconds)".to_owned())
        }
        Undone::Full(most) => GatewayError::Busy(format!(
            "{most} messages of this number wait already, as many as sending.queue_max allows"
        )),
        Undone::File(failed) => GatewayError::Refused(failed.detail),
        Undone::NotRecorded(error) => error.into(),
        Undone::Gone => GatewayError::NotFound("connection"),
    }
}

/// Late, or the actor ended under it, with its connection or by itself: nobody knows how far it came. What an actor that is
/// gone never got was not done.
fn unanswered<T, M>(outcome: &Result<CallResult<T>, MessagingErr<M>>) -> GatewayError {
    match outcome {
        Err(_) => restarting(),
        Ok(CallResult::Timeout) => of_link(&SendError::TimedOut(SEND_DEADLINE)),
        Ok(_) => GatewayError::TimedOut(
            "the number's session ended before WhatsApp answered; it may have been sent".to_owned(),
        ),
    }
}

fn of_link(error: &SendError) -> GatewayError {
    let text = error.to_string();
    match error {
        SendError::NotConnected => GatewayError::Conflict(text),
        SendError::NotOnWhatsApp(_) | SendError::NoKeys | SendError::Refused { .. } | SendError::Impossible(_) => {
            GatewayError::Refused(text)
        }
        // It may have been done.
        SendError::TimedOut(_) | SendError::Failed(_) => GatewayError::TimedOut(text),
    }
}
