//! The HTTP client of the posters, made anew from time to time: its connections lead where names led when they were opened.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use reqwest::Client;

type Make = dyn Fn() -> reqwest::Result<Client> + Send + Sync;

/// See the module.
pub(super) struct Renewed {
    make: Box<Make>,
    life: Duration,
    /// And since when.
    present: Mutex<(Client, Instant)>,
}

impl Renewed {
    /// Clients of which each is used for so long.
    ///
    /// # Errors
    /// What reqwest says of the first one.
    pub(super) fn new(
        life: Duration,
        make: impl Fn() -> reqwest::Result<Client> + Send + Sync + 'static,
    ) -> reqwest::Result<Self> {
        Ok(Self {
            present: Mutex::new((make()?, Instant::now())),
            make: Box::new(make),
            life,
        })
    }

    /// The client to use now. Whoever uses the one before goes on with it; its connections end with them.
    pub(super) fn present(&self) -> Client {
        let mut present = self.present.lock();
        let (client, since) = &mut *present;
        if since.elapsed() >= self.life {
            match (self.make)() {
                Ok(new) => *client = new,
                Err(error) => tracing::warn!(%error, "the HTTP client was not made anew; the one before is used on"),
            }
            *since = Instant::now();
        }
        client.clone()
    }
}
