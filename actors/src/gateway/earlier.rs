//! Messages that are about earlier ones of the same number: edits know what they change, answers what they quote, and none of
//! them goes where the earlier one did not.

use wharf_domain::{
    Connection, InvalidField, Recipient,
    outgoing::{Content, NotEditable, Quote, StatusUpdate, check_caption},
};

use super::{Gateway, GatewayError};
use crate::clock;

impl Gateway {
    /// What is about an earlier message, held to what is known of that: an edit knows whether it changes a caption, a reaction
    /// to an own message says so. Of a message that was not sent through here nothing is known.
    ///
    /// # Errors
    /// `Refused` for what nobody would see; `Invalid` for a caption that is too long.
    pub(super) async fn informed(
        &self,
        connection: &Connection,
        to: &Recipient,
        mut content: Content,
    ) -> Result<Content, GatewayError> {
        let (Content::Edit { target, .. } | Content::Revoke { target } | Content::Reaction { target, .. }) = &content
        else {
            return Ok(content);
        };
        let key = connection.key();
        let Some(sent) = self.shared.store.outgoing_message(&key, &target.message_id).await? else {
            return Ok(content);
        };
        if is_elsewhere(&sent.to, to) {
            let why = format!("{} was sent to {}: to must be that, not {to}", sent.message_id, sent.to);
            return Err(GatewayError::Refused(why));
        }
        match &mut content {
            Content::Edit { text, caption_of, .. } => {
                let refused = |error: NotEditable| GatewayError::Refused(error.to_string());
                *caption_of = sent.caption_of(clock::now()).map_err(refused)?;
                if caption_of.is_some() {
                    check_caption("text", text)?;
                }
            }
            Content::Revoke { .. } if sent.was_not_sent() => {
                let why = "it cannot be deleted for everyone: it was not sent";
                return Err(GatewayError::Refused(why.to_owned()));
            }
            Content::Reaction { target, .. } if target.from.is_none() => {
                target.from = Some(Recipient::Number(key.phone_number));
            }
            _ => {}
        }
        Ok(content)
    }

    /// Who gets the word that a status update is taken back: those who got it, where it was posted through here.
    ///
    /// # Errors
    /// `Invalid` where nobody knows; `Unavailable`.
    pub(super) async fn posted(
        &self,
        connection: &Connection,
        content: &Content,
    ) -> Result<StatusUpdate, GatewayError> {
        if let Content::Revoke { target } = content
            && let Some(sent) = self
                .shared
                .store
                .outgoing_message(&connection.key(), &target.message_id)
                .await?
            && let Some(posted) = sent.message.and_then(|message| message.update)
        {
            return Ok(StatusUpdate::to(posted.recipients));
        }
        let why = "is missing: the status update was not posted through here, or is not kept any more";
        Err(InvalidField::new("recipients", why).into())
    }

    /// An answer to a message that this number sent through here, with what is shown of that, where the client does not say it.
    ///
    /// # Errors
    /// `Unavailable`.
    pub(super) async fn quoted(&self, connection: &Connection, quote: Quote) -> Result<Quote, GatewayError> {
        let key = connection.key();
        let own = |from: &Recipient| matches!(from, Recipient::Number(number) if key.phone_number.is_account(number.as_str()));
        if quote.from.as_ref().is_some_and(|from| !own(from)) {
            return Ok(quote);
        }
        let Some(sent) = self.shared.store.outgoing_message(&key, &quote.message_id).await? else {
            return Ok(quote);
        };
        let words = || Some(sent.message?.content.words()?.to_owned());
        Ok(Quote {
            text: quote.text.or_else(words),
            from: quote.from.or(Some(Recipient::Number(key.phone_number))),
            message_id: quote.message_id,
        })
    }
}

/// Whether two recipients are certainly two chats. A number and a hidden id may be the same person.
fn is_elsewhere(one: &Recipient, other: &Recipient) -> bool {
    match (one, other) {
        (Recipient::Number(one), Recipient::Number(other)) => !one.is_account(other.as_str()),
        (Recipient::Number(_), Recipient::Hidden(_)) | (Recipient::Hidden(_), Recipient::Number(_)) => false,
        (one, other) => one != other,
    }
}
