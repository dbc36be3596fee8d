//! Names to addresses that may be contacted.
//!
//! The system resolver blocks a thread, for half a minute when a name server is dead, and cannot be stopped. So a
//! look-up keeps its permit until its thread is back, whoever waits for it; and attempts that want the same name share
//! one look-up, so that a hanging name holds one thread however many events wait for it. No address is remembered: kept
//! connections spare the look-ups, and how long a name is good is the business of the system's resolver.
//!
//! What is remembered is which names were answered promptly. Threads for those are kept apart, so that names whose servers are
//! dead delay other names that nobody has asked for yet, and no others. Of both one client has half at the most, by turns, so
//! that a client with hundreds of dead names delays its own.

use std::{
    collections::{HashMap, HashSet, hash_map::RandomState},
    hash::BuildHasher as _,
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs as _},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use parking_lot::Mutex;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use tokio::{runtime::Handle, sync::watch, task_local};
use wharf_domain::{
    ClientId,
    address::{TargetPolicy, refused_as},
    fair::Caps,
};
use wharf_whatsapp::Resolver;

use crate::{open_files::is_shortage_of_files, slots::Slots};

/// Look-ups of names that were prompt the last time and block a thread at the same time. With [`UNPROVEN_LOOKUPS`] a
/// quarter of tokio's 512 blocking threads.
const PROVEN_LOOKUPS: usize = 96;
/// The same of all other names: at 20 ms each, 1,600 new names in a second.
const UNPROVEN_LOOKUPS: usize = 32;
/// An answer within this is prompt. Longer than one lost packet costs no resolver.
const PROMPT: Duration = Duration::from_secs(1);
/// Prompt names that are remembered, by a hash of 8 bytes; then all are forgotten, and prove themselves again.
const PROVEN_NAMES: usize = 100_000;
/// Addresses of one name that are tried: each costs a share of the attempt's time, and a name with thousands of them
/// would make the gateway knock on all.
const ADDRESSES_TRIED: usize = 16;

/// Why a name has no address to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum LookupError {
    /// It does not resolve; which name and what the resolver said.
    #[error("{0}")]
    NotFound(String),
    /// It could not be asked for: this machine has no descriptor left.
    #[error("{0}")]
    Shortage(String),
    /// It resolves, but only to addresses that are refused; which name and rule.
    #[error("{0}")]
    Blocked(String),
}

task_local! {
    /// Who has names looked up. The HTTP client hands no more than the name to its resolver; it does so in the task that asks.
    static ASKING: ClientId;
}

/// Does this for a client: what is looked up in it counts for that one.
pub(crate) fn for_client<F: Future>(client: ClientId, work: F) -> impl Future<Output = F::Output> {
    ASKING.scope(client, work)
}

fn asking() -> ClientId {
    ASKING.try_with(|client| *client).unwrap_or(ClientId::NOBODY)
}

type Addresses = Result<Vec<IpAddr>, LookupError>;
type SystemLookup = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// The look-ups of one process.
pub(super) struct Lookups {
    policy: TargetPolicy,
    work: Arc<Work>,
}

/// What the tasks of look-ups share.
struct Work {
    /// Whose threads are blocked: those of the runtime that the look-ups were made in, whoever asks. The sessions' have few, and
    /// need them for their keys.
    runtime: Option<Handle>,
    system: Box<SystemLookup>,
    proven: Slots,
    unproven: Slots,
    prompt: Mutex<Prompt>,
    /// Look-ups that have not answered yet, by name.
    running: Mutex<HashMap<String, Running>>,
}

/// A look-up that has not answered yet, for those who join it.
struct Running {
    answer: watch::Receiver<Option<Addresses>>,
    /// Gone when all its tasks died.
    lookup: Weak<Lookup>,
}

/// A look-up. It begins in the first turn of any client that wants it: one whose turn is far does not keep others waiting.
struct Lookup {
    answer: watch::Sender<Option<Addresses>>,
    /// The clients that wait for a turn; `None` once it has begun.
    waiting: Mutex<Option<HashSet<ClientId>>>,
}

/// Threads that clients share; half of them one client's at the most.
fn lane(threads: usize) -> Slots {
    let caps = Caps {
        total: threads,
        per_client: threads / 2,
    };
    Slots::new(caps)
}

/// The names that were answered promptly the last time.
#[derive(Default)]
struct Prompt {
    hasher: RandomState,
    names: HashSet<u64>,
}

impl Prompt {
    fn has(&self, name: &str) -> bool {
        self.names.contains(&self.hasher.hash_one(name))
    }

    fn note(&mut self, name: &str, took: Duration) {
        let hash = self.hasher.hash_one(name);
        if took > PROMPT {
            self.names.remove(&hash);
            return;
        }
        if self.names.len() >= PROVEN_NAMES {
            self.names.clear();
        }
        self.names.insert(hash);
    }
}

impl Lookups {
    /// Asks the operating system (`/etc/hosts`, DNS, whatever nsswitch says).
    pub(super) fn of_the_system(policy: TargetPolicy) -> Self {
        // Port 0: only the addresses are wanted.
        Self::new(policy, |name| {
            Ok((name, 0).to_socket_addrs()?.map(|address| address.ip()).collect())
        })
    }

    pub(super) fn new(
        policy: TargetPolicy,
        system: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            policy,
            work: Arc::new(Work {
                runtime: Handle::try_current().ok(),
                system: Box::new(system),
                proven: lane(PROVEN_LOOKUPS),
                unproven: lane(UNPROVEN_LOOKUPS),
                prompt: Mutex::default(),
                running: Mutex::default(),
            }),
        }
    }

    pub(super) fn policy(&self) -> &TargetPolicy {
        &self.policy
    }

    /// The addresses of `name` that may be contacted, in the resolver's order of preference. Refused ones are dropped:
    /// a name with a public and a private address (split DNS left over, say) is reached by the public one.
    pub(super) async fn admitted(&self, name: &str) -> Addresses {
        self.admitted_for(asking(), name).await
    }

    async fn admitted_for(&self, client: ClientId, name: &str) -> Addresses {
        let mut addresses = self.addresses(client, name).await?;
        let mut refused = None;
        addresses.retain(|ip| match refused_as(&self.policy, *ip) {
            None => true,
            Some(kind) => {
                // Not for who asks: names of the operator's own network are nobody else's to look up.
                tracing::debug!(name, %ip, kind, "an address of a name is refused");
                refused.get_or_insert(kind);
                false
            }
        });
        addresses.truncate(ADDRESSES_TRIED);
        match refused {
            Some(kind) if addresses.is_empty() => {
                Err(LookupError::Blocked(format!("{name} has an address that is {kind}")))
            }
            _ if addresses.is_empty() => Err(LookupError::NotFound(format!("{name} has no address"))),
            _ => Ok(addresses),
        }
    }

    /// Whether this name is asked for and has not been looked up yet.
    #[cfg(test)]
    pub(super) fn waits_for(&self, name: &str) -> bool {
        let running = self.work.running.lock();
        let lookup = running.get(name).and_then(|found| found.lookup.upgrade());
        lookup.is_some_and(|lookup| lookup.waiting.lock().is_some())
    }

    /// Waits for the running look-up of `name`, starting it if there is none.
    async fn addresses(&self, client: ClientId, name: &str) -> Addresses {
        let mut answer = self.join_or_start(client, name);
        match answer.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(addresses)) => addresses.clone(),
            // Its task died: a panic in the resolver, or the runtime is going down.
            Ok(None) | Err(_) => Err(LookupError::NotFound(format!("{name}: the look-up was interrupted"))),
        }
    }

    fn join_or_start(&self, client: ClientId, name: &str) -> watch::Receiver<Option<Addresses>> {
        let mut running = self.work.running.lock();
        let found = running
            .get(name)
            .and_then(|found| Some((found.lookup.upgrade()?, found.answer.clone())));
        let (lookup, answer) = found.unwrap_or_else(|| {
            let (sender, answer) = watch::channel(None);
            let lookup = Arc::new(Lookup {
                answer: sender,
                waiting: Mutex::new(Some(HashSet::new())),
            });
            let begun = Running {
                answer: answer.clone(),
                lookup: Arc::downgrade(&lookup),
            };
            running.insert(name.to_owned(), begun);
            (lookup, answer)
        });
        let is_new = lookup
            .waiting
            .lock()
            .as_mut()
            .is_some_and(|waiting| waiting.insert(client));
        if is_new {
            let runtime = self.work.runtime.clone().unwrap_or_else(Handle::current);
            runtime.spawn(run(client, name.to_owned(), lookup, Arc::clone(&self.work)));
        }
        answer
    }
}

/// One client's part in a look-up: from the wait for its turn to the answer, if it begins in that turn.
async fn run(client: ClientId, name: String, lookup: Arc<Lookup>, work: Arc<Work>) {
    let lane = if work.prompt.lock().has(&name) {
        &work.proven
    } else {
        &work.unproven
    };
    let turn = lane.turn(client).await;
    let wanted = {
        // Nobody joins it in between.
        let mut running = work.running.lock();
        if lookup.waiting.lock().take().is_none() {
            return;
        }
        // While it queued, all who wanted it may have given up; the map's own receiver remains.
        let wanted = lookup.answer.receiver_count() > 1;
        if !wanted {
            running.remove(&name);
        }
        wanted
    };
    let found = if wanted && turn.is_some() {
        let (asked, shared, began) = (name.clone(), Arc::clone(&work), Instant::now());
        let asked = tokio::task::spawn_blocking(move || ask(&asked, &*shared.system)).await;
        work.prompt.lock().note(&name, began.elapsed());
        asked.unwrap_or_else(|_| Err(LookupError::NotFound("the look-up was interrupted".into())))
    } else {
        Err(LookupError::NotFound(format!("{name}: the look-up was given up")))
    };
    if wanted {
        work.running.lock().remove(&name);
    }
    lookup.answer.send_replace(Some(found));
}

fn ask(name: &str, system: &SystemLookup) -> Addresses {
    system(name).map_err(|error| {
        let text = error.to_string();
        let said = text
            .strip_prefix("failed to lookup address information: ")
            .unwrap_or(&text);
        let said = format!("{name}: {said}");
        match is_shortage_of_files(&error) {
            true => LookupError::Shortage(said),
            false => LookupError::NotFound(said),
        }
    })
}

/// Hands reqwest checked addresses only.
#[derive(Clone)]
pub(crate) struct Checked {
    lookups: Arc<Lookups>,
    /// Whose look-ups these are, whatever task they come from.
    client: Option<ClientId>,
}

impl Checked {
    /// Looks names up under a policy, apart from the posters.
    pub(crate) fn new(policy: TargetPolicy) -> Self {
        Self::of(Arc::new(Lookups::of_the_system(policy)))
    }

    pub(super) fn of(lookups: Arc<Lookups>) -> Self {
        Self { lookups, client: None }
    }

    /// The same for one client.
    pub(crate) fn for_client(&self, client: ClientId) -> Self {
        Self {
            lookups: Arc::clone(&self.lookups),
            client: Some(client),
        }
    }

    /// Every name has this address.
    #[cfg(test)]
    pub(crate) fn answering(policy: TargetPolicy, ip: IpAddr) -> Self {
        Self::of(Arc::new(Lookups::new(policy, move |_| Ok(vec![ip]))))
    }

    /// What it admits.
    pub(crate) fn policy(&self) -> &TargetPolicy {
        self.lookups.policy()
    }
}

/// For links: WhatsApp's host may be anywhere, and a proxy's addresses are judged as they are connected to.
#[async_trait]
impl Resolver for Checked {
    async fn addresses(&self, client: ClientId, host: &str) -> io::Result<Vec<IpAddr>> {
        let found = self.lookups.addresses(client, host).await;
        found.map_err(io::Error::other)
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        // Now, and not when it is waited for: a connection may be made in another task than the one that asked for it.
        let client = self.client.unwrap_or_else(asking);
        let lookups = Arc::clone(&self.lookups);
        Box::pin(async move {
            let addresses = lookups.admitted_for(client, name.as_str()).await?;
            // Port 0 stands for the URL's.
            Ok(Box::new(addresses.into_iter().map(|ip| SocketAddr::new(ip, 0))) as Addrs)
        })
    }
}
