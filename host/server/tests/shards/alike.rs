//! Two generations are read at one position though commands keep arriving, whichever hosts run their shards.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reel_host::inspect::{DiffRequest, Line, Positions, Which};
use reel_host::{Host, Topic};
use reel_read_model::{GenerationState, Promotion, Target};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::bed::{Bed, deployment, in_state, named, reached, until};
use crate::posts::happening;

/// How long a comparison may take; without a hold shards would have to happen to stand alike.
const SOON: Duration = Duration::from_secs(10);

/// Somebody who sends commands all the time.
struct Sender {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    sending: JoinHandle<()>,
}

impl Sender {
    fn start(bed: &Bed, posts: usize) -> Sender {
        let (store, stop, sent) = (Arc::clone(&bed.store), Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let sending = tokio::spawn(async move {
            for round in 4.. {
                for post in 0..posts {
                    if stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    store.append(happening(post, round)).await.unwrap();
                    counted.fetch_add(1, Ordering::Relaxed);
                    // A few hundred commands a second: each shard gets one every few milliseconds.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        });
        Sender { stop, sent, sending }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.sending.await.unwrap();
    }
}

fn which(generation: &str, target: Option<&str>) -> Which {
    Which { wanted: named(generation), target: target.map(str::to_owned) }
}

/// Compares two; what the summary says of them.
async fn compared(host: &Host, (here, there): (Which, Which), sample: Option<u64>) -> (bool, Vec<u64>) {
    let request = DiffRequest { here, there, sample, positions: Positions::Equal };
    let began = Instant::now();
    let mut report = host.diff(request).await.unwrap();
    let Some(Ok(Line::Summary(summary))) = report.next().await else { panic!("a summary comes first") };
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    (summary.equal, summary.here.shards.iter().map(|shard| shard.position).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn shards_of_two_hosts_are_read_at_one_position_while_commands_arrive() {
    let Some(bed) = Bed::new(4).await else { return };
    bed.happen(40, 0..4).await;
    let (first, target) = bed.host().await;
    let (second, _) = bed.host().await;
    first.deploy(deployment(Promotion::Automatic)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    second.replay(&named("posts"), deployment(Promotion::Manual)).await.unwrap();
    let next = in_state(&target, 2, GenerationState::Ready).await;
    until("both have four shards", async || {
        let shards = [target.checkpoints(live.id).await.unwrap(), target.checkpoints(next.id).await.unwrap()];
        shards.iter().all(|shards| shards.len() == 4).then_some(())
    })
    .await;
    let sender = Sender::start(&bed, 40);
    for (host, sample) in [(&first, None), (&second, Some(5)), (&first, Some(5)), (&second, None)] {
        let before = sender.sent.load(Ordering::Relaxed);
        let pair = (which("posts@1", None), which("posts@2", None));
        let (equal, positions) = compared(host, pair, sample).await;
        assert!(equal, "at {positions:?}");
        assert_eq!(positions.len(), 4);
        // The generations go on, and the sender was never held.
        until("commands go on", async || (sender.sent.load(Ordering::Relaxed) > before).then_some(())).await;
        reached(&bed.store, &target, &live).await;
        assert_eq!(target.holds().await.unwrap(), [], "it was taken back");
    }
    sender.end().await;
    bed.end(&[&first, &second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shared_generation_and_one_in_another_database_are_read_at_one_position() {
    let Some(bed) = Bed::new(4).await else { return };
    bed.happen(40, 0..4).await;
    bed.add_other().await;
    let ((first, target), (second, _)) = (bed.host_with_other().await, bed.host_with_other().await);
    first.deploy(deployment(Promotion::Automatic)).await.unwrap();
    in_state(&target, 1, GenerationState::Live).await;
    let elsewhere = reel_host::Deployment { target: Some("other".to_owned()), ..deployment(Promotion::Automatic) };
    second.deploy(elsewhere).await.unwrap();
    let other: Arc<dyn Target> = Arc::clone(first.targets().get(Some("other")).unwrap());
    in_state(&other, 1, GenerationState::Live).await;
    let sender = Sender::start(&bed, 40);
    for host in [&first, &second] {
        let pair = (which("posts", None), which("posts", Some("other")));
        let (equal, positions) = compared(host, pair, None).await;
        assert!(equal, "at {positions:?}");
    }
    sender.end().await;
    bed.end(&[&first, &second]).await;
}

/// Another host that tails the store, and has the lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn loops_of_another_host_are_held_as_well() {
    let Some(bed) = Bed::new(1).await else { return };
    bed.happen(40, 0..4).await;
    let (first, target) = bed.host_on(Topic::Store).await;
    first.deploy(deployment(Promotion::Automatic)).await.unwrap();
    in_state(&target, 1, GenerationState::Live).await;
    first.replay(&named("posts"), deployment(Promotion::Manual)).await.unwrap();
    in_state(&target, 2, GenerationState::Ready).await;
    let (second, _) = bed.host_on(Topic::Store).await;
    let sender = Sender::start(&bed, 40);
    for host in [&first, &second] {
        let pair = (which("posts@1", None), which("posts@2", None));
        let (equal, positions) = compared(host, pair, None).await;
        assert!(equal, "at {positions:?}");
    }
    sender.end().await;
    bed.end(&[&first, &second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_generation_whose_reader_died_goes_on_by_itself() {
    let Some(bed) = Bed::new(4).await else { return };
    bed.happen(40, 0..4).await;
    let (host, target) = bed.host().await;
    host.deploy(deployment(Promotion::Automatic)).await.unwrap();
    let live = in_state(&target, 1, GenerationState::Live).await;
    // It never says it again.
    assert!(target.hold(live.id, Uuid::from_u128(9), 1).await.unwrap());
    bed.happen(40, 4..8).await;
    let began = Instant::now();
    reached(&bed.store, &target, &live).await;
    assert!(began.elapsed() < SOON, "it stood still for {:?}", began.elapsed());
    until("nobody holds it any more", async || target.holds().await.unwrap().is_empty().then_some(())).await;
    bed.end(&[&host]).await;
}
