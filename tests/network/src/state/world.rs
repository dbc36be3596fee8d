//! Everything together: who exists, who is connected, who wants to pair.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use rand::Rng as _;
use wacore_binary::Jid;

use super::{Account, Chat, FaultBoard, Group, Links, MediaStore, Offers, Spent};
use crate::phone::{Bundle, Phone, PhoneKeys};
use crate::serve::Codes;
use crate::wire::cert::ServerIdentity;
use crate::{NetworkError, Stats, clock};

/// E.164 numbers have at most 15 digits; fewer than 8 are no subscriber's.
const DIGITS: std::ops::RangeInclusive<usize> = 8..=15;

/// How the addresses of groups end.
const GROUP_SERVER: &str = "@g.us";
/// Where status updates go.
const STATUS: &str = "status@broadcast";
/// WhatsApp's group ids have 18 digits and begin like this.
const GROUP_PREFIX: &str = "120";
const GROUP_SPAN: u64 = 1_000_000_000_000_000;

#[derive(Default)]
struct Directory {
    by_phone: HashMap<String, Arc<Account>>,
    by_lid: HashMap<String, Arc<Account>>,
    groups: HashMap<String, Arc<Group>>,
}

/// The whole state of a network.
pub(crate) struct World {
    pub(crate) identity: ServerIdentity,
    pub(crate) links: Arc<Links>,
    pub(crate) offers: Offers,
    pub(crate) codes: Codes,
    pub(crate) faults: FaultBoard,
    pub(crate) media: MediaStore,
    /// Where media is uploaded and downloaded, `127.0.0.1:PORT`; known once the network listens.
    pub(crate) media_host: OnceLock<String>,
    pub(crate) spent: Spent,
    directory: RwLock<Directory>,
    pub(crate) handshakes: AtomicU64,
    pub(crate) resumed: AtomicU64,
    pub(crate) messages_in: AtomicU64,
    /// How often a device was given what is new in a collection of settings.
    pub(crate) syncs: AtomicU64,
    /// How often a device asked who has a number.
    pub(crate) look_ups: AtomicU64,
    /// Messages sent to devices that are linked no more.
    pub(crate) messages_out_before: AtomicU64,
    nobody: (PhoneKeys, tokio::sync::Mutex<Phone>),
}

impl World {
    /// An empty world with a server identity of its own.
    ///
    /// # Errors
    /// [`NetworkError::Internal`] if its certificates cannot be made.
    pub(crate) fn new() -> Result<Self, NetworkError> {
        let keys = PhoneKeys::generate(&mut rand::rng())?;
        let phone = tokio::sync::Mutex::new(Phone::new(&keys));
        Ok(Self {
            nobody: (keys, phone),
            identity: ServerIdentity::generate(clock::now_s(), &mut rand::rng())?,
            links: Arc::default(),
            offers: Offers::default(),
            codes: Codes::default(),
            faults: FaultBoard::default(),
            media: MediaStore::default(),
            media_host: OnceLock::new(),
            spent: Spent::default(),
            directory: RwLock::default(),
            handshakes: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            messages_in: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            look_ups: AtomicU64::new(0),
            messages_out_before: AtomicU64::new(0),
        })
    }

    /// Makes an account, or returns the one that exists; `name` is used only for a new one.
    ///
    /// # Errors
    /// [`NetworkError::Invalid`] if the number is not 8 to 15 digits.
    pub(crate) fn create(&self, phone: &str, name: Option<&str>) -> Result<Arc<Account>, NetworkError> {
        let phone = digits(phone)?;
        if let Some(account) = self.read().by_phone.get(&phone) {
            return Ok(Arc::clone(account));
        }
        let name = name.map_or_else(|| format!("+{phone}"), str::to_owned);
        let account = Arc::new(Account::new(&phone, name, &mut rand::rng())?);
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        let account = Arc::clone(directory.by_phone.entry(phone).or_insert(account));
        directory.by_lid.insert(account.lid.clone(), Arc::clone(&account));
        Ok(account)
    }

    /// The account of a number.
    ///
    /// # Errors
    /// [`NetworkError::Invalid`] if the number is not one, [`NetworkError::NotFound`] if nobody has it.
    pub(crate) fn account(&self, phone: &str) -> Result<Arc<Account>, NetworkError> {
        let phone = digits(phone)?;
        self.read()
            .by_phone
            .get(&phone)
            .cloned()
            .ok_or_else(|| NetworkError::NotFound(format!("there is no account {phone}; POST /accounts makes one")))
    }

    /// The account behind an address, by number or hidden.
    pub(crate) fn resolve(&self, jid: &Jid) -> Option<Arc<Account>> {
        let directory = self.read();
        let accounts = if jid.is_lid() {
            &directory.by_lid
        } else {
            &directory.by_phone
        };
        accounts.get(jid.user_base()).cloned()
    }

    /// Founds a group. Members are numbers of accounts that exist.
    ///
    /// # Errors
    /// [`NetworkError::Invalid`] without a subject or if a number is not one, [`NetworkError::NotFound`] if nobody has
    /// it.
    pub(crate) fn found(&self, owner: &str, subject: &str, others: &[String]) -> Result<Arc<Group>, NetworkError> {
        if subject.trim().is_empty() {
            return Err(NetworkError::Invalid("subject is empty".to_owned()));
        }
        let owner = self.account(owner)?;
        let mut members = Vec::new();
        for phone in others {
            members.push(self.account(phone)?.phone.clone());
        }
        let random = rand::rng().next_u64();
        let id = format!("{GROUP_PREFIX}{:015}", random % GROUP_SPAN);
        let invite = format!("{random:016x}{:06x}", rand::rng().next_u32() >> 8);
        let group = Arc::new(Group::new(
            id.clone(),
            &owner.phone,
            subject,
            &members,
            clock::now_s(),
            invite,
        ));
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        directory.groups.insert(id, Arc::clone(&group));
        Ok(group)
    }

    /// A group by its address.
    ///
    /// # Errors
    /// [`NetworkError::NotFound`] if there is none.
    pub(crate) fn group(&self, id: &str) -> Result<Arc<Group>, NetworkError> {
        let user = id.trim().strip_suffix(GROUP_SERVER).unwrap_or(id);
        self.read()
            .groups
            .get(user)
            .cloned()
            .ok_or_else(|| NetworkError::NotFound(format!("there is no group {id}; POST /groups makes one")))
    }

    /// Takes a group away: its address leads nowhere from now on.
    pub(crate) fn forget_group(&self, id: &str) {
        let mut directory = self.directory.write().unwrap_or_else(PoisonError::into_inner);
        directory.groups.remove(id);
    }

    /// All groups, by age.
    pub(crate) fn groups(&self) -> Vec<Arc<Group>> {
        let mut groups: Vec<_> = self.read().groups.values().cloned().collect();
        groups.sort_by(|a, b| (a.created, &a.id).cmp(&(b.created, &b.id)));
        groups
    }

    /// The chat of that name: a number, a group's address, or `status@broadcast`.
    ///
    /// # Errors
    /// [`NetworkError::Invalid`] if it is neither, [`NetworkError::NotFound`] if there is none.
    pub(crate) fn chat(&self, name: &str) -> Result<Chat, NetworkError> {
        if name.trim() == STATUS {
            return Ok(Chat::Status);
        }
        if name.trim().ends_with(GROUP_SERVER) {
            return Ok(Chat::Group(self.group(name)?));
        }
        Ok(Chat::Person(self.account(name)?))
    }

    /// The chat of that name in which people talk: a number, or a group's address.
    ///
    /// # Errors
    /// [`NetworkError::Invalid`] if it is neither, [`NetworkError::NotFound`] if there is none.
    pub(crate) fn conversation(&self, name: &str) -> Result<Chat, NetworkError> {
        match self.chat(name)? {
            Chat::Status => Err(NetworkError::Invalid(format!(
                "{STATUS} is for status updates: a number or a group is expected"
            ))),
            chat => Ok(chat),
        }
    }

    /// The accounts of a group's members that exist.
    pub(crate) fn members(&self, group: &Group) -> Vec<Arc<Account>> {
        let members = group.members();
        members.iter().filter_map(|phone| self.account(phone).ok()).collect()
    }

    /// A bundle for a number that nobody has.
    pub(crate) async fn nobody(&self) -> Bundle {
        let (keys, phone) = &self.nobody;
        phone.lock().await.bundle(keys)
    }

    /// All accounts.
    pub(crate) fn accounts(&self) -> Vec<Arc<Account>> {
        self.read().by_phone.values().cloned().collect()
    }

    /// Counters and what is open now.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = Stats {
            connections: self.links.count() as u64,
            handshakes: self.handshakes.load(Ordering::Relaxed),
            resumed: self.resumed.load(Ordering::Relaxed),
            messages_in: self.messages_in.load(Ordering::Relaxed),
            messages_out: self.messages_out_before.load(Ordering::Relaxed),
            reused_keys: self.spent.reused(),
            downloads: self.media.given(),
            syncs: self.syncs.load(Ordering::Relaxed),
            look_ups: self.look_ups.load(Ordering::Relaxed),
            ..Stats::default()
        };
        for account in self.accounts() {
            stats.accounts += 1;
            for device in account.devices() {
                let (sent, unacked) = device.counts();
                stats.devices += 1;
                stats.messages_out += sent;
                stats.unacked += unacked as u64;
            }
        }
        stats
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A phone number as digits; a leading `+`, spaces, dashes and brackets are dropped.
///
/// # Errors
/// [`NetworkError::Invalid`] if anything else is in it or it has not 8 to 15 digits.
pub(crate) fn digits(phone: &str) -> Result<String, NetworkError> {
    let phone = phone.trim();
    let phone = phone.strip_prefix('+').unwrap_or(phone);
    let number: String = phone.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')')).collect();
    if DIGITS.contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(number);
    }
    Err(NetworkError::Invalid(format!(
        "{phone:?} is no phone number: 8 to 15 digits are expected"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_lose_what_people_write_between_digits() {
        assert_eq!(digits("+55 (11) 99999-9999").unwrap(), "5511999999999");
        assert!(digits("1234567").is_err());
        assert!(digits("55119999x9999").is_err());
    }

    #[test]
    fn the_same_number_is_the_same_account() {
        let world = World::new().unwrap();
        let first = world.create("5511999999999", None).unwrap();
        let again = world.create("+55 11 99999 9999", None).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(Arc::ptr_eq(&first, &world.resolve(&first.lid_jid()).unwrap()));
        assert_ne!(first.lid, world.create("5511999999998", None).unwrap().lid);
    }
}
