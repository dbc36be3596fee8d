//! Deletions of connections. Each is a task that goes on without whoever asked for it: its device is unlinked, which may take
//! half a minute once there is a turn for that, and what it kept goes in steps, which takes as long as that takes; the row goes
//! last. The row says that it is being deleted from the first moment on, so that the janitor goes on with a deletion that the end
//! of the process or of the session cut short. What the store refuses is asked of it again until it takes it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use ractor::rpc::CallResult;
use tokio::sync::watch;
use wharf_domain::{Connection, ConnectionKey, Timestamp};
use wharf_store::StoreError;

use crate::{
    gateway::{GatewayError, restarting},
    persistence::{Write, WriteError, insist},
    session,
    shared::Shared,
    tenant,
};

/// Logging out at WhatsApp: up to 2 s to connect and 10 s to log out, once there is a turn for that, which may be minutes away
/// when thousands of links wait for theirs. A session that needs longer goes on, and the janitor waits for it once more.
const UNLINK_DEADLINE: Duration = Duration::from_secs(600);

/// How a deletion ended, once it has.
pub(crate) type Ended = Option<Result<(), GatewayError>>;

/// Which connection: another one of the same number is made at another time.
type Which = (ConnectionKey, Timestamp);

/// Those that are under way.
#[derive(Debug, Default)]
pub(crate) struct Deletions {
    under_way: Mutex<HashMap<Which, watch::Receiver<Ended>>>,
}

impl Deletions {
    /// Whether this one is being deleted at the moment.
    pub(crate) fn has(&self, connection: &Connection) -> bool {
        self.under_way.lock().get(&which(connection)).is_some_and(goes_on)
    }

    /// As if the task of its deletion had panicked.
    #[cfg(test)]
    pub(crate) fn lose(&self, connection: &Connection) {
        let (_gone, ended) = watch::channel(None);
        self.under_way.lock().insert(which(connection), ended);
    }
}

/// Whether its task is there still: one that panicked ends nothing, and the next one begins anew.
fn goes_on(ended: &watch::Receiver<Ended>) -> bool {
    ended.has_changed().is_ok()
}

fn which(connection: &Connection) -> Which {
    (connection.key(), connection.created_at)
}

/// Begins to delete a connection, or joins whoever has begun.
pub(crate) fn begin(shared: &Arc<Shared>, connection: &Connection) -> watch::Receiver<Ended> {
    let which = which(connection);
    let mut under_way = shared.deletions.under_way.lock();
    if let Some(ended) = under_way.get(&which).filter(|ended| goes_on(ended)) {
        return ended.clone();
    }
    let (end, ended) = watch::channel(None);
    under_way.insert(which.clone(), ended.clone());
    drop(under_way);
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let result = carry_through(&shared, &which).await;
        if let Err(error) = &result {
            tracing::warn!(client = %which.0.client_id, number = %which.0.phone_number, %error, "a connection is not deleted yet; the janitor tries again");
        }
        shared.deletions.under_way.lock().remove(&which);
        end.send_replace(Some(result));
    });
    ended
}

async fn carry_through(shared: &Shared, which: &Which) -> Result<(), GatewayError> {
    let (key, _) = which;
    // The session that is there now may be another one's.
    if !is_there(shared, which).await? {
        return Ok(());
    }
    let session = shared.directory.session_actor(key).ok_or_else(restarting)?;
    match session.call(session::Message::Delete, Some(UNLINK_DEADLINE)).await {
        Ok(CallResult::Success(())) => {}
        _ => return Err(restarting()),
    }
    // The device is gone, and a store that refuses this may have refused to write that the connection is being deleted, too:
    // nobody else would go on with it.
    let again = |error: &WriteError| {
        tracing::warn!(client = %key.client_id, number = %key.phone_number, %error, "a connection is not deleted yet; trying again");
        !shared.notes.is_closed()
    };
    insist(again, || remove(shared, which)).await?;
    Ok(())
}

/// Whether its row is there still. Another one of its number may be.
async fn is_there(shared: &Shared, (key, created_at): &Which) -> Result<bool, StoreError> {
    let row = shared.store.connection(key).await?;
    Ok(row.is_some_and(|row| row.created_at == *created_at))
}

/// Removes what there is of this connection, and of no other that was made of its number after a removal whose answer was lost.
async fn remove(shared: &Shared, which: &Which) -> Result<(), WriteError> {
    let (key, _) = which;
    shared.persistence.settled().await?;
    if !is_there(shared, which).await? {
        return Ok(());
    }
    // They would go with the row, in its one statement.
    shared.remove_left_keys(key).await?;
    shared.persistence.forget_polls(key).await?;
    // Before the row: who makes the number anew sends files of its own.
    shared.media.outbound.forget(key).await;
    shared.media.forget(|of| of == key);
    let removed = shared.persistence.commit(Write::DeleteConnection, key.clone());
    removed.await.map(drop)
}

/// Goes on with deletions that were cut short in this process. What the end of an earlier one cut short goes on with the start of
/// its session.
///
/// # Errors
/// When the rows cannot be read.
pub(crate) async fn go_on(shared: &Arc<Shared>) -> Result<(), StoreError> {
    for connection in shared.store.connections_being_deleted().await? {
        // One that was under way when the rows were read may have ended with its row since.
        if shared.deletions.has(&connection) || !is_there(shared, &which(&connection)).await? {
            continue;
        }
        let key = connection.key();
        if shared.directory.session_actor(&key).is_some() {
            begin(shared, &connection);
        } else if let Some(tenant) = shared.directory.tenant(key.client_id) {
            // It ended after its device was unlinked. Only one that runs knows that.
            let _restarting = tenant.cast(tenant::Message::ConnectionCreated(Box::new(connection)));
        }
    }
    Ok(())
}
