//! Sending a message and learning what the server made of it.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wharf_domain::{Outgoing, PhoneNumber, Recipient, Timestamp, outgoing::Place};
use whatsapp_rust::features::SignalError;
use whatsapp_rust::wacore_binary::{Jid, JidExt};
use whatsapp_rust::waproto::whatsapp::Message;
use whatsapp_rust::{
    Client, ClientError, ErrorChainExt as _, IqError, SendError as ClientSendError, SendOptions, StatusSendOptions,
};

use super::{
    acks::{Ack, Waiting},
    acts::is_unanswered,
    audience::audience,
    compose::{Scene, compose, named},
    ids,
    inbound::party,
    memory::Memory,
    numbers::{Known, account},
    reporter::{Reporter, now},
    runtime::LinkRuntime,
    timers::Timers,
};
use crate::{SendError, Sent};

/// One message on its way.
pub(crate) struct Sending {
    pub(crate) client: Arc<Client>,
    pub(crate) runtime: LinkRuntime,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) id: String,
    pub(crate) outgoing: Outgoing,
    /// When whoever waits for it gives up.
    pub(crate) by: Instant,
    pub(crate) deadline: Duration,
}

impl Sending {
    /// Sends it and waits for the server's ack.
    pub(crate) async fn send(self) -> Result<Sent, SendError> {
        let over = self.reporter.over();
        let finding = chat(&self.client, &self.memory, &self.outgoing.to);
        let Some(to) = over.run_until_cancelled(finding).await else {
            return Err(SendError::NotConnected);
        };
        let to = to?;
        match over.run_until_cancelled(can_be_read(&self.client, &to)).await {
            Some(readable) => readable?,
            None => return Err(SendError::NotConnected),
        }
        let audience = match over.run_until_cancelled(self.audience()).await {
            Some(audience) => audience?,
            None => return Err(SendError::NotConnected),
        };
        let own = self.client.pn().ok_or(SendError::NotConnected)?;
        let known = ids::in_group(&self.client, &to, &named(&self.outgoing)).await;
        let Some(expires) = over.run_until_cancelled(self.timers.of(&self.client, &to)).await else {
            return Err(SendError::NotConnected);
        };
        let scene = Scene {
            chat: &to.to_string(),
            own: own.user_base(),
            now_ms: now().0,
            known: &known,
            expires,
        };
        let message = compose(&self.outgoing, &scene).map_err(SendError::Impossible)?;
        if Instant::now() >= self.by {
            // What came of it is unknown, whoever waited for it was told: it is not sent behind their back.
            return Err(SendError::TimedOut(self.deadline));
        }
        // Before the message leaves, or a quick server's ack would find nobody waiting.
        let waiting = self.reporter.acks.expect(&self.id);
        let handing = self.hand_over(to, message, audience);
        let answered = tokio::time::timeout_at(self.by, answer(waiting, handing, over)).await;
        let ack = answered.map_err(|_| SendError::TimedOut(self.deadline))??;
        verdict(ack).map(|timestamp| Sent { timestamp })
    }

    /// Who gets it, of a status update.
    async fn audience(&self) -> Result<Option<Vec<Jid>>, SendError> {
        if !self.outgoing.to.is_status() {
            return Ok(None);
        }
        let people = self.outgoing.update.as_ref();
        let people = people.map_or(&[][..], |update| &update.recipients);
        audience(&self.client, &self.memory, people, self.by).await.map(Some)
    }

    /// Hands it to the client, in a task of its own: whatever becomes of the waiting, an encryption must not be left half
    /// done. Resolves when that failed.
    fn hand_over(
        &self,
        to: Jid,
        message: Message,
        audience: Option<Vec<Jid>>,
    ) -> impl Future<Output = SendError> + use<> {
        let (client, over) = (Arc::clone(&self.client), self.reporter.over().clone());
        let id = self.id.clone();
        let handing = self.runtime.start(async move {
            let handing = async {
                let Some(audience) = audience else {
                    let options = SendOptions::default().with_message_id(&id);
                    return client.send_message_with_options(to, message, options).await;
                };
                let options = StatusSendOptions {
                    message_id: Some(id),
                    ..StatusSendOptions::default()
                };
                client.status().send_raw(message, &audience, options).await
            };
            over.run_until_cancelled(Box::pin(handing)).await
        });
        async move {
            match handing.await {
                Ok(Some(Some(Ok(_)))) => std::future::pending().await,
                Ok(Some(Some(Err(error)))) => of_send(&error),
                _ended => lost(),
            }
        }
    }
}

/// The server's answer to a message that is being handed over; `None` when the link ended without. It may come before the
/// client is done. Whoever gives this up has given up the place in the acks, too: what comes then is told as a late one.
async fn answer(
    mut waiting: Waiting<'_>,
    handing_failed: impl Future<Output = SendError>,
    over: &CancellationToken,
) -> Result<Option<Ack>, SendError> {
    tokio::select! {
        biased;
        ack = waiting.answer() => Ok(ack),
        error = handing_failed => Err(error),
        () = over.cancelled() => Ok(None),
    }
}

/// Where a message that the number `own` sends goes, without asking WhatsApp.
pub(crate) async fn place(client: &Client, memory: &Memory, own: &PhoneNumber, to: &Recipient) -> Option<Place> {
    let jid: Jid = match to {
        Recipient::Number(number) => match memory.numbers().known(number) {
            Known::Account(Some(account)) => account,
            _ => Jid::pn(number.as_str()),
        },
        Recipient::Hidden(_) | Recipient::Group(_) | Recipient::Status => to.jid().parse().ok()?,
    };
    let mut place = Place {
        chat: party(client, memory, own, &jid, None).await.chat,
        ..Place::of(to)
    };
    if let Some(group) = &mut place.group {
        group.subject = memory.subjects().known_of(&jid);
    }
    Some(place)
}

/// The chat with whom a message goes to. WhatsApp may know a number under slightly other digits (Brazil, Mexico,
/// Argentina), and a message to a number that it does not know is taken and lost.
///
/// A look-up that fails holds no message up: the number is then taken as it was given.
pub(crate) async fn chat(client: &Client, memory: &Memory, to: &Recipient) -> Result<Jid, SendError> {
    let number = match to {
        Recipient::Number(number) => number,
        Recipient::Hidden(digits) => return Ok(Jid::lid(digits.as_ref())),
        Recipient::Group(group) => return parsed(group.as_str()),
        Recipient::Status => return Ok(Jid::status_broadcast()),
    };
    account(client, memory, number).await
}

/// That one of a person's devices at least can read what is sent to them.
///
/// The client leaves devices out that it has no session with, sends the rest, the copies for the account's own devices if
/// need be, and takes the server's ack of that for a message that was sent (whatsapp-rust 0.7; its pull request 1299 changes that).
/// What is made here the sending would have to make as well, and finds.
///
/// # Errors
/// `NoKeys` if none can, `NotConnected` where WhatsApp does not answer: nothing was sent then.
async fn can_be_read(client: &Client, to: &Jid) -> Result<(), SendError> {
    if to.is_group() || to.is_status_broadcast() {
        return Ok(());
    }
    let signal = client.signal();
    let devices = match signal.get_user_devices(std::slice::from_ref(to)).await {
        Ok(devices) if !devices.is_empty() => devices,
        Err(error) if is_silence(&error) => return Err(SendError::NotConnected),
        // None are known, or WhatsApp does not say which: then the client writes to the account as to a device.
        Ok(_) | Err(_) => vec![to.clone()],
    };
    match signal.assert_sessions(&devices).await {
        Ok(()) => {}
        Err(error) if is_silence(&error) => return Err(SendError::NotConnected),
        // Sending meets the same and says it.
        Err(_) => return Ok(()),
    }
    for device in &devices {
        if signal.validate_session(device).await.unwrap_or(true) {
            return Ok(());
        }
    }
    Err(SendError::NoKeys)
}

/// Whether something failed because WhatsApp did not answer.
fn is_silence(error: &SignalError) -> bool {
    error.is_timeout() || error.is_transport_unavailable()
}

/// An id of WhatsApp's that was checked before.
pub(crate) fn parsed(jid: &str) -> Result<Jid, SendError> {
    jid.parse()
        .map_err(|_| SendError::Impossible(format!("{jid} is not an id of WhatsApp's")))
}

fn of_send(error: &ClientSendError) -> SendError {
    match error {
        ClientSendError::NotLoggedIn => SendError::NotConnected,
        ClientSendError::Client(error) => of_client(error),
        ClientSendError::Iq(error) => of_iq(error),
        // Looked at before anything is encrypted: an account without a hidden id yet, say, has no status updates.
        ClientSendError::InvalidRequest(why) => SendError::Impossible(why.clone()),
        other => SendError::Failed(other.to_string()),
    }
}

/// What the server's answer, or its absence, means for a message that was handed over.
fn verdict(ack: Option<Ack>) -> Result<Timestamp, SendError> {
    let ack = ack.ok_or_else(lost)?;
    match ack.error {
        Some(code) => Err(SendError::Refused {
            words: refusal(&code).to_owned(),
            code,
        }),
        None => Ok(ack.timestamp.unwrap_or_else(now)),
    }
}

fn lost() -> SendError {
    SendError::Failed("the connection ended before WhatsApp answered; the message may have been sent".to_owned())
}

pub(crate) fn of_client(error: &ClientError) -> SendError {
    match error {
        ClientError::NotConnected | ClientError::NotLoggedIn => SendError::NotConnected,
        // Broke while writing: how much went out is not known.
        ClientError::Socket(_) | ClientError::EncryptSend(_) => lost(),
        ClientError::Iq(error) => of_iq(error),
        other => SendError::Failed(other.to_string()),
    }
}

pub(crate) fn of_iq(error: &IqError) -> SendError {
    match error {
        error if is_unanswered(error) => SendError::NotConnected,
        IqError::ServerError { code, text, .. } => SendError::Refused {
            code: code.to_string(),
            words: text.clone(),
        },
        other => SendError::Failed(other.to_string()),
    }
}

/// WhatsApp's code of a refused message, in words.
pub(crate) fn refusal(code: &str) -> &'static str {
    match code {
        "400" => "the message is malformed",
        "403" => "this account may not write to the recipient",
        "404" => "the recipient was not found",
        "463" => "this account may not start chats with people who have not written to it",
        "479" => "a part of the message has a wrong format",
        "429" => "too many messages",
        "503" => "the service is unavailable",
        _ => "WhatsApp gives no words",
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use whatsapp_rust::wacore::types::events::ServerAck;

    use super::*;
    use crate::live::acks::Acks;

    #[tokio::test]
    async fn an_ack_counts_while_a_message_is_handed_over_and_is_late_once_nobody_waits() {
        let (acks, over) = (Acks::default(), CancellationToken::new());
        let ack = || ServerAck::builder().id("1".into()).build();
        let mut waits = Box::pin(answer(acks.expect("1"), pending(), &over));
        assert!(futures::poll!(&mut waits).is_pending());
        assert!(!acks.settle(&ack()), "it is waited for");
        assert!(waits.await.unwrap().is_some());

        let by = Instant::now() + Duration::from_millis(1);
        let given_up = tokio::time::timeout_at(by, answer(acks.expect("1"), pending(), &over)).await;
        assert!(given_up.is_err());
        assert!(acks.settle(&ack()), "though the hand-over goes on");

        let failed = async { SendError::NoKeys };
        assert_eq!(answer(acks.expect("1"), failed, &over).await, Err(SendError::NoKeys));
        over.cancel();
        assert_eq!(answer(acks.expect("1"), pending(), &over).await, Ok(None));
    }

    #[test]
    fn the_servers_answer_decides() {
        let taken = Ack {
            timestamp: Some(Timestamp::from_seconds(7)),
            error: None,
        };
        assert_eq!(verdict(Some(taken)), Ok(Timestamp::from_seconds(7)));
        let refused = Ack {
            timestamp: None,
            error: Some("463".into()),
        };
        assert!(matches!(verdict(Some(refused)), Err(SendError::Refused { code, .. }) if code == "463"));
        assert!(matches!(verdict(None), Err(SendError::Failed(why)) if why.contains("may have been sent")));
        assert_eq!(refusal("999"), "WhatsApp gives no words");
    }

    #[test]
    fn only_what_was_not_answered_is_silence() {
        let of = |error: IqError| SignalError::from(whatsapp_rust::anyhow::Error::new(error));
        assert!(is_silence(&of(IqError::Timeout)) && is_silence(&of(IqError::NotConnected)));
        assert!(is_silence(&of(IqError::InternalChannelClosed)));
        let refused = IqError::ServerError {
            code: 503,
            text: "service-unavailable".into(),
            error_type: None,
            backoff: None,
        };
        assert!(!is_silence(&of(refused)));
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
        assert_eq!(of_iq(&refused).to_string(), "WhatsApp refused it: rate-overlimit (429)");
        assert!(matches!(of_iq(&IqError::Timeout), SendError::Failed(_)));
    }
}
