//! A shard's feed: out of a partition that is played by hand, over a real store.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected ends")]

use std::sync::{Arc, Mutex as Held};
use std::time::Duration;

use reel_event_log::topic::TopicError;
use reel_event_log::topic::shard::{Carries, Ends, Fed, Mark, Partition, Piece, ShardFeed, ShardPlace};
use reel_event_log::{EventStore, ExpectedVersion, IdOrigin, Limits, NewCommit, ReadLimit, SqliteStore};
use reel_events::cloud_events::kafka::Placement;
use reel_events::{CanonicalJson, EventBatch, EventKind, LogPoint, NewEvent, StreamId, partition_of};
use tempfile::TempDir;
use tokio::sync::{Mutex, Notify, mpsc, watch};
use uuid::Uuid;

const SHARDS: u32 = 3;
const SHARD: u32 = 1;

/// A log of 60 events over 12 streams, and one shard of it.
struct Bed {
    store: Arc<dyn EventStore>,
    log: EventBatch,
    partition: Arc<Mutex<Partition>>,
    topic: mpsc::Sender<Piece>,
    ends: watch::Sender<Option<u64>>,
    suspected: Arc<Notify>,
    hints: Arc<Held<Vec<i64>>>,
    _folder: TempDir,
}

impl Bed {
    async fn new() -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn EventStore> =
            Arc::new(SqliteStore::open(folder.path().join("events.db"), Limits::default()).unwrap());
        let commits = (0..60).map(|nth| commit(&format!("post-{}", nth * 7 % 12))).collect();
        for answer in store.append_all(commits).await {
            answer.unwrap();
        }
        let log = store.read(0, ReadLimit::events(1_000)).await.unwrap();
        let (topic, pieces) = mpsc::channel(10);
        let hints = Arc::new(Held::new(Vec::new()));
        let heard = Arc::clone(&hints);
        let hint = Box::new(move |end| heard.lock().unwrap().push(end));
        let partition = Arc::new(Mutex::new(Partition { pieces, hint }));
        Bed {
            store,
            log,
            partition,
            topic,
            ends: watch::Sender::new(None),
            suspected: Arc::default(),
            hints,
            _folder: folder,
        }
    }

    fn feed(&self, at: LogPoint) -> ShardFeed {
        let place = ShardPlace { log: self.store.log_id(), layout: 1, shard: SHARD, shards: SHARDS, at };
        let ends = Ends { through: self.ends.subscribe(), suspected: Arc::clone(&self.suspected) };
        let partition = Arc::clone(&self.partition).try_lock_owned().unwrap();
        ShardFeed::new(Arc::clone(&self.store), place, partition, ends)
    }

    fn point(&self, position: u64) -> LogPoint {
        match position {
            0 => LogPoint::START,
            _ => LogPoint { position, event: self.log.get(position as usize - 1).id },
        }
    }

    /// The positions of this shard behind `after`, up to `through`.
    fn own(&self, after: u64, through: u64) -> Vec<u64> {
        let of_shard = self.log.iter().filter(|event| partition_of(event.stream, SHARDS) == SHARD);
        of_shard.map(|event| event.position).filter(|position| *position > after && *position <= through).collect()
    }

    /// The messages of these positions, as a relay writes them.
    fn piece(&self, positions: &[u64], layout: u64) -> Piece {
        let mut piece = Piece::default();
        for position in positions {
            piece.events.push(self.log.get(*position as usize - 1));
            let previous = self.own(0, position - 1).last().copied().unwrap_or(0);
            let placement = Placement { log: self.store.log_id(), previous, layout };
            piece.marks.push(Mark { point: self.point(*position), placement, carries: Carries::Event });
        }
        piece.end = positions.last().map_or(0, |last| *last as i64);
        piece
    }

    async fn publish(&self, positions: &[u64]) {
        self.topic.send(self.piece(positions, 1)).await.unwrap();
    }
}

fn commit(stream: &str) -> NewCommit {
    NewCommit {
        id: Uuid::now_v7(),
        stream: StreamId::new(stream).unwrap(),
        expected: ExpectedVersion::Any,
        digest: [0; 32],
        ids: IdOrigin::Given,
        events: vec![NewEvent {
            id: Uuid::now_v7(),
            kind: EventKind::new("noted").unwrap(),
            schema: 1,
            recorded_at: None,
            payload: CanonicalJson::trusted("{}"),
            metadata: CanonicalJson::default(),
        }],
    }
}

fn positions(fed: &Fed) -> Vec<u64> {
    fed.events.iter().map(|event| event.position).collect()
}

/// Everything that is fed until the shard stands at `through`.
async fn all(feed: &mut ShardFeed, through: u64) -> Vec<u64> {
    let mut taken = Vec::new();
    loop {
        let fed = tokio::time::timeout(Duration::from_secs(20), feed.next(7)).await.unwrap().unwrap();
        assert!(fed.events.len() <= 7);
        taken.extend(positions(&fed));
        if fed.through.position >= through {
            return taken;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_without_holes_is_enough() {
    let bed = Bed::new().await;
    let own = bed.own(0, 60);
    for part in own.chunks(4) {
        bed.publish(part).await;
    }
    let mut feed = bed.feed(LogPoint::START);
    assert_eq!(all(&mut feed, *own.last().unwrap()).await, own);
}

#[tokio::test(flavor = "multi_thread")]
async fn holes_doubles_and_late_messages() {
    let bed = Bed::new().await;
    let own = bed.own(0, 60);
    let (first, third) = (own[0], own[2]);
    bed.publish(&[third, first, third]).await;
    bed.publish(&own[own.len() - 2..]).await;
    bed.publish(&own[3..6]).await;
    let mut feed = bed.feed(LogPoint::START);
    assert_eq!(all(&mut feed, *own.last().unwrap()).await, own);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_topic_is_made_up_for() {
    let bed = Bed::new().await;
    let mut feed = bed.feed(bed.point(20));
    assert_eq!(all(&mut feed, 60).await, bed.own(20, 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_has_taken_nothing() {
    let bed = Bed::new().await;
    let mut feed = bed.feed(LogPoint::START);
    let own = bed.own(0, 60);
    let mut taken = Vec::new();
    for part in own.chunks(3) {
        bed.publish(part).await;
        // Dropped wherever it happens to wait.
        for millis in [0, 1, 2] {
            if let Ok(fed) = tokio::time::timeout(Duration::from_millis(millis), feed.next(2)).await {
                taken.extend(positions(&fed.unwrap()));
            }
        }
    }
    let last = *own.last().unwrap();
    if taken.last() != Some(&last) {
        taken.extend(all(&mut feed, last).await);
    }
    assert_eq!(taken, own);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_layout_is_not_passed() {
    let bed = Bed::new().await;
    let own = bed.own(0, 60);
    let mut feed = bed.feed(LogPoint::START);
    bed.publish(&own[..2]).await;
    let mut taken = all(&mut feed, own[1]).await;
    // A message of a newer layout is a suspicion, no more.
    bed.topic.send(bed.piece(&own[own.len() - 1..], 41)).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(300), feed.next(7)).await.is_err());
    tokio::time::timeout(Duration::from_secs(5), bed.suspected.notified()).await.unwrap();
    bed.ends.send_replace(Some(40));
    taken.extend(all(&mut feed, 40).await);
    assert_eq!(taken, bed.own(0, 40));
    bed.publish(&own[own.len() - 3..]).await;
    assert!(tokio::time::timeout(Duration::from_millis(300), feed.next(7)).await.is_err());
    // Another layout before the first was replaced: the end moves, and a shard that rests goes on.
    let waiting = tokio::spawn(async move { all(&mut feed, 55).await });
    tokio::task::yield_now().await;
    bed.ends.send_replace(Some(55));
    let rest = tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it goes on").unwrap();
    assert_eq!(rest, bed.own(40, 55));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_whose_partition_has_ended_has_history() {
    let mut bed = Bed::new().await;
    let (other, _) = mpsc::channel(1);
    drop(std::mem::replace(&mut bed.topic, other));
    let mut feed = bed.feed(LogPoint::START);
    assert_eq!(all(&mut feed, 60).await, bed.own(0, 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_partition_goes_from_feed_to_feed() {
    let bed = Bed::new().await;
    let own = bed.own(0, 60);
    bed.publish(&own[..4]).await;
    let mut feed = bed.feed(LogPoint::START);
    let through = feed.next(2).await.unwrap().through;
    // What the first feed had heard and not handed over is a hole for the second.
    drop(feed);
    bed.publish(&own[4..]).await;
    let mut feed = bed.feed(through);
    assert_eq!(all(&mut feed, *own.last().unwrap()).await, own[2..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_are_hinted_late() {
    let bed = Bed::new().await;
    let own = bed.own(0, 60);
    let mut feed = bed.feed(LogPoint::START);
    for position in &own[..6] {
        bed.publish(&[*position]).await;
        assert_eq!(positions(&feed.next(7).await.unwrap()), [*position]);
    }
    assert_eq!(*bed.hints.lock().unwrap(), own[..3].iter().map(|end| *end as i64).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_does_not_hold_is_named() {
    let bed = Bed::new().await;
    let mut piece = bed.piece(&[60], 1);
    let last = bed.own(0, 60).last().copied().unwrap();
    piece.marks[0].point = LogPoint { position: 61, event: Uuid::nil() };
    piece.marks[0].placement.previous = last;
    bed.topic.send(piece).await.unwrap();
    let mut feed = bed.feed(bed.point(60));
    for _ in 0..2 {
        let error = feed.next(7).await.unwrap_err();
        assert!(matches!(error, TopicError::Invented(_)), "{error}");
        assert!(error.to_string().contains("at position 61, but the event store holds nothing there"), "{error}");
    }
    drop(feed);
    let mut elsewhere = bed.feed(LogPoint { position: 9, event: Uuid::nil() });
    let error = elsewhere.next(7).await.unwrap_err();
    assert!(matches!(error, TopicError::OtherEvent { position: 9, .. }), "{error}");
}
