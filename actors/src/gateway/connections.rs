//! Connections: linking.

use std::time::Duration;

use ractor::{ActorRef, rpc::CallResult};
use tokio::{sync::watch, time::Instant};
use wharf_domain::{
    ClientId, Connection, ConnectionKey, ConnectionStatus, PhoneNumber, Timestamp,
    proxy::Proxy,
    session::{SessionEvent, SessionView},
};
use wharf_store::{ByNumber, ConnectionSettings, SealedProxy};
use wharf_whatsapp::{PairCode, PairCodeError};

use super::{ConnectionPatch, Gateway, GatewayError, Qr, Shown, ShownPairCode, at_limit, restarting};
use crate::{deletions, persistence::Write, session, tenant};

/// How long a connection that was just made may take to be announced by its tenant, and how often is looked.
const ANNOUNCED_WITHIN: Duration = Duration::from_secs(5);
const ANNOUNCED_POLL: Duration = Duration::from_millis(20);
/// How long a request for a pair code waits for the connection to get that far, and for WhatsApp's answer: together below
/// the default time of a request.
const PAIRING_WITHIN: Duration = Duration::from_secs(10);
const PAIR_CODE_DEADLINE: Duration = Duration::from_secs(15);
/// How long is waited until what the owner wants is kept: a write takes milliseconds, and is given up before. Below the default
/// time of a request.
const KEPT_WITHIN: Duration = Duration::from_secs(20);
/// How long a deletion is waited for: below the default time of a request.
const DELETED_WITHIN: Duration = Duration::from_secs(20);

/// How far the deletion of a connection has come when it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// The connection is gone.
    Done,
    /// It goes on without the caller, also over a restart of the process once the store has taken that it was begun. The
    /// connection is there until it is over.
    GoesOn(Box<Connection>),
}

impl Gateway {
    /// Creates a connection; pairing starts.
    ///
    /// # Errors
    /// `Conflict` when it exists, when the client writes the number in its other way elsewhere, or has as many as it may.
    pub async fn create_connection(
        &self,
        client_id: ClientId,
        phone_number: PhoneNumber,
    ) -> Result<Connection, GatewayError> {
        let plain = ConnectionPatch::default();
        self.create_connection_with(client_id, phone_number, plain).await
    }

    /// Creates a connection with its own name, proxy or pace; pairing starts.
    ///
    /// # Errors
    /// As [`Gateway::create_connection`]; `Invalid` for a proxy that is none, or lies where it may not, and for a pace that
    /// is faster than the configuration allows.
    pub async fn create_connection_with(
        &self,
        client_id: ClientId,
        phone_number: PhoneNumber,
        patch: ConnectionPatch,
    ) -> Result<Connection, GatewayError> {
        let limit = self.shared.settings.limits.connections_per_client;
        if limit > 0 && self.shared.store.count_connections(client_id).await? >= u64::from(limit) {
            return Err(at_limit("connections", "connections_per_client", limit));
        }
        self.shared.changes.take(client_id)?;
        let key = ConnectionKey::new(client_id, phone_number);
        let new = self.settings(key.clone(), patch)?;
        let made = self.shared.persistence.commit(Write::CreateConnection, (new, limit));
        let Some(connection) = made.await? else {
            let again = GatewayError::Conflict("this phone_number has a connection already".to_owned());
            let full = at_limit("connections", "connections_per_client", limit);
            return Err(self.not_made(&key, limit, |is| is.connection, again, full).await?);
        };
        // Its tenant has heard of it; one that is not there yet reads the row when it starts.
        self.tenant(client_id).await?;
        Ok(connection)
    }

    /// What a client sets, with its proxy sealed, where all of it may be.
    fn settings(&self, key: ConnectionKey, patch: ConnectionPatch) -> Result<ConnectionSettings, GatewayError> {
        let sealed = |text: String| self.sealed(&key, &text);
        let proxy = patch.proxy.map(|proxy| proxy.map(sealed).transpose()).transpose()?;
        if let Some(Some(pace)) = patch.sending {
            self.shared.settings.sending.check(pace)?;
        }
        Ok(ConnectionSettings {
            key,
            device_name: patch.device_name,
            proxy,
            sending: patch.sending,
            reject_calls: patch.reject_calls,
            mark_read: patch.mark_read,
        })
    }

    fn sealed(&self, key: &ConnectionKey, proxy: &str) -> Result<SealedProxy, GatewayError> {
        let proxy = Proxy::parse(&self.shared.settings.targets, proxy)?;
        Ok(self.shared.vault.seal_proxy(key, &proxy)?)
    }

    /// Changes what a client may set of a connection. A changed proxy is used at once: an open link is opened anew. So is
    /// a changed pace, also for what waits already, and whether calls are turned down and messages marked as read.
    ///
    /// # Errors
    /// `NotFound`; `Invalid` as [`Gateway::create_connection_with`].
    pub async fn update_connection(
        &self,
        client_id: ClientId,
        phone_number: &PhoneNumber,
        mut patch: ConnectionPatch,
    ) -> Result<Connection, GatewayError> {
        let connection = self.connection(client_id, phone_number).await?;
        if patch == ConnectionPatch::default() {
            return Ok(connection);
        }
        self.shared.changes.take(client_id)?;
        // What is there already, without its login as it is shown: nobody means to take that away by it.
        let is_shown = |text: &String| Proxy::is_shown_as(text, connection.proxy.as_deref());
        patch.proxy.take_if(|proxy| proxy.as_ref().is_some_and(is_shown));
        let change = self.settings(connection.key(), patch)?;
        let renew = change.proxy.is_some();
        let changed = self.shared.persistence.commit(Write::ChangeConnection, change).await?;
        let changed = changed.ok_or(GatewayError::NotFound("connection"))?;
        if renew && let Some(actor) = self.shared.directory.session_actor(&changed.key()) {
            // One that is restarting reads the row when it opens.
            let _restarting = actor.cast(session::Message::Happened(SessionEvent::Renew));
        }
        Ok(self.as_it_is(changed))
    }

    /// A connection with the codes that are shown now.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn shown(&self, client_id: ClientId, phone_number: &PhoneNumber) -> Result<Shown, GatewayError> {
        let mut connection = self.connection(client_id, phone_number).await?;
        let valid = |(_, expires_at): &(String, Timestamp)| *expires_at > crate::clock::now();
        let (qr, pair_code) = (connection.session.qr.take(), connection.session.pair_code.take());
        Ok(Shown {
            connection,
            qr: qr.filter(valid).map(|(qr, expires_at)| Qr { qr, expires_at }),
            pair_code: pair_code
                .filter(valid)
                .map(|(code, expires_at)| ShownPairCode { code, expires_at }),
        })
    }

    /// Tells when a connection may have changed; ends when it is gone.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` while its session is not there yet.
    pub async fn changes(
        &self,
        client_id: ClientId,
        phone_number: &PhoneNumber,
    ) -> Result<watch::Receiver<()>, GatewayError> {
        let connection = self.connection(client_id, phone_number).await?;
        let until = Instant::now() + ANNOUNCED_WITHIN;
        loop {
            // A connection that was made a moment ago is announced by its tenant.
            if let Some(entry) = self.shared.directory.session(&connection.key()) {
                return Ok(entry.changes.subscribe());
            }
            if Instant::now() >= until {
                return Err(restarting());
            }
            tokio::time::sleep(ANNOUNCED_POLL).await;
        }
    }

    /// Tells when some client may have another token, or none: within a second, since the command line changes them behind the
    /// gateway's back.
    pub fn token_changes(&self) -> watch::Receiver<()> {
        self.shared.tokens.subscribe()
    }

    /// A code to type into the phone, beside the QR code; the one that is shown already while it is good.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the connection does not wait for a phone; `Refused` by WhatsApp; `Unavailable`.
    pub async fn pair_code(
        &self,
        client_id: ClientId,
        phone_number: &PhoneNumber,
    ) -> Result<ShownPairCode, GatewayError> {
        let mut changes = self.changes(client_id, phone_number).await?;
        let waiting = async {
            loop {
                changes.mark_unchanged();
                let connection = self.connection(client_id, phone_number).await?;
                match connection.session.status {
                    // One that was made a moment ago is on its way there.
                    ConnectionStatus::Connecting if connection.session.jid.is_none() => {}
                    _ => return Ok::<_, GatewayError>(connection),
                }
                if changes.changed().await.is_err() {
                    return Err(GatewayError::NotFound("connection"));
                }
            }
        };
        let not_waiting =
            |session: &SessionView| GatewayError::no_code("pair", session.status, session.reason.as_deref());
        let connection = match tokio::time::timeout(PAIRING_WITHIN, waiting).await {
            Ok(waited) => waited?,
            Err(_) => return Err(not_waiting(&self.connection(client_id, phone_number).await?.session)),
        };
        let session = self.session(&connection).await?;
        match session.call(session::Message::PairCode, Some(PAIR_CODE_DEADLINE)).await {
            Ok(CallResult::Success(Ok(PairCode { code, expires_at }))) => Ok(ShownPairCode { code, expires_at }),
            Ok(CallResult::Success(Err(PairCodeError::NotPairing))) => Err(not_waiting(&connection.session)),
            Ok(CallResult::Success(Err(error @ PairCodeError::Refused(_)))) => {
                Err(GatewayError::Refused(error.to_string()))
            }
            Ok(CallResult::Success(Err(error @ PairCodeError::Failed(_)))) => {
                Err(GatewayError::Unavailable(error.to_string()))
            }
            _ => Err(restarting()),
        }
    }

    /// The client's connections, by number.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be read.
    pub async fn connections(&self, client: ClientId, part: &ByNumber) -> Result<Vec<Connection>, GatewayError> {
        let turn = self.shared.reads.turn(client).await?;
        let rows = self.shared.store.connections(client, part).await?;
        drop(turn);
        Ok(rows.into_iter().map(|row| self.as_it_is(row)).collect())
    }

    /// One of the client's connections.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn connection(
        &self,
        client_id: ClientId,
        phone_number: &PhoneNumber,
    ) -> Result<Connection, GatewayError> {
        let key = ConnectionKey::new(client_id, phone_number.clone());
        let row = self
            .shared
            .store
            .connection(&key)
            .await?
            .ok_or(GatewayError::NotFound("connection"))?;
        Ok(self.as_it_is(row))
    }

    /// A row with what its session says of itself: a row may be older than the truth.
    fn as_it_is(&self, row: Connection) -> Connection {
        let Some(entry) = self.shared.directory.session(&row.key()) else {
            return row;
        };
        Connection {
            restarts: entry.restarts,
            session: entry.truth(),
            ..row
        }
    }

    /// The QR code to scan.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when there is none to show.
    pub async fn qr(&self, client_id: ClientId, phone_number: &PhoneNumber) -> Result<Qr, GatewayError> {
        let Shown { connection, qr, .. } = self.shown(client_id, phone_number).await?;
        let session = &connection.session;
        qr.ok_or_else(|| GatewayError::no_code("QR", session.status, session.reason.as_deref()))
    }

    /// Starts a connection again after a disconnect, a logout or a failure.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable`, and nothing is done, when the store does not take it.
    pub async fn connect(&self, client: ClientId, number: &PhoneNumber) -> Result<Connection, GatewayError> {
        self.tell(client, number, SessionEvent::Connect).await
    }

    /// Closes a connection's link; the pairing stays.
    ///
    /// # Errors
    /// As [`Gateway::connect`].
    pub async fn disconnect(&self, client: ClientId, number: &PhoneNumber) -> Result<Connection, GatewayError> {
        self.tell(client, number, SessionEvent::Disconnect).await
    }

    /// Has the session do what its owner wants, once it is kept: a crash must not undo what was answered.
    async fn tell(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        event: SessionEvent,
    ) -> Result<Connection, GatewayError> {
        let connection = self.connection(client, number).await?;
        let session = self.session(&connection).await?;
        let want = |reply| session::Message::Want(session::Wish { event, reply });
        match session.call(want, Some(KEPT_WITHIN)).await {
            Ok(CallResult::Success(kept)) => kept?,
            _ => return Err(restarting()),
        }
        self.connection(client, number).await
    }

    /// The session's actor. One that has ended although its row is there (a deletion that outlived its caller) is started
    /// again, for the next try.
    ///
    /// # Errors
    /// `NotFound` when the connection was deleted meanwhile; `Conflict` while it is; `Unavailable`.
    pub(super) async fn session(&self, connection: &Connection) -> Result<ActorRef<session::Message>, GatewayError> {
        if let Some(actor) = self.shared.directory.session_actor(&connection.key()) {
            return Ok(actor);
        }
        if self.shared.deletions.has(connection) {
            let why = "the connection is being deleted; it can be made again when it is gone";
            return Err(GatewayError::Conflict(why.to_owned()));
        }
        // As it is now: it may be gone.
        let row = self.shared.store.connection(&connection.key()).await?;
        let row = row.ok_or(GatewayError::NotFound("connection"))?;
        let message = tenant::Message::ConnectionCreated(Box::new(row));
        let _restarting = self.tenant(connection.client_id).await?.cast(message);
        Err(restarting())
    }

    /// Logs out at WhatsApp, forgets the keys and the connection. What takes longer than twenty seconds goes on by itself; asked
    /// again meanwhile, this waits for the same.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when that could not be carried through yet: it is tried again by itself, too; `Busy` when the client
    /// changed as much of late as it may.
    pub async fn delete_connection(&self, client: ClientId, number: &PhoneNumber) -> Result<Deletion, GatewayError> {
        self.delete_connection_within(client, number, DELETED_WITHIN).await
    }

    pub(crate) async fn delete_connection_within(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        wait: Duration,
    ) -> Result<Deletion, GatewayError> {
        let connection = self.connection(client, number).await?;
        if !self.shared.deletions.has(&connection) {
            self.shared.changes.take(client)?;
            // Only a session that runs can unlink its device.
            self.session(&connection).await?;
        }
        let mut ended = deletions::begin(&self.shared, &connection);
        let over = async {
            let ended = ended.wait_for(Option::is_some).await;
            // Its task died with the runtime.
            ended.map_or_else(
                |_| Err(restarting()),
                |ended| ended.clone().unwrap_or_else(|| Err(restarting())),
            )
        };
        if let Ok(ended) = tokio::time::timeout(wait, over).await {
            return ended.map(|()| Deletion::Done);
        }
        match self.connection(client, number).await {
            Ok(connection) => Ok(Deletion::GoesOn(Box::new(connection))),
            Err(GatewayError::NotFound(_)) => Ok(Deletion::Done),
            Err(error) => Err(error),
        }
    }
}
