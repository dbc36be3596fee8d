//! What the gateway does with a scripted link.

use std::time::Duration;

use async_trait::async_trait;
use wharf_domain::{
    Outgoing, PhoneNumber, Recipient,
    action::{Action, ContactInfo, Done, NumberCheck, PresenceState, ProfileInfo},
    outgoing::Place,
};

use super::{ScriptedHandle, SendScript, SentMessage, scripted_panic};
use crate::{
    CloseReason, Link, LinkEvent, LostFile, MediaHosts, PairCode, PairCodeError, ReuploadError, SendError, Sent,
    live::now,
};

impl ScriptedHandle {
    /// WhatsApp brings what waited there, until it is connected: nothing goes out meanwhile.
    pub fn catches_up(&self) {
        self.state().connected = false;
    }
}

/// What is said of a message whose link ended before its answer came.
fn link_ended() -> SendError {
    SendError::Failed("scripted: the link ended".to_owned())
}

#[async_trait]
impl Link for ScriptedHandle {
    async fn send(&self, id: &str, message: &Outgoing, deadline: Duration) -> Result<Sent, SendError> {
        let script = {
            let mut state = self.state();
            if !state.connected || matches!(state.sends, SendScript::Gone) {
                return Err(SendError::NotConnected);
            }
            let sent = SentMessage {
                id: id.to_owned(),
                message: message.clone(),
            };
            state.sent.push(sent.clone());
            let script = state.sends.clone();
            drop(state);
            self.factory.state().sent.push(sent);
            script
        };
        let script = match script {
            SendScript::Slow(long) => {
                tokio::time::sleep(long).await;
                let state = self.state();
                if !state.connected {
                    return Err(link_ended());
                }
                state.sends.clone()
            }
            at_once => at_once,
        };
        match (script, &message.to) {
            (SendScript::Refuse(code), _) => Err(SendError::Refused {
                code,
                words: "scripted".to_owned(),
            }),
            (SendScript::Nobody, Recipient::Number(number)) => Err(SendError::NotOnWhatsApp(number.clone())),
            (SendScript::Panic, _) => scripted_panic(),
            (SendScript::Hang, _) => {
                let ended = self.state().ended.clone();
                match tokio::time::timeout(deadline, ended.cancelled()).await {
                    Ok(()) => Err(link_ended()),
                    Err(_) => Err(SendError::TimedOut(deadline)),
                }
            }
            _ => Ok(Sent { timestamp: now() }),
        }
    }

    async fn place(&self, to: &Recipient) -> Option<Place> {
        let chat = self.state().chats.get(&to.to_string())?.clone();
        Some(Place { chat, ..Place::of(to) })
    }

    /// As what else is asked for.
    async fn types(&self, to: &Recipient, shown: PresenceState, _long: Duration) {
        let to = Some(to.clone());
        self.state().acts.push(Action::Presence { to, state: shown });
    }

    /// Every number is on WhatsApp; nothing else has anything to answer.
    async fn act(&self, action: &Action, _deadline: Duration) -> Result<Done, SendError> {
        let mut state = self.state();
        if !state.connected {
            return Err(SendError::NotConnected);
        }
        state.acts.push(action.clone());
        Ok(match action {
            Action::CheckNumbers(numbers) => Done::Numbers(
                numbers
                    .iter()
                    .map(|number| NumberCheck {
                        number: number.clone(),
                        exists: Some(true),
                        jid: Some(format!("{number}@s.whatsapp.net")),
                        error: None,
                    })
                    .collect(),
            ),
            Action::Contact(who) => Done::Contact(Box::new(ContactInfo {
                jid: Some(who.jid()),
                exists: true,
                ..ContactInfo::default()
            })),
            Action::Picture { .. } => Done::Picture(None),
            Action::Blocks => Done::Blocks(Vec::new()),
            Action::Profile => Done::Profile(ProfileInfo::default()),
            Action::Groups => Done::Groups(Vec::new()),
            Action::ChangeParticipants { .. } => Done::Participants(Vec::new()),
            _ => Done::Done,
        })
    }

    /// Always the same code, good for three minutes; as slow as messages are, and one at a time, as a real one.
    async fn pair_code(&self, _number: &PhoneNumber, _deadline: Duration) -> Result<PairCode, PairCodeError> {
        if std::mem::replace(&mut self.state().is_asked_for_code, true) {
            return Err(PairCodeError::Failed("scripted: one is asked for already".to_owned()));
        }
        let script = self.state().sends.clone();
        if let SendScript::Slow(long) = script {
            tokio::time::sleep(long).await;
        }
        self.state().is_asked_for_code = false;
        let code = PairCode {
            code: "SCRIPTED".to_owned(),
            expires_at: now() + Duration::from_secs(180),
        };
        let shown = code.clone();
        self.tell(LinkEvent::PairCode {
            code: shown.code,
            expires_at: shown.expires_at,
        });
        Ok(code)
    }

    async fn upload_again(&self, _file: &LostFile, deadline: Duration) -> Result<String, ReuploadError> {
        if self.state().phone_is_off {
            tokio::time::sleep(deadline).await;
            return Err(ReuploadError::TimedOut(deadline));
        }
        let mut state = self.state();
        if !state.connected || state.unasked > 0 {
            state.unasked = state.unasked.saturating_sub(1);
            return Err(ReuploadError::NotConnected);
        }
        let refused = || ReuploadError::Refused("it does not have it any more".to_owned());
        state.reuploads.clone().ok_or_else(refused)
    }

    /// What lets us upload is new each time that it is asked for afresh.
    async fn media_hosts(&self, fresh: bool, _deadline: Duration) -> Result<MediaHosts, SendError> {
        let mut state = self.state();
        if !state.connected {
            return Err(SendError::NotConnected);
        }
        if matches!(state.sends, SendScript::Panic) {
            scripted_panic();
        }
        state.media_auths += u32::from(fresh);
        Ok(MediaHosts {
            hosts: vec!["media.example".to_owned()],
            auth: format!("auth-{}", state.media_auths),
        })
    }

    fn silence(&self) -> Option<Duration> {
        let state = self.state();
        state.connected.then_some(state.silence)
    }

    async fn close(&self) {
        ScriptedHandle::close(self, CloseReason::Requested);
        // A real one has tasks that wind down.
        tokio::task::yield_now().await;
        self.state().gone = true;
    }

    async fn log_out(&self) -> Result<(), String> {
        self.factory.state().counters.logged_out += 1;
        Link::close(self).await;
        Ok(())
    }
}
