//! `wharf restored`: makes a database that was put back from a copy harmless, and says what its operator has to look at, before the
//! first start on it.

use serde_json::json;
use wharf_actors::clock::now;
use wharf_domain::{Client, ClientId, Connection, Webhook};
use wharf_store::{Restored, Store, StoreOptions};

use crate::clients::{self, ClientsError};

/// What was done, and what is as old as the copy.
#[derive(Debug)]
pub struct Report {
    done: Restored,
    clients: Vec<Client>,
    removed: Vec<ClientId>,
    being_deleted: Vec<Connection>,
}

/// Does it. The database is nobody else's meanwhile.
///
/// # Errors
/// That there is no database, that a server runs on it, or the store's.
pub async fn run(config: &crate::config::Store, keep_webhooks: bool) -> Result<Report, ClientsError> {
    let store = open(config).await?;
    let done = store
        .write_beside(async |group| group.restored(now(), keep_webhooks).await)
        .await?;
    Ok(Report {
        done,
        clients: store.clients().await?,
        removed: store.removed_clients().await?,
        being_deleted: store.connections_being_deleted().await?,
    })
}

/// Takes a copy for the database itself, which was not used since. `false`: it is no copy, and nothing was done.
///
/// # Errors
/// As those of [`run`].
pub async fn take_for_unused(config: &crate::config::Store) -> Result<bool, ClientsError> {
    clients::must_be_there(config)?;
    Ok(wharf_store::take_for_unused(&config.url).await?)
}

async fn open(config: &crate::config::Store) -> Result<Store, ClientsError> {
    clients::must_be_there(config)?;
    let options = StoreOptions {
        url: config.url.clone(),
        readers: 1,
        exclusive: true,
    };
    Ok(Store::open_copy(&options).await?)
}

impl Report {
    /// For a program or for a person.
    ///
    /// # Errors
    /// `Json`.
    pub fn show(&self, as_json: bool) -> Result<String, ClientsError> {
        if as_json { self.json() } else { Ok(self.text()) }
    }

    fn json(&self) -> Result<String, ClientsError> {
        let number = |client: ClientId, number: &str| json!({ "client_id": client, "phone_number": number });
        let disconnected = self.done.disconnected.iter();
        let being_deleted = self.being_deleted.iter();
        let shown = |webhooks: &[Webhook]| -> Vec<_> {
            let webhooks = webhooks.iter().map(|webhook| {
                json!({
                    "client_id": webhook.client_id,
                    "id": webhook.id,
                    "phone_number": webhook.phone_number,
                    "webhook_url": webhook.webhook_url,
                })
            });
            webhooks.collect()
        };
        let report = json!({
            "last_used_at": self.done.last_used_at,
            "clients": self.clients,
            "clients_being_removed": self.removed,
            "disconnected": disconnected.map(|key| number(key.client_id, key.phone_number.as_str())).collect::<Vec<_>>(),
            "being_deleted": being_deleted.map(|row| number(row.client_id, row.phone_number.as_str())).collect::<Vec<_>>(),
            "webhooks_switched_off": shown(&self.done.switched_off),
            "webhooks_pulled": shown(&self.done.pulled),
            "messages_ended": self.done.messages,
        });
        Ok(serde_json::to_string(&report)?)
    }

    fn text(&self) -> String {
        let done = &self.done;
        let mut lines = vec![match done.last_used_at {
            Some(at) => {
                format!(
                    "a copy of {at} or of up to ten minutes later: no number connects by itself, and nothing that waited is sent"
                )
            }
            None => "a copy of a database that no server was at work on".to_owned(),
        }];
        let mut part = |what: String, of: Vec<String>| {
            lines.push(what);
            lines.extend(of);
        };
        part(
            format!(
                "clients, {}: their tokens are those of the copy; rotate and remove what was rotated and removed since",
                self.clients.len()
            ),
            self.clients.iter().map(|it| line(it.id, &it.name)).collect(),
        );
        let numbers = done.disconnected.iter();
        part(
            format!(
                "numbers that do not connect, {}: unlink and link anew what was used since, connect the others",
                done.disconnected.len()
            ),
            numbers.map(|it| line(it.client_id, it.phone_number.as_str())).collect(),
        );
        let webhooks = |of: &[Webhook]| {
            let line = |it: &Webhook| {
                let url = it.webhook_url.as_deref().unwrap_or("pulled");
                line(it.client_id, &format!("{} {url}", it.phone_number))
            };
            of.iter().map(line).collect()
        };
        part(
            format!(
                "webhooks switched off, {}: delete and change what was deleted and changed since, switch the others on (is_active)",
                done.switched_off.len()
            ),
            webhooks(&done.switched_off),
        );
        part(
            format!(
                "webhooks that are pulled and stay, {}: delete what was deleted since",
                done.pulled.len()
            ),
            webhooks(&done.pulled),
        );
        let numbers = self.being_deleted.iter();
        let numbers = numbers.map(|it| line(it.client_id, it.phone_number.as_str()));
        let leaving = numbers.chain(self.removed.iter().map(|id| line(*id, "with all its numbers")));
        part(
            format!(
                "on their way out, {}: the start goes on with that, and logs in to unlink what is linked",
                self.being_deleted.len() + self.removed.len()
            ),
            leaving.collect(),
        );
        part(
            format!(
                "messages that waited to be sent, {}: the start ends them as failed (unknown)",
                done.messages
            ),
            Vec::new(),
        );
        lines.join("\n")
    }
}

fn line(client: ClientId, what: &str) -> String {
    format!("{client:>6}  {what}")
}
