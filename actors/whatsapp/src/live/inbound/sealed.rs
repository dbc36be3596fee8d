//! What could not be opened until the message came that it is about.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures::FutureExt as _;
use wharf_domain::IncomingMessage;
use whatsapp_rust::Client;
use whatsapp_rust::features::message_edit::extract_secret_encrypted;
use whatsapp_rust::wacore::types::message::MessageInfo;
use whatsapp_rust::waproto::whatsapp::Message;

use super::{Inbound, batch::Read, gather::writers};
use crate::live::{
    awaited::sealed::{Target, open, read},
    convert::{Ballot, vote_in},
};

/// Whether a message, told as `told`, could not be opened; or a vote not be named, whose poll may come behind it at once.
pub(super) fn is_sealed(message: &Message, told: Option<&IncomingMessage>, ballot: &Ballot) -> bool {
    told.is_some_and(IncomingMessage::is_undecryptable) || (!ballot.is_named() && vote_in(message).is_some())
}

impl Inbound {
    /// A message came that was waited for, and was read: what waits behind it and could not be opened is read again. What came
    /// in the same batch is so read in its place; what came earlier goes into the batch before the message. What cannot be opened
    /// still is told as it was kept.
    pub(super) async fn read_again(
        &self,
        client: &Arc<Client>,
        came: &Read,
        message: &Message,
        batch: &mut Vec<Read>,
    ) -> Result<(), String> {
        let Some(arrival) = &came.arrival else { return Ok(()) };
        let Some(row) = arrival.row() else { return Ok(()) };
        let kept = self.insist(|| self.inbox.sealed_behind(&row)).await?;
        let here = batch.iter().enumerate();
        let here: Vec<_> = here
            .filter_map(|(place, read)| Some((Some(place), read.sealed_behind(&row)?)))
            .collect();
        for (place, sealed) in kept.into_iter().map(|sealed| (None, sealed)).chain(here) {
            let Some(again) = self.reopen(client, &sealed, (arrival.first(), message)).await? else {
                continue;
            };
            match place.and_then(|place| batch.get_mut(place)) {
                Some(read) => *read = again,
                None => batch.push(again),
            }
        }
        Ok(())
    }

    /// Reads what could not be opened, now that its target has come. Strangers wrote both: what makes us panic, which is our bug,
    /// stays as it was kept. It would end each link that WhatsApp brings the target to, and the number with them.
    async fn reopen(
        &self,
        client: &Arc<Client>,
        sealed: &[u8],
        target: (&MessageInfo, &Message),
    ) -> Result<Option<Read>, String> {
        let opening = AssertUnwindSafe(self.opened(client, sealed, target)).catch_unwind();
        opening.await.unwrap_or_else(|_| {
            let key = self.reporter.key();
            tracing::error!(client_id = %key.client_id, phone_number = %key.phone_number, target_id = target.0.id, "what waited for a message could not be opened: opening it panicked");
            Ok(None)
        })
    }

    async fn opened(
        &self,
        client: &Arc<Client>,
        sealed: &[u8],
        (of, message): (&MessageInfo, &Message),
    ) -> Result<Option<Read>, String> {
        let Some((mut info, sealed)) = read(sealed) else {
            return Ok(None);
        };
        let opened = match extract_secret_encrypted(&sealed) {
            Some(_) => {
                let target = Target {
                    info: of,
                    message,
                    authors: &writers(client, &of.source).await,
                };
                open(&info, &sealed, &writers(client, &info.source).await, &target)
            }
            // A vote, whose poll is known by now.
            None => Some(sealed.clone()),
        };
        let Some(opened) = opened else { return Ok(None) };
        let commented = sealed.enc_comment_message.as_option();
        info.comment_target = commented.and_then(|comment| comment.target_message_key.as_option().cloned());
        let again = self.read(client, &info, &opened, true).await?;
        Ok(Some(again).filter(|again| again.behind.is_some()))
    }
}
