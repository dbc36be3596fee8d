use wharf_support::{Receiver, Reply};

use super::*;
use crate::post::PosterOptions;

fn fetcher(allow_private_networks: bool) -> Fetcher {
    let policy = TargetPolicy {
        allow_http: true,
        allow_private_networks,
        ..TargetPolicy::default()
    };
    let poster = Poster::new(PosterOptions::new(policy)).unwrap();
    Fetcher::beside(&poster, "").unwrap()
}

async fn refusal(fetcher: &Fetcher, address: &str) -> NotFetched {
    fetcher.open(address).await.map(|fetched| fetched.target).unwrap_err()
}

#[tokio::test]
async fn what_is_not_public_is_refused_also_behind_a_redirect() {
    let receiver = Receiver::start().await;
    for address in [
        receiver.url("/x"),
        "http://localhost:9/x".to_owned(),
        "http://10.0.0.1/".to_owned(),
        "http://[::ffff:127.0.0.1]/".to_owned(),
        "http://0x7f000001/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "http://user:word@example.com/".to_owned(),
    ] {
        let refused = refusal(&fetcher(false), &address).await;
        assert!(
            !refused.passing && refused.detail.starts_with("the address"),
            "{address}: {refused}"
        );
    }
    assert_eq!(receiver.requests().len(), 0);
    receiver.always("/away", Reply::Redirect("file:///etc/passwd".into()));
    let refused = refusal(&fetcher(true), &receiver.url("/away")).await;
    assert!(refused.detail.contains("must be https"), "{refused}");
}

#[tokio::test]
async fn redirects_are_followed_a_few_times() {
    let receiver = Receiver::start().await;
    receiver.always("/a", Reply::Redirect("/b%20c.pdf".into()));
    let mut fetched = fetcher(true).open(&receiver.url("/a")).await.unwrap();
    assert_eq!(fetched.file_name.as_deref(), Some("b c.pdf"));
    while fetched.next().await.unwrap().is_some() {}
    receiver.always("/loop", Reply::Redirect("/loop".into()));
    let refused = refusal(&fetcher(true), &receiver.url("/loop")).await;
    assert!(refused.detail.contains("more than 3"), "{refused}");
    receiver.always("/gone", Reply::Status(404));
    let refused = refusal(&fetcher(true), &receiver.url("/gone")).await;
    assert!(
        refused.detail.ends_with("answered 404") && !refused.passing,
        "{refused}"
    );
    receiver.always("/down", Reply::Status(503));
    assert!(refusal(&fetcher(true), &receiver.url("/down")).await.passing);
}

#[test]
fn a_file_is_called_what_its_server_says() {
    let url = Url::parse("https://files.example/a/of%20the%20path.pdf").unwrap();
    let name = |disposition: &[u8]| {
        let value = reqwest::header::HeaderValue::from_bytes(disposition).unwrap();
        named(&HeaderMap::from_iter([(CONTENT_DISPOSITION, value)]), &url).unwrap()
    };
    for (disposition, called) in [
        ("attachment; filename=plain.pdf", "plain.pdf"),
        ("attachment; FileName=\"Total; net.pdf\"; size=3", "Total; net.pdf"),
        (
            r#"attachment; filename="the \"best\"; so far.pdf""#,
            "the \"best\"; so far.pdf",
        ),
        ("attachment; filename=\"or\u{e7}amento.pdf\"", "or\u{e7}amento.pdf"),
        (
            "attachment; filename=\"orcamento.pdf\"; filename*=UTF-8''or%C3%A7amento%3B%201.pdf",
            "or\u{e7}amento; 1.pdf",
        ),
        (
            "inline; filename*=utf-8'pt'%e2%82%ac.pdf; filename=euro.pdf",
            "\u{20ac}.pdf",
        ),
        ("inline; filename*=UTF-8''%ff.pdf; filename=broken.pdf", "broken.pdf"),
        ("inline; filename*=UTF-8''..%2Fup.pdf; filename=up.pdf", "up.pdf"),
        ("attachment; filename=\"../up.pdf\"", "of the path.pdf"),
        ("attachment; filename=\"\"", "of the path.pdf"),
        ("attachment", "of the path.pdf"),
    ] {
        assert_eq!(name(disposition.as_bytes()), called, "{disposition}");
    }
    assert_eq!(name(b"attachment; filename=\"or\xe7.pdf\""), "or\u{fffd}.pdf");
}

#[tokio::test]
async fn a_server_that_drips_is_given_up() {
    let receiver = Receiver::start().await;
    let pace = LeastPace {
        window: Duration::from_millis(200),
        ..LEAST_PACE
    };
    let fetcher = Fetcher { pace, ..fetcher(true) };
    // A thousand bytes, one at a time: it would take ten seconds.
    let mut dripping = fetcher.open(&receiver.url("/drip/10")).await.unwrap();
    let mut bytes = 0;
    let given_up = loop {
        match dripping.next().await {
            Ok(Some(piece)) => bytes += piece.len(),
            Ok(None) => panic!("it came whole"),
            Err(error) => break error,
        }
    };
    assert!(bytes < 100 && given_up.passing, "{bytes} bytes, {given_up}");
    assert!(given_up.detail.contains("sends too slowly"), "{given_up}");
    let mut large = fetcher.open(&receiver.url("/big")).await.unwrap();
    while large.next().await.unwrap().is_some() {}
}
