//! What accounts show of themselves, and whom they block: `w:profile:picture`, `status` and `blocklist`.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::buffa::Message as _;
use waproto::whatsapp::{VerifiedNameCertificate, verified_name_certificate::Details};

use super::session::Session;
use crate::clock;
use crate::state::Account;
use crate::wire::stanza::{attr, bytes_node, child_bytes, iq_error, iq_result, jid_attr};

/// What each JPEG begins with.
const JPEG: [u8; 3] = [0xff, 0xd8, 0xff];
const BAD_REQUEST: u16 = 400;
const NOT_AUTHORIZED: u16 = 401;
const NOT_FOUND: u16 = 404;
const NOT_ACCEPTABLE: u16 = 406;

/// Answers `w:profile:picture`: where somebody's lies, or the own one is set or taken away. Those of groups are in `group_picture`.
pub(super) fn picture(session: &Session, iq: &Node) -> Node {
    let target = jid_attr(iq, "target");
    let own = session.device().map(|(account, _)| account);
    let set = attr(iq, "type").as_deref() == Some("set");
    let whose = match &target {
        Some(target) => session.world.resolve(target),
        None => own.cloned(),
    };
    let (Some(own), Some(whose)) = (own, whose) else {
        return iq_error(iq, NOT_FOUND, "item-not-found");
    };
    match (set, own.phone == whose.phone) {
        (true, true) => set_picture(session, own, iq),
        (true, false) => iq_error(iq, NOT_AUTHORIZED, "not-authorized"),
        (false, _) if !is_shown(&whose, Some(own)) => iq_error(iq, NOT_AUTHORIZED, "not-authorized"),
        (false, _) => match whose.profile.picture() {
            None => iq_error(iq, NOT_FOUND, "item-not-found"),
            Some(picture) => {
                let asked = iq.get_optional_child("picture").and_then(|asked| attr(asked, "type"));
                let kind = asked.map_or_else(|| "image".to_owned(), |kind| kind.into_owned());
                let found = NodeBuilder::new("picture")
                    .attr("id", picture.id)
                    .attr("type", kind)
                    .attr("url", picture.place.url)
                    .attr("direct_path", picture.place.direct_path);
                iq_result(iq, vec![found.build()])
            }
        },
    }
}

fn set_picture(session: &Session, own: &Account, iq: &Node) -> Node {
    let Some(jpeg) = child_bytes(iq, "picture").filter(|jpeg| !jpeg.is_empty()) else {
        own.profile.set_picture(None, clock::now_s());
        return iq_result(iq, Vec::new());
    };
    if !jpeg.starts_with(&JPEG) {
        return iq_error(iq, NOT_ACCEPTABLE, "not-acceptable");
    }
    let place = session.world.media.put(jpeg.to_vec());
    let set = own.profile.set_picture(Some(place), clock::now_s());
    let picture = NodeBuilder::new("picture").attr("id", set.unwrap_or_default());
    iq_result(iq, vec![picture.build()])
}

/// Takes what the account says about itself.
pub(super) fn about(session: &Session, iq: &Node) -> Node {
    let said = child_bytes(iq, "status").map(String::from_utf8_lossy);
    match (session.device(), iq.get_optional_child("status")) {
        (Some((account, _)), Some(_)) => {
            account.profile.set_about(&said.unwrap_or_default(), clock::now_s());
            iq_result(iq, Vec::new())
        }
        _ => iq_error(iq, BAD_REQUEST, "bad-request"),
    }
}

/// Answers `blocklist`: whom the account has blocked, by hidden id; or changes that. Blocking takes both of number and hidden id.
pub(super) fn blocklist(session: &Session, iq: &Node) -> Node {
    let Some((account, _)) = session.device() else {
        return iq_error(iq, BAD_REQUEST, "bad-request");
    };
    let Some(item) = iq.get_optional_child("item") else {
        let blocked = account.profile.blocked();
        let items = blocked.iter().filter_map(|phone| {
            let other = session.world.account(phone).ok()?;
            Some(NodeBuilder::new("item").attr("jid", other.lid_jid()).build())
        });
        let list = NodeBuilder::new("list").attr("addressing_mode", "lid").children(items);
        return iq_result(iq, vec![list.build()]);
    };
    let hidden = jid_attr(item, "jid").filter(|jid| jid.is_lid());
    let number = jid_attr(item, "pn_jid").filter(|jid| jid.is_pn());
    let blocks = match (attr(item, "action").as_deref(), number) {
        (Some("block"), Some(_)) => true,
        (Some("unblock"), _) => false,
        _ => return iq_error(iq, BAD_REQUEST, "bad-request"),
    };
    let Some(hidden) = hidden else {
        return iq_error(iq, BAD_REQUEST, "bad-request");
    };
    match session.world.resolve(&hidden) {
        Some(other) if other.phone != account.phone => {
            account.profile.block(&other.phone, blocks);
            iq_result(iq, Vec::new())
        }
        Some(_) => iq_error(iq, NOT_ACCEPTABLE, "not-acceptable"),
        None => iq_error(iq, NOT_FOUND, "item-not-found"),
    }
}

/// Whether an account shows what it says and its picture to another one.
fn is_shown(whose: &Account, to: Option<&std::sync::Arc<Account>>) -> bool {
    match to {
        Some(to) if to.phone == whose.phone => true,
        Some(to) => !whose.profile.is_hidden() && !whose.profile.blocks(&to.phone),
        None => !whose.profile.is_hidden(),
    }
}

/// What is told of an account in answer to the questions `status`, `picture` and `business` of `usync`.
pub(super) fn told(session: &Session, protocol: &str, account: &Account) -> Option<Node> {
    let shown = is_shown(account, session.device().map(|(asker, _)| asker));
    match protocol {
        "status" if !shown => Some(NodeBuilder::new("status").attr("code", NOT_AUTHORIZED).build()),
        "status" => Some(match account.profile.about() {
            Some((about, at)) => {
                let mut status = bytes_node("status", about.into_bytes());
                status.attrs.insert("t", at);
                status
            }
            None => NodeBuilder::new("status").attr("t", 0).build(),
        }),
        "picture" => {
            let picture = account.profile.picture().filter(|_| shown);
            Some(match picture {
                Some(picture) => NodeBuilder::new("picture").attr("id", picture.id).build(),
                None => {
                    let code = if shown { NOT_FOUND } else { NOT_AUTHORIZED };
                    let error = NodeBuilder::new("error").attr("code", code).build();
                    NodeBuilder::new("picture").children([error]).build()
                }
            })
        }
        "business" => account.profile.verified_name().map(|name| {
            let certificate = bytes_node("verified_name", certificate(name));
            NodeBuilder::new("business").children([certificate]).build()
        }),
        _ => None,
    }
}

/// The name of a business as it is vouched for. Nobody signs here, and clients do not look.
fn certificate(name: String) -> Vec<u8> {
    let details = Details {
        serial: Some(1),
        issuer: Some("smb:wa".to_owned()),
        verified_name: Some(name),
        ..Default::default()
    };
    VerifiedNameCertificate {
        details: Some(details.encode_to_vec()),
        ..Default::default()
    }
    .encode_to_vec()
}
