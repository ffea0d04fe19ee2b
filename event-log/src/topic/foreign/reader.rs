//! Reads one partition from an offset on, in a thread of its own, and makes events of its messages.
//!
//! Offsets have gaps: compaction leaves some, and a transaction's end takes one that no message has. So that a checkpoint reaches the end
//! of such a partition too, a reader at the end that the broker puts further away reads the rest again: if it comes to the end
//! without a message, there is none up to where the broker said.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use reel_events::EventBatch;
use reel_events::foreign::{Format, Message};
use tokio::sync::mpsc;

use super::{PATIENCE, ends_of};
use crate::topic::kafka::consumer::{hand_over, named};
use crate::topic::kafka::read_ahead::ReadAhead;
use crate::topic::kafka::{Quiet, TopicFault, TopicUrl, is_passing};

/// How often a reader looks whether it is to end.
const LOOK: Duration = Duration::from_millis(100);
/// How often a reader that is behind asks how far it has to go.
const ASKED: Duration = Duration::from_secs(1);
/// Messages and bytes of one piece, and how many pieces wait for the shard: what bounds memory.
const PIECE_MESSAGES: usize = 20_000;
const PIECE_BYTES: usize = 4 << 20;
const PIECES: usize = 3;

/// Some messages of a partition, in order.
#[derive(Debug, Default)]
pub(super) struct Piece {
    /// An event for each.
    pub(super) events: EventBatch,
    /// The position that the partition was read up to: the last message's, or one behind it that no message has.
    pub(super) through: u64,
    /// How far the partition is known to reach.
    pub(super) head: u64,
}

/// The messages of one partition; dropped, nobody reads it any more.
pub(super) struct Reading {
    pub(super) pieces: mpsc::Receiver<Result<Piece, TopicFault>>,
    stop: Arc<AtomicBool>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Reads `partition` from `offset` on.
pub(super) fn begin(url: &TopicUrl, format: &Format, partition: u32, offset: u64) -> Reading {
    let (sender, pieces) = mpsc::channel(PIECES);
    let stop = Arc::new(AtomicBool::new(false));
    let (url, format, stopped) = (url.clone(), format.clone(), Arc::clone(&stop));
    named("kafka partition", move || {
        let read = Reader::open(&url, format, partition, offset).and_then(|mut reader| reader.read(&sender, &stopped));
        if let Err(error) = read {
            hand_over(Err(TopicFault::of(&url, error)), &sender, &stopped);
        }
    });
    Reading { pieces, stop }
}

struct Reader {
    consumer: BaseConsumer<Quiet>,
    format: Format,
    topic: String,
    partition: i32,
    /// The offset to be read next.
    next: i64,
    /// How far the partition reached when the broker was last asked, and when that was.
    head: i64,
    asked: Option<Instant>,
    /// There is no message up to here, if the end comes before one does.
    proof: Option<i64>,
}

/// What was read in one go.
struct Read {
    events: EventBatch,
    is_at_end: bool,
}

impl Reader {
    fn open(url: &TopicUrl, format: Format, partition: u32, offset: u64) -> Result<Reader, KafkaError> {
        let settings = [
            ("group.id", "reel"),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "error"),
            ("enable.partition.eof", "true"),
            ("isolation.level", "read_committed"),
        ];
        let consumer: BaseConsumer<Quiet> = ReadAhead::of(1).configure(url, &settings).create_with_context(Quiet)?;
        let partition = i32::try_from(partition).expect("Kafka has fewer partitions");
        let next = i64::try_from(offset).expect("offsets are below 2^63");
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(url.topic(), partition, Offset::Offset(next))?;
        consumer.assign(&assignment)?;
        let topic = url.topic().to_owned();
        Ok(Reader { consumer, format, topic, partition, next, head: next, asked: None, proof: None })
    }

    /// Reads until it is told to stop, or nobody listens any more.
    fn read(&mut self, pieces: &mpsc::Sender<Result<Piece, TopicFault>>, stop: &AtomicBool) -> Result<(), KafkaError> {
        while !stop.load(Ordering::Relaxed) && !pieces.is_closed() {
            let before = self.next;
            let Read { events, is_at_end } = self.some()?;
            if is_at_end {
                self.at_end()?;
            } else if self.asked.is_none_or(|asked| asked.elapsed() > ASKED) {
                self.ask()?;
            }
            if self.next == before {
                continue;
            }
            let offset = |offset| u64::try_from(offset).expect("offsets are not negative");
            let piece = Piece { events, through: offset(self.next), head: offset(self.head.max(self.next)) };
            if !hand_over(Ok(piece), pieces, stop) {
                break;
            }
        }
        Ok(())
    }

    /// What there is right now, up to a piece.
    fn some(&mut self) -> Result<Read, KafkaError> {
        let mut events = EventBatch::of_partition(self.partition as u32);
        let mut wait = LOOK;
        while events.len() < PIECE_MESSAGES && events.heap_bytes() < PIECE_BYTES {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    take(&self.format, &self.topic, &message, &mut events);
                    (self.next, self.proof) = (message.offset() + 1, None);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(Read { events, is_at_end: true }),
                Some(Err(error)) if is_passing(&error) => {
                    tracing::debug!(%error, "kafka: the partition cannot be read");
                }
                // Nothing may be passed over: whoever reads on begins again where the shard is.
                Some(Err(error)) => return Err(error),
                None => break,
            }
            wait = Duration::ZERO;
        }
        Ok(Read { events, is_at_end: false })
    }

    /// The end was reached. Where the broker puts it further away, what lies between is read once more.
    fn at_end(&mut self) -> Result<(), KafkaError> {
        if let Some(end) = self.proof.take() {
            self.next = self.next.max(end);
        }
        self.ask()?;
        if self.head > self.next {
            self.proof = Some(self.head);
            self.consumer.seek(&self.topic, self.partition, Offset::Offset(self.next), PATIENCE)?;
        }
        Ok(())
    }

    fn ask(&mut self) -> Result<(), KafkaError> {
        let ends = ends_of(&self.consumer, &self.topic, self.partition)?;
        self.head = i64::try_from(ends.end).expect("offsets are below 2^63");
        self.asked = Some(Instant::now());
        Ok(())
    }
}

fn take(format: &Format, topic: &str, message: &BorrowedMessage<'_>, events: &mut EventBatch) {
    let read = Message {
        topic,
        partition: message.partition() as u32,
        offset: u64::try_from(message.offset()).expect("a message has an offset"),
        timestamp: message.timestamp().to_millis(),
        key: message.key(),
        value: message.payload(),
        headers: headers(message),
    };
    format.read(&read, events);
}

/// The headers. The client panics at a name that is not UTF-8, which Kafka asks for and does not check.
fn headers<'a>(message: &'a BorrowedMessage<'_>) -> Vec<(&'a str, Option<&'a [u8]>)> {
    let Some(headers) = message.headers() else { return Vec::new() };
    let each = (0..headers.count()).filter_map(|index| {
        let header = catch_unwind(AssertUnwindSafe(|| headers.get(index)));
        header.ok().map(|header| (header.key, header.value))
    });
    each.collect()
}
