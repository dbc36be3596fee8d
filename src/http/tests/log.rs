//! What the log says of requests.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{Dispatch, Level, level_filters::LevelFilter, subscriber::DefaultGuard};

use super::{
    Facade, NUMBER,
    fake::{CODE, PAGE},
    media,
};

/// What is logged.
#[derive(Clone, Default)]
pub(super) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Beside one subscriber alone, what another thread meets first, which has none, would be off for all.
static BESIDE: LazyLock<Dispatch> =
    LazyLock::new(|| Dispatch::new(tracing_subscriber::fmt().with_max_level(LevelFilter::OFF).finish()));

/// What this thread logs at this level and above, as long as the guard lives.
pub(super) fn listen(level: Level) -> (Lines, DefaultGuard) {
    LazyLock::force(&BESIDE);
    let lines = Lines::default();
    let writer = lines.clone();
    let log = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    let guard = tracing::subscriber::set_default(log.with_max_level(level).finish());
    (lines, guard)
}

#[tokio::test]
async fn whom_and_what_a_path_names_is_not_logged() {
    let (lines, _here) = listen(Level::DEBUG);
    let facade = Facade::start().await;
    let number = format!("/api/whatsapp/connections/{NUMBER}");
    for (method, path, status) in [
        ("POST", format!("{number}/invites/stuck/join"), 503),
        ("GET", format!("{number}/invites/{CODE}"), 200),
        ("POST", format!("{number}/invites/{CODE}"), 405),
        ("GET", format!("{number}/contacts/5511987654321"), 200),
    ] {
        assert_eq!(facade.ask(method, &path).send().await.status, status, "{path}");
    }
    assert_eq!(facade.bare("GET", &media::path("holiday.png")).send().await.status, 200);
    for rest in ["", "/state", "/nothing"] {
        facade.bare("GET", &format!("/link/{PAGE}{rest}")).send().await;
    }
    let text = lines.text();
    for told in [
        "path=/api/whatsapp/connections/:phone_number/invites/:code/join",
        "path=/api/whatsapp/connections/:phone_number/invites/:code ",
        "path=/api/whatsapp/connections/:phone_number/contacts/:number",
        "path=/media/:client/:event_id/:name",
        "path=/link/:token ",
        "path=/link/:token/state",
        "path=/link/… ",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    for secret in ["stuck", CODE, "5511987654321", "holiday", PAGE] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}
