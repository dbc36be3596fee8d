//! What a request counts for its client.

use std::sync::OnceLock;

use wharf_actors::Ticket;
use wharf_domain::ClientId;

use super::link_page::Visit;

/// What a request counts for its client, until its answer is with the kernel.
pub(super) struct Held {
    request: Ticket,
    /// The bytes of a large answer.
    answer: OnceLock<Ticket>,
    /// What it counts for a number, if it came by the link of a page.
    visit: OnceLock<Visit>,
}

impl Held {
    /// Of a request, before there is an answer.
    pub(super) fn new(request: Ticket) -> Self {
        Self {
            request,
            answer: OnceLock::new(),
            visit: OnceLock::new(),
        }
    }

    /// Counts it for its number, too.
    pub(super) fn came_by(&self, visit: Visit) {
        let _first = self.visit.set(visit);
    }

    /// Counts its answer, too. Each request has one.
    pub(super) fn answered_with(&self, bytes: Ticket) {
        let _first = self.answer.set(bytes);
    }

    /// Whose request it is.
    pub(super) fn client(&self) -> ClientId {
        self.request.client()
    }
}
