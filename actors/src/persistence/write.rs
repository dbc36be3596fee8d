//! What can be committed.

mod news;
mod weight;

use ractor::RpcReplyPort;
use wharf_domain::{
    AttemptOutcome, ClientId, Connection, ConnectionKey, EventId, PendingEvent, Webhook, WebhookId, Wishes,
};
use wharf_store::{
    AwaitedId, AwaitedMessage, BulkRenewal, ConnectionSettings, DeletedWebhook, Group, KeyChange, KeyClaim,
    MediaOutcome, NewEvent, NewOutgoing, OutgoingFile, RecordedEvent, Renewal, StoreError,
};

use super::{
    KeyChanges, WriteError,
    input::{
        Arrived, Change, Claim, Creation, Ended, Learned, Missed, Poll, Postponed, Reached, Registration, Retry,
        Rotation, Settlement, change, claim, create, end_waits, note, record_arrived, record_outgoing, register,
        report_missed, rotate, settle, tell,
    },
    steps::{Stepped, Work, step},
};
use crate::clock;

/// A write and its caller.
#[derive(Debug)]
pub(crate) struct Job<I, O> {
    input: I,
    output: Option<O>,
    reply: Option<RpcReplyPort<Result<O, WriteError>>>,
}

impl<I, O: Send + 'static> Job<I, O> {
    pub(crate) fn new(input: I, reply: RpcReplyPort<Result<O, WriteError>>) -> Self {
        Self {
            input,
            output: None,
            reply: Some(reply),
        }
    }

    /// What is written.
    #[cfg(test)]
    pub(crate) fn input(&self) -> &I {
        &self.input
    }

    /// The same write, whose caller hears nothing of it.
    #[cfg(test)]
    pub(crate) fn unheard(self) -> Self {
        Self { reply: None, ..self }
    }

    fn answer(self, result: Result<(), WriteError>) {
        let Some(reply) = self.reply else { return };
        let answer = result.and_then(|()| {
            self.output
                .ok_or_else(|| WriteError::Unavailable("the write was not carried out".to_owned()))
        });
        let _caller_gone = reply.send(answer);
    }
}

/// A step of a manual retry of many.
#[derive(Debug)]
pub(crate) struct BulkStep {
    renewal: BulkRenewal,
    /// What it takes to write those events anew.
    weight: usize,
    /// What became pending, for the webhook's delivery.
    renewed: Vec<PendingEvent>,
}

impl From<(BulkRenewal, usize)> for BulkStep {
    fn from((renewal, weight): (BulkRenewal, usize)) -> Self {
        Self {
            renewal,
            weight,
            renewed: Vec::new(),
        }
    }
}

/// The end of a download.
#[derive(Debug)]
pub(crate) struct MediaDone {
    outcome: MediaOutcome,
    /// The event that waited for it, for its delivery.
    released: Option<RecordedEvent>,
}

impl From<MediaOutcome> for MediaDone {
    fn from(outcome: MediaOutcome) -> Self {
        Self {
            outcome,
            released: None,
        }
    }
}

/// Declares [`Write`], of which each kind is a [`Job`] with what it is given and what it answers.
macro_rules! writes {
    ($($(#[$doc:meta])* $verb:ident($input:ty) -> $output:ty;)*) => {
        /// One write, in the domain's verbs.
        #[derive(Debug)]
        pub(crate) enum Write {
            $($(#[$doc])* $verb(Job<$input, $output>),)*
        }

        impl Write {
            /// Tells the caller that it is committed, or why it is not.
            pub(super) fn answer(self, result: &Result<(), WriteError>) {
                let result = result.clone();
                match self {
                    $(Self::$verb(job) => job.answer(result),)*
                }
            }
        }
    };
}

writes! {
    /// Messages that WhatsApp delivered.
    RecordInbound(Vec<NewEvent>) -> ();
    /// Messages of which some were waited for, or are about such.
    RecordArrived(Arrived) -> ();
    /// Messages that could not be decrypted and are waited for.
    KeepAwaited((ConnectionKey, Vec<AwaitedMessage>)) -> ();
    /// One that has not come; if it has, nothing is done.
    ReportMissed(Missed) -> ();
    /// What waits behind a message that is not waited for any more.
    Release((ConnectionKey, AwaitedId)) -> ();
    /// An attempt that ended.
    RecordOutcome(Ended) -> ();
    /// What a linked device keeps or forgets.
    ChangeKeys(KeyChanges) -> ();
    /// A state that a session reached, and what is told of it. `false`: there is no such connection any more.
    RecordConnection(Reached) -> bool;
    /// A new webhook. `None`: the number has one, or the client as many as it may.
    RegisterWebhook(Registration) -> Option<Webhook>;
    /// A changed webhook. `None`: there is none.
    ChangeWebhook(Change) -> Option<Webhook>;
    /// A webhook whose receiver at this URL is gone, and what is said of it. `None`: there is none that leads there.
    DeactivateWebhook((ClientId, WebhookId, String, &'static str)) -> Option<Webhook>;
    /// A new secret. `false`: there is no such webhook.
    RotateSecret(Rotation) -> bool;
    /// A webhook that goes; its waiting events end. `None`: there is none.
    DeleteWebhook((ClientId, WebhookId)) -> Option<DeletedWebhook>;
    /// A manual retry.
    RenewEvent(Retry) -> Renewal;
    /// A parked event that goes out again. `None`: it is not parked any more.
    ReviveEvent((WebhookId, EventId)) -> Option<RecordedEvent>;
    /// A step of a manual retry of many. Answers how many.
    RenewFailed(BulkStep) -> usize;
    /// A new connection. `None`: it exists, or the client has as many as it may.
    CreateConnection(Creation) -> Option<Connection>;
    /// A change of what a client may set of a connection. `None`: no such connection.
    ChangeConnection(ConnectionSettings) -> Option<Connection>;
    /// A connection that goes; what it still had to send fails.
    DeleteConnection(ConnectionKey) -> bool;
    /// The beginning of a send under an `Idempotency-Key`.
    ClaimKey(Claim) -> KeyClaim;
    /// Its end.
    SettleKey(Settlement) -> ();
    /// A poll that was seen.
    KeepPoll(Poll) -> ();
    /// A message that is about to go out, or to wait for that. `false`: its id is taken.
    RecordOutgoing(NewOutgoing) -> bool;
    /// What is known of the file of a message that waits.
    KeepOutgoingFile(OutgoingFile) -> ();
    /// What was learned of messages that went out; what is news of it becomes events.
    NoteOutgoing(Learned) -> ();
    /// A download that ended; its event goes out.
    EndMedia(MediaDone) -> ();
    /// A download that is tried again.
    PostponeMedia(Postponed) -> ();
    /// A step of a work on many rows, and how many of them it may touch.
    Step((Work, u32)) -> Stepped;
    /// Nothing; its answer says that all writes before it are done with.
    Settle(()) -> ();
}

impl Write {
    /// The messages of a [`Write::RecordInbound`].
    pub(super) fn inbound(&self) -> Option<&[NewEvent]> {
        match self {
            Self::RecordInbound(job) => Some(&job.input),
            _ => None,
        }
    }

    /// The outcome of a [`Write::RecordOutcome`].
    pub(super) fn outcome(&self) -> Option<&AttemptOutcome> {
        match self {
            Self::RecordOutcome(job) => Some(&job.input.outcome),
            _ => None,
        }
    }

    /// Whether nothing waits for its commit yet.
    pub(super) fn may_wait(&self) -> bool {
        matches!(self, Self::RecordOutcome(job) if job.input.may_wait)
    }

    /// Whether it has its place among the writes before and after it: messages and keys do not concern other writes' rows.
    pub(super) fn is_ordered(&self) -> bool {
        self.inbound().is_none() && self.keys().is_none()
    }

    /// The number whose webhook this made, changed or deleted, and what is wanted of it from now on.
    pub(super) fn wanted(&self) -> Option<(ConnectionKey, Wishes)> {
        let webhook = match self {
            Self::RegisterWebhook(job) => job.output.as_ref()?.as_ref()?,
            Self::ChangeWebhook(job) => job.output.as_ref()?.as_ref()?,
            Self::DeleteWebhook(job) => {
                let number = job.output.as_ref()?.as_ref()?.phone_number.clone();
                return Some((ConnectionKey::new(job.input.0, number), Wishes::NONE));
            }
            _ => return None,
        };
        Some((webhook.key(), webhook.wishes()))
    }

    /// The connection that this changed.
    pub(super) fn connection(&self) -> Option<&Connection> {
        match self {
            Self::ChangeConnection(job) => job.output.as_ref()?.as_ref(),
            _ => None,
        }
    }

    /// The changes of a [`Write::ChangeKeys`].
    pub(super) fn keys(&self) -> Option<(&ConnectionKey, &[KeyChange])> {
        match self {
            Self::ChangeKeys(job) => Some((&job.input.of, &job.input.changes)),
            _ => None,
        }
    }

    /// Takes what a retry or a revival made pending, or a [`Write::EndMedia`] due, for its delivery.
    pub(super) fn take_renewed(&mut self) -> Option<(ClientId, WebhookId, Vec<PendingEvent>)> {
        match self {
            Self::RenewFailed(job) if !job.input.renewed.is_empty() => {
                let BulkStep { renewal, renewed, .. } = &mut job.input;
                Some((renewal.client_id, renewal.webhook_id, std::mem::take(renewed)))
            }
            Self::RenewEvent(job) => match job.output.as_ref()? {
                Renewal::Renewed { webhook_id, event } => Some((job.input.client_id, *webhook_id, vec![event.clone()])),
                _ => None,
            },
            Self::ReviveEvent(job) => {
                let revived = job.output.as_ref()?.as_ref()?;
                Some((revived.client_id, revived.webhook_id, vec![revived.event.clone()]))
            }
            Self::EndMedia(job) => {
                let released = job.input.released.take()?;
                Some((released.client_id, released.webhook_id, vec![released.event]))
            }
            _ => None,
        }
    }

    /// Notes that a bulk statement has carried this write out.
    pub(super) fn carried_out(&mut self) {
        match self {
            Self::RecordInbound(job) => job.output = Some(()),
            Self::RecordOutcome(job) => job.output = Some(()),
            Self::ChangeKeys(job) => job.output = Some(()),
            _ => {}
        }
    }

    /// Carries out a write that is not one of the bulk kinds; `recorded` gets the events that it makes.
    pub(super) async fn carry_out(
        &mut self,
        group: &mut Group<'_>,
        recorded: &mut Vec<RecordedEvent>,
    ) -> Result<(), StoreError> {
        let now = clock::now();
        match self {
            Self::RecordInbound(_) | Self::RecordOutcome(_) | Self::ChangeKeys(_) => {}
            Self::RecordArrived(job) => {
                recorded.extend(record_arrived(group, &job.input, now).await?);
                job.output = Some(());
            }
            Self::KeepAwaited(job) => job.output = Some(group.keep_awaited(&job.input.0, &job.input.1).await?),
            Self::ReportMissed(job) => {
                recorded.extend(report_missed(group, &job.input, now).await?);
                job.output = Some(());
            }
            Self::Release(job) => {
                recorded.extend(group.release(&job.input.0, &job.input.1, now).await?);
                job.output = Some(());
            }
            Self::RecordConnection(job) => {
                if !job.input.told.is_empty() {
                    recorded.extend(group.record_inbound(&job.input.told).await?);
                }
                job.output = Some(group.record_connection(&job.input.record).await?);
            }
            Self::RegisterWebhook(job) => job.output = Some(register(group, &job.input, now).await?),
            Self::RotateSecret(job) => job.output = Some(rotate(group, &job.input, now).await?),
            Self::ChangeWebhook(job) => job.output = Some(change(group, &job.input, now).await?),
            Self::DeactivateWebhook(job) => {
                let (client, id, url, reason) = &job.input;
                job.output = Some(group.deactivate_webhook(*client, *id, url, reason, now).await?);
            }
            Self::DeleteWebhook(job) => {
                job.output = Some(group.delete_webhook(job.input.0, job.input.1, now).await?);
            }
            Self::RenewEvent(job) => {
                let of = job.input;
                job.output = Some(group.renew_event(of.client_id, of.event_id, of.force).await?);
            }
            Self::ReviveEvent(job) => job.output = Some(group.revive_event(job.input.0, job.input.1).await?),
            Self::RenewFailed(job) => {
                let events = group.renew_failed(&job.input.renewal).await?;
                job.output = Some(events.len());
                job.input.renewed = events;
            }
            Self::CreateConnection(job) => job.output = Some(create(group, &job.input, now).await?),
            Self::ChangeConnection(job) => job.output = Some(group.update_connection(&job.input, now).await?),
            Self::DeleteConnection(job) => {
                recorded.extend(end_waits(group, &job.input, now).await?);
                let failed = group.fail_queued(&job.input, now).await?;
                recorded.extend(tell(group, &failed, &[], now).await?);
                job.output = Some(group.delete_connection(&job.input).await?);
            }
            Self::ClaimKey(job) => job.output = Some(claim(group, &job.input).await?),
            Self::SettleKey(job) => job.output = Some(settle(group, &job.input).await?),
            Self::KeepPoll(job) => {
                let Poll { key, id, options } = &job.input;
                job.output = Some(group.keep_poll(key, id, options, now).await?);
            }
            Self::RecordOutgoing(job) => job.output = Some(record_outgoing(group, &job.input).await?),
            Self::KeepOutgoingFile(job) => job.output = Some(group.keep_outgoing_file(&job.input).await?),
            Self::NoteOutgoing(job) => {
                recorded.extend(note(group, &job.input, now).await?);
                job.output = Some(());
            }
            Self::EndMedia(job) => {
                job.input.released = group.end_media(&job.input.outcome, now).await?;
                job.output = Some(());
            }
            Self::PostponeMedia(job) => {
                let of = &job.input;
                let postponed = group.postpone_media(of.id, of.attempts, of.due_at, of.sealed.as_deref());
                job.output = Some(postponed.await?);
            }
            Self::Step(job) => job.output = Some(step(group, &job.input.0, job.input.1).await?),
            Self::Settle(job) => job.output = Some(()),
        }
        Ok(())
    }
}
