//! An account: a phone number, its hidden identity, its phone, its devices, what its phone sent and received.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};

use rand::CryptoRng;
use sha2::{Digest as _, Sha256};
use wacore_binary::{Jid, Node};

use super::{Device, Known, Profile, Settings, lock};
use crate::phone::{Phone, PhoneKeys, key_index_list};
use crate::{CallView, NetworkError, PresenceRecord, ReceiptRecord, ReceivedMessage, clock};

/// Hidden identities have 15 digits and start with 2, so that they do not look like phone numbers.
const LID_BASE: u64 = 200_000_000_000_000;
const LID_SPAN: u64 = 100_000_000_000_000;
/// How many messages a phone remembers: it sends its own again when a device asks, and refers to any.
const REMEMBERED: usize = 20_000;

/// An account of the network.
pub(crate) struct Account {
    pub(crate) phone: String,
    /// The hidden number, without its server.
    pub(crate) lid: String,
    pub(crate) keys: PhoneKeys,
    /// The generation of its device signatures.
    pub(crate) raw_id: u32,
    /// One lock per account; held while a message is encrypted for all devices, which keeps their order.
    pub(crate) signal: tokio::sync::Mutex<Phone>,
    /// What the phone and its devices share beside messages.
    pub(crate) settings: Settings,
    /// What it shows of itself.
    pub(crate) profile: Profile,
    /// What others see as its name.
    name: Mutex<Arc<str>>,
    /// Whether the phone does not say what was delivered.
    silent: AtomicBool,
    /// Whether the phone does not answer its devices, as one that is off.
    off: AtomicBool,
    /// Its chats with people go by their numbers.
    by_number: AtomicBool,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    devices: BTreeMap<u16, Arc<Device>>,
    last_device: u16,
    last_key_index: u32,
    received: Vec<ReceivedMessage>,
    received_ids: HashSet<(String, String)>,
    receipts: Vec<ReceiptRecord>,
    known: HashMap<String, Known>,
    known_order: VecDeque<String>,
    /// Devices of others that asked which devices this account has.
    watchers: HashMap<String, Weak<Device>>,
    /// Devices that asked when this account is there.
    followers: HashMap<String, Weak<Device>>,
    /// Whether its phone is there, and when it went, in Unix seconds.
    there: (bool, Option<u64>),
    /// What others showed to this account.
    seen: Vec<PresenceRecord>,
    calls: Vec<CallView>,
}

impl Account {
    /// A new account; the hidden identity follows from the number, so that a test sees the same one each time.
    ///
    /// # Errors
    /// [`NetworkError::Internal`] if its keys cannot be made.
    pub(crate) fn new<R: CryptoRng>(phone: &str, name: String, rng: &mut R) -> Result<Self, NetworkError> {
        let keys = PhoneKeys::generate(rng)?;
        let signal = tokio::sync::Mutex::new(Phone::new(&keys));
        let raw_id = rng.next_u32() >> 1;
        Ok(Self {
            phone: phone.to_owned(),
            lid: hidden(phone),
            name: Mutex::new(name.into()),
            keys,
            raw_id,
            signal,
            settings: Settings::new(rng),
            profile: Profile::default(),
            silent: AtomicBool::new(false),
            off: AtomicBool::new(false),
            by_number: AtomicBool::new(false),
            book: Mutex::default(),
        })
    }

    /// What the admin routes show.
    pub(crate) fn view(&self) -> crate::Account {
        crate::Account {
            phone: self.phone.clone(),
            lid: self.lid_jid().to_string(),
        }
    }

    /// What others see as its name.
    pub(crate) fn name(&self) -> Arc<str> {
        Arc::clone(&lock(&self.name))
    }

    /// Others see another name from now on.
    pub(crate) fn rename(&self, name: &str) {
        *lock(&self.name) = name.into();
    }

    /// The address by number.
    pub(crate) fn pn_jid(&self) -> Jid {
        Jid::pn(self.phone.as_str())
    }

    /// What the account gives to those whom it trusts; they show it when they write (`<tctoken>`).
    pub(crate) fn token(&self) -> &[u8] {
        self.phone.as_bytes()
    }

    /// The hidden address.
    pub(crate) fn lid_jid(&self) -> Jid {
        Jid::lid(self.lid.as_str())
    }

    /// The numbers of the next device: its own and its key index.
    pub(crate) fn reserve(&self) -> (u16, u32) {
        let mut book = lock(&self.book);
        book.last_device += 1;
        book.last_key_index += 1;
        (book.last_device, book.last_key_index)
    }

    /// Links a device.
    pub(crate) fn link(&self, device: Arc<Device>) {
        lock(&self.book).devices.insert(device.pn.device, device);
    }

    /// Unlinks a device; `None` if there is none of that number.
    pub(crate) fn unlink(&self, number: u16) -> Option<Arc<Device>> {
        lock(&self.book).devices.remove(&number)
    }

    /// One linked device.
    pub(crate) fn device(&self, number: u16) -> Option<Arc<Device>> {
        lock(&self.book).devices.get(&number).cloned()
    }

    /// All linked devices, by number.
    pub(crate) fn devices(&self) -> Vec<Arc<Device>> {
        lock(&self.book).devices.values().cloned().collect()
    }

    /// Another device wants to know when a device is linked or unlinked here.
    pub(crate) fn watch(&self, device: &Arc<Device>) {
        lock(&self.book)
            .watchers
            .insert(device.pn.to_string(), Arc::downgrade(device));
    }

    /// Tells the account's own other devices, and those that asked, that a device came or went.
    pub(crate) fn tell_watchers(&self, about: &Device, stanza: impl Fn() -> Node) {
        let mut told = self.devices();
        told.extend(lock(&self.book).watchers.values().filter_map(Weak::upgrade));
        told.sort_by_key(|device| device.pn.to_string());
        told.dedup_by(|a, b| a.pn == b.pn);
        for device in told.iter().filter(|device| device.pn != about.pn) {
            device.deliver(stanza(), 1);
        }
    }

    /// The phone's signed list of which key indexes are valid, and its time in Unix seconds.
    ///
    /// # Errors
    /// [`NetworkError::Internal`] if signing fails.
    pub(crate) fn key_indexes(&self) -> Result<(Vec<u8>, u64), NetworkError> {
        let now = clock::now_s();
        let indexes = self.devices().iter().map(|device| device.key_index).collect();
        Ok((
            key_index_list(&self.keys, self.raw_id, now, indexes, &mut rand::rng())?,
            now,
        ))
    }

    /// A text reached the phone; the same message twice counts once.
    pub(crate) fn receive(&self, message: ReceivedMessage) {
        let mut book = lock(&self.book);
        if book.received_ids.insert((message.from.clone(), message.id.clone())) {
            book.received.push(message);
        }
    }

    /// What the phone received.
    pub(crate) fn received(&self) -> Vec<ReceivedMessage> {
        lock(&self.book).received.clone()
    }

    /// Whether the phone says by itself what was delivered.
    pub(crate) fn receipts_by_itself(&self) -> bool {
        !self.silent.load(Ordering::Relaxed)
    }

    /// Lets the phone say by itself what was delivered, or not.
    pub(crate) fn set_receipts(&self, by_itself: bool) {
        self.silent.store(!by_itself, Ordering::Relaxed);
    }

    /// Whether its chats with people go by hidden ids.
    pub(crate) fn is_lid_migrated(&self) -> bool {
        !self.by_number.load(Ordering::Relaxed)
    }

    /// They do from now on, or go by numbers.
    pub(crate) fn set_lid_migrated(&self, migrated: bool) {
        self.by_number.store(!migrated, Ordering::Relaxed);
    }

    /// Whether the phone answers what its devices ask it.
    pub(crate) fn answers_devices(&self) -> bool {
        !self.off.load(Ordering::Relaxed)
    }

    /// Lets the phone answer its devices, or not.
    pub(crate) fn set_answers(&self, answers: bool) {
        self.off.store(!answers, Ordering::Relaxed);
    }

    /// A device wants to know when the account is there.
    pub(crate) fn follow(&self, device: &Arc<Device>, follows: bool) {
        let mut book = lock(&self.book);
        let name = device.pn.to_string();
        if follows {
            book.followers.insert(name, Arc::downgrade(device));
        } else {
            book.followers.remove(&name);
        }
    }

    /// The devices that want to know.
    pub(crate) fn followers(&self) -> Vec<Arc<Device>> {
        lock(&self.book).followers.values().filter_map(Weak::upgrade).collect()
    }

    /// Its phone is there from now on, or went at that time.
    pub(crate) fn set_there(&self, there: bool, gone_at: Option<u64>) {
        lock(&self.book).there = (there, gone_at);
    }

    /// Whether its phone or one of its devices is there, and when the phone went.
    pub(crate) fn is_there(&self) -> (bool, Option<u64>) {
        let (there, gone_at) = lock(&self.book).there;
        (
            there || self.devices().iter().any(|device| device.is_available()),
            gone_at,
        )
    }

    /// Somebody shows that it is there, writes or records.
    pub(crate) fn see(&self, record: PresenceRecord) {
        lock(&self.book).seen.push(record);
    }

    /// What was seen.
    pub(crate) fn seen(&self) -> Vec<PresenceRecord> {
        lock(&self.book).seen.clone()
    }

    /// A call begins.
    pub(crate) fn call(&self, call: CallView) {
        lock(&self.book).calls.push(call);
    }

    /// A call goes on; `None` if there is none of that id.
    pub(crate) fn change_call(&self, id: &str, state: &str, by: Option<String>) -> Option<CallView> {
        let mut book = lock(&self.book);
        let call = book.calls.iter_mut().find(|call| call.id == id)?;
        state.clone_into(&mut call.state);
        call.by = by;
        Some(call.clone())
    }

    /// All calls of the phone, oldest first.
    pub(crate) fn calls(&self) -> Vec<CallView> {
        lock(&self.book).calls.clone()
    }

    /// A receipt for something the account sent.
    pub(crate) fn receipt(&self, receipt: ReceiptRecord) {
        lock(&self.book).receipts.push(receipt);
    }

    /// All receipts.
    pub(crate) fn receipts(&self) -> Vec<ReceiptRecord> {
        lock(&self.book).receipts.clone()
    }

    /// Keeps a message for devices that ask again, and for what refers to it.
    pub(crate) fn remember(&self, id: &str, message: Known) {
        let mut book = lock(&self.book);
        if book.known.insert(id.to_owned(), message).is_none() {
            book.known_order.push_back(id.to_owned());
        }
        if book.known_order.len() > REMEMBERED
            && let Some(oldest) = book.known_order.pop_front()
        {
            book.known.remove(&oldest);
        }
    }

    /// A message that the phone sent or received.
    pub(crate) fn known(&self, id: &str) -> Option<Known> {
        lock(&self.book).known.get(id).cloned()
    }

    /// All messages that the phone remembers, oldest first.
    pub(crate) fn all_known(&self) -> Vec<(String, Known)> {
        let book = lock(&self.book);
        let known = |id: &String| Some((id.clone(), book.known.get(id)?.clone()));
        book.known_order.iter().filter_map(known).collect()
    }

    /// A message that the phone sent.
    pub(crate) fn sent(&self, id: &str) -> Option<Known> {
        self.known(id).filter(|known| *known.author == *self.phone)
    }
}

/// The hidden number that belongs to a phone number.
pub(crate) fn hidden(phone: &str) -> String {
    let digest = Sha256::digest(phone.as_bytes());
    let number = digest
        .iter()
        .take(8)
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    (LID_BASE + number % LID_SPAN).to_string()
}
