//! What could not be opened until the message came that it is about.

use std::sync::Arc;

use wharf_domain::IncomingMessage;
use whatsapp_rust::Client;
use whatsapp_rust::features::message_edit::extract_secret_encrypted;
use whatsapp_rust::waproto::whatsapp::Message;

use super::{
    Inbound,
    batch::{Batch, Read},
    gather::writers,
};
use crate::live::{
    awaited::sealed::{Target, open, read},
    convert::{Ballot, vote_in},
};

/// Whether a message, told as `told`, could not be opened; or a vote not be named, whose poll may come behind it at once.
pub(super) fn is_sealed(message: &Message, told: Option<&IncomingMessage>, ballot: &Ballot) -> bool {
    told.is_some_and(IncomingMessage::is_undecryptable) || (!ballot.is_named() && vote_in(message).is_some())
}

impl Inbound {
    /// A message came that was waited for, and was read: what waits behind it and could not be opened is read again, and goes
    /// into the batch before it. What cannot be opened still is told as it was kept.
    pub(super) async fn read_again(
        &self,
        client: &Arc<Client>,
        came: &Read,
        message: &Message,
        batch: &mut Batch,
    ) -> Result<(), String> {
        let Some(arrival) = &came.arrival else { return Ok(()) };
        let Some(row) = arrival.row() else { return Ok(()) };
        let mut sealed = self.insist(|| self.inbox.sealed_behind(&row)).await?;
        sealed.extend(batch.sealed_behind(&row));
        if sealed.is_empty() {
            return Ok(());
        }
        let target = Target {
            info: arrival.first(),
            message,
            authors: &writers(client, &arrival.first().source).await,
        };
        for (mut info, sealed) in sealed.iter().filter_map(|sealed| read(sealed)) {
            let opened = match extract_secret_encrypted(&sealed) {
                Some(_) => open(&info, &sealed, &writers(client, &info.source).await, &target),
                // A vote, whose poll is known by now.
                None => Some(sealed.clone()),
            };
            let Some(opened) = opened else { continue };
            let commented = sealed.enc_comment_message.as_option();
            info.comment_target = commented.and_then(|comment| comment.target_message_key.as_option().cloned());
            let again = self.read(client, &info, &opened).await?;
            if again.behind.is_some() {
                batch.add(again);
            }
        }
        Ok(())
    }
}
