//! A large file takes no more memory on its way out than a small one, in a process of its own.

#[cfg(target_os = "linux")]
use wharf_support::{begin_measuring, process_kib, run_alone};

/// What receiving, encrypting and uploading 64 MiB may take: one piece of each. 6 MiB were seen.
#[cfg(target_os = "linux")]
const MOST_KIB: usize = 16 * 1024;

/// The test below starts this one alone, so that nobody else's memory is measured.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs inside a_large_file_takes_little_memory_on_its_way_out"]
async fn inside_a_process_of_its_own() {
    use super::{Host, SendStatus, World, document, number, received, sending_to};
    let host = Host::start().await;
    let world = World::start_with(sending_to(&host)).await;
    let (client, _) = world.client_with_number().await;
    world.sends_file(client, &[7; 100_000], true).await.unwrap();
    let Some(before) = begin_measuring() else { return };
    let piece = vec![7; 64 * 1024];
    let mut receiving = world.gateway.receive_file(client, &number(1), None).await.unwrap();
    for _ in 0..1024 {
        receiving.take(&piece).await.unwrap();
    }
    let file = received(receiving.finish().await.unwrap());
    let queued = world.sends(client, document(), file, false).await.unwrap();
    world.becomes(client, &queued.message_id, SendStatus::Sent).await;
    let grown = process_kib("VmHWM").saturating_sub(before);
    println!("64 MiB received, encrypted and uploaded: {grown} KiB more memory");
    assert_eq!(
        host.uploads().last().unwrap().bytes as u64,
        wharf_whatsapp::media::encrypted_size(64 << 20)
    );
    assert!(grown < MOST_KIB, "{grown} KiB");
    world.gateway.stop().await;
}

#[cfg(target_os = "linux")]
#[test]
fn a_large_file_takes_little_memory_on_its_way_out() {
    run_alone("tests::outbound::flat::inside_a_process_of_its_own");
}
