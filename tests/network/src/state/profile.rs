//! What an account shows of itself, and whom it hears nothing from.

use std::collections::BTreeSet;
use std::sync::Mutex;

use super::{Place, lock};

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Profile(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    about: Option<(String, u64)>,
    picture: Option<Picture>,
    last_picture: u64,
    verified_name: Option<String>,
    /// Nobody but the account itself sees what it says and its picture.
    hidden: bool,
    /// Nobody puts it into groups: who wants to has to invite it.
    invite_only: bool,
    /// Numbers of those it has blocked.
    blocked: BTreeSet<String>,
}

/// A picture of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    /// Grows with each.
    pub(crate) id: u64,
    /// Where it lies.
    pub(crate) place: Place,
}

impl Profile {
    /// What the account says about itself, and since when in Unix seconds.
    pub(crate) fn about(&self) -> Option<(String, u64)> {
        lock(&self.0).about.clone()
    }

    /// It says something else; an empty text is none.
    pub(crate) fn set_about(&self, about: &str, at: u64) {
        lock(&self.0).about = (!about.is_empty()).then(|| (about.to_owned(), at));
    }

    /// Its picture.
    pub(crate) fn picture(&self) -> Option<Picture> {
        lock(&self.0).picture.clone()
    }

    /// It shows another picture, or none. Returns the id of the new one.
    pub(crate) fn set_picture(&self, place: Option<Place>, at: u64) -> Option<u64> {
        let mut shown = lock(&self.0);
        let Some(place) = place else {
            shown.picture = None;
            return None;
        };
        let id = at.max(shown.last_picture + 1);
        shown.last_picture = id;
        shown.picture = Some(Picture { id, place });
        Some(id)
    }

    /// The name of a business that is vouched for.
    pub(crate) fn verified_name(&self) -> Option<String> {
        lock(&self.0).verified_name.clone()
    }

    /// It is a business of that name, or none.
    pub(crate) fn set_verified_name(&self, name: &str) {
        lock(&self.0).verified_name = (!name.is_empty()).then(|| name.to_owned());
    }

    /// Whether nobody else sees what it says and its picture.
    pub(crate) fn is_hidden(&self) -> bool {
        lock(&self.0).hidden
    }

    /// Hides what it says and its picture from others, or shows them.
    pub(crate) fn hide(&self, hidden: bool) {
        lock(&self.0).hidden = hidden;
    }

    /// Whether others invite it to groups, since they cannot put it into them.
    pub(crate) fn is_invite_only(&self) -> bool {
        lock(&self.0).invite_only
    }

    /// Lets others put it into groups no more, or again.
    pub(crate) fn only_invite(&self, invite_only: bool) {
        lock(&self.0).invite_only = invite_only;
    }

    /// Numbers of those whom it has blocked.
    pub(crate) fn blocked(&self) -> Vec<String> {
        lock(&self.0).blocked.iter().cloned().collect()
    }

    /// Whether it hears nothing from a number.
    pub(crate) fn blocks(&self, phone: &str) -> bool {
        lock(&self.0).blocked.contains(phone)
    }

    /// It hears nothing from a number from now on, or hears it again.
    pub(crate) fn block(&self, phone: &str, blocked: bool) {
        let mut shown = lock(&self.0);
        match blocked {
            true => shown.blocked.insert(phone.to_owned()),
            false => shown.blocked.remove(phone),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_picture_has_another_id_also_in_the_same_second() {
        let profile = Profile::default();
        let place = || Some(Place::of("x"));
        assert_eq!(profile.set_picture(place(), 7), Some(7));
        assert_eq!(profile.set_picture(place(), 7), Some(8));
        assert_eq!(profile.set_picture(None, 9), None);
        assert_eq!(profile.picture(), None);
        assert_eq!(profile.set_picture(place(), 8), Some(9));
    }
}
