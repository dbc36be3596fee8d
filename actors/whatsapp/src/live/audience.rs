//! Who gets a status update.

use tokio::time::Instant;
use wharf_domain::{PhoneNumber, Recipient};
use whatsapp_rust::{Client, wacore_binary::Jid};

use super::{memory::Memory, numbers::look_up, send::parsed};
use crate::SendError;

/// The accounts of those who are to get one. Whom nobody has the number of is left out, as WhatsApp's own apps do: of a long list
/// somebody always is gone. WhatsApp takes only whom it has told the hidden id of, which it does with each look-up.
///
/// # Errors
/// `NotOnWhatsApp` when nobody is left, `NotConnected`, `Impossible` for an id that is none.
pub(crate) async fn audience(
    client: &Client,
    memory: &Memory,
    people: &[Recipient],
    by: Instant,
) -> Result<Vec<Jid>, SendError> {
    let numbers = people.iter().filter_map(|person| match person {
        Recipient::Number(number) => Some(number.clone()),
        _ => None,
    });
    let numbers: Vec<PhoneNumber> = numbers.collect();
    let mut audience = Vec::with_capacity(people.len());
    for account in look_up(client, memory, &numbers, by).await?.into_iter().flatten() {
        if let Ok(Some(_)) = client.get_lid_pn_entry(&account).await {
            audience.push(account);
        }
    }
    for hidden in people.iter().filter(|person| matches!(person, Recipient::Hidden(_))) {
        audience.push(parsed(&hidden.jid())?);
    }
    match (audience.is_empty(), numbers.into_iter().next()) {
        (true, Some(number)) => Err(SendError::NotOnWhatsApp(number)),
        (true, None) => Err(SendError::Impossible("it does not say who gets it".to_owned())),
        (false, _) => Ok(audience),
    }
}
