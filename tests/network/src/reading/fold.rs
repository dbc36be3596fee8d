//! A list of messages, with reactions, votes, edits and deletions noted at the messages that they are about.

use std::collections::HashMap;

use crate::{MessageDetails, ReactionView, ReceivedMessage, VoteView};

/// Notes what later messages say about earlier ones; the later ones stay in the list too.
pub(crate) fn fold(mut list: Vec<ReceivedMessage>) -> Vec<ReceivedMessage> {
    let places: HashMap<String, usize> = list
        .iter()
        .enumerate()
        .map(|(place, message)| (message.id.clone(), place))
        .collect();
    for index in 0..list.len() {
        let Some(place) = list[index]
            .details
            .as_ref()
            .and_then(|details| places.get(details.target.as_ref()?))
            .copied()
        else {
            continue;
        };
        let update = list[index].clone();
        if update.kind != "edit" || fits(&update, &list[place].kind) {
            note(list[place].details.get_or_insert_default(), update);
        }
    }
    list
}

/// Whether an edit changes a message of some kind: words change no caption, and a caption no words.
fn fits(edit: &ReceivedMessage, kind: &str) -> bool {
    let content = edit.details.as_ref().and_then(|details| details.content.as_ref());
    match content.and_then(|content| content["of"].as_str()) {
        Some(of) => of == kind,
        None => !matches!(kind, "image" | "video" | "document"),
    }
}

fn note(about: &mut MessageDetails, update: ReceivedMessage) {
    match &*update.kind {
        "reaction" => {
            about.reactions.retain(|reaction| reaction.from != update.from);
            if !update.text.is_empty() {
                about.reactions.push(ReactionView {
                    from: update.from,
                    emoji: update.text,
                });
            }
        }
        "poll_vote" => {
            let content = update.details.and_then(|details| details.content);
            let options: Vec<String> = content
                .and_then(|content| serde_json::from_value(content["options"].clone()).ok())
                .unwrap_or_default();
            about.votes.retain(|vote| vote.from != update.from);
            if !options.is_empty() {
                about.votes.push(VoteView {
                    from: update.from,
                    options,
                });
            }
        }
        "edit" => about.edits.push(update.text),
        "revoke" => about.revoked = true,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    fn message(id: &str, from: &str, kind: &'static str, text: &str, target: Option<&str>) -> ReceivedMessage {
        let details = target.map(|target| {
            Box::new(MessageDetails {
                target: Some(target.to_owned()),
                ..Default::default()
            })
        });
        ReceivedMessage {
            id: id.to_owned(),
            from: from.to_owned(),
            text: text.to_owned(),
            timestamp: 0,
            kind: Cow::Borrowed(kind),
            details,
        }
    }

    #[test]
    fn the_last_reaction_of_each_counts_and_an_empty_one_takes_it_back() {
        let list = fold(vec![
            message("A", "1", "text", "hello", None),
            message("B", "1", "reaction", "x", Some("A")),
            message("C", "2", "reaction", "y", Some("A")),
            message("D", "1", "reaction", "", Some("A")),
            message("E", "1", "edit", "hi", Some("A")),
            message("F", "1", "revoke", "", Some("A")),
            message("G", "1", "reaction", "z", Some("gone")),
        ]);
        let about = list[0].details.as_ref().unwrap();
        let left = ReactionView {
            from: "2".to_owned(),
            emoji: "y".to_owned(),
        };
        assert_eq!(about.reactions, [left]);
        assert_eq!((about.edits.as_slice(), about.revoked), (&["hi".to_owned()][..], true));
        assert_eq!(list.len(), 7);
    }

    #[test]
    fn an_edit_changes_what_is_of_its_kind() {
        let captioned = |id: &str, of: &str| {
            let mut edit = message(id, "1", "edit", of, Some("A"));
            edit.details.get_or_insert_default().content = Some(serde_json::json!({ "of": of }));
            edit
        };
        let list = fold(vec![
            message("A", "1", "image", "look", None),
            message("B", "1", "edit", "text", Some("A")),
            captioned("C", "video"),
            captioned("D", "image"),
        ]);
        assert_eq!(list[0].details.as_ref().unwrap().edits, ["image"]);
    }
}
