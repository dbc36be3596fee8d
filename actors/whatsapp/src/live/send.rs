//! Sending a text and learning what the server made of it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use wharf_domain::PhoneNumber;
use whatsapp_rust::wacore_binary::Jid;
use whatsapp_rust::waproto::whatsapp::Message;
use whatsapp_rust::{Client, ClientError, IqError, SendError as ClientSendError, SendOptions, features::ContactError};

use super::{
    acks::Ack,
    reporter::{Reporter, now},
};
use crate::{SendError, Sent};

/// One text on its way.
pub(crate) struct Outgoing {
    pub(crate) client: Arc<Client>,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) to: PhoneNumber,
    pub(crate) text: String,
    pub(crate) deadline: Duration,
}

impl Outgoing {
    /// Sends it and waits for the server's ack.
    pub(crate) async fn send(self) -> Result<Sent, SendError> {
        let by = Instant::now() + self.deadline;
        let over = self.reporter.over();
        let Some(to) = over.run_until_cancelled(self.recipient()).await else {
            return Err(SendError::NotConnected);
        };
        let to = to?;
        let id = self.client.generate_message_id();
        // Before the message leaves, or a quick server's ack would find nobody waiting.
        let mut waiting = self.reporter.acks.expect(&id);
        match over.run_until_cancelled(self.hand_over(to, &id)).await {
            Some(handed_over) => handed_over?,
            None => return Err(lost()),
        }
        let ack = tokio::select! {
            biased;
            ack = tokio::time::timeout_at(by, waiting.answer()) => ack.map_err(|_| SendError::TimedOut(self.deadline))?,
            () = over.cancelled() => None,
        };
        verdict(id, ack)
    }

    async fn hand_over(&self, to: Jid, id: &str) -> Result<(), SendError> {
        let message = Message {
            conversation: Some(self.text.clone()),
            ..Message::default()
        };
        let options = SendOptions::default().with_message_id(id);
        let sent = self.client.send_message_with_options(to, message, options).await;
        sent.map(drop).map_err(|error| match error {
            ClientSendError::NotLoggedIn => SendError::NotConnected,
            ClientSendError::Client(error) => of_client(&error),
            ClientSendError::Iq(error) => of_iq(&error),
            other => SendError::Failed(other.to_string()),
        })
    }

    /// The account of a number. WhatsApp may know it under slightly other digits (Brazil, Mexico, Argentina), and a
    /// message to a number that it does not know is taken and lost.
    async fn recipient(&self) -> Result<Jid, SendError> {
        let number = Jid::pn(self.to.as_str());
        if let Ok(Some(_)) = self.client.get_lid_pn_entry(&number).await {
            return Ok(number);
        }
        let found = self
            .client
            .contacts()
            .is_on_whatsapp(std::slice::from_ref(&number))
            .await;
        let found = found.map_err(|error| match error {
            ContactError::Iq(error) => of_iq(&error),
            other => SendError::Failed(other.to_string()),
        })?;
        let account = found.into_iter().find(|account| account.is_registered);
        let account = account.ok_or_else(|| SendError::Refused(format!("{} is not on WhatsApp", self.to)))?;
        Ok([Some(account.jid), account.pn_jid]
            .into_iter()
            .flatten()
            .find(Jid::is_pn)
            .unwrap_or(number))
    }
}

/// What the server's answer, or its absence, means for a message that was handed over.
fn verdict(message_id: String, ack: Option<Ack>) -> Result<Sent, SendError> {
    let ack = ack.ok_or_else(lost)?;
    match ack.error {
        Some(code) => Err(SendError::Refused(refusal(&code))),
        None => Ok(Sent {
            message_id,
            timestamp: ack.timestamp.unwrap_or_else(now),
        }),
    }
}

fn lost() -> SendError {
    SendError::Failed("the connection ended before WhatsApp answered; the message may have been sent".to_owned())
}

fn of_client(error: &ClientError) -> SendError {
    match error {
        ClientError::NotConnected | ClientError::NotLoggedIn => SendError::NotConnected,
        // Broke while writing: how much went out is not known.
        ClientError::Socket(_) | ClientError::EncryptSend(_) => lost(),
        ClientError::Iq(error) => of_iq(error),
        other => SendError::Failed(other.to_string()),
    }
}

fn of_iq(error: &IqError) -> SendError {
    match error {
        IqError::NotConnected | IqError::Socket(_) | IqError::Disconnected(_) | IqError::InternalChannelClosed => {
            SendError::NotConnected
        }
        IqError::ServerError { code, text, .. } => SendError::Refused(format!("{text} ({code})")),
        other => SendError::Failed(other.to_string()),
    }
}

/// WhatsApp's code of a refused message, in words.
fn refusal(code: &str) -> String {
    let words = match code {
        "400" => "the message is malformed",
        "403" => "this account may not write to the recipient",
        "404" => "the recipient was not found",
        "463" => "this account may not start chats with people who have not written to it",
        "479" => "a part of the message has a wrong format",
        "429" => "too many messages",
        "503" => "the service is unavailable",
        _ => "WhatsApp gives no words",
    };
    format!("{words} ({code})")
}

#[cfg(test)]
mod tests {
    use wharf_domain::Timestamp;

    use super::*;

    #[test]
    fn the_servers_answer_decides() {
        let taken = Ack {
            timestamp: Some(Timestamp::from_seconds(7)),
            error: None,
        };
        let sent = Sent {
            message_id: "3EB0".into(),
            timestamp: Timestamp::from_seconds(7),
        };
        assert_eq!(verdict("3EB0".into(), Some(taken)), Ok(sent));
        let refused = Ack {
            timestamp: None,
            error: Some("463".into()),
        };
        assert!(matches!(verdict("3EB0".into(), Some(refused)), Err(SendError::Refused(why)) if why.contains("463")));
        assert!(
            matches!(verdict("3EB0".into(), None), Err(SendError::Failed(why)) if why.contains("may have been sent"))
        );
    }

    #[test]
    fn refusals_carry_the_code() {
        assert!(refusal("463").ends_with("(463)"));
        assert_eq!(refusal("999"), "WhatsApp gives no words (999)");
    }

    #[test]
    fn a_broken_link_is_not_connected_and_a_refused_query_is_refused() {
        assert_eq!(of_iq(&IqError::InternalChannelClosed), SendError::NotConnected);
        assert_eq!(of_client(&ClientError::NotLoggedIn), SendError::NotConnected);
        let refused = IqError::ServerError {
            code: 429,
            text: "rate-overlimit".into(),
            error_type: None,
            backoff: None,
        };
        assert_eq!(of_iq(&refused), SendError::Refused("rate-overlimit (429)".into()));
        assert!(matches!(of_iq(&IqError::Timeout), SendError::Failed(_)));
    }
}
