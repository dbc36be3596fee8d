//! Collections of settings (`w:sync:app:state`): given to devices, and taken from them.

use std::sync::atomic::Ordering;

use wacore::download::MediaType;
use wacore::upload::encrypt_media;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::buffa::Message as _;
use waproto::whatsapp::{ExternalBlobReference, SyncdPatch, SyncdSnapshot};

use super::session::Session;
use crate::NetworkError;
use crate::state::{Account, Device, News, World};
use crate::wire::notification;
use crate::wire::stanza::{attr, bytes_node, child_bytes, iq_result};

/// WhatsApp's codes: another patch was faster, and what is no patch.
const CONFLICT: u16 = 409;
const BAD_REQUEST: u16 = 400;

/// Answers for each collection that is named: takes the patch that comes with it, else gives what is new.
pub(super) fn answer(session: &Session, iq: &Node) -> Node {
    let asked = iq
        .get_optional_child("sync")
        .and_then(Node::children)
        .unwrap_or_default();
    let collections = asked.iter().filter_map(|asked| collection(session, asked));
    let collections: Vec<Node> = collections.collect();
    iq_result(iq, vec![NodeBuilder::new("sync").children(collections).build()])
}

fn collection(session: &Session, asked: &Node) -> Option<Node> {
    let name = attr(asked, "name")?.into_owned();
    let Some((account, device)) = session.device() else {
        return Some(bare(&name, 0).build());
    };
    let version = attr(asked, "version").and_then(|version| version.parse::<u64>().ok());
    let Some(patch) = child_bytes(asked, "patch") else {
        session.world.syncs.fetch_add(1, Ordering::Relaxed);
        return Some(given(&session.world, &name, account.settings.since(&name, version)));
    };
    let base = version.unwrap_or_default();
    let taken = SyncdPatch::decode_from_slice(patch)
        .map_err(|error| NetworkError::Invalid(format!("the patch cannot be read: {error}")))
        .and_then(|patch| account.settings.take(&name, base, patch));
    Some(match taken {
        Ok(Some(version)) => {
            tell(account, Some(device), &name, version);
            bare(&name, version).build()
        }
        Ok(None) => {
            let news = account.settings.since(&name, version);
            let children = std::iter::once(error(CONFLICT, "conflict")).chain(patches(&news));
            bare(&name, news.version)
                .attr("type", "error")
                .children(children)
                .build()
        }
        Err(reason) => {
            tracing::warn!(name, %reason, "a patch was refused");
            let refusal = error(BAD_REQUEST, "bad-request");
            bare(&name, base).attr("type", "error").children([refusal]).build()
        }
    })
}

fn bare(name: &str, version: u64) -> NodeBuilder {
    NodeBuilder::new("collection")
        .attr("name", name)
        .attr("version", version)
}

fn error(code: u16, text: &'static str) -> Node {
    NodeBuilder::new("error").attr("code", code).attr("text", text).build()
}

/// What is new. All that is in a collection is a file of the media store, of which the answer says where it lies.
fn given(world: &World, name: &str, news: News) -> Node {
    let mut children: Vec<Node> = patches(&news).collect();
    if let Some(snapshot) = &news.snapshot {
        match laid_down(world, snapshot) {
            Ok(place) => children.push(bytes_node("snapshot", place.encode_to_vec())),
            Err(error) => tracing::error!(name, %error, "a snapshot cannot be given"),
        }
    }
    let collection = bare(name, news.version).attr("has_more_patches", "false");
    if children.is_empty() {
        return collection.build();
    }
    collection.children(children).build()
}

fn patches(news: &News) -> impl Iterator<Item = Node> {
    let patches = news
        .patches
        .iter()
        .map(|patch| bytes_node("patch", patch.encode_to_vec()));
    let patches: Vec<Node> = patches.collect();
    (!patches.is_empty())
        .then(|| NodeBuilder::new("patches").children(patches).build())
        .into_iter()
}

fn laid_down(world: &World, snapshot: &SyncdSnapshot) -> Result<ExternalBlobReference, NetworkError> {
    let plain = snapshot.encode_to_vec();
    let size = plain.len() as u64;
    let sealed = encrypt_media(&plain, MediaType::AppState)
        .map_err(|error| NetworkError::Internal(format!("cannot encrypt a snapshot: {error}")))?;
    Ok(ExternalBlobReference {
        media_key: Some(sealed.media_key.to_vec()),
        file_sha256: Some(sealed.file_sha256.to_vec()),
        file_enc_sha256: Some(sealed.file_enc_sha256.to_vec()),
        file_size_bytes: Some(size),
        direct_path: Some(world.media.put(sealed.data_to_upload).direct_path),
        ..Default::default()
    })
}

/// Tells the account's devices that a collection has a new version, all but the one that made it.
pub(crate) fn tell(account: &Account, but: Option<&Device>, name: &str, version: u64) {
    let others = account.devices();
    let others = others.iter().filter(|device| but.is_none_or(|but| but.pn != device.pn));
    others.for_each(|device| device.deliver(notification::server_sync(name, version), 1));
}
