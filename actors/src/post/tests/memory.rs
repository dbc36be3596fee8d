//! What many attempts against receivers without end cost at once, in a process of its own.

use wharf_support::{begin_measuring, process_kib, run_alone};

use super::{
    hostile::{endless, poster_trusting, receiver},
    *,
};

/// Attempts at a time; a gateway makes 256 in all by default, and 64 for one client.
const AT_ONCE: usize = 64;
/// What one attempt may hold at its worst: hyper's buffer for a head of HTTP/1.1 (408 KiB) as it doubles, TLS, and what
/// the receiver's side takes in this same process.
const PER_ATTEMPT_KIB: usize = 640;

/// The test below starts this one alone, so that nobody else's memory is measured.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs inside memory_stays_flat_whatever_receivers_send"]
async fn inside_a_process_of_its_own() {
    let identity = Identity::for_names(&["127.0.0.1"]);
    let timeout = Duration::from_millis(700);
    for (name, over, hostility) in endless() {
        let (receiver, url) = receiver(over, hostility, &identity).await;
        // A client each: what a connection leaves behind goes with it.
        let poster = poster_trusting(&identity);
        // The allocator keeps what earlier rows gave back; the mark is where it stands now.
        let Some(before) = begin_measuring() else { return };
        let attempts: Vec<_> = (0..AT_ONCE)
            .map(|_| (poster.clone(), url.clone()))
            .map(|(poster, url)| tokio::spawn(async move { post_within(&poster, &url, timeout).await }))
            .collect();
        for attempt in attempts {
            attempt.await.unwrap();
        }
        let grown = process_kib("VmHWM").saturating_sub(before);
        println!(
            "{name}: {grown} KiB for {AT_ONCE} attempts, {} MiB sent",
            receiver.bytes_written() >> 20
        );
        assert!(grown < AT_ONCE * PER_ATTEMPT_KIB, "{name}: {grown} KiB");
    }
    let all = process_kib("VmRSS");
    assert!(all < 160 * 1024, "{all} KiB remain after all of it");
}

#[cfg(target_os = "linux")]
#[test]
fn memory_stays_flat_whatever_receivers_send() {
    run_alone("post::tests::memory::inside_a_process_of_its_own");
}
