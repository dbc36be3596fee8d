//! The two ids that people have at WhatsApp, a number and a hidden id (LID), and which of them it takes where.

use std::collections::HashMap;

use wharf_domain::{PhoneNumber, Recipient};
use whatsapp_rust::Client;
use whatsapp_rust::wacore::{client::context::GroupInfo, types::message::AddressingMode};
use whatsapp_rust::wacore_binary::{Jid, JidExt};

/// Somebody by their hidden id, or else by their number, where that is known; anything else as it is.
pub(crate) async fn called(client: &Client, jid: Jid, hidden: bool) -> Jid {
    if !(jid.is_pn() || jid.is_lid()) || jid.is_lid() == hidden {
        return jid;
    }
    match client.get_lid_pn_entry(&jid).await {
        Ok(Some(entry)) if hidden => Jid::lid(&*entry.lid),
        Ok(Some(entry)) => Jid::pn(&*entry.phone_number),
        Ok(None) | Err(_) => jid,
    }
}

/// A chat under the id that WhatsApp has it under. By which of the two ids people's chats go is a matter of the whole account: one
/// that was not moved to hidden ids yet is refused them.
pub(crate) async fn of_chat(client: &Client, jid: Jid) -> Jid {
    let hidden = client.is_lid_migrated().await;
    called(client, jid, hidden).await
}

/// Those of some people whom a group knows by another id than the given one, which may be a number in its other way of writing,
/// with that id. Nobody where the group cannot be asked for.
pub(crate) async fn in_group(client: &Client, group: &Jid, people: &[Recipient]) -> Vec<(Recipient, Jid)> {
    if people.is_empty() || !group.is_group() {
        return Vec::new();
    }
    // Sending needs the same, and finds it remembered.
    let Ok(group) = client.groups().query_info(group).await else {
        return Vec::new();
    };
    let members = Members::of(&group);
    let mut found = Vec::new();
    for person in people {
        let Ok(given) = person.jid().parse::<Jid>() else {
            continue;
        };
        let member = match person {
            Recipient::Number(number) => members.named(number.as_str()),
            _ => None,
        };
        let known = match member {
            Some(member) => member.clone(),
            None => called(client, given.clone(), group.addressing_mode == AddressingMode::Lid).await,
        };
        if known != given {
            found.push((person.clone(), known));
        }
    }
    found
}

/// The members of a group whose numbers are known, by those.
struct Members<'g> {
    exactly: HashMap<String, &'g Jid>,
    /// In the one way of writing that all ways of it have in common. Two numbers may share it, of a mobile and of a landline.
    loosely: HashMap<String, &'g Jid>,
}

impl<'g> Members<'g> {
    fn of(group: &'g GroupInfo) -> Self {
        let numbered = group.participants.iter().filter_map(|member| {
            let number = match member.is_pn() {
                true => member,
                false => group.phone_jid_for_lid_user(member.user_base())?,
            };
            Some((number.user_base().to_owned(), member))
        });
        let exactly: HashMap<_, _> = numbered.collect();
        let loosely = exactly
            .iter()
            .map(|(number, member)| (PhoneNumber::canonical(number), *member));
        Self {
            loosely: loosely.collect(),
            exactly,
        }
    }

    fn named(&self, number: &str) -> Option<&'g Jid> {
        let loosely = || self.loosely.get(&PhoneNumber::canonical(number));
        self.exactly.get(number).or_else(loosely).copied()
    }
}

/// Words whose mentions name people by other digits, where there are any. What is named is the whole number behind the `@`, of which
/// another's may be the beginning.
pub(crate) fn renamed<'d>(words: &str, other: impl Fn(&str) -> Option<&'d str>) -> String {
    let mut parts = words.split('@');
    let mut renamed = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
        let (digits, rest) = part.split_at(end);
        renamed.extend(["@", other(digits).unwrap_or(digits), rest]);
    }
    renamed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_either_way_of_writing_their_numbers() {
        let (old, new) = ("551188888888", "5511988888888");
        let by_number = GroupInfo::new(vec![Jid::pn(old)], AddressingMode::Pn);
        let (named, unnamed) = (Jid::lid("100000000000007"), Jid::lid("100000000000008"));
        let numbers = [("100000000000007".into(), Jid::pn(old))].into();
        let participants = vec![named.clone(), unnamed];
        let by_hidden_id = GroupInfo::with_lid_to_pn_map(participants, AddressingMode::Lid, numbers);
        for (group, member) in [(&by_number, &Jid::pn(old)), (&by_hidden_id, &named)] {
            let members = Members::of(group);
            assert_eq!(members.exactly.len(), 1);
            for number in [old, new] {
                assert_eq!(members.named(number), Some(member), "{number}");
            }
        }
    }

    #[test]
    fn of_two_that_are_written_alike_the_one_that_is_named_exactly_is_meant() {
        let (landline, mobile) = (Jid::pn("551133334444"), Jid::pn("5511933334444"));
        let group = GroupInfo::new(vec![landline.clone(), mobile.clone()], AddressingMode::Pn);
        let members = Members::of(&group);
        assert_eq!(members.named(landline.user_base()), Some(&landline));
        assert_eq!(members.named(mobile.user_base()), Some(&mobile));
    }
}
