//! The page on which whoever holds the phone links a number: what its address says, and what is told there. Pure.
//!
//! The address holds all that there is of such a page, sealed (`vault/pages.rs` of the actors), so that there is no row to be
//! written or removed. It names the connection by the moment at which that was made: one that is deleted and made again is
//! another one. And the token that asked for it: who takes a client's token away takes its pages along.
//!
//! What is told there is for people who know nothing of the gateway: no ids, no names, and no reasons that only its operator
//! understands.

use std::{ops::RangeInclusive, str};

use crate::{
    ClientId, Connection, ConnectionKey, ConnectionStatus, PhoneNumber, Timestamp, TokenHash, media_link::PublicUrl,
    session::ReasonCode, words,
};

/// What the path of a page begins with.
pub const LINK_PATH: &str = "link";
/// For how long a page may be good, in seconds.
pub const LIFETIME_SECONDS: RangeInclusive<u32> = 60..=86_400;
/// For how long it is good where nobody says, in seconds.
pub const DEFAULT_LIFETIME_SECONDS: u32 = 600;
/// What a page's title has to be; see [`is_title`].
pub const TITLE_WANTED: &str = "1 to 80 characters without control characters";

/// What is said of a page that was one, whatever ended it: whoever has it learns nothing else.
pub const GONE: &str = "this link is not good any more; ask whoever gave it to you for a new one";

/// Whether a page can have this title.
pub fn is_title(title: &str) -> bool {
    (1..=80).contains(&title.chars().count()) && !title.chars().any(char::is_control)
}

/// What the address of a page says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkPage {
    /// Whose connection is linked there.
    pub client_id: ClientId,
    /// Its number.
    pub phone_number: PhoneNumber,
    /// When that connection was made.
    pub created_at: Timestamp,
    /// The token that the page was asked for with.
    pub token: TokenHash,
    /// Until when the page is good, in Unix seconds.
    pub expires: i64,
    /// Its heading; empty where it has none of its own.
    pub title: String,
}

impl LinkPage {
    /// The key of the connection.
    pub fn key(&self) -> ConnectionKey {
        ConnectionKey::new(self.client_id, self.phone_number.clone())
    }

    /// Whether it is not good any more.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        now.seconds() >= self.expires
    }

    /// Whether it was made for this connection, and not for one that had the number before.
    pub fn is_of(&self, connection: &Connection) -> bool {
        self.client_id == connection.client_id
            && self.phone_number == connection.phone_number
            && self.created_at == connection.created_at
    }

    /// As it is sealed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self {
            client_id,
            phone_number,
            created_at,
            token,
            expires,
            title,
        } = self;
        let mut bytes = token.0.to_vec();
        for number in [client_id.0, created_at.0, *expires] {
            bytes.extend(number.to_be_bytes());
        }
        // The title comes last: it alone may hold anything.
        bytes.extend(format!("{phone_number}/{title}").bytes());
        bytes
    }

    /// What [`LinkPage::to_bytes`] made.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (token, bytes) = bytes.split_first_chunk()?;
        let (client_id, bytes) = bytes.split_first_chunk()?;
        let (created_at, bytes) = bytes.split_first_chunk()?;
        let (expires, bytes) = bytes.split_first_chunk()?;
        let (number, title) = str::from_utf8(bytes).ok()?.split_once('/')?;
        Some(Self {
            client_id: ClientId(i64::from_be_bytes(*client_id)),
            phone_number: number.parse().ok()?,
            created_at: Timestamp(i64::from_be_bytes(*created_at)),
            token: TokenHash(*token),
            expires: i64::from_be_bytes(*expires),
            title: title.to_owned(),
        })
    }
}

/// The address below `base` of the page that is sealed so.
pub fn url(base: &PublicUrl, sealed: &str) -> String {
    base.below(&[LINK_PATH, sealed]).into()
}

words! {
    /// Where linking stands, for whoever holds the phone.
    pub enum PageStatus {
        /// It is being begun, or the phone that linked logs in: nothing to do but wait.
        Connecting = "connecting",
        /// A code waits for the phone.
        AwaitingScan = "awaiting_scan",
        /// It is done.
        Linked = "linked",
        /// WhatsApp wants the account's passkey, which has to be removed on the phone.
        Passkey = "passkey",
        /// Nothing has been begun.
        NotLinked = "not_linked",
        /// No phone came in time.
        NotScanned = "not_scanned",
        /// A phone of another number came.
        WrongNumber = "wrong_number",
        /// Phone and device did not come together.
        NotPaired = "not_paired",
        /// It cannot be linked at present, and whoever holds the phone cannot change that.
        Unavailable = "unavailable",
    }
}

impl PageStatus {
    /// What is told of a session that stands so, for this reason.
    pub const fn of(status: ConnectionStatus, reason_code: ReasonCode) -> Self {
        match (status, reason_code) {
            (ConnectionStatus::Connected, _) => Self::Linked,
            (ConnectionStatus::Connecting, _) => Self::Connecting,
            (ConnectionStatus::AwaitingScan, _) => Self::AwaitingScan,
            (ConnectionStatus::AwaitingPasskey, _) | (ConnectionStatus::Failed, ReasonCode::PasskeyRequired) => {
                Self::Passkey
            }
            (ConnectionStatus::Disconnected, ReasonCode::BeingDeleted) => Self::Unavailable,
            (ConnectionStatus::Disconnected | ConnectionStatus::LoggedOut, _) => Self::NotLinked,
            (ConnectionStatus::Failed, ReasonCode::QrExpired) => Self::NotScanned,
            (ConnectionStatus::Failed, ReasonCode::WrongNumber) => Self::WrongNumber,
            (ConnectionStatus::Failed, ReasonCode::PairingFailed) => Self::NotPaired,
            (ConnectionStatus::Failed, _) => Self::Unavailable,
        }
    }

    /// Whether whoever has the page may have linking begun. Not what a `connect` would do harm to, or what is tried again by
    /// itself: a ban, another program with the same keys, a client that WhatsApp does not want, a deletion.
    pub const fn may_begin(self) -> bool {
        match self {
            Self::Passkey | Self::NotLinked | Self::NotScanned | Self::WrongNumber | Self::NotPaired => true,
            Self::Connecting | Self::AwaitingScan | Self::Linked | Self::Unavailable => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(title: &str) -> LinkPage {
        LinkPage {
            client_id: ClientId(3),
            phone_number: "5511888888888".parse().unwrap(),
            created_at: Timestamp(1_762_352_580_123),
            token: TokenHash::of("wharf_x"),
            expires: 1_762_353_180,
            title: title.to_owned(),
        }
    }

    proptest! {
        /// Whatever it is called.
        #[test]
        fn a_page_comes_back_from_its_bytes(title in "\\PC{0,80}") {
            let page = page(&title);
            prop_assert_eq!(LinkPage::from_bytes(&page.to_bytes()), Some(page));
        }

        #[test]
        fn no_bytes_are_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _none_or_some = LinkPage::from_bytes(&bytes);
        }
    }

    #[test]
    fn what_was_cut_off_is_no_page() {
        let bytes = page("").to_bytes();
        for length in 0..bytes.len() {
            assert_eq!(LinkPage::from_bytes(&bytes[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_page_expires_at_its_second() {
        let page = page("");
        assert!(!page.has_expired(Timestamp(page.expires * 1000 - 1)));
        assert!(page.has_expired(Timestamp::from_seconds(page.expires)));
    }

    #[test]
    fn its_address_is_below_the_public_one() {
        for (base, expected) in [
            ("https://wharf.example", "https://wharf.example/link/AQ-_"),
            ("http://127.0.0.1:8080/gate/", "http://127.0.0.1:8080/gate/link/AQ-_"),
        ] {
            assert_eq!(url(&base.parse().unwrap(), "AQ-_"), expected);
        }
    }

    #[test]
    fn titles_are_short_and_of_one_line() {
        for good in ["A", "Olá, Mundo <b>", &"é".repeat(80)] {
            assert!(is_title(good), "{good}");
        }
        for bad in ["", "a\nb", "\u{7f}", &"é".repeat(81)] {
            assert!(!is_title(bad), "{bad:?}");
        }
    }

    /// Whoever has the link may be anybody: what it does to the number's account is at stake.
    #[test]
    fn a_page_begins_nothing_that_does_harm() {
        use ConnectionStatus as Is;
        let begins = |status, code| PageStatus::of(status, code).may_begin();
        for code in ReasonCode::ALL {
            for status in [Is::Connected, Is::Connecting, Is::AwaitingScan] {
                assert!(!begins(status, code), "{status:?} {code:?}");
            }
        }
        let good = [
            (Is::Disconnected, ReasonCode::Requested),
            (Is::LoggedOut, ReasonCode::Unlinked),
            (Is::LoggedOut, ReasonCode::AccountLocked),
            (Is::AwaitingPasskey, ReasonCode::PasskeyRequired),
            (Is::Failed, ReasonCode::PasskeyRequired),
            (Is::Failed, ReasonCode::QrExpired),
            (Is::Failed, ReasonCode::WrongNumber),
            (Is::Failed, ReasonCode::PairingFailed),
        ];
        for (status, code) in good {
            assert!(begins(status, code), "{status:?} {code:?}");
        }
        let bad = [
            (Is::Disconnected, ReasonCode::BeingDeleted),
            (Is::Failed, ReasonCode::Banned),
            (Is::Failed, ReasonCode::TemporarilyBanned),
            (Is::Failed, ReasonCode::Conflict),
            (Is::Failed, ReasonCode::Outdated),
            (Is::Failed, ReasonCode::Refused),
            (Is::Failed, ReasonCode::Parked),
        ];
        for (status, code) in bad {
            assert!(!begins(status, code), "{status:?} {code:?}");
        }
    }
}
