//! What writes add to the log.

use wharf_store::{HELD_BEHIND_ONE, NewEvent};

use super::{Job, Write};

/// Events that end with the deletion of their webhook itself, by their weight, as the store does it.
const ENDED_WITH_A_WEBHOOK: usize = 100;
/// Messages that fail, or are reported or told, with the deletion of their connection: few queues are longer.
const ENDED_WITH_A_CONNECTION: usize = 100;
/// What a page of the database holds.
const PAGE: usize = 4096;

impl Write {
    /// About how many pages it adds to the log, in those of a message: a key's row and its index are pages of its number,
    /// and an event that is changed or goes has pages of its own in its table and in its indexes; what is long has pages
    /// of its own, too. A log that grows unnoticed is carried over by the commit that finds it too long, and whoever waits
    /// for that commit waits for all of it.
    pub(in crate::persistence) fn weight(&self) -> usize {
        let of = |rows: usize| 2 * rows.max(1);
        match self {
            Self::RecordInbound(Job { input: events, .. }) => messages(events.iter()),
            Self::RecordArrived(job) => {
                let all = &job.input.all;
                let events = all.iter().filter_map(|arrival| arrival.event.as_ref());
                messages(events) + all.iter().filter(|arrival| arrival.came.is_some()).count()
            }
            Self::RecordConnection(job) => 1 + job.input.told.iter().map(message).sum::<usize>(),
            Self::ReportMissed(job) => message(&job.input.report),
            Self::KeepAwaited(job) => job.input.1.len().max(1),
            Self::NoteOutgoing(job) => {
                let named = job.input.notes.iter().map(|note| note.told.message_ids.len());
                named.sum::<usize>().max(1)
            }
            Self::RecordOutgoing(job) => long(job.input.file.as_ref().map_or(0, Vec::len)),
            Self::KeepOutgoingFile(job) => long(job.input.file.len()),
            // A row that is changed is written anew, with its body.
            Self::RecordOutcome(job) => long(job.input.outcome.body_bytes),
            Self::RenewEvent(job) => long(job.input.body_bytes),
            Self::EndMedia(job) => long(job.input.outcome.payload.as_ref().map_or(0, String::len)),
            // With what waits for it.
            Self::DeleteWebhook(_) => of(ENDED_WITH_A_WEBHOOK),
            Self::DeleteConnection(_) => of(ENDED_WITH_A_CONNECTION),
            Self::Release(_) => of(HELD_BEHIND_ONE as usize),
            Self::KeepPoll(job) => long(job.input.options.iter().map(String::len).sum()),
            Self::ChangeKeys(job) => of(job.input.changes.len()),
            Self::RenewFailed(job) => of(job.input.weight),
            Self::Step(job) => of(usize::try_from(job.input.1).unwrap_or(usize::MAX)),
            _ => 1,
        }
    }
}

/// A row with so many bytes.
fn long(bytes: usize) -> usize {
    1 + bytes / PAGE
}

fn message(new: &NewEvent) -> usize {
    long(new.payload.len())
}

fn messages<'e>(events: impl Iterator<Item = &'e NewEvent>) -> usize {
    events.map(message).sum::<usize>().max(1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;
    use wharf_domain::outgoing::{News, Told};
    use wharf_domain::{
        AttemptOutcome, AttemptTiming, ClientId, ConnectionKey, EventId, EventStatus, IncomingMessage, MessageKind,
        Timestamp, WebhookId,
    };
    use wharf_store::{AwaitedId, AwaitedMessage, BulkRenewal, MediaOutcome, Note};

    use super::*;
    use crate::persistence::{Arrival, Arrived, Ended, Retry, group_of};

    fn number() -> ConnectionKey {
        ConnectionKey::new(ClientId(1), "5511888888888".parse().unwrap())
    }

    fn event(payload: usize) -> NewEvent {
        let message = IncomingMessage {
            chat: "1@s.whatsapp.net".to_owned(),
            sender: "1@s.whatsapp.net".to_owned(),
            message_id: "A".to_owned(),
            from: "1".to_owned(),
            timestamp: Timestamp(0),
            kind: MessageKind::Text,
            details: None,
            content: String::new(),
        };
        NewEvent {
            id: EventId(Uuid::nil()),
            key: number(),
            message,
            payload: "x".repeat(payload),
            created_at: Timestamp(0),
        }
    }

    fn weight<I, O: Send + 'static>(verb: fn(Job<I, O>) -> Write, input: I) -> usize {
        let (reply, _) = ractor::concurrency::oneshot();
        verb(Job::new(input, reply.into())).weight()
    }

    #[test]
    fn a_write_weighs_what_it_has_many_of_and_what_is_long() {
        let id = || AwaitedId {
            message_id: "A".to_owned(),
            chat: "1@lid".to_owned(),
            sender: "1@lid".to_owned(),
        };
        let awaited = AwaitedMessage {
            id: id(),
            head: "{}".to_owned(),
            due_at: Timestamp(0),
        };
        assert_eq!(weight(Write::RecordInbound, vec![event(200)]), 1);
        assert_eq!(
            weight(Write::RecordInbound, (0..100).map(|_| event(200)).collect()),
            100
        );
        assert_eq!(weight(Write::RecordInbound, vec![event(200), event(70_000)]), 1 + 18);
        let arrived = Arrived {
            key: number(),
            all: vec![
                Arrival {
                    event: Some(event(200)),
                    behind: None,
                    came: Some(id()),
                },
                Arrival {
                    event: Some(event(200)),
                    behind: Some(id().into()),
                    came: None,
                },
            ],
        };
        assert_eq!(weight(Write::RecordArrived, arrived), 3);
        assert_eq!(weight(Write::KeepAwaited, (number(), vec![awaited; 50])), 50);
        let told = Told {
            message_ids: vec!["A".to_owned(); 64],
            news: News::Sent,
            at: Timestamp(0),
            place: None,
        };
        let note = Note { key: number(), told };
        assert_eq!(weight(Write::NoteOutgoing, vec![note.clone(), note].into()), 128);
        let ended = |payload: Option<String>| MediaOutcome {
            id: EventId(Uuid::nil()),
            result: Ok(1),
            payload,
            expires_at: None,
        };
        assert_eq!(weight(Write::EndMedia, ended(None).into()), 1);
        assert_eq!(weight(Write::EndMedia, ended(Some("x".repeat(1_400_000))).into()), 342);
    }

    #[test]
    fn a_change_of_an_event_weighs_as_much_as_its_body() {
        let (client_id, webhook_id, event_id) = (ClientId(1), WebhookId(Uuid::nil()), EventId(Uuid::nil()));
        let outcome = |body_bytes| AttemptOutcome {
            event_id,
            seq: 1,
            webhook_id,
            status: EventStatus::Delivered,
            attempt: 1,
            manual: false,
            timing: AttemptTiming {
                started_at: Timestamp(0),
                took: Duration::ZERO,
            },
            http_status: Some(200),
            response: None,
            error: None,
            next_retry_at: None,
            finished_at: Timestamp(0),
            webhook_failure_count: 0,
            body_bytes,
        };
        let ended = |body_bytes| Ended {
            outcome: outcome(body_bytes),
            may_wait: true,
        };
        let retry = |body_bytes| Retry {
            client_id,
            event_id,
            force: false,
            body_bytes,
        };
        for (body, pages) in [(200, 1), (1_400_000, 342)] {
            assert_eq!(weight(Write::RecordOutcome, ended(body)), pages);
            assert_eq!(weight(Write::RenewEvent, retry(body)), pages);
        }
        let renewal = BulkRenewal {
            client_id,
            webhook_id,
            seqs: vec![1, 2],
            first_due: Timestamp(0),
            per_second: 50,
        };
        assert_eq!(weight(Write::RenewFailed, (renewal, 343).into()), 686);
        // Five of them are a group, and not 512.
        let write = || {
            let (reply, _) = ractor::concurrency::oneshot();
            Box::new(Write::RecordOutcome(Job::new(ended(1_400_000), reply.into())))
        };
        assert_eq!(group_of(&(0..20).map(|_| write()).collect::<Vec<_>>()), 5);
    }

    #[test]
    fn a_group_is_no_heavier_than_others_wait_for_and_one_write_at_the_least() {
        let write = |events: usize| {
            let (reply, _) = ractor::concurrency::oneshot();
            let input = (0..events).map(|_| event(200)).collect();
            Box::new(Write::RecordInbound(Job::new(input, reply.into())))
        };
        let group = |weights: &[usize]| {
            let waiting: Vec<_> = weights.iter().map(|events| write(*events)).collect();
            group_of(&waiting)
        };
        assert_eq!(group(&[]), 0);
        assert_eq!(group(&[1; 600]), 512);
        assert_eq!(group(&[1000, 1000, 48, 1]), 3);
        assert_eq!(group(&[5000, 1]), 1);
    }
}
