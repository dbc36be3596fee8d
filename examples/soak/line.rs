//! A number with its webhook, and how both are brought to where they shall be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use fastrand::Rng;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::{
    api::{Api, LOOK_EVERY, PATIENCE, Reply, Tenant},
    book::Book,
    hooks::{self, Hooks},
    lives::Lives,
    process::Failure,
};

/// What everybody works with.
pub(crate) struct Stage {
    pub(crate) api: Api,
    pub(crate) book: Book,
    pub(crate) hooks: Hooks,
    pub(crate) lives: Lives,
    /// The churn is over.
    pub(crate) over: AtomicBool,
}

impl Stage {
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Waits so many milliseconds, but not beyond the end.
    pub(crate) async fn pause(&self, ms: u64) {
        let until = Instant::now() + std::time::Duration::from_millis(ms);
        while !self.is_over() && Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            tokio::time::sleep(left.min(LOOK_EVERY)).await;
        }
    }
}

/// A number.
pub(crate) struct Line {
    pub(crate) place: usize,
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) number: String,
    /// Who writes to it.
    pub(crate) contacts: Vec<String>,
    /// A group that it is in with two of them.
    pub(crate) group: String,
    /// Written to by what takes the webhook or the device away, read by who sends: what is sent meanwhile would be neither
    /// due nor excused.
    pub(crate) gate: RwLock<Standing>,
}

/// What a number has.
#[derive(Default)]
pub(crate) struct Standing {
    pub(crate) webhook: Option<Hook>,
    pub(crate) linked: bool,
    generation: u32,
}

/// A number's webhook.
#[derive(Clone)]
pub(crate) struct Hook {
    pub(crate) id: String,
    /// Where the receiver has it; `None` if it is pulled.
    pub(crate) path: Option<String>,
}

impl Standing {
    /// Whether what is sent to it now has to come.
    pub(crate) fn takes(&self) -> bool {
        self.linked && self.webhook.is_some()
    }
}

impl Line {
    /// A number whose accounts and group are made at the network.
    pub(crate) async fn new(stage: &Stage, place: usize, tenant: Arc<Tenant>) -> Result<Self, Failure> {
        let number = format!("5511{place:02}8000000");
        let contacts: Vec<String> = (0..4).map(|n| format!("5511{place:02}900000{n}")).collect();
        for phone in contacts.iter().chain([&number]) {
            stage.api.account(phone).await?;
        }
        let group = json!({"subject": "Soak", "owner": contacts[0], "participants": [number, contacts[1]]});
        let group = stage.api.network(Method::POST, "/groups", Some(&group)).await?;
        Ok(Self {
            place,
            tenant,
            number,
            contacts,
            group: group["id"].as_str().ok_or("a group without an id")?.to_owned(),
            gate: RwLock::default(),
        })
    }

    pub(crate) fn connection(&self) -> String {
        format!("/api/whatsapp/connections/{}", self.number)
    }

    pub(crate) async fn ask(
        &self,
        stage: &Stage,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, Failure> {
        stage.api.ask(&stage.book, &self.tenant, method, path, body).await
    }

    /// Registers a webhook: on a path of its own, or, one time in three, one that is pulled.
    pub(crate) async fn register(&self, stage: &Stage, rng: &mut Rng, standing: &mut Standing) -> Result<(), Failure> {
        standing.generation += 1;
        let path = (rng.u32(..3) > 0).then(|| hooks::path(self.place, standing.generation));
        let events: &[&str] = if rng.bool() {
            &["message"]
        } else {
            &[
                "message",
                "message.status",
                "message.sent",
                "connection",
                "group",
                "call",
                "presence",
            ]
        };
        let new = match &path {
            Some(path) => {
                stage.hooks.mood(path, "fine")?;
                json!({
                    "phone_number": self.number,
                    "webhook_url": format!("http://{}{path}", stage.hooks.address),
                    "max_retries": rng.u32(1..4),
                    "timeout_ms": 1500,
                    "events": events,
                    "hub_signature": rng.bool(),
                    "recovery": if rng.bool() { "auto" } else { "manual" },
                })
            }
            None => json!({"phone_number": self.number, "delivery": "pull", "events": events}),
        };
        let reply = self
            .ask(stage, Method::POST, "/api/webhooks/register", Some(&new))
            .await?;
        let shown = match reply.status {
            201 => reply.body,
            // The answer to an earlier try was lost with the gateway.
            409 => self.registered(stage).await?,
            _ => return Err(format!("registering was answered {}: {}", reply.status, reply.body).into()),
        };
        let id = shown["id"].as_str().ok_or("a webhook without an id")?.to_owned();
        stage.book.did(match path {
            Some(_) => "registered",
            None => "registered to be pulled",
        });
        standing.webhook = Some(Hook { id, path });
        Ok(())
    }

    async fn registered(&self, stage: &Stage) -> Result<Value, Failure> {
        let all = self.ask(stage, Method::GET, "/api/webhooks/list", None).await?.body;
        let mut all = all["data"].as_array().into_iter().flatten();
        let mine = all.find(|webhook| webhook["phone_number"] == self.number.as_str());
        Ok(mine.ok_or("no webhook, and there is one")?.clone())
    }

    /// Brings the number to `connected`, whatever it is now.
    pub(crate) async fn link(&self, stage: &Stage, rng: &mut Rng) -> Result<(), Failure> {
        let begun = Instant::now();
        let path = self.connection();
        let by_code = rng.u32(..4) == 0;
        loop {
            let shown = self.ask(stage, Method::GET, &path, None).await?;
            if shown.status == 404 {
                let new = json!({"phone_number": self.number});
                self.ask(stage, Method::POST, "/api/whatsapp/connections", Some(&new))
                    .await?;
                continue;
            }
            match shown.body["status"].as_str().unwrap_or_default() {
                "connected" => return Ok(()),
                "awaiting_scan" => self.scan(stage, by_code).await?,
                "disconnected" | "logged_out" | "failed" => {
                    self.ask(stage, Method::POST, &format!("{path}/connect"), None).await?;
                }
                _ => {}
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("{} does not connect: {}", self.number, shown.body).into());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn scan(&self, stage: &Stage, by_code: bool) -> Result<(), Failure> {
        let path = self.connection();
        let linked = if by_code {
            let code = self
                .ask(stage, Method::POST, &format!("{path}/pair-code"), None)
                .await?;
            let typed = json!({"code": code.body["code"]});
            if !code.body["code"].is_string() {
                return Ok(());
            }
            let at = format!("/accounts/{}/pair-code", self.number);
            stage.api.network(Method::POST, &at, Some(&typed)).await
        } else {
            let qr = self.ask(stage, Method::GET, &format!("{path}/qr"), None).await?;
            if !qr.body["qr"].is_string() {
                return Ok(());
            }
            let at = format!("/accounts/{}/scan", self.number);
            stage
                .api
                .network(Method::POST, &at, Some(&json!({"qr": qr.body["qr"]})))
                .await
        };
        // The code was over, or the gateway killed meanwhile.
        if linked.is_ok() {
            stage.book.did(if by_code { "linked by code" } else { "linked by QR" });
        }
        Ok(())
    }

    /// Makes its webhook answer, and sees that what failed is tried again.
    pub(crate) async fn heal(&self, stage: &Stage, standing: &Standing) -> Result<(), Failure> {
        let Some(Hook { id, path: Some(path) }) = &standing.webhook else {
            return Ok(());
        };
        stage.hooks.mood(path, "fine")?;
        let on = json!({"is_active": true, "max_per_second": null, "max_in_flight": null});
        let reply = self
            .ask(stage, Method::PATCH, &format!("/api/webhooks/{id}"), Some(&on))
            .await?;
        // 504: the machine is busy with other things; whoever heals does so again.
        if !reply.is_good() && reply.status != 504 {
            return Err(format!("switching on was answered {}: {}", reply.status, reply.body).into());
        }
        let failed = json!({"status": "failed", "limit": 10_000});
        self.ask(stage, Method::POST, &format!("/api/webhooks/{id}/retry"), Some(&failed))
            .await?;
        Ok(())
    }

    /// Waits until all that is due has come; `false` when it does not.
    pub(crate) async fn drain(&self, stage: &Stage, rng: &mut Rng, standing: &Standing) -> Result<bool, Failure> {
        let begun = Instant::now();
        let mut healed = Instant::now();
        if standing.linked {
            self.link(stage, rng).await?;
        }
        self.heal(stage, standing).await?;
        while stage.book.due(self.place) > 0 {
            if begun.elapsed() > PATIENCE {
                return Ok(false);
            }
            if healed.elapsed().as_secs() >= 5 {
                self.heal(stage, standing).await?;
                healed = Instant::now();
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(true)
    }
}
