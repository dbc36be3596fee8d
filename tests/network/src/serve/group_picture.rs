//! Pictures of groups (`<iq xmlns="w:profile:picture" target="…@g.us">`), and what members are told of them.

use rand::Rng as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{JidExt as _, Node};

use super::group_change::tell_of;
use super::session::Session;
use crate::NetworkError;
use crate::state::{Account, Device, Group, World};
use crate::wire::stanza::{attr, content, iq_error, iq_result, jid_attr};

/// WhatsApp's host of pictures.
const HOST: &str = "pps.whatsapp.net";
/// Pixels across and down of the largest picture.
const LARGEST: u16 = 640;

/// Whether an iq is about the picture of a group.
pub(super) fn is_of_group(iq: &Node) -> bool {
    jid_attr(iq, "target").is_some_and(|target| target.is_group())
}

/// Shows a group's picture, sets it, or takes it away.
pub(super) fn answer(session: &Session, iq: &Node) -> Node {
    let Some((account, device)) = session.device() else {
        return iq_error(iq, 401, "not-authorized");
    };
    let world = &session.world;
    let target = jid_attr(iq, "target")
        .map(|target| target.to_string())
        .unwrap_or_default();
    let Ok(group) = world.group(&target) else {
        return iq_error(iq, 404, "item-not-found");
    };
    if group.rank(&account.phone).is_none() {
        return iq_error(iq, 401, "not-authorized");
    }
    let picture = iq.get_optional_child("picture");
    if attr(iq, "type").as_deref() == Some("get") {
        return shown(&group, picture, iq);
    }
    let picture = picture.map(|picture| content(picture).unwrap_or_default());
    match set_picture(world, &group, account, picture, Some(device)) {
        Ok(Some(id)) => iq_result(iq, vec![NodeBuilder::new("picture").attr("id", id).build()]),
        Ok(None) => iq_result(iq, Vec::new()),
        Err(NetworkError::Invalid(_)) => iq_error(iq, 406, "not-acceptable"),
        Err(_) => iq_error(iq, 403, "forbidden"),
    }
}

/// The small one is the same as the large one: nothing here makes pictures smaller.
fn shown(group: &Group, picture: Option<&Node>, iq: &Node) -> Node {
    let Some((id, path)) = group.charter().picture else {
        return iq_error(iq, 404, "item-not-found");
    };
    let kind = picture.and_then(|picture| attr(picture, "type")).unwrap_or_default();
    let shown = NodeBuilder::new("picture")
        .attr("id", id)
        .attr("type", kind.into_owned())
        .attr("url", format!("https://{HOST}{path}"))
        .attr("direct_path", path);
    iq_result(iq, vec![shown.build()])
}

/// Gives a group another picture, or none, and tells the members' devices, but the one that did it. Answers the picture's id.
///
/// # Errors
/// [`NetworkError::Conflict`] if the account may not, [`NetworkError::Invalid`] for what is no square JPEG of at most 640 pixels
/// across.
pub(crate) fn set_picture(
    world: &World,
    group: &Group,
    account: &Account,
    picture: Option<&[u8]>,
    by: Option<&Device>,
) -> Result<Option<String>, NetworkError> {
    let charter = group.charter();
    let rank = charter.members.get(&account.phone);
    if !rank.is_some_and(|rank| rank.rules() || !charter.locked) {
        let why = format!("{} may not change {}", account.phone, group.jid());
        return Err(NetworkError::Conflict(why));
    }
    let fits = |(width, height): (u16, u16)| width == height && (1..=LARGEST).contains(&width);
    if picture.is_some_and(|picture| !jpeg_size(picture).is_some_and(fits)) {
        let why = format!("a picture is a square JPEG of at most {LARGEST} pixels across");
        return Err(NetworkError::Invalid(why));
    }
    let picture = picture.map(|picture| {
        let id = rand::rng().next_u32().to_string();
        (id, world.media.put(picture.to_vec()).direct_path)
    });
    group.change(|charter| charter.picture.clone_from(&picture));
    let id = picture.map(|(id, _)| id);
    let change = match &id {
        Some(id) => NodeBuilder::new("set").attr("id", id.as_str()),
        None => NodeBuilder::new("delete"),
    };
    let change = change
        .attr("jid", group.jid())
        .attr("author", account.lid_jid())
        .build();
    tell_of("picture", world, (group, account), &group.members(), by, &change);
    Ok(id)
}

/// How many pixels a JPEG has across and down, as the header of its frame says.
fn jpeg_size(bytes: &[u8]) -> Option<(u16, u16)> {
    let short = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    if short(0)? != 0xFFD8 {
        return None;
    }
    let mut at = 2;
    loop {
        match short(at)? {
            // The frame's header; the other markers of this range are tables.
            0xFFC0..=0xFFC3 | 0xFFC5..=0xFFC7 | 0xFFC9..=0xFFCB | 0xFFCD..=0xFFCF => {
                return Some((short(at + 7)?, short(at + 5)?));
            }
            0xFFFF => at += 1,
            0xFF01..=0xFFFE => at += 2 + usize::from(short(at + 2)?),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_jpeg_stands_in_its_frame() {
        let mut jpeg = vec![
            0xFF, 0xD8, 0xFF, 0xE0, 0, 4, 1, 2, 0xFF, 0xFF, 0xC0, 0, 11, 8, 0, 3, 0, 2, 1,
        ];
        assert_eq!(jpeg_size(&jpeg), Some((2, 3)));
        jpeg.truncate(15);
        assert_eq!(jpeg_size(&jpeg), None);
        assert_eq!(jpeg_size(b"\x89PNG"), None);
        assert_eq!(jpeg_size(&[]), None);
    }
}
