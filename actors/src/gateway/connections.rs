//! Connections: linking, and sending.

use ractor::{ActorRef, rpc::CallResult};
use wharf_domain::{ClientId, Connection, ConnectionKey, PhoneNumber, session::SessionEvent};
use wharf_store::{KeyClaim, NewConnection};
use wharf_whatsapp::{SendError, Sent};

use super::{
    DELETE_DEADLINE, Gateway, GatewayError, IdempotencyKey, Qr, SEND_DEADLINE, SentMessage, at_limit, restarting,
};
use crate::{
    persistence::{Claim, Settlement, Write},
    session, tenant,
};

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
        let new = NewConnection::plain(key);
        let made = self.shared.persistence.commit(Write::CreateConnection, new).await?;
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
        let restarts = entry.restarts;
        let view = entry.truth();
        Connection {
            status: view.status,
            reason: view.reason,
            reason_code: view.reason_code,
            jid: view.jid,
            push_name: view.push_name,
            connected_since: view.connected_since,
            last_event_at: view.last_event_at,
            reconnect_attempts: view.reconnect_attempts,
            retry_at: view.retry_at,
            restarts,
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
            .and_then(|entry| entry.truth().qr);
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
    async fn session(&self, connection: &Connection) -> Result<ActorRef<session::Message>, GatewayError> {
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

    /// Sends a text and waits for WhatsApp's ack; with an idempotency key at most once within 24 h.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when not connected, or for a key that is in use; `Refused` by WhatsApp; `TimedOut`.
    pub async fn send_text(
        &self,
        client: ClientId,
        number: &PhoneNumber,
        to: PhoneNumber,
        text: String,
        idempotency: Option<IdempotencyKey>,
    ) -> Result<SentMessage, GatewayError> {
        let connection = self.connection(client, number).await?;
        let Some(IdempotencyKey {
            key: idempotency_key,
            body_hash,
        }) = idempotency
        else {
            return self.send(&connection, to, text).await;
        };
        let key = connection.key();
        let claim = Claim {
            key: key.clone(),
            idempotency_key: idempotency_key.clone(),
            body_hash,
        };
        match self.shared.persistence.commit(Write::ClaimKey, claim).await? {
            KeyClaim::Fresh => {}
            KeyClaim::Answered(answer) => return read_answer(&answer),
            KeyClaim::OtherBody => return conflict("this Idempotency-Key was used with another body"),
            KeyClaim::Unfinished => {
                return conflict(
                    "a request with this Idempotency-Key is still running, or its outcome is unknown; look before \
                     you send again under another key",
                );
            }
        }
        let gateway = self.clone();
        // Detached from the caller: one who hangs up must not leave the claim open for a message that was sent.
        let sending = tokio::spawn(async move {
            let result = gateway.send(&connection, to, text).await;
            gateway
                .settle(
                    Settlement {
                        key,
                        idempotency_key,
                        answer: None,
                    },
                    &result,
                )
                .await;
            result
        });
        sending.await.unwrap_or_else(|_| Err(restarting()))
    }

    /// Ends a claim: with the answer, or, when certainly nothing was sent, as if it had never been. A send whose outcome
    /// is unknown keeps its claim.
    async fn settle(&self, settlement: Settlement, result: &Result<SentMessage, GatewayError>) {
        let answer = match result {
            Ok(sent) => serde_json::to_string(sent).ok(),
            Err(GatewayError::TimedOut(_)) => return,
            Err(_) => None,
        };
        let settlement = Settlement { answer, ..settlement };
        if let Err(error) = self.shared.persistence.commit(Write::SettleKey, settlement).await {
            tracing::warn!(%error, "the end of an idempotent send was not committed");
        }
    }

    async fn send(&self, connection: &Connection, to: PhoneNumber, text: String) -> Result<SentMessage, GatewayError> {
        let session = self.session(connection).await?;
        let ask = |reply| session::Message::SendText {
            to: to.clone(),
            text,
            reply,
        };
        let result = match session.call(ask, Some(SEND_DEADLINE)).await {
            Ok(CallResult::Success(result)) => result,
            Ok(CallResult::Timeout) => Err(SendError::TimedOut(SEND_DEADLINE)),
            // The actor died under the send: nobody knows how far it came.
            _ => Err(SendError::TimedOut(SEND_DEADLINE)),
        };
        match result {
            Ok(Sent { message_id, timestamp }) => Ok(SentMessage {
                message_id,
                to,
                status: "sent".to_owned(),
                timestamp: timestamp.to_string(),
            }),
            Err(error @ SendError::NotConnected) => Err(GatewayError::Conflict(error.to_string())),
            Err(error @ SendError::Refused(_)) => Err(GatewayError::Refused(error.to_string())),
            // It may have been sent.
            Err(error @ (SendError::TimedOut(_) | SendError::Failed(_))) => {
                Err(GatewayError::TimedOut(error.to_string()))
            }
        }
    }
}

fn conflict<T>(text: &str) -> Result<T, GatewayError> {
    Err(GatewayError::Conflict(text.to_owned()))
}

fn read_answer(answer: &str) -> Result<SentMessage, GatewayError> {
    serde_json::from_str(answer)
        .map_err(|error| GatewayError::Unavailable(format!("the first answer cannot be read any more: {error}")))
}
