//! The media actor: downloads the files that messages came with.
//!
//! Owns the downloads that run. Supervised by the gateway. Restarts from the store: what is pending there is begun anew.
//! Stops with the tree; what was under way stays pending. A wake-up carries nothing and may be lost: the store is looked
//! at every half a minute.
//!
//! Slots are capped per client and in all, and are given to the clients by turns: one client's flood of films holds only
//! its own slots. Who waits for a phone holds none: somebody may send any number of files that WhatsApp does not have.

mod download;
pub(crate) mod fetch;
pub(crate) mod files;
pub(crate) mod inbox;
mod ledger;
pub(crate) mod outbound;
pub(crate) mod owner;
pub(crate) mod portrait;
pub(crate) mod prepare;
mod probe;
mod settings;
pub(crate) mod upload;
pub(crate) mod way;

use std::{
    collections::{HashMap, HashSet},
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures::FutureExt as _;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use wharf_domain::{ClientId, ConnectionKey, EventId, fair::Caps};
use wharf_store::DueMedia;

use crate::{
    clock,
    post::{Checked, PosterError},
    shared::Shared,
    slots::Slots,
    task::{OwnedTask, tick},
    web::{download::MediaSource, upload::MediaUpload, way::Maker},
};
use download::After;
use files::MediaFiles;
use ledger::Ledger;
use outbound::Outbound;
pub(crate) use probe::thumbnail;
pub use settings::MediaSettings;

/// How often the store is looked at: a lost wake-up delays a download by this much at the most.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Downloads that one look at the store brings, at the most.
const LOOK: usize = 256;

/// Downloads of one client that wait for its phone and hold no slot meanwhile; one more stays in its slot.
const ASKING: usize = 64;

/// Files whose pictures are looked at, or that are encrypted, at a time.
const PREPARED_AT_A_TIME: Caps = Caps {
    total: 2,
    per_client: 1,
};
/// Pages that are looked at at a time, a few MiB each with their pictures.
const PREVIEWS_AT_A_TIME: Caps = Caps {
    total: 16,
    per_client: 4,
};

/// What there is one of per gateway.
pub(crate) struct MediaRoom {
    pub(crate) files: MediaFiles,
    pub(crate) source: MediaSource,
    pub(crate) upload: MediaUpload,
    /// Files that go out.
    pub(crate) outbound: Outbound,
    /// Slots for fetching and uploading files that go out.
    pub(crate) transfers: Slots,
    /// Slots for looking into files and encrypting them: pictures take memory.
    pub(crate) preparing: Slots,
    /// Slots for looking at the pages of links.
    pub(crate) previews: Slots,
    /// Bytes that downloads and files that go out come to, by client.
    ledger: Ledger,
}

impl MediaRoom {
    /// # Errors
    /// [`PosterError`] when the machine's TLS set-up cannot be used.
    pub(crate) fn new(settings: &MediaSettings, directory: PathBuf, checked: Checked) -> Result<Self, PosterError> {
        let maker = Maker::new(checked, "", settings.test_network.clone())?;
        let ledger = Ledger::new(settings.max_bytes);
        let caps = Caps {
            total: settings.max_uploads,
            per_client: settings.max_uploads_per_client,
        };
        Ok(Self {
            files: MediaFiles::new(directory.clone()),
            source: MediaSource::new(maker.clone())?,
            upload: MediaUpload::new(maker)?,
            outbound: Outbound::new(directory, ledger.clone()),
            transfers: Slots::new(caps),
            preparing: Slots::new(PREPARED_AT_A_TIME),
            previews: Slots::new(PREVIEWS_AT_A_TIME),
            ledger,
        })
    }

    /// Lets go of what is kept for numbers that are gone.
    pub(crate) fn forget(&self, gone: impl Fn(&ConnectionKey) -> bool) {
        for clients in [self.source.clients(), self.upload.clients()] {
            clients.forget(&gone);
        }
    }
}

/// What the actor can be told.
pub(crate) enum Message {
    /// There may be something to download.
    Look,
    /// What the store has that is due; `None`: it could not be read.
    Found(Option<Vec<DueMedia>>),
    /// A download asks the phone for its file.
    Asks(EventId),
    /// A download has ended, or a try of it.
    Ended(EventId, After),
}

/// See the module.
pub(crate) struct MediaActor;

pub(crate) struct State {
    shared: Arc<Shared>,
    /// By event.
    running: HashMap<EventId, Running>,
    /// Whether the store is being looked at, and whether it is to be looked at again after that.
    looking: bool,
    again: bool,
    /// The last client that a look came to: the next goes on after it.
    turn: ClientId,
    /// The events of downloads whose end the store will not take. They stay due there.
    left_out: HashSet<EventId>,
    /// What ended while the store was looked at, which may have seen it as it was before.
    ended: Vec<EventId>,
    /// Whether looking has begun anew with the first client since it was asked for: once round is enough.
    wrapped: bool,
    look: OwnedTask,
    _ticks: OwnedTask,
}

/// A download that runs.
struct Running {
    client: ClientId,
    _task: OwnedTask,
    /// Whether it waits for the phone to upload its file again, which may be off: it holds no slot meanwhile.
    asks: bool,
}

impl State {
    /// Downloads that hold a slot.
    fn busy(&self) -> impl Iterator<Item = &Running> {
        self.running.values().filter(|running| !running.asks)
    }

    /// How many of a client's wait for its phone.
    fn asking(&self, client: ClientId) -> usize {
        let asking = self.running.values().filter(|running| running.asks);
        asking.filter(|running| running.client == client).count()
    }
}

impl Actor for MediaActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arc<Shared>;

    async fn pre_start(&self, myself: ActorRef<Message>, shared: Arc<Shared>) -> Result<State, ActorProcessingErr> {
        let mut ticks = OwnedTask::default();
        let (files, store) = (shared.media.files.clone(), shared.store.clone());
        let keep = shared.settings.media.keep;
        ticks.set(async move {
            files.clear_unfinished().await;
            files.clear_departed(&store).await;
            tokio::join!(
                files.clear_unknown(&store, keep),
                tick(myself, LOOK_EVERY, || Message::Look)
            );
        });
        Ok(State {
            shared,
            running: HashMap::new(),
            looking: false,
            again: false,
            turn: ClientId(0),
            left_out: HashSet::new(),
            ended: Vec::new(),
            wrapped: false,
            look: OwnedTask::default(),
            _ticks: ticks,
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Look => {
                state.wrapped = false;
                look(&myself, state);
            }
            Message::Found(found) => on_found(&myself, state, found),
            Message::Asks(id) => {
                let client = state.running.get(&id).map(|running| running.client);
                let has_room = client.is_some_and(|client| state.asking(client) < ASKING);
                if let Some(running) = state.running.get_mut(&id).filter(|_| has_room) {
                    running.asks = true;
                    state.wrapped = false;
                    look(&myself, state);
                }
            }
            Message::Ended(id, after) => {
                state.running.remove(&id);
                state.ended.push(id);
                state.wrapped = false;
                match after {
                    After::Again(wait) => {
                        myself.send_after(wait, || Message::Look);
                    }
                    After::LeftOut => {
                        state.left_out.insert(id);
                    }
                    After::Over => {}
                }
                look(&myself, state);
            }
        }
        Ok(())
    }
}

/// Looks at the store, if there is a slot for what it might find.
fn look(myself: &ActorRef<Message>, state: &mut State) {
    let settings = &state.shared.settings.media;
    if state.looking || state.busy().count() >= settings.max_downloads {
        state.again = true;
        return;
    }
    (state.looking, state.again) = (true, false);
    state.ended.clear();
    // What runs is among what is due, and so is what is left out: as many more of each client as there are slots for it.
    let asking = state
        .running
        .values()
        .filter(|running| running.asks)
        .count()
        .min(ASKING);
    let per_client = settings
        .max_downloads_per_client
        .saturating_mul(2)
        .saturating_add(asking + state.left_out.len());
    let (myself, shared, after) = (myself.clone(), Arc::clone(&state.shared), state.turn);
    state.look.set(async move {
        let found = shared.store.due_media(clock::now(), after, per_client, LOOK).await;
        let found = found.inspect_err(|error| tracing::warn!(%error, "cannot read pending media; trying again"));
        let _stopped = myself.cast(Message::Found(found.ok()));
    });
}

fn on_found(myself: &ActorRef<Message>, state: &mut State, found: Option<Vec<DueMedia>>) {
    state.looking = false;
    let Some(found) = found else { return };
    let (settings, turn) = (&state.shared.settings.media, state.turn);
    let counts = state.busy().fold(HashMap::new(), |mut counts, running| {
        *counts.entry(running.client).or_insert(0) += 1;
        counts
    });
    let free = settings.max_downloads.saturating_sub(state.busy().count());
    let whole = found.len() < LOOK;
    let last = found.last().map(|due| due.key.client_id);
    let new = found
        .into_iter()
        .filter(|due| !state.running.contains_key(&due.id) && !state.ended.contains(&due.id))
        .filter(|due| !state.left_out.contains(&due.id));
    let chosen = choose(new, counts, settings.max_downloads_per_client, free);
    let begun = chosen.len();
    for due in chosen {
        let (id, client) = (due.id, due.key.client_id);
        let (teller, shared) = (myself.clone(), Arc::clone(&state.shared));
        let mut task = OwnedTask::default();
        task.set(async move {
            let asks = || drop(teller.cast(Message::Asks(id)));
            let carrying_out = AssertUnwindSafe(download::carry_out(&shared, &due, asks)).catch_unwind();
            let after = match carrying_out.await {
                Ok(after) => after,
                Err(_) => {
                    // The store says that it is due: it would be begun again at once.
                    tracing::error!(event = %id, "the end of a download panicked; it is tried again");
                    tokio::time::sleep(LOOK_EVERY).await;
                    After::Over
                }
            };
            let _stopped = teller.cast(Message::Ended(id, after));
        });
        let running = Running {
            client,
            _task: task,
            asks: false,
        };
        state.running.insert(id, running);
    }
    let after = if whole { None } else { last };
    state.turn = after.unwrap_or(ClientId(0));
    // Clients may follow, or come before where this look began.
    let more = !whole || (turn != ClientId(0) && !state.wrapped);
    state.wrapped |= whole;
    if state.again || (more && begun < free) {
        look(myself, state);
    }
}

/// Which downloads to begin: of each client in turn, as long as it has a slot and there are some.
fn choose(
    found: impl Iterator<Item = DueMedia>,
    mut running: HashMap<ClientId, usize>,
    per_client: usize,
    mut free: usize,
) -> Vec<DueMedia> {
    let mut rounds: Vec<Vec<DueMedia>> = Vec::new();
    for due in found {
        let round = running.entry(due.key.client_id).or_default();
        if *round < per_client {
            rounds.resize_with(rounds.len().max(*round + 1), Vec::new);
            rounds[*round].push(due);
            *round += 1;
        }
    }
    let mut chosen = Vec::new();
    for due in rounds.into_iter().flatten() {
        if free == 0 {
            break;
        }
        free -= 1;
        chosen.push(due);
    }
    chosen
}

#[cfg(test)]
mod tests;
