//! The key for the addresses of pages on which numbers are linked, derived from the vault's own by HKDF-SHA256.
//!
//! They are encrypted and not merely signed: such an address comes to people who need not know a client's id, and lies in their
//! browsers' histories, where the number has no business either.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{aead::LessSafeKey, hkdf::Prk};
use wharf_domain::link_page::LinkPage;

use super::{VaultError, derived, open, seal};

/// What the derived key is for: another use of the vault's key derives others.
const PAGES: &[u8] = b"wharf: addresses of pages to link on";
/// The associated data: the key has no other use.
const PLACE: &[u8] = b"";
/// Characters of a sealed page at the most: a title of 80 characters has 320 bytes.
const SEALED_MAX: usize = 700;

/// See the module.
pub(crate) struct PageKey(LessSafeKey);

impl PageKey {
    /// # Errors
    /// `Cipher`.
    pub(super) fn new(from: &Prk) -> Result<Self, VaultError> {
        derived(from, &[PAGES]).map(Self)
    }

    /// The page as its address has it.
    ///
    /// # Errors
    /// `Cipher`.
    pub(crate) fn seal(&self, page: &LinkPage) -> Result<String, VaultError> {
        Ok(URL_SAFE_NO_PAD.encode(seal(&self.0, PLACE, &page.to_bytes())?))
    }

    /// The page of an address; `None` when [`PageKey::seal`] did not make it.
    pub(crate) fn open(&self, sealed: &str) -> Option<LinkPage> {
        let sealed = Some(sealed).filter(|sealed| sealed.len() <= SEALED_MAX)?;
        let bytes = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        LinkPage::from_bytes(&open(&self.0, PLACE, &bytes).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use wharf_domain::{ClientId, Timestamp, TokenHash};

    use super::{
        super::{SecretsKey, deriver},
        *,
    };

    fn key_of(byte: u8) -> PageKey {
        PageKey::new(&deriver(&SecretsKey([byte; 32]))).unwrap()
    }

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

    #[test]
    fn a_page_opens_under_its_key_and_says_nothing_to_others() {
        let key = key_of(7);
        for title in [String::new(), "Porto de Santos".to_owned(), "\u{10ffff}".repeat(80)] {
            let sealed = key.seal(&page(&title)).unwrap();
            assert_eq!(key.open(&sealed), Some(page(&title)));
            assert_ne!(key.seal(&page(&title)).unwrap(), sealed, "a nonce each");
            assert_eq!(key_of(8).open(&sealed), None, "another gateway's");
            let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
            assert!(!bytes.windows(8).any(|part| part == b"55118888"));
        }
    }

    #[test]
    fn nothing_of_a_page_can_be_changed() {
        let key = key_of(7);
        let sealed = URL_SAFE_NO_PAD.decode(key.seal(&page("A")).unwrap()).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(&URL_SAFE_NO_PAD.encode(changed)), None, "{at}");
            assert_eq!(key.open(&URL_SAFE_NO_PAD.encode(&sealed[..at])), None, "{at}");
        }
        let text = URL_SAFE_NO_PAD.encode(&sealed);
        for wrong in [
            String::new(),
            format!("{text}A"),
            format!("{text}="),
            "é".repeat(10),
            "A".repeat(SEALED_MAX + 1),
        ] {
            assert_eq!(key.open(&wrong), None, "{wrong}");
        }
    }

    /// Keys of the same vault: what was sealed for one purpose opens for no other.
    #[test]
    fn what_was_sealed_for_something_else_is_no_page() {
        let from = deriver(&SecretsKey([7; 32]));
        let key = PageKey::new(&from).unwrap();
        for purpose in [
            b"wharf: links to media".as_slice(),
            b"wharf: what downloads of media need",
        ] {
            let other = derived(&from, &[purpose]).unwrap();
            let sealed = seal(&other, PLACE, &page("A").to_bytes()).unwrap();
            assert_eq!(key.open(&URL_SAFE_NO_PAD.encode(sealed)), None);
        }
    }
}
