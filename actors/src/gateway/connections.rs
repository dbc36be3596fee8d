//! Connections: linking.

use ractor::{ActorRef, rpc::CallResult};
use wharf_domain::{ClientId, Connection, ConnectionKey, PhoneNumber, session::SessionEvent};

use super::{DELETE_DEADLINE, Gateway, GatewayError, Qr, at_limit, restarting};
use crate::{persistence::Write, session, tenant};

impl Gateway {
    /// Creates a connection; pairing starts.
    ///
    /// # Errors
    /// `Conflict` when it exists or the client has as many as it may.
    pub async fn create_connection(
        &self,
        client_id: ClientId,
        phone_number: PhoneNumber,
    ) -> Result<Connection, GatewayError> {
        let limit = self.shared.settings.limits.connections_per_client;
        if limit > 0 && self.shared.store.count_connections(client_id).await? >= u64::from(limit) {
            return Err(at_limit("connections", "connections_per_client", limit));
        }
        let key = ConnectionKey {
            client_id,
            phone_number,
        };
        let made = self.shared.persistence.commit(Write::CreateConnection, key).await?;
        let connection =
            made.ok_or_else(|| GatewayError::Conflict("this phone_number has a connection already".to_owned()))?;
        let message = tenant::Message::ConnectionCreated(Box::new(connection.clone()));
        let _restarting = self.tenant(client_id).await?.cast(message);
        Ok(connection)
    }

    /// The client's connections.
    ///
    /// # Errors
    /// `Unavailable` when the store cannot be read.
    pub async fn connections(&self, client: ClientId) -> Result<Vec<Connection>, GatewayError> {
        let rows = self.shared.store.connections(client).await?;
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
        let key = ConnectionKey {
            client_id,
            phone_number: phone_number.clone(),
        };
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
            status: entry.view.status,
            reason: entry.view.reason,
            jid: entry.view.jid,
            push_name: entry.view.push_name,
            connected_since: entry.view.connected_since,
            last_event_at: entry.view.last_event_at,
            reconnect_attempts: entry.view.reconnect_attempts,
            restarts: entry.restarts,
            ..row
        }
    }

    /// The QR code to scan.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when there is none to show.
    pub async fn qr(&self, client_id: ClientId, phone_number: &PhoneNumber) -> Result<Qr, GatewayError> {
        let connection = self.connection(client_id, phone_number).await?;
        let shown = self
            .shared
            .directory
            .session(&connection.key())
            .and_then(|entry| entry.view.qr);
        let (qr, expires_at) = shown
            .filter(|(_, expires_at)| *expires_at > crate::clock::now())
            .ok_or_else(|| {
                let status = connection.status.as_str();
                GatewayError::Conflict(format!("there is no QR code to show: the connection is {status}"))
            })?;
        Ok(Qr { qr, expires_at })
    }

    /// Starts a connection again after a disconnect, a logout or a failure.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn connect(&self, client: ClientId, number: &PhoneNumber) -> Result<Connection, GatewayError> {
        self.tell(client, number, SessionEvent::Connect).await
    }

    /// Closes a connection's link; the pairing stays.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn disconnect(&self, client: ClientId, number: &PhoneNumber) -> Result<Connection, GatewayError> {
        self.tell(client, number, SessionEvent::Disconnect).await
    }

    async fn tell(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        event: SessionEvent,
    ) -> Result<Connection, GatewayError> {
        let connection = self.connection(client, number).await?;
        let session = self.session(&connection).await?;
        session
            .cast(session::Message::Happened(event))
            .map_err(|_| restarting())?;
        self.connection(client, number).await
    }

    /// The session's actor. One that has ended although its row is there (a deletion that outlived its caller) is started
    /// again, for the next try.
    pub(super) async fn session(&self, connection: &Connection) -> Result<ActorRef<session::Message>, GatewayError> {
        let running = self
            .shared
            .directory
            .session(&connection.key())
            .and_then(|entry| entry.actor);
        if let Some(actor) = running {
            return Ok(actor);
        }
        let message = tenant::Message::ConnectionCreated(Box::new(connection.clone()));
        let _restarting = self.tenant(connection.client_id).await?.cast(message);
        Err(restarting())
    }

    /// Logs out at WhatsApp, forgets the keys and the connection.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` when that could not be carried through: try again.
    pub async fn delete_connection(&self, client: ClientId, number: &PhoneNumber) -> Result<(), GatewayError> {
        let connection = self.connection(client, number).await?;
        let session = self.session(&connection).await?;
        match session.call(session::Message::Delete, Some(DELETE_DEADLINE)).await {
            Ok(CallResult::Success(())) => {}
            _ => return Err(restarting()),
        }
        self.shared
            .persistence
            .commit(Write::DeleteConnection, connection.key())
            .await?;
        let _restarting = self
            .tenant(client)
            .await?
            .cast(tenant::Message::ConnectionDeleted(number.clone()));
        Ok(())
    }
}
