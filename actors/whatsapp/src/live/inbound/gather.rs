//! What has to be looked up before a message can be converted: numbers, polls, the names of groups.

use std::sync::Arc;

use futures::future::join_all;
use wharf_domain::{IncomingMessage, message::Group};
use whatsapp_rust::Client;
use whatsapp_rust::wacore::types::message::{EditAttribute, MessageInfo, MessageSource};
use whatsapp_rust::wacore_binary::{Jid, JidExt};
use whatsapp_rust::waproto::whatsapp::{Message, MessageKey};

use super::{Inbound, batch::Read, other_name};
use crate::live::convert::{
    Author, Ballot, Election, People, addition_in, author, election_in, hidden_in, open, vote_in,
};

impl Inbound {
    /// The numbers of those whom a message names by hidden id.
    pub(super) async fn people(&self, client: &Arc<Client>, info: &MessageInfo, message: &Message) -> People<'_> {
        let own = self.reporter.key().phone_number.as_str();
        let mut people = People::new(own);
        for hidden in hidden_in(info, message) {
            if client.lid().is_some_and(|lid| lid.user_base() == hidden.user_base()) {
                people.know(hidden.user_base(), own);
            } else if let Ok(Some(entry)) = client.get_lid_pn_entry(&hidden).await {
                people.know(hidden.user_base(), &entry.phone_number);
            }
        }
        people
    }

    /// Keeps what is needed to read the votes of a poll, our own phone's included, and what somebody added to one.
    pub(super) async fn keep_poll(&self, info: &MessageInfo, message: &Message) -> Result<(), String> {
        if let Some(election) = asked_in(info, message) {
            self.insist(|| self.inbox.keep_poll(&info.id, &election.options))
                .await?;
            self.memory.remember(&info.id, election);
        } else if let Some((poll_id, option)) = addition_in(message) {
            let added = [option.to_owned()];
            self.insist(|| self.inbox.keep_poll(poll_id, &added)).await?;
            self.memory.add_option(poll_id, option);
        }
        Ok(())
    }

    /// Opens the vote in a message, if there is one.
    pub(super) async fn ballot(&self, client: &Arc<Client>, info: &MessageInfo, message: &Message) -> Ballot {
        let Some((update, key)) = vote_in(message) else {
            return Ballot::Sealed;
        };
        let Some(poll_id) = key.id.as_deref() else {
            return Ballot::Sealed;
        };
        let askers = names(client, asker(client, info, key)).await;
        let mut voters = names(client, Some(info.source.sender.clone())).await;
        voters.extend(names(client, info.source.sender_alt.clone()).await);
        if let Some(Election { options, secret }) = self.memory.poll(poll_id)
            && let Some(secret) = secret
            && let Some(hashes) = open(update, poll_id, &secret, &askers, &voters)
        {
            return Ballot::read(hashes, &options);
        }
        // Whoever asks chooses the id: the poll that is remembered under it may be another's.
        let Some(secret) = kept_secret(client, info, &askers, poll_id).await else {
            return Ballot::Sealed;
        };
        match open(update, poll_id, &secret, &askers, &voters) {
            Some(hashes) => Ballot::read(hashes, &self.inbox.poll_options(poll_id).await.unwrap_or_default()),
            None => Ballot::Sealed,
        }
    }

    /// Fills in the names of groups, all at once: what is not known in a second goes without.
    pub(super) async fn name_groups<'g>(&self, client: &Arc<Client>, groups: impl Iterator<Item = &'g mut Group>) {
        let named = groups.filter(|group| group.subject.is_none()).filter_map(|group| {
            let jid: Jid = group.id.parse().ok()?;
            Some(async move { group.subject = self.memory.subjects().of(client, &self.runtime, &jid).await })
        });
        let named: Vec<_> = named.collect();
        if !named.is_empty() {
            join_all(named).await;
        }
    }
}

/// The poll that a message asks. What a poll is changed to comes as a poll under another id, by which nobody votes.
fn asked_in(info: &MessageInfo, message: &Message) -> Option<Election> {
    election_in(message).filter(|_| info.edit != EditAttribute::MessageEdit)
}

/// The groups that messages are in.
pub(super) fn groups_of(messages: &mut [IncomingMessage]) -> impl Iterator<Item = &mut Group> {
    messages.iter_mut().filter_map(group_of)
}

/// The same of messages that were read.
pub(super) fn groups_in(read: &mut [Read]) -> impl Iterator<Item = &mut Group> {
    let messages = read.iter_mut().filter_map(|read| read.message.as_mut());
    messages.filter_map(group_of)
}

fn group_of(message: &mut IncomingMessage) -> Option<&mut Group> {
    message.details.as_mut()?.group.as_mut()
}

/// Who asked: as the voter's phone writes it in the key of the poll.
fn asker(client: &Client, info: &MessageInfo, key: &MessageKey) -> Option<Jid> {
    match author(key, &info.source) {
        Author::Sender => Some(info.source.sender.clone()),
        Author::Named(jid) => jid.parse().ok(),
        // To the account's own phone the other one is whom it writes to.
        Author::Other if info.source.is_from_me => Some(info.source.chat.clone()),
        Author::Other | Author::Unsaid => client.pn(),
    }
}

/// Somebody's number and hidden id as JIDs without device, as far as they are known.
async fn names(client: &Client, who: Option<Jid>) -> Vec<String> {
    let Some(jid) = who else { return Vec::new() };
    let other = other_name(client, &jid).await;
    let names = [Some(jid.to_non_ad_string()), other.map(|other| other.to_string())];
    names.into_iter().flatten().collect()
}

/// Who wrote a message, by each of their ids.
pub(super) async fn writers(client: &Client, source: &MessageSource) -> Vec<Jid> {
    let mut named = names(client, Some(source.sender.clone())).await;
    named.extend(names(client, source.sender_alt.clone()).await);
    named.iter().filter_map(|jid| jid.parse().ok()).collect()
}

/// The secret of a poll that was seen before this process began, from the client's own store.
async fn kept_secret(client: &Client, info: &MessageInfo, askers: &[String], poll_id: &str) -> Option<Vec<u8>> {
    let source = &info.source;
    let mut chats = vec![source.chat.to_non_ad_string()];
    if !source.chat.is_group() {
        let other = if source.is_from_me {
            &source.chat
        } else {
            &source.sender
        };
        chats.extend(names(client, Some(other.clone())).await);
    }
    let backend = client.persistence_manager().backend();
    for chat in &chats {
        for asker in askers {
            if let Ok(Some(secret)) = backend.get_msg_secret(chat, asker, poll_id).await {
                return Some(secret);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use whatsapp_rust::buffa::MessageField;
    use whatsapp_rust::waproto::whatsapp::message::{PollCreationMessage, poll_creation_message};

    use super::*;

    #[test]
    fn what_a_poll_is_changed_to_is_no_poll_of_its_own() {
        let option = poll_creation_message::Option {
            option_name: Some("Soup".to_owned()),
            ..poll_creation_message::Option::default()
        };
        let poll = Message {
            poll_creation_message: MessageField::some(PollCreationMessage {
                options: vec![option],
                ..PollCreationMessage::default()
            }),
            ..Message::default()
        };
        let asked = asked_in(&MessageInfo::default(), &poll).unwrap();
        assert_eq!(asked.options, ["Soup"]);
        let edit = MessageInfo {
            edit: EditAttribute::MessageEdit,
            ..MessageInfo::default()
        };
        assert_eq!(asked_in(&edit, &poll), None);
    }
}
