//! Messages that are about earlier ones of the same number: edits know what they change, answers what they quote.

use wharf_domain::{
    Connection, Recipient,
    outgoing::{Content, NotEditable, Quote, check_caption},
};

use super::{Gateway, GatewayError};
use crate::clock;

impl Gateway {
    /// An edit that knows whether it changes a caption. Of a message that was not sent through here nothing is known.
    ///
    /// # Errors
    /// `Refused` for what nobody would see changed; `Invalid` for a caption that is too long.
    pub(super) async fn informed(
        &self,
        connection: &Connection,
        mut content: Content,
    ) -> Result<Content, GatewayError> {
        let Content::Edit {
            target,
            text,
            caption_of,
            ..
        } = &mut content
        else {
            return Ok(content);
        };
        let key = connection.key();
        if let Some(sent) = self.shared.store.outgoing_message(&key, &target.message_id).await? {
            let refused = |error: NotEditable| GatewayError::Refused(error.to_string());
            *caption_of = sent.caption_of(clock::now()).map_err(refused)?;
            if caption_of.is_some() {
                check_caption("text", text)?;
            }
        }
        Ok(content)
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
