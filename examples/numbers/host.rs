//! One host with many numbers, from the first link to the last stop.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{Run, Switch, api::Api, children::Part, directory, process::Failure, process::Receiver, rounded, say};

struct Host {
    api: Api,
    gateway: Part,
    receiver: Receiver,
    count: usize,
    /// What the receiver has to have in all.
    due: u64,
    quiet: Duration,
}

pub(crate) async fn run(run: &Run) -> Result<Value, Failure> {
    let directory = directory()?;
    let network = Part::start(&["network".to_owned()])?;
    let receiver = Receiver::at(None)?;
    let admin = network.first["admin"].as_str().ok_or("the network did not start")?;
    let mut api = Api::new(admin, run.count)?;
    let start = || start_gateway(run, directory.path(), &network.first["ws"]);
    let gateway = start()?;
    api.gateway_is(&gateway.first)?;
    let mut host = Host {
        api,
        gateway,
        receiver,
        count: run.count,
        due: 0,
        quiet: Duration::from_secs(run.quiet_s),
    };
    host.be_quiet().await;
    let without = host.gateway.cost()?;

    let (begun, cpu) = (Instant::now(), host.gateway.cpu_us()?);
    let url = format!("http://{}/ok", host.receiver.address);
    host.api.link_all(&url).await?;
    let (linked_in, linked_cpu) = (begun.elapsed(), host.gateway.cpu_us()? - cpu);
    say(format!("linked {} numbers in {linked_in:.1?}", run.count));
    host.be_quiet().await;
    let linked = host.gateway.cost()?;

    let begun = Instant::now();
    let stopped = host.gateway.stop()?;
    let stopped_in = begun.elapsed();
    let begun = Instant::now();
    host.gateway = start()?;
    host.api.gateway_is(&host.gateway.first)?;
    host.api.all_connected().await?;
    let (again_in, again_cpu) = (begun.elapsed(), host.gateway.cpu_us()?);
    say(format!("all connected {again_in:.1?} after a restart"));
    host.be_quiet().await;
    let idle = host.gateway.cost()?;

    let texts = host.texts(run.messages).await?;
    let reused = host.api.reused_keys().await?;
    let begun = Instant::now();
    let stopped_at_last = host.gateway.stop()?;
    Ok(json!({
        "count": run.count,
        "clients": run.clients,
        "bulkheads": if run.bulkheads == Switch::On { "on" } else { "off" },
        "linking": {
            "seconds": rounded(linked_in.as_secs_f64()),
            "per_s": rounded(run.count as f64 / linked_in.as_secs_f64()),
            "cpu_ms_each": rounded(linked_cpu as f64 / 1000.0 / run.count as f64),
            "rss_kib_each": linked.each(without, run.count)["rss_kib"],
        },
        "restart": {
            "all_connected_s": rounded(again_in.as_secs_f64()),
            "per_s": rounded(run.count as f64 / again_in.as_secs_f64()),
            "cpu_ms_each": rounded(again_cpu as f64 / 1000.0 / run.count as f64),
            "stop_s": rounded(stopped_in.as_secs_f64()),
            "tasks_left": stopped["tasks_left"],
        },
        "without_numbers": without.shown(),
        "idle": idle.shown(),
        "idle_each": idle.each(without, run.count),
        "texts": texts,
        "reused_keys": reused,
        "stop": {"seconds": rounded(begun.elapsed().as_secs_f64()), "tasks_at_once": stopped_at_last["tasks_at_once"],
            "tasks_left": stopped_at_last["tasks_left"]},
    }))
}

fn start_gateway(run: &Run, directory: &Path, ws: &Value) -> Result<Part, Failure> {
    let mut arguments = vec![
        "gateway".to_owned(),
        format!("--directory={}", directory.display()),
        format!("--server={}", ws.as_str().ok_or("the network did not start")?),
        format!("--clients={}", run.clients.max(1)),
    ];
    arguments.extend(run.per_second.map(|per_second| format!("--per-second={per_second}")));
    if run.bulkheads == Switch::Off {
        arguments.push("--no-bulkheads".to_owned());
    }
    Part::start(&arguments)
}

impl Host {
    async fn be_quiet(&self) {
        tokio::time::sleep(self.quiet).await;
    }

    /// Texts both ways: so many in all, in three shapes. The first ones, which make sessions, are not counted.
    async fn texts(&mut self, messages: usize) -> Result<Value, Failure> {
        self.shape("first", 1, 1).await?;
        self.be_quiet().await;
        let before = self.gateway.rss_kib()?;
        let each = (messages / 4 / self.count).max(1);
        let inward = self.shape("in", each, 0).await?;
        let outward = self.shape("out", 0, each).await?;
        let both = self.shape("both", each, each).await?;
        self.be_quiet().await;
        let after = self.gateway.rss_kib()?;
        let total = each * 4 * self.count;
        Ok(json!({
            "messages": total,
            "in": inward,
            "out": outward,
            "both": both,
            "rss_kib_before": before,
            "rss_kib_after": after,
            "rss_bytes_per_message": rounded((after as f64 - before as f64) * 1024.0 / total as f64),
        }))
    }

    /// So many texts in and out of each number, until the receiver has what came in.
    async fn shape(&mut self, name: &str, inward: usize, outward: usize) -> Result<Value, Failure> {
        let (begun, cpu) = (Instant::now(), self.gateway.cpu_us()?);
        tokio::try_join!(self.api.texts_in(inward), self.api.texts_out(outward))?;
        self.due += u64::try_from(inward * self.count)?;
        self.receiver.wait_for(self.due).await?;
        let (seconds, cpu) = (begun.elapsed().as_secs_f64(), self.gateway.cpu_us()? - cpu);
        let total = ((inward + outward) * self.count) as f64;
        say(format!("{name}: {:.0} messages/s", total / seconds));
        Ok(json!({
            "messages": total,
            "per_s": (total / seconds).round(),
            "cpu_us_per_message": (cpu as f64 / total).round(),
            "rss_kib": self.gateway.rss_kib()?,
        }))
    }
}
