//! One group: everything in one transaction, answers after the commit, wake-ups in the order of the commit.

use std::{sync::Arc, time::Instant};

use wharf_domain::{AWAITS_MEDIA, AttemptOutcome, delivery::DeliveryEvent};
use wharf_store::{Group, NewEvent, RecordedEvent, StoreError, Writer};

use super::{Write, WriteError};
use crate::{clock, delivery, directory::Directory, health::Health, metrics::Metrics};

/// Commits the writes and answers their callers. Gives the connection back, and the error when the store as a whole
/// took nothing.
pub(super) async fn commit(
    mut writer: Box<Writer>,
    mut writes: Vec<Box<Write>>,
    directory: Arc<Directory>,
    metrics: Arc<Metrics>,
    health: Arc<Health>,
) -> (Box<Writer>, Option<StoreError>) {
    if writes.is_empty() {
        return (writer, None);
    }
    let begun = Instant::now();
    match carry_out(&mut writer, &mut writes).await {
        Ok(recorded) => {
            metrics.committed(&recorded, writes.len(), begun.elapsed());
            wake(&directory, recorded, &mut writes);
            writes.into_iter().for_each(|write| write.answer(&Ok(())));
            (writer, None)
        }
        Err(error) if error.is_transient() || writes.len() == 1 => {
            health.write_failed(&error);
            let refusal = Err(WriteError::from(&error));
            writes.into_iter().for_each(|write| write.answer(&refusal));
            (writer, Some(error).filter(StoreError::is_transient))
        }
        // One of them is bad: each for itself, so that it fails alone.
        Err(_) => one_by_one(writer, writes, &directory, &metrics, &health).await,
    }
}

async fn one_by_one(
    mut writer: Box<Writer>,
    writes: Vec<Box<Write>>,
    directory: &Directory,
    metrics: &Metrics,
    health: &Health,
) -> (Box<Writer>, Option<StoreError>) {
    let mut refused: Option<StoreError> = None;
    for write in writes {
        // The store as a whole: each of those that are left would wait as long for its lock, one after another.
        if let Some(error) = &refused {
            write.answer(&Err(WriteError::from(error)));
            continue;
        }
        let mut alone = [write];
        let begun = Instant::now();
        match carry_out(&mut writer, &mut alone).await {
            Ok(recorded) => {
                metrics.committed(&recorded, 1, begun.elapsed());
                wake(directory, recorded, &mut alone);
                let [write] = alone;
                write.answer(&Ok(()));
            }
            Err(error) => {
                health.write_failed(&error);
                let [write] = alone;
                write.answer(&Err(WriteError::from(&error)));
                if error.is_transient() {
                    refused = Some(error);
                }
            }
        }
    }
    (writer, refused)
}

/// Deliveries hear of their events here and not from their callers, so that they hear of them in the order of commit; and
/// so do sessions of what their webhooks want and of the pace that their clients set, and tenants of what comes, changes and
/// goes. A caller that gave up waiting has its change told as well.
fn wake(directory: &Directory, recorded: Vec<RecordedEvent>, writes: &mut [Box<Write>]) {
    // What is renewed came in an earlier group, and so before what came in this one, wherever in it the retry is.
    for (client, webhook, events) in writes.iter_mut().filter_map(|write| write.take_renewed()) {
        let renewed = events.into_iter().map(DeliveryEvent::Renewed);
        directory.tell_delivery(client, webhook, renewed.map(delivery::Message::Happened));
    }
    if recorded
        .iter()
        .any(|recorded| recorded.event.next_retry_at == Some(AWAITS_MEDIA))
    {
        directory.wake_media();
    }
    for RecordedEvent {
        client_id,
        webhook_id,
        event,
        ..
    } in recorded.into_iter().filter(|recorded| !recorded.is_pulled)
    {
        directory.tell_delivery(client_id, webhook_id, [delivery::Message::Arrived(event)]);
    }
    for (number, wishes) in writes.iter().filter_map(|write| write.wanted()) {
        directory.note_wanted(&number, wishes);
    }
    for connection in writes.iter().filter_map(|write| write.connection()) {
        directory.note_settings(connection);
    }
    for (client, news) in writes.iter().filter_map(|write| write.news()) {
        directory.tell_tenant(client, news);
    }
}

async fn carry_out(writer: &mut Writer, writes: &mut [Box<Write>]) -> Result<Vec<RecordedEvent>, StoreError> {
    if let Some(recorded) = alone(writer, writes).await? {
        return Ok(recorded);
    }
    let mut group = writer.begin().await?;
    let mut recorded = Vec::new();
    // Messages, outcomes and keys do not concern each other's rows: each run of them becomes one bulk statement of each
    // kind.
    for run in writes.chunk_by_mut(|a, b| is_bulk(a) == is_bulk(b)) {
        if run.first().is_some_and(|write| is_bulk(write)) {
            bulk(&mut group, run, &mut recorded).await?;
        } else {
            for write in run {
                write.carry_out(&mut group, &mut recorded).await?;
            }
        }
    }
    group.commit().await?;
    Ok(recorded)
}

/// Carries out what is of one kind, messages or outcomes, which the store commits in fewer hops. `None`: it is mixed.
async fn alone(writer: &mut Writer, writes: &mut [Box<Write>]) -> Result<Option<Vec<RecordedEvent>>, StoreError> {
    let recorded = if writes.iter().all(|write| write.inbound().is_some()) {
        let messages: Vec<&NewEvent> = writes.iter().filter_map(|write| write.inbound()).flatten().collect();
        writer.record_inbound(&messages).await?
    } else if writes.iter().all(|write| write.outcome().is_some()) {
        let outcomes: Vec<&AttemptOutcome> = writes.iter().filter_map(|write| write.outcome()).collect();
        writer.record_outcomes(&outcomes, clock::now()).await?;
        Vec::new()
    } else {
        return Ok(None);
    };
    writes.iter_mut().for_each(|write| write.carried_out());
    Ok(Some(recorded))
}

fn is_bulk(write: &Write) -> bool {
    write.inbound().is_some() || write.outcome().is_some() || write.keys().is_some()
}

async fn bulk(
    group: &mut Group<'_>,
    run: &mut [Box<Write>],
    recorded: &mut Vec<RecordedEvent>,
) -> Result<(), StoreError> {
    let inbound: Vec<&NewEvent> = run.iter().filter_map(|write| write.inbound()).flatten().collect();
    if !inbound.is_empty() {
        recorded.extend(group.record_inbound(&inbound).await?);
    }
    let outcomes: Vec<&AttemptOutcome> = run.iter().filter_map(|write| write.outcome()).collect();
    if !outcomes.is_empty() {
        group.record_outcomes(&outcomes, clock::now()).await?;
    }
    let keys: Vec<_> = run.iter().filter_map(|write| write.keys()).collect();
    if !keys.is_empty() {
        group.change_keys(&keys).await?;
    }
    run.iter_mut().for_each(|write| write.carried_out());
    Ok(())
}
