//! Clients and their tokens, straight on the store: the commands work whether or not a gateway runs, and a running one
//! sees the change at its next request.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;
use thiserror::Error;
use wharf_actors::clock::now;
use wharf_domain::{Client, ClientId, TokenHash, hex};
use wharf_store::{Store, StoreError, StoreOptions};

/// The longest name, in characters.
const NAME_MAX: usize = 100;
/// What tokens begin with, so that people and secret scanners recognise one.
const TOKEN_PREFIX: &str = "wharf_";

/// Why a command about clients failed.
#[derive(Debug, Error)]
pub enum ClientsError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such client.
    #[error("there is no client {0}; `wharf client list` shows those there are")]
    NoSuchClient(ClientId),
    /// There is no database to look into or change.
    #[error(
        "there is no database {}: run this where `wharf serve` runs, or name its configuration with --config; `wharf serve` \
         and `wharf client add` make one",
        .0.display()
    )]
    NoDatabase(PathBuf),
    /// The system gives no random bytes.
    #[error("no random bytes for a token: {0}")]
    Random(getrandom::Error),
    /// Something could not be written as JSON.
    #[error("the answer cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

/// A client with the token that is shown once and kept nowhere.
#[derive(Debug, Serialize)]
pub struct WithToken {
    /// Its id.
    pub id: ClientId,
    /// Its name.
    pub name: String,
    /// Its token.
    pub token: String,
}

impl WithToken {
    /// For a program or for a person.
    pub fn show(&self, as_json: bool) -> String {
        if as_json {
            json!(self).to_string()
        } else {
            format!(
                "client {} ({})\ntoken  {}\nThe token is shown this once; keep it.",
                self.id, self.name, self.token
            )
        }
    }
}

/// Reads a client's name.
///
/// # Errors
/// What a name may be.
pub fn parse_name(name: &str) -> Result<String, String> {
    let sane = (1..=NAME_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if sane && !name.trim().is_empty() {
        Ok(name.to_owned())
    } else {
        Err(format!(
            "a name has 1 to {NAME_MAX} characters, none of them control, and not only spaces"
        ))
    }
}

/// Opens the store beside whoever else has it open.
///
/// # Errors
/// As [`Store::open`].
pub async fn open(store: &crate::config::Store) -> Result<Store, StoreError> {
    Store::open(&StoreOptions {
        url: store.url.clone(),
        readers: 1,
        exclusive: false,
    })
    .await
}

/// The database's file, and whether it is there.
///
/// # Errors
/// What is wrong with the URL.
pub fn database(store: &crate::config::Store) -> Result<(PathBuf, bool), StoreError> {
    let file = wharf_store::database_file(&store.url)?;
    let exists = file.exists();
    Ok((std::path::absolute(&file).unwrap_or(file), exists))
}

/// Refuses to go on without a database.
///
/// # Errors
/// `NoDatabase`, or the store's.
pub fn must_be_there(store: &crate::config::Store) -> Result<(), ClientsError> {
    match database(store)? {
        (_, true) => Ok(()),
        (file, false) => Err(ClientsError::NoDatabase(file)),
    }
}

/// Adds a client.
///
/// # Errors
/// The store's.
pub async fn add(store: &Store, name: &str) -> Result<WithToken, ClientsError> {
    let (token, hash) = new_token()?;
    let client = store
        .write_beside(async |group| group.add_client(name, &hash, now()).await)
        .await?;
    Ok(WithToken {
        id: client.id,
        name: client.name,
        token,
    })
}

/// Gives a client another token.
///
/// # Errors
/// The store's, or that there is no such client.
pub async fn rotate(store: &Store, id: ClientId) -> Result<WithToken, ClientsError> {
    let (token, hash) = new_token()?;
    let rotated = store
        .write_beside(async |group| group.rotate_client(id, &hash, now()).await)
        .await?;
    let client = rotated.ok_or(ClientsError::NoSuchClient(id))?;
    Ok(WithToken {
        id: client.id,
        name: client.name,
        token,
    })
}

/// Removes a client: its token stops working at once, a running gateway unlinks its devices and removes its data.
///
/// # Errors
/// The store's, or that there is no such client.
pub async fn remove(store: &Store, id: ClientId, as_json: bool) -> Result<String, ClientsError> {
    if !store
        .write_beside(async |group| group.remove_client(id, now()).await)
        .await?
    {
        return Err(ClientsError::NoSuchClient(id));
    }
    Ok(if as_json {
        json!({ "id": id, "removed": true }).to_string()
    } else {
        format!("client {id} is removed")
    })
}

/// The clients there are.
///
/// # Errors
/// The store's.
pub async fn list(store: &Store, as_json: bool) -> Result<String, ClientsError> {
    let clients = store.clients().await?;
    if as_json {
        return Ok(serde_json::to_string(&clients)?);
    }
    if clients.is_empty() {
        return Ok("no clients; `wharf client add NAME` makes one".to_owned());
    }
    let row = |client: &Client| format!("{:>4}  {}  {}", client.id.0, client.created_at, client.name);
    Ok(clients.iter().map(row).collect::<Vec<_>>().join("\n"))
}

/// A token of 32 random bytes, and its hash.
fn new_token() -> Result<(String, TokenHash), ClientsError> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(ClientsError::Random)?;
    let token = format!("{TOKEN_PREFIX}{}", hex(&bytes));
    let hash = TokenHash::of(&token);
    Ok((token, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store() -> (Store, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/wharf.db", directory.path().display());
        (
            open(&crate::config::Store { url, readers: 1 }).await.unwrap(),
            directory,
        )
    }

    fn hash(token: &str) -> TokenHash {
        TokenHash::of(token)
    }

    #[tokio::test]
    async fn a_token_works_until_it_is_rotated_or_its_client_removed() {
        let (store, _directory) = store().await;
        let first = add(&store, "acme").await.unwrap();
        assert_eq!(first.token.len(), TOKEN_PREFIX.len() + 64);
        assert_eq!(
            store.client_of_token(&hash(&first.token)).await.unwrap(),
            Some(first.id)
        );
        let second = rotate(&store, first.id).await.unwrap();
        assert_eq!((second.id, second.name.as_str()), (first.id, "acme"));
        assert_eq!(store.client_of_token(&hash(&first.token)).await.unwrap(), None);
        assert_eq!(
            store.client_of_token(&hash(&second.token)).await.unwrap(),
            Some(first.id)
        );
        remove(&store, first.id, true).await.unwrap();
        assert_eq!(store.client_of_token(&hash(&second.token)).await.unwrap(), None);
        assert!(matches!(
            remove(&store, first.id, true).await,
            Err(ClientsError::NoSuchClient(_))
        ));
        assert!(matches!(
            rotate(&store, ClientId(99)).await,
            Err(ClientsError::NoSuchClient(_))
        ));
    }

    #[tokio::test]
    async fn json_is_one_value_and_the_list_has_no_tokens() {
        let (store, _directory) = store().await;
        assert_eq!(list(&store, true).await.unwrap(), "[]");
        let added: serde_json::Value = serde_json::from_str(&add(&store, "a \"b\"").await.unwrap().show(true)).unwrap();
        assert_eq!((&added["id"], &added["name"]), (&json!(1), &json!("a \"b\"")));
        let listed: serde_json::Value = serde_json::from_str(&list(&store, true).await.unwrap()).unwrap();
        assert_eq!((&listed[0]["id"], &listed[0]["name"]), (&json!(1), &json!("a \"b\"")));
        assert!(listed[0].get("token").is_none() && listed[0]["created_at"].is_string());
    }
}
