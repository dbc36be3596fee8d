//! Where a poster connects to, and where it does not.

use std::thread;

use reqwest::dns::Resolve as _;
use wharf_domain::{ClientId, address::read_networks};
use wharf_whatsapp::Resolver as _;

use super::*;

#[tokio::test]
async fn redirects_are_not_followed_anywhere() {
    let (receiver, inside) = (Receiver::start().await, Receiver::start().await);
    for location in [
        "/ok".to_owned(),
        inside.url("/secret"),
        "http://169.254.169.254/".to_owned(),
    ] {
        receiver.script("/hook", [Reply::Redirect(location)]);
        let result = post(&poster(), &receiver.url("/hook")).await;
        assert_eq!(error_of(&result), "Unexpected status (308)");
    }
    assert_eq!((receiver.count(), inside.count()), (3, 0));
}

#[tokio::test]
async fn blocked_targets_are_never_connected_to() {
    let receiver = Receiver::start().await;
    let port = receiver.address().port();
    let poster = poster_knowing(options(STRICT), &[("inside.test", LOOPBACK)]);
    let rows = [
        (format!("http://127.0.0.1:{port}/"), "127.0.0.1 is loopback"),
        (format!("http://2130706433:{port}/"), "127.0.0.1 is loopback"),
        (format!("http://[::ffff:127.0.0.1]:{port}/"), "IPv4-mapped"),
        (format!("http://localhost:{port}/"), "localhost is loopback"),
        (
            format!("http://inside.test:{port}/"),
            "inside.test has an address that is loopback",
        ),
        ("not a url".to_owned(), "must not contain spaces"),
    ];
    for (url, part) in rows {
        let result = post(&poster, &url).await;
        assert!(
            matches!(&result, AttemptResult::Blocked { detail } if detail.contains(part)),
            "{url}: {result:?}"
        );
        let error = error_of(&result);
        assert!(error.starts_with("EBLOCKED: ") && !result.failure().unwrap().retry);
        // What a name resolves to is not told to who asks for it.
        assert!(!url.contains("inside.test") || !error.contains("127.0.0.1"), "{error}");
    }
    assert_eq!(receiver.connections(), 0);
    let https_only = poster_knowing(
        PosterOptions {
            policy: TargetPolicy::default(),
            ..options(STRICT)
        },
        &[],
    );
    assert!(error_of(&post(&https_only, "http://example.com/").await).starts_with("EBLOCKED: must be https"));
}

#[tokio::test]
async fn the_systems_own_loopback_names_are_blocked_at_connect() {
    // Past the check of the URL's text, by what the resolver says.
    let lookups = Lookups::of_the_system(STRICT);
    let result = lookups.admitted("localhost").await;
    assert!(
        matches!(&result, Err(LookupError::Blocked(reason)) if reason.contains("is loopback")),
        "{result:?}"
    );
    // Where there is no network, not even that is known of it.
    assert!(lookups.admitted("no-such-name.invalid").await.is_err());
}

#[tokio::test]
async fn refused_addresses_of_a_name_are_dropped() {
    let public: IpAddr = Ipv4Addr::new(8, 8, 8, 8).into();
    let lookups = Lookups::new(STRICT, move |name| {
        Ok(match name {
            "mixed.test" => [LOOPBACK, &[public]].concat(),
            "many.test" => vec![public; 4000],
            _ => Vec::new(),
        })
    });
    assert_eq!(lookups.admitted("mixed.test").await, Ok(vec![public]));
    assert_eq!(lookups.admitted("many.test").await.unwrap().len(), 16);
    assert_eq!(
        lookups.admitted("none.test").await,
        Err(LookupError::NotFound("none.test has no address".into()))
    );
}

#[tokio::test]
async fn a_hanging_name_holds_one_thread_and_nobody_else() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (release, held) = mpsc::channel::<()>();
    let (held, counter) = (Mutex::new(held), Arc::clone(&asked));
    let lookups = Arc::new(Lookups::new(OPEN, move |name| {
        if name == "hangs.test" {
            counter.fetch_add(1, Ordering::SeqCst);
            let _ = held.lock().unwrap().recv();
        }
        Ok(LOOPBACK.to_vec())
    }));
    let waiting: Vec<_> = (0..200)
        .map(|_| Arc::clone(&lookups))
        .map(|lookups| tokio::spawn(async move { lookups.admitted("hangs.test").await }))
        .collect();
    wait_until("the look-up to start", PATIENCE, || async {
        asked.load(Ordering::SeqCst) == 1
    })
    .await;
    assert_eq!(lookups.admitted("fine.test").await, Ok(LOOPBACK.to_vec()));
    // One who gives up does not end it for the others.
    waiting[0].abort();
    drop(release);
    for waiter in waiting.into_iter().skip(1) {
        assert_eq!(waiter.await.unwrap(), Ok(LOOPBACK.to_vec()));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert_eq!(
        lookups.admitted("hangs.test").await,
        Ok(LOOPBACK.to_vec()),
        "a finished look-up is not remembered"
    );
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn look_ups_block_threads_of_the_runtime_that_they_were_made_in_and_no_others() {
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let (began, mut hangs) = tokio::sync::mpsc::unbounded_channel();
    let lookups = Arc::new(Lookups::new(OPEN, move |_| {
        let _ = began.send(());
        let _ = held.lock().unwrap().recv();
        Ok(LOOPBACK.to_vec())
    }));
    let asking = Checked::of(Arc::clone(&lookups));
    // A thread for sessions, with one to block beside it.
    let sessions = thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let (socket, file) = (asking.clone(), asking.for_client(ClientId(1)));
            let link = tokio::spawn(async move { socket.addresses(ClientId(1), "one.test").await });
            let http = tokio::spawn(file.resolve("two.test".parse().unwrap()));
            hangs.recv().await.unwrap();
            hangs.recv().await.unwrap();
            tokio::task::spawn_blocking(|| ()).await.unwrap();
            drop(release);
            assert_eq!(link.await.unwrap().unwrap(), LOOPBACK.to_vec());
            assert_eq!(http.await.unwrap().unwrap().count(), LOOPBACK.len());
        });
    });
    tokio::task::spawn_blocking(|| sessions.join()).await.unwrap().unwrap();
}

#[tokio::test]
async fn hundreds_of_hanging_names_do_not_stop_names_that_are_known() {
    let hanging = Arc::new(AtomicUsize::new(0));
    let (release, held) = mpsc::channel::<()>();
    let (held, counter) = (Mutex::new(held), Arc::clone(&hanging));
    let lookups = Arc::new(Lookups::new(OPEN, move |name| {
        if name.ends_with(".hangs.test") {
            counter.fetch_add(1, Ordering::SeqCst);
            let _ = held.lock().unwrap().recv();
        }
        Ok(LOOPBACK.to_vec())
    }));
    assert_eq!(lookups.admitted("known.test").await, Ok(LOOPBACK.to_vec()));
    let many = |client: i64| {
        let names = (0..150).map(move |n| format!("n{n}.{client}.hangs.test"));
        let lookups = names.map(|name| (Arc::clone(&lookups), name));
        let looking = lookups.map(move |(lookups, name)| {
            let looking = async move { lookups.admitted(&name).await };
            tokio::spawn(for_client(ClientId(client), looking))
        });
        looking.collect::<Vec<_>>()
    };
    let mut waiting = many(1);
    wait_until("half of the threads for new names hang", PATIENCE, || async {
        hanging.load(Ordering::SeqCst) == 16
    })
    .await;
    // Also when the client with the hanging names has asked for the same name before, and its turn is far.
    let common = Arc::clone(&lookups);
    let far = for_client(ClientId(1), async move { common.admitted("common.test").await });
    let far = tokio::spawn(far);
    wait_until("it waits for its turn", PATIENCE, || async {
        lookups.waits_for("common.test")
    })
    .await;
    for name in ["common.test", "another.test"] {
        let new = for_client(ClientId(2), lookups.admitted(name));
        let new = tokio::time::timeout(PATIENCE, new).await;
        assert_eq!(new, Ok(Ok(LOOPBACK.to_vec())), "the other half is for others");
    }
    assert_eq!(far.await.unwrap(), Ok(LOOPBACK.to_vec()), "one look-up for all");
    waiting.extend(many(2));
    wait_until("all threads for new names hang", PATIENCE, || async {
        hanging.load(Ordering::SeqCst) == 32
    })
    .await;
    let known = tokio::time::timeout(PATIENCE, lookups.admitted("known.test")).await;
    assert_eq!(known, Ok(Ok(LOOPBACK.to_vec())), "it has threads of its own");
    assert_eq!(hanging.load(Ordering::SeqCst), 32, "no more threads than that hang");
    // Those who give up are not looked up any more when a thread is free.
    for waiter in &waiting {
        waiter.abort();
    }
    for waiter in waiting {
        let _cancelled = waiter.await;
    }
    drop(release);
    let fresh = tokio::time::timeout(PATIENCE, lookups.admitted("fresh.test")).await;
    assert_eq!(fresh, Ok(Ok(LOOPBACK.to_vec())));
    assert_eq!(hanging.load(Ordering::SeqCst), 32);
}

#[tokio::test]
async fn an_allowed_network_is_reached_by_name_and_no_other() {
    let receiver = Receiver::start().await;
    let allowing = |networks| TargetPolicy {
        allowed_networks: read_networks(networks).unwrap(),
        ..STRICT
    };
    let names: &[(&str, &[IpAddr])] = &[("n8n.test", LOOPBACK)];
    let url = receiver.url_of("n8n.test", "/ok");
    let poster = poster_knowing(options(allowing("127.0.0.1")), names);
    assert!(poster.check_target(&Url::parse(&url).unwrap()).await.is_ok());
    assert_eq!(post(&poster, &url).await.http_status(), Some(200));
    let poster = poster_knowing(options(allowing("127.0.0.2, 10.0.0.0/8")), names);
    let error = error_of(&post(&poster, &url).await);
    assert_eq!(error, "EBLOCKED: n8n.test has an address that is loopback");
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn a_name_that_changes_between_check_and_connect_is_checked_again() {
    let receiver = Receiver::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    // Public when it is registered, this machine afterwards.
    let public: IpAddr = Ipv4Addr::new(8, 8, 8, 8).into();
    let lookups = Lookups::new(STRICT, move |_| {
        Ok(match counter.fetch_add(1, Ordering::SeqCst) {
            0 => vec![public],
            _ => LOOPBACK.to_vec(),
        })
    });
    let poster = Poster::with_lookups(options(STRICT), lookups).unwrap();
    let url = receiver.url_of("turns.test", "/ok");
    assert!(poster.check_target(&Url::parse(&url).unwrap()).await.is_ok());
    let error = error_of(&post(&poster, &url).await);
    assert_eq!(error, "EBLOCKED: turns.test has an address that is loopback");
    assert_eq!((asked.load(Ordering::SeqCst), receiver.connections()), (2, 0));
}

#[tokio::test]
async fn the_connection_goes_to_the_address_that_was_checked() {
    let receiver = Receiver::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    // A second look-up would lead elsewhere: nothing listens on 127.0.0.2.
    let lookups = Lookups::new(OPEN, move |_| {
        Ok(match counter.fetch_add(1, Ordering::SeqCst) {
            0 => LOOPBACK.to_vec(),
            _ => vec![Ipv4Addr::new(127, 0, 0, 2).into()],
        })
    });
    let poster = Poster::with_lookups(options(OPEN), lookups).unwrap();
    let url = receiver.url_of("turns.test", "/status/500");
    assert_eq!(post(&poster, &url).await.http_status(), Some(500));
    assert_eq!(asked.load(Ordering::SeqCst), 1, "one look-up, one answer");
    // The kept connection is used again without asking; a new one asks, and goes where the answer says.
    assert_eq!(post(&poster, &url).await.http_status(), Some(500));
    assert_eq!((asked.load(Ordering::SeqCst), receiver.connections()), (1, 1));
    let closed = receiver.url_of("turns.test", "/ok-then-close");
    assert_eq!(post(&poster, &closed).await.http_status(), Some(200));
    wait_until("the receiver to close", PATIENCE, || async {
        receiver.open_connections() == 0
    })
    .await;
    let error = error_of(&post(&poster, &url).await);
    assert!(error.starts_with("ECONNREFUSED"), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_dead_first_address_leaves_time_for_the_second() {
    let receiver = Receiver::start().await;
    // Nothing listens on 127.0.0.2: the receiver is bound to 127.0.0.1 alone.
    let two: &[IpAddr] = &[Ipv4Addr::new(127, 0, 0, 2).into(), Ipv4Addr::LOCALHOST.into()];
    let poster = poster_knowing(options(OPEN), &[("two.test", two)]);
    assert_eq!(
        post(&poster, &receiver.url_of("two.test", "/ok")).await.http_status(),
        Some(200)
    );
}

#[tokio::test]
async fn registration_looks_the_name_up() {
    let names: &[(&str, &[IpAddr])] = &[
        ("inside.test", LOOPBACK),
        ("outside.test", &[IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8))]),
    ];
    let poster = poster_knowing(options(STRICT), names);
    let check = async |text: &str| {
        poster
            .check_target(&Url::parse(text).unwrap())
            .await
            .map_err(|error| error.to_string())
    };
    assert_eq!(check("https://outside.test/").await, Ok(()));
    assert_eq!(check("https://unknown.test/").await, Ok(()));
    let blocked = "webhook_url must point to a public address; inside.test has an address that is loopback \
                   (delivery.allowed_networks can admit it)";
    assert_eq!(check("https://inside.test/").await, Err(blocked.into()));
    assert!(check("https://10.0.0.1/").await.is_err());
    let open = poster_knowing(options(OPEN), names);
    assert_eq!(
        open.check_target(&Url::parse("https://inside.test/").unwrap()).await,
        Ok(())
    );
}

#[tokio::test]
async fn a_machine_without_a_descriptor_left_is_waited_for_and_not_called_the_receivers_fault() {
    const EMFILE: i32 = 24;
    let receiver = Receiver::start().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let lookups = Lookups::new(OPEN, move |name| {
        let nth = count.fetch_add(1, Ordering::Relaxed);
        if nth < 2 || name == "never.test" {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        Ok(LOOPBACK.to_vec())
    });
    let poster = Poster::with_lookups(options(OPEN), lookups).unwrap();
    let at = |name: &str| receiver.url("/ok").replace("127.0.0.1", name);
    let result = post(&poster, &at("receiver.test")).await;
    assert!(
        matches!(result, AttemptResult::Answered { http_status: 200, .. }),
        "{result:?}"
    );
    assert_eq!((asked.load(Ordering::Relaxed), receiver.requests().len()), (3, 1));
    // When it lasts, none was made.
    let result = post_within(&poster, &at("never.test"), Duration::from_secs(2)).await;
    assert!(
        matches!(&result, AttemptResult::NotMade { detail } if detail.contains("Too many open files")),
        "{result:?}"
    );
}

/// The HTTP client hands no more than the name to its resolver.
#[tokio::test]
async fn a_posters_look_ups_count_for_the_client_whose_attempt_it_is() {
    let receiver = Receiver::start().await;
    let (release, held) = mpsc::channel::<()>();
    let held = Mutex::new(held);
    let hanging = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&hanging);
    let lookups = Lookups::new(OPEN, move |name| {
        if name.ends_with(".hangs.test") {
            counter.fetch_add(1, Ordering::SeqCst);
            let _ = held.lock().unwrap().recv();
        }
        Ok(LOOPBACK.to_vec())
    });
    let poster = Poster::with_lookups(options(OPEN), lookups).unwrap();
    let attempt = |client: i64, name: &str| {
        let (poster, url) = (poster.clone(), receiver.url_of(name, "/ok"));
        tokio::spawn(for_client(ClientId(client), async move { post(&poster, &url).await }))
    };
    let dead: Vec<_> = (0..40).map(|n| attempt(1, &format!("n{n}.hangs.test"))).collect();
    wait_until("its half hangs", PATIENCE, || async {
        hanging.load(Ordering::SeqCst) == 16
    })
    .await;
    let other = tokio::time::timeout(PATIENCE, attempt(2, "fine.test")).await;
    assert!(matches!(
        other.unwrap().unwrap(),
        AttemptResult::Answered { http_status: 200, .. }
    ));
    assert_eq!(hanging.load(Ordering::SeqCst), 16);
    dead.iter().for_each(|attempt| attempt.abort());
    drop(release);
}
