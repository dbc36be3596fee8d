//! The run from its beginning to its verdict.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::{
    Run,
    api::{self, Api, Tenant},
    book::Book,
    callers,
    children::{Cost, Part},
    churn, clients, growth,
    hooks::Hooks,
    line::{Line, Stage},
    lives::{self, Lives},
    log,
    process::Failure,
    pull, rounded, say, settle, traffic,
};

/// The share of the run in which the gateway is restarted; what grows in a process is looked for in the rest, in one life.
const RESTARTED_FOR: f64 = 0.35;
/// How long what was removed may take to be given back: idle connections, deliveries at rest.
const COME_DOWN_WITHIN: Duration = Duration::from_secs(100);
/// What a gateway without clients may have beyond what it began with: tasks, and files (connections to the database that were
/// opened since, threads' own).
const TASKS_MORE: u64 = 10;
const FILES_MORE: usize = 60;

/// Answers the report, and what is wrong.
pub(crate) async fn run(run: &Run, seed: u64, directory: &Path) -> Result<(Value, Vec<String>), Failure> {
    let begun = Instant::now();
    let lasts = Duration::from_secs_f64(run.minutes.max(0.05) * 60.0);
    let pace_ms = (lasts.as_millis() as u64 / 40).clamp(400, 6000);
    let network = Part::start(&["network".to_owned()])?;
    let at = |of: &str| network.first[of].as_str().ok_or("the network did not start");
    let address = format!("127.0.0.1:{}", wharf_support::free_port());
    let keep_s = (lasts.as_secs() / 8).clamp(6, 30);
    let stage = Arc::new(Stage {
        api: Api::new(address.clone(), at("admin")?)?,
        book: Book::default(),
        hooks: Hooks::start()?,
        lives: Lives::new(directory, at("ws")?, &address, keep_s),
        over: AtomicBool::new(false),
    });
    let first = stage.lives.begin()?.ok_or("a new database has a first client")?;
    lives::ready(&stage).await?;
    let empty = stage.lives.cost().ok_or("the gateway is not there")?;
    let mut rng = Rng::with_seed(seed);
    let mut tenants = vec![Arc::new(Tenant::new(1, first))];
    for n in 1..run.clients.max(1) {
        tenants.push(clients::add(&stage, &format!("client {n}")).await?);
    }
    let lines = prepare(&stage, &mut rng, &tenants, run.numbers.clamp(1, 40)).await?;
    say(format!(
        "seed {seed}: {} numbers linked in {:.1?}",
        lines.len(),
        begun.elapsed()
    ));

    let churn_began = Instant::now();
    let every = (lasts / 120).clamp(Duration::from_millis(100), Duration::from_secs(5));
    let watching = tokio::spawn(growth::watch(Arc::clone(&stage), directory.to_owned(), every));
    let tasks = begin(&stage, &mut rng, run, &lines, &tenants, pace_ms);
    let restarts_until = churn_began + lasts.mul_f64(RESTARTED_FOR);
    let life_s = (lasts.as_secs_f64() * RESTARTED_FOR / 4.0).clamp(2.0, 30.0);
    lives::live_on(&stage, rng.fork(), restarts_until, life_s).await?;
    let last_life = churn_began.elapsed();
    tokio::time::sleep_until((churn_began + lasts).into()).await;
    stage.over.store(true, Ordering::Relaxed);
    let lasted = churn_began.elapsed();
    for task in tasks {
        if let Err(error) = task.await? {
            stage.book.wrong(error.to_string());
        }
    }
    let samples = watching.await??;
    say(format!("settling; {}", stage.book.progress()));

    let (grown, grew) = samples.judge(last_life, lasted);
    for what in grew {
        stage.book.wrong(what);
    }
    let end = end(&stage, &mut rng, &lines, &tenants, directory, empty).await;
    if let Err(error) = &end {
        stage.book.wrong(format!("at the end: {error}"));
    }
    let log = log::kinds(&stage.lives.log());
    for (kind, times) in log.iter().filter(|(kind, _)| log::is_wrong(kind)) {
        stage.book.wrong(format!("in the log, {times} times: {kind}"));
    }
    let report = json!({
        "seed": seed,
        "minutes": run.minutes,
        "seconds": rounded(begun.elapsed().as_secs_f64()),
        "numbers": lines.len(),
        "messages": stage.book.shown(),
        "growth": grown,
        "end": end.unwrap_or(Value::Null),
        "log": log,
        "wrong": stage.book.all_wrong(),
    });
    Ok((report, stage.book.all_wrong()))
}

async fn prepare(
    stage: &Stage,
    rng: &mut Rng,
    tenants: &[Arc<Tenant>],
    numbers: usize,
) -> Result<Vec<Arc<Line>>, Failure> {
    let seeded: Vec<(usize, u64)> = (0..numbers).map(|place| (place, rng.u64(..))).collect();
    let lines = seeded.into_iter().map(async |(place, seed)| {
        let line = Line::new(stage, place, Arc::clone(&tenants[place % tenants.len()])).await?;
        churn::bring_back(stage, &line, &mut Rng::with_seed(seed)).await?;
        Ok::<_, Failure>(Arc::new(line))
    });
    try_join_all(lines).await
}

type Task = JoinHandle<Result<(), Failure>>;

/// Everything that goes on at once.
fn begin(
    stage: &Arc<Stage>,
    rng: &mut Rng,
    run: &Run,
    lines: &[Arc<Line>],
    tenants: &[Arc<Tenant>],
    pace_ms: u64,
) -> Vec<Task> {
    let mut tasks = Vec::new();
    // On average a request to the network makes 1.1 messages.
    let each = run.rate / lines.len() as f64;
    for line in lines {
        let of = || (Arc::clone(stage), Arc::clone(line));
        let ((s, l), r) = (of(), rng.fork());
        tasks.push(tokio::spawn(traffic::inward(s, l, r, each * 0.6)));
        let ((s, l), r) = (of(), rng.fork());
        tasks.push(tokio::spawn(traffic::outward(s, l, r, each / 3.0)));
        let ((s, l), r) = (of(), rng.fork());
        tasks.push(tokio::spawn(churn::churn(s, l, r, pace_ms)));
    }
    for _ in 0..2 {
        let (stage, lines, rng) = (Arc::clone(stage), lines.to_vec(), rng.fork());
        tasks.push(tokio::spawn(async move {
            callers::misbehave(stage, lines, rng).await;
            Ok(())
        }));
    }
    let (rotating, coming) = (rng.fork(), rng.fork());
    tasks.push(tokio::spawn(clients::rotate(
        Arc::clone(stage),
        tenants.to_vec(),
        rotating,
        pace_ms,
    )));
    tasks.push(tokio::spawn(clients::come_and_go(
        Arc::clone(stage),
        lines.len(),
        coming,
        pace_ms,
    )));
    tokio::spawn(take(Arc::clone(stage)));
    for line in lines {
        tokio::spawn(pull::pull(Arc::clone(stage), Arc::clone(line)));
    }
    tasks
}

/// What has come is entered into the books, and files are fetched by their links.
async fn take(stage: Arc<Stage>) {
    loop {
        if let Err(error) = stage.hooks.take(&stage.book) {
            stage.book.wrong(format!("the receiver: {error}"));
            return;
        }
        for url in stage.book.take_files() {
            let stage = Arc::clone(&stage);
            tokio::spawn(async move {
                match stage.api.file(&url).await {
                    Some((200, _)) => stage.book.did("files fetched"),
                    // Of an event that is pulled while it waits.
                    Some((503, _)) => stage.book.did("files fetched too early"),
                    Some(_) => stage.book.did("files fetched too late"),
                    None => stage.book.did("files not fetched: no gateway"),
                }
            });
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// After the churn.
async fn end(
    stage: &Stage,
    rng: &mut Rng,
    lines: &[Arc<Line>],
    tenants: &[Arc<Tenant>],
    directory: &Path,
    empty: Cost,
) -> Result<Value, Failure> {
    lives::ready(stage).await?;
    settle::settle(stage, lines, rng).await?;
    settle::outgoing(stage, lines).await?;
    settle::left_over(stage, directory, "when all was quiet").await?;
    let full = stage.lives.cost();
    let (ran, waited) = stage.lives.processor().unwrap_or_default();
    settle::take_away(stage, lines, tenants, directory).await?;
    let begun = Instant::now();
    let after = loop {
        let now = stage.lives.cost().ok_or("the gateway is not there")?;
        if now.tasks <= empty.tasks + TASKS_MORE && now.files <= empty.files + FILES_MORE {
            break now;
        }
        if begun.elapsed() > COME_DOWN_WITHIN {
            let what = format!("without a client there are {now:?}, after the first start there were {empty:?}");
            stage.book.wrong(what);
            break now;
        }
        tokio::time::sleep(api::LOOK_EVERY).await;
    };
    for wrong in stage.lives.stop()? {
        stage.book.wrong(wrong);
    }
    for wrong in stage.lives.store().await?.integrity().await? {
        stage.book.wrong(format!("the database: {wrong}"));
    }
    Ok(json!({
        "processor_s": rounded(ran),
        "without_a_processor_s": rounded(waited),
        "with_all": full.map(|cost| cost.shown()),
        "without_clients": after.shown(),
        "after_the_first_start": empty.shown(),
    }))
}
