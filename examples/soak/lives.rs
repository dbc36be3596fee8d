//! The gateway's lives: each is a process, and the end of one is SIGTERM or SIGKILL.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use fastrand::Rng;
use tokio::task::block_in_place;
use wharf_store::{Store, StoreOptions};

use crate::{
    api::{LOOK_EVERY, PATIENCE},
    children::{Cost, Part},
    line::Stage,
    process::Failure,
};

/// What a stop may take: running attempts have 10 s (README), sessions close meanwhile.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// See the module.
pub(crate) struct Lives {
    directory: PathBuf,
    arguments: Vec<String>,
    kept_for: Duration,
    part: Mutex<Option<Part>>,
}

impl Lives {
    /// None yet.
    pub(crate) fn new(directory: &Path, ws: &str, address: &str, keep_s: u64) -> Self {
        let mut arguments = vec![
            "gateway".to_owned(),
            format!("--directory={}", directory.display()),
            format!("--server={ws}"),
            "--clients=1".to_owned(),
            format!("--keep-s={keep_s}"),
            "--log".to_owned(),
        ];
        for set in [
            &format!("HTTP__LISTEN={address}"),
            // A mistake in a stop is seen while the run goes on.
            "SESSIONS__START_PER_SECOND=50",
            "HTTP__HEADER_TIMEOUT_MS=2000",
            "WHATSAPP__UNDECRYPTABLE_WAIT_SECONDS=20",
        ] {
            arguments.push(format!("--set=WHARF_{set}"));
        }
        Self {
            directory: directory.to_owned(),
            arguments,
            kept_for: Duration::from_secs(keep_s),
            part: Mutex::default(),
        }
    }

    /// How long what is delivered can be pulled.
    pub(crate) fn kept_for(&self) -> Duration {
        self.kept_for
    }

    fn part(&self) -> MutexGuard<'_, Option<Part>> {
        self.part.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// Begins the next life; answers the first token of a new database.
    pub(crate) fn begin(&self) -> Result<Option<String>, Failure> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let part = block_in_place(|| Part::start_with(&self.arguments, Stdio::from(log)))?;
        let token = part.first["tokens"][0].as_str().map(str::to_owned);
        *self.part() = Some(part);
        Ok(token)
    }

    /// Ends the present life at once.
    pub(crate) fn kill(&self) {
        block_in_place(|| drop(self.part().take()));
    }

    /// Ends it as a system does that shuts down, and answers what was not as it should be.
    pub(crate) fn stop(&self) -> Result<Vec<String>, Failure> {
        let Some(part) = self.part().take() else {
            return Ok(Vec::new());
        };
        let begun = Instant::now();
        let (last, well) = block_in_place(|| part.terminate())?;
        let mut wrong = Vec::new();
        if !well {
            wrong.push("the gateway ended with an error when it was told to stop".to_owned());
        }
        if last["tasks_left"] != 0 {
            wrong.push(format!("tasks were left after a stop: {last}"));
        }
        if begun.elapsed() > STOP_WITHIN {
            wrong.push(format!("stopping took {:?}", begun.elapsed()));
        }
        let unwritten = self.directory.join("wharf.db-wal").metadata();
        if unwritten.is_ok_and(|log| log.len() > 0) {
            wrong.push("the write-ahead log was not emptied by a stop".to_owned());
        }
        Ok(wrong)
    }

    /// What the present life costs; `None` while there is none.
    pub(crate) fn cost(&self) -> Option<Cost> {
        block_in_place(|| self.part().as_mut()?.cost().ok())
    }

    /// Seconds that the present life's threads have run, and that they were ready to run and had no processor: what is slow
    /// on a machine that has other things to do is no fault of the gateway's.
    pub(crate) fn processor(&self) -> Option<(f64, f64)> {
        self.part().as_ref().map(|part| part.processor_s())
    }

    /// The database, as a program beside the gateway opens it.
    pub(crate) async fn store(&self) -> Result<Store, Failure> {
        Ok(Store::open(&StoreOptions {
            url: format!("sqlite://{}", self.directory.join("wharf.db").display()),
            readers: 1,
            exclusive: false,
        })
        .await?)
    }
}

/// Waits until the gateway is ready.
pub(crate) async fn ready(stage: &Stage) -> Result<(), Failure> {
    let begun = Instant::now();
    while !stage.api.is_ready().await {
        if begun.elapsed() > PATIENCE {
            return Err("the gateway is not ready".into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

/// One life after another until `until`; the last one goes on. One end in three is a SIGKILL.
pub(crate) async fn live_on(stage: &Stage, mut rng: Rng, until: Instant, lasts_s: f64) -> Result<(), Failure> {
    loop {
        let pause = lasts_s * (0.5 + rng.f64());
        if Instant::now() + Duration::from_secs_f64(pause) >= until {
            return Ok(());
        }
        stage.pause((pause * 1000.0) as u64).await;
        if rng.u32(..3) == 0 {
            stage.lives.kill();
            stage.book.did("SIGKILL");
        } else {
            for wrong in stage.lives.stop()? {
                stage.book.wrong(wrong);
            }
            stage.book.did("SIGTERM");
        }
        stage.lives.begin()?;
        ready(stage).await?;
    }
}
