use uuid::Uuid;
use wharf_domain::ConnectionKey;

use super::*;

fn due(client: i64, number: u128) -> DueMedia {
    DueMedia {
        id: EventId(Uuid::from_u128(number)),
        key: ConnectionKey {
            client_id: ClientId(client),
            phone_number: "5511888888888".parse().unwrap(),
        },
        attempts: 0,
        sealed: Vec::new(),
        message: None,
    }
}

fn chosen(found: &[(i64, u128)], running: &[(i64, usize)], free: usize) -> Vec<(i64, u128)> {
    let running = running
        .iter()
        .map(|&(client, count)| (ClientId(client), count))
        .collect();
    let found = found.iter().map(|&(client, number)| due(client, number));
    let chosen = choose(found, running, 2, free);
    chosen
        .into_iter()
        .map(|due| (due.key.client_id.0, due.id.0.as_u128()))
        .collect()
}

#[test]
fn clients_take_turns_and_none_has_more_than_its_slots() {
    let found = [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5), (3, 6)];
    assert_eq!(chosen(&found, &[], 9), [(1, 1), (2, 4), (3, 6), (1, 2), (2, 5)]);
    assert_eq!(chosen(&found, &[], 3), [(1, 1), (2, 4), (3, 6)]);
    assert_eq!(
        chosen(&found, &[(1, 2), (3, 1)], 9),
        [(2, 4), (2, 5), (3, 6)],
        "who has fewest comes first"
    );
    assert_eq!(chosen(&found, &[], 0), []);
}
