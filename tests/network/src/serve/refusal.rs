//! Refusals at the door that depend on more than a code: bans that end, and versions that are too old.

use std::time::Instant;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp::ClientPayload;

use crate::state::World;

/// WhatsApp's reasons in `<failure>`.
const BANNED: u32 = 402;
const OUTDATED: u32 = 405;

/// The `<failure>` for a client that is banned or too old by the faults in force.
pub(super) fn refusal(world: &World, phone: Option<&str>, payload: &ClientPayload) -> Option<Node> {
    if let Some((code, until)) = world.faults.banned(phone) {
        let mut ban = failure(BANNED);
        if let Some(code) = code {
            let left = until.saturating_duration_since(Instant::now());
            // In whole seconds, as WhatsApp says it, and never before the end.
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            ban = ban.attr("code", code).attr("expire", seconds);
        }
        return Some(ban.build());
    }
    let least = world.faults.least_version(phone)?;
    let revision = payload
        .user_agent
        .as_option()
        .and_then(|agent| agent.app_version.as_option()?.tertiary);
    (revision.unwrap_or_default() < least).then(|| failure(OUTDATED).build())
}

fn failure(reason: u32) -> NodeBuilder {
    NodeBuilder::new("failure")
        .attr("reason", reason)
        .attr("location", "testnet")
}
