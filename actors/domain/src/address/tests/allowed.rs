//! Networks that the operator admits.

use super::*;

#[test]
fn networks_as_an_operator_writes_them() {
    let read = |text| {
        let networks = read_networks(text)?;
        Some(networks.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(read(""), Some(vec![]));
    assert_eq!(
        read("10.1.2.0/24, 172.18.0.5 ,fd00::7,fd00:5::/64,"),
        Some(
            ["10.1.2.0/24", "172.18.0.5/32", "fd00::7/128", "fd00:5::/64"]
                .map(str::to_owned)
                .to_vec()
        )
    );
    for wrong in [
        "10.1.2.3/8",
        "10.0.0.0/33",
        "n8n",
        "10.0.0",
        "10.0.0.1:80",
        "fd00::1/8",
        "10.0.0.0/8;fd00::/8",
        "*",
    ] {
        assert_eq!(read(wrong), None, "{wrong}");
    }
}

#[test]
fn an_allowed_network_opens_itself_alone() {
    let of = |networks| TargetPolicy {
        allowed_networks: read_networks(networks).unwrap(),
        ..STRICT
    };
    let policy = of("10.1.2.0/24, fd00::7");
    for admitted in ["10.1.2.0", "10.1.2.255", "fd00::7", "8.8.8.8", "2606:4700::1"] {
        assert_eq!(check_address(&policy, admitted.parse().unwrap()), Ok(()), "{admitted}");
    }
    for refused in [
        "10.1.1.255",
        "10.1.3.0",
        "fd00::8",
        "127.0.0.1",
        "::1",
        "::ffff:10.1.2.1",
        "64:ff9b::a01:201",
    ] {
        assert!(check_address(&policy, refused.parse().unwrap()).is_err(), "{refused}");
    }
    assert!(check_url(&policy, "https://10.1.2.9:5678/webhook/x").is_ok());
    assert!(check_url(&policy, "http://10.1.2.9/").is_err(), "it admits no http");
    assert!(check_url(&policy, "https://localhost/").is_err());
    for loopback in ["127.0.0.0/8", "::1"] {
        assert!(check_url(&of(loopback), "https://localhost/").is_ok(), "{loopback}");
    }
}
