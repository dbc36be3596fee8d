//! Polls and votes. A vote is encrypted with a secret that only the poll carries, and names options by their hash.

use std::collections::{HashMap, HashSet};

use wharf_domain::{
    hex,
    message::{Body, PollVote},
};
use whatsapp_rust::wacore::poll::{PollVoteCiphertext, compute_option_hash, decrypt_poll_vote_with_secret};
use whatsapp_rust::waproto::whatsapp::{
    Message, MessageKey,
    message::{PollCreationMessage, PollUpdateMessage},
};

use super::{layers::layers, part::is_text};

/// How many options of a poll are told and kept. Apps allow twelve; a message has room for a hundred thousand, and every
/// vote has to be compared with all of them.
const OPTIONS_MAX: usize = 256;
/// The longest option that is told and kept, in bytes, as of polls that go out: apps allow a hundred characters. With longer ones a vote of
/// a few bytes would make an event of megabytes.
const OPTION_BYTES: usize = 1024;

/// What has to be kept of a poll to read its votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Election {
    /// What can be chosen.
    pub(crate) options: Vec<String>,
    /// What votes are encrypted with; 32 bytes.
    pub(crate) secret: Option<Vec<u8>>,
}

/// What was opened of a vote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Ballot {
    /// Nothing: the poll's secret is not known, or does not fit.
    #[default]
    Sealed,
    /// What was chosen.
    Opened {
        /// The chosen options that are known.
        options: Vec<String>,
        /// The hashes of the others.
        hashes: Vec<Vec<u8>>,
    },
}

impl Ballot {
    /// Names what was chosen, each once, as far as the options are known. A voter may repeat an option as often as a message
    /// holds its hash, and the one who asked may have made it as long as a message: so neither is multiplied by the other.
    pub(crate) fn read(mut hashes: Vec<Vec<u8>>, options: &[String]) -> Self {
        let mut seen = HashSet::new();
        hashes.retain(|hash| seen.insert(hash.clone()));
        let names: HashMap<Vec<u8>, &String> = options
            .iter()
            .take(OPTIONS_MAX)
            .map(|option| (compute_option_hash(option).to_vec(), option))
            .collect();
        let mut options = Vec::new();
        hashes.retain(|hash| match names.get(hash) {
            Some(name) => {
                options.push((*name).clone());
                false
            }
            None => true,
        });
        Self::Opened { options, hashes }
    }

    /// Whether all that was chosen is known by its name.
    pub(crate) fn is_named(&self) -> bool {
        matches!(self, Self::Opened { hashes, .. } if hashes.is_empty())
    }

    /// The words and the key of a vote's event.
    pub(super) fn told(&self) -> (String, Body) {
        let Self::Opened { options, hashes } = self else {
            let words = "A vote that could not be decrypted".to_owned();
            return (words, Body::PollVote(PollVote::default()));
        };
        let words = match (options.as_slice(), hashes.len()) {
            (options, 0) => options.join(", "),
            ([], _) => "A vote in a poll that is not known".to_owned(),
            (options, unknown) => format!("{}, and not known: {unknown}", options.join(", ")),
        };
        let hashed = !hashes.is_empty();
        let vote = PollVote {
            options: (!hashed || !options.is_empty()).then(|| options.clone()),
            option_hashes: hashed.then(|| hashes.iter().map(|hash| hex(hash)).collect()),
        };
        (words, Body::PollVote(vote))
    }
}

/// The poll in a message, if there is one.
pub(super) fn poll_in(message: &Message) -> Option<&PollCreationMessage> {
    [
        &message.poll_creation_message,
        &message.poll_creation_message_v2,
        &message.poll_creation_message_v3,
        &message.poll_creation_message_v5,
        &message.poll_creation_message_v6,
    ]
    .into_iter()
    .find_map(|poll| poll.as_option())
}

/// The names of a poll's options.
pub(super) fn options_of(poll: &PollCreationMessage) -> Vec<String> {
    let names = poll.options.iter().filter_map(|option| option.option_name.as_deref());
    let told = names.filter(|name| name.len() <= OPTION_BYTES);
    told.take(OPTIONS_MAX).map(str::to_owned).collect()
}

/// What has to be kept of a message that is a poll.
pub(crate) fn election_in(message: &Message) -> Option<Election> {
    // The common case first: text is no poll.
    if is_text(message) {
        return None;
    }
    let mut secret = None;
    let poll = layers(message).find_map(|layer| {
        let context = layer.message_context_info.as_option();
        secret = context
            .and_then(|context| context.message_secret.clone())
            .or(secret.take());
        poll_in(layer)
    })?;
    Some(Election {
        options: options_of(poll),
        secret,
    })
}

/// What somebody added to a poll that others had asked: the id of the poll and the option.
pub(crate) fn addition_in(message: &Message) -> Option<(&str, &str)> {
    if is_text(message) {
        return None;
    }
    let added = layers(message).find_map(|layer| layer.poll_add_option_message.as_option())?;
    let poll = added.poll_creation_message_key.as_option()?;
    let option = added.add_option.as_option()?;
    let name = option.option_name.as_deref()?;
    (name.len() <= OPTION_BYTES).then_some((poll.id.as_deref()?, name))
}

/// The vote in a message and the key of its poll.
pub(crate) fn vote_in(message: &Message) -> Option<(&PollUpdateMessage, &MessageKey)> {
    if is_text(message) {
        return None;
    }
    let update = layers(message).find_map(|layer| layer.poll_update_message.as_option())?;
    Some((update, update.poll_creation_message_key.as_option()?))
}

/// Opens a vote: the hashes of the chosen options. Who asked and who voted is part of the key, by number or by hidden
/// id, whichever the voter's phone took; so all pairs are tried.
pub(crate) fn open(
    update: &PollUpdateMessage,
    poll_id: &str,
    secret: &[u8],
    askers: &[String],
    voters: &[String],
) -> Option<Vec<Vec<u8>>> {
    let vote = update.vote.as_option()?;
    let sealed = PollVoteCiphertext {
        enc_payload: vote.enc_payload.as_deref()?,
        enc_iv: vote.enc_iv.as_deref()?,
    };
    let mut pairs = askers
        .iter()
        .flat_map(|asker| voters.iter().map(move |voter| (asker, voter)));
    pairs.find_map(|(asker, voter)| decrypt_poll_vote_with_secret(sealed, secret, poll_id, asker, voter).ok())
}
