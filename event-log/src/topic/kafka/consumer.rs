//! The consumer's side of the topic: a member of a consumer group, with a reader for each partition that the group gives it.
//!
//! Readers parse messages into packed batches in threads of their own, so that reading, parsing and applying overlap; a reader that
//! is not listened to stops reading. Offsets are committed as a hint only: where a shard stands is known by its checkpoint.
//!
//! Not here: what a shard makes of the messages (`topic::shard`).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak, mpsc as blocking};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::{
    ClientContext, Message as _, Offset, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, base_consumer::PartitionQueue},
    error::KafkaError,
    message::{BorrowedMessage, Headers},
    topic_partition_list::TopicPartitionListElem,
    types::RDKafkaRespErr,
};
use reel_events::cloud_events::kafka::{self, Message};
use reel_events::{EventBatch, Timestamp};
use tokio::sync::mpsc;

use super::{TopicUrl, note_error, note_log, read_ahead::ReadAhead};
use crate::topic::shard::{Carries, Mark, Partition, Piece};

/// How long the group waits for shards that are taken away to end behind their batch. Who is late is fenced by the checkpoint.
const GRACE: Duration = Duration::from_secs(3);
/// How long a member that leaves takes to commit its last hints and to tell the group. Who does not tell keeps its partitions from the
/// others for as long as it may be silent.
const FAREWELL: Duration = Duration::from_millis(300);
/// How far clocks may be apart before a partition begins too late, and history has to make up for it.
const MARGIN_MS: i64 = 60_000;
/// How long the broker may take to say where partitions begin; else they begin at their start.
const ASKED: Duration = Duration::from_secs(5);
/// How often threads look whether they are to end.
const LOOK: Duration = Duration::from_millis(100);
/// How many pieces wait for a shard.
const PIECES: usize = 2;
/// How long a member may be silent before the group gives its partitions to others, in milliseconds: as long as a lease.
const SESSION_MS: &str = "10000";

/// A change of the partitions that this member reads.
pub enum Move {
    /// A partition is this member's now.
    Given {
        /// Its number.
        partition: u32,
        /// Its messages, from where the group's members left off.
        messages: Partition,
    },
    /// Partitions go to others: end their shards, then drop `done`. The group waits for that a short while.
    Taken {
        /// Their numbers.
        partitions: Vec<u32>,
        /// Held until they have ended.
        done: Done,
    },
}

/// Dropped when the shards of partitions that are taken away have ended.
pub struct Done(#[expect(dead_code, reason = "its end is the message")] blocking::SyncSender<()>);

/// A member of a consumer group. Dropped, it leaves the group.
pub struct Member {
    moves: mpsc::UnboundedReceiver<Move>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    /// Joins the group `group` for the topic at `url`, which has so many partitions. Those of which the group has read nothing yet begin
    /// with what was published since about `since`, or with all there is: what is older was seen, and what is missed shows as a hole.
    ///
    /// # Errors
    /// Where the URL's settings are not librdkafka's. A broker that is away is waited for.
    pub fn join(url: &TopicUrl, group: &str, partitions: u32, since: Option<Timestamp>) -> Result<Member, KafkaError> {
        let since = since.map(|since| since.micros() / 1_000 - MARGIN_MS).filter(|since| *since > 0);
        Member::begin(url, group, Reads::Given { since, ahead: ReadAhead::of(partitions) })
    }

    /// Joins the group `group` only to share the partitions of the topic at `url` with its other members: none of their messages comes
    /// from here.
    ///
    /// # Errors
    /// As [`Member::join`].
    pub fn spread(url: &TopicUrl, group: &str) -> Result<Member, KafkaError> {
        Member::begin(url, group, Reads::Nothing)
    }

    fn begin(url: &TopicUrl, group: &str, reads: Reads) -> Result<Member, KafkaError> {
        let (sender, moves) = mpsc::unbounded_channel();
        let context = Context {
            topic: url.topic().to_owned(),
            reads,
            moves: sender,
            consumer: OnceLock::new(),
            readers: Mutex::default(),
        };
        let settings = [
            ("group.id", group),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", SESSION_MS),
            ("heartbeat.interval.ms", "1000"),
            ("auto.offset.reset", "earliest"),
            ("enable.auto.commit", "true"),
            ("enable.auto.offset.store", "false"),
            ("auto.commit.interval.ms", "1000"),
            ("enable.partition.eof", "false"),
        ];
        let config = context.reads.ahead().configure(url, &settings);
        let consumer: Arc<BaseConsumer<Context>> = Arc::new(config.create_with_context(context)?);
        let known = consumer.context().consumer.set(Arc::downgrade(&consumer));
        known.expect("set only here");
        consumer.subscribe(&[url.topic()])?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let stop = Arc::clone(&stop);
            named("kafka member", move || serve(consumer, &stop))
        };
        Ok(Member { moves, stop, thread: Some(thread) })
    }

    /// The next change. Cancel-safe.
    pub async fn next(&mut self) -> Move {
        match self.moves.recv().await {
            Some(moved) => moved,
            // The thread ends only when this is dropped.
            None => std::future::pending().await,
        }
    }

    /// Leaves the group. The shards must have ended.
    pub async fn leave(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.moves.close();
        while self.moves.recv().await.is_some() {}
        if let Some(thread) = self.thread.take() {
            let ended = tokio::task::spawn_blocking(move || thread.join()).await;
            debug_assert!(matches!(ended, Ok(Ok(()))), "the member's thread does not panic");
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

pub(crate) fn named<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).expect("the system gives us threads")
}

/// Serves the group's protocol until the member leaves.
fn serve(consumer: Arc<BaseConsumer<Context>>, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        poll(&consumer);
    }
    consumer.unsubscribe();
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline && consumer.assignment().is_ok_and(|assigned| assigned.count() > 0) {
        poll(&consumer);
    }
    consumer.context().end_readers(|_| true);
    // Nothing tells when the group was told, and a client that is closed before never tells it.
    let deadline = Instant::now() + FAREWELL;
    while Instant::now() < deadline {
        poll(&consumer);
    }
}

fn poll(consumer: &BaseConsumer<Context>) {
    match consumer.poll(LOOK) {
        // Every partition has a queue of its own; what comes here all the same shows there as a hole.
        Some(Ok(message)) => tracing::debug!(partition = message.partition(), "kafka: a message beside its queue"),
        Some(Err(error)) => tracing::debug!(%error, "kafka: the topic cannot be read"),
        None => {}
    }
}

/// What a member reads of the partitions that it is given.
enum Reads {
    /// Their messages, those that nobody has read yet from `since` on: milliseconds since the epoch.
    Given { since: Option<i64>, ahead: ReadAhead },
    /// Nothing: they stand still.
    Nothing,
}

impl Reads {
    fn ahead(&self) -> ReadAhead {
        match self {
            Reads::Given { ahead, .. } => *ahead,
            Reads::Nothing => ReadAhead::of(1),
        }
    }
}

struct Context {
    topic: String,
    reads: Reads,
    moves: mpsc::UnboundedSender<Move>,
    consumer: OnceLock<Weak<BaseConsumer<Context>>>,
    readers: Mutex<HashMap<i32, Reader>>,
}

struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Context {
    fn readers(&self) -> MutexGuard<'_, HashMap<i32, Reader>> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives a partition away, with its messages if they are read here.
    fn give(&self, partition: i32) {
        let messages = match self.reads {
            Reads::Given { ahead, .. } => self.read(partition, ahead),
            Reads::Nothing => Some(Partition { pieces: mpsc::channel(1).1, hint: Box::new(|_| {}) }),
        };
        if let Some(messages) = messages {
            // Nobody listens any more where the member leaves.
            let _ = self.moves.send(Move::Given { partition: partition as u32, messages });
        }
    }

    /// Gives a partition a queue of its own, before any of its messages is fetched, and a reader.
    fn read(&self, partition: i32, ahead: ReadAhead) -> Option<Partition> {
        let consumer = self.consumer.get().and_then(Weak::upgrade)?;
        let queue = consumer.split_partition_queue(&self.topic, partition)?;
        let (sender, pieces) = mpsc::channel(PIECES);
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (stop, topic) = (Arc::clone(&stop), self.topic.clone());
            named("kafka partition", move || read((&queue, &topic), ahead, &sender, &stop))
        };
        self.readers().insert(partition, Reader { stop, thread });
        let (consumer, topic) = (Arc::downgrade(&consumer), self.topic.clone());
        let hint = move |end: i64| {
            if let Some(consumer) = consumer.upgrade()
                && let Err(error) = consumer.store_offset(&topic, partition, end - 1)
            {
                tracing::debug!(partition, %error, "kafka: the hint where to begin is not kept");
            }
        };
        Some(Partition { pieces, hint: Box::new(hint) })
    }

    /// Takes partitions over; those that are not read here stand still from the beginning.
    fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &mut TopicPartitionList) -> Result<(), KafkaError> {
        if let Reads::Given { since: Some(since), .. } = self.reads
            && let Err(error) = begin(consumer, partitions, since)
        {
            tracing::debug!(%error, "kafka: partitions begin at their start");
        }
        if matches!(self.reads, Reads::Nothing) {
            partitions.set_all_offsets(Offset::End)?;
        }
        consumer.incremental_assign(partitions)?;
        match self.reads {
            Reads::Given { .. } => Ok(()),
            Reads::Nothing => consumer.pause(partitions),
        }
    }

    /// Has the shards of partitions end, waits for that a short while, and ends their readers.
    fn take_away(&self, partitions: &[i32]) {
        let (sender, ended) = blocking::sync_channel(0);
        let numbers = partitions.iter().map(|partition| *partition as u32).collect();
        if self.moves.send(Move::Taken { partitions: numbers, done: Done(sender) }).is_ok()
            && ended.recv_timeout(GRACE) == Err(blocking::RecvTimeoutError::Timeout)
        {
            tracing::warn!(
                ?partitions,
                "shards that go to another host did not end in time: their next commit is refused"
            );
        }
        self.end_readers(|partition| partitions.contains(&partition));
    }

    fn end_readers(&self, which: impl Fn(i32) -> bool) {
        let ended: Vec<Reader> = {
            let mut readers = self.readers();
            let gone: Vec<i32> = readers.keys().copied().filter(|partition| which(*partition)).collect();
            gone.iter().filter_map(|partition| readers.remove(partition)).collect()
        };
        for reader in &ended {
            reader.stop.store(true, Ordering::Relaxed);
        }
        for reader in ended {
            if reader.thread.join().is_err() {
                tracing::error!("a partition's reader ended badly");
            }
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        note_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error(&error, reason);
    }
}

/// Where partitions begin of which the group has read nothing yet.
fn begin(consumer: &BaseConsumer<Context>, assigned: &mut TopicPartitionList, since: i64) -> Result<(), KafkaError> {
    let committed = consumer.committed_offsets(assigned.clone(), ASKED)?;
    let topic = &consumer.context().topic;
    let mut unread = TopicPartitionList::new();
    for place in committed.elements().iter().filter(|place| place.offset() == Offset::Invalid) {
        unread.add_partition_offset(topic, place.partition(), Offset::Offset(since))?;
    }
    if unread.count() == 0 {
        return Ok(());
    }
    for place in consumer.offsets_for_times(unread, ASKED)?.elements() {
        assigned.set_partition_offset(topic, place.partition(), place.offset())?;
    }
    Ok(())
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let numbers: Vec<i32> = partitions.elements().iter().map(TopicPartitionListElem::partition).collect();
        let done = match code {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                numbers.into_iter().for_each(|partition| self.give(partition));
                self.assign(consumer, partitions)
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                if !numbers.is_empty() {
                    self.take_away(&numbers);
                }
                consumer.incremental_unassign(partitions)
            }
            _ => consumer.unassign(),
        };
        if let Err(error) = done {
            tracing::warn!(%error, "kafka: the group could not be rearranged");
        }
    }
}

/// Reads a partition until it is told to end, or nobody listens any more.
fn read(
    (queue, topic): (&PartitionQueue<Context>, &str),
    ahead: ReadAhead,
    pieces: &mpsc::Sender<Piece>,
    stop: &AtomicBool,
) {
    let mut broken = Broken::default();
    let mut like = (0, 0);
    while !stop.load(Ordering::Relaxed) && !pieces.is_closed() {
        // The last piece tells how much room this one will take: one that grows is copied again and again.
        let mut piece = Piece { events: EventBatch::with_capacity(like.0, like.1), ..Piece::default() };
        let mut wait = LOOK;
        while piece.marks.len() < ahead.messages && piece.events.heap_bytes() < ahead.bytes {
            match queue.poll(wait) {
                Some(Ok(message)) => {
                    piece.end = message.offset() + 1;
                    if let Err(error) = take(&message, &mut piece) {
                        broken.note(topic, &message, &error);
                    }
                }
                Some(Err(error)) => tracing::debug!(%error, "kafka: the partition cannot be read"),
                None => break,
            }
            wait = Duration::ZERO;
        }
        like = (piece.events.len(), piece.events.heap_bytes());
        if piece.end > 0 && !hand_over(piece, pieces, stop) {
            return;
        }
    }
}

/// Waits for room, as long as the partition is this member's.
pub(crate) fn hand_over<T>(mut piece: T, pieces: &mpsc::Sender<T>, stop: &AtomicBool) -> bool {
    loop {
        match pieces.try_send(piece) {
            Ok(()) => return true,
            Err(mpsc::error::TrySendError::Full(back)) if !stop.load(Ordering::Relaxed) => piece = back,
            Err(_) => return false,
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn take(message: &BorrowedMessage<'_>, piece: &mut Piece) -> Result<(), reel_events::cloud_events::CloudEventError> {
    let headers = message.headers();
    let headers = headers.iter().flat_map(|headers| headers.iter());
    let headers = headers.map(|header| (header.key, header.value.unwrap_or_default()));
    let read = kafka::read(message.key().unwrap_or_default(), message.payload().unwrap_or_default(), headers)?;
    let (point, placement) = (read.point(), read.placement());
    let carries = match read {
        Message::Event(event, _) => {
            piece.events.push(event);
            Carries::Event
        }
        Message::Watermark(..) => Carries::Nothing,
    };
    piece.marks.push(Mark { point, placement, carries });
    Ok(())
}

/// Messages that are not ours: named, but not each of a million.
#[derive(Default)]
struct Broken {
    said: Option<Instant>,
    more: u64,
}

impl Broken {
    /// What it was can be lost: if it was an event of the log, the next message shows the hole.
    fn note(&mut self, topic: &str, message: &BorrowedMessage<'_>, error: &dyn std::error::Error) {
        let (partition, offset) = (message.partition(), message.offset());
        if self.said.is_some_and(|said| said.elapsed() < Duration::from_secs(10)) {
            self.more += 1;
            return;
        }
        let before = std::mem::take(&mut self.more);
        self.said = Some(Instant::now());
        tracing::warn!(
            topic,
            partition,
            offset,
            before,
            "a message that Reel did not write was passed over: {error}. Let nothing but Reel's relay write into this topic"
        );
    }
}
