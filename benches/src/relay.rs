//! `relay`: events a second from the embedded store into Kafka, against a bare producer of the same client that sends the same keys and
//! payloads with the same promise, and no headers.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use reel_event_log::topic::kafka::{TopicUrl, find_or_make};
use reel_event_log::{EventStore, ReadLimit};
use reel_events::partition_of;

use crate::error::BenchError;
use crate::process::processor_seconds;
use crate::relayed::{Relayed, delete, own_topic};
use crate::report::Report;
use crate::store;
use crate::workload::Size;

/// How much is read from the store at once, as the relay does.
const LIMIT: ReadLimit = ReadLimit { events: 8_192, bytes: 8 << 20 };
/// How long what is on its way may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Events a second from the embedded store into Kafka
#[derive(Debug, Args)]
pub(crate) struct RelayOptions {
    /// Events in the log
    #[arg(long, default_value_t = 500_000)]
    events: usize,
    /// Partitions of the topic
    #[arg(long, default_value_t = 4)]
    partitions: u32,
    /// Seed of the workload
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often each is measured; the best counts
    #[arg(long, default_value_t = 2)]
    rounds: usize,
    /// Brokers, as HOST:PORT
    #[arg(long, env = "REEL_TEST_KAFKA", value_name = "BROKERS")]
    kafka: String,
}

/// What one of them came to.
#[derive(Debug, Clone, Copy)]
struct Measured {
    seconds: f64,
    /// Seconds of processor time of this process.
    processor: f64,
}

pub(crate) async fn run(options: RelayOptions) -> Result<Report, BenchError> {
    let files = tempfile::tempdir().map_err(BenchError::doing("making a temporary directory"))?;
    let size = Size { events: options.events, posts: options.events.div_ceil(20) };
    let log = files.path().join("events.db");
    store::fill(&store::open(&log)?, size, options.seed).await?;
    let (mut relay, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..options.rounds.max(1) {
        relay.push(options.relay(files.path()).await?);
        bare.push(options.bare(&log).await?);
    }
    let columns = &["producer", "events", "seconds", "events_per_second", "processor_us_per_event"];
    let mut report = Report::new("relay", columns);
    let (relay, bare) = (best(&relay), best(&bare));
    for (producer, Measured { seconds, processor }) in [("relay", relay), ("bare", bare)] {
        let events = options.events as f64;
        report.row(vec![
            producer.into(),
            options.events.into(),
            seconds.into(),
            (events / seconds).round().into(),
            (processor / events * 1e6).into(),
        ]);
    }
    report.note(format!("the relay publishes at {:.2} of the bare producer's rate", bare.seconds / relay.seconds));
    report.note(format!(
        "{} partitions, the best of {}; the broker shares this machine",
        options.partitions, options.rounds
    ));
    report.note("goal: 200,000 events/s".into());
    Ok(report)
}

fn best(all: &[Measured]) -> Measured {
    *all.iter().min_by(|one, other| one.seconds.total_cmp(&other.seconds)).expect("there is at least one round")
}

impl RelayOptions {
    /// The relay with the log that is there, from the moment it leads.
    async fn relay(&self, files: &Path) -> Result<Measured, BenchError> {
        let url = own_topic(&self.kafka)?;
        // A relay's record is of one topic.
        let _ = std::fs::remove_file(files.join("events.db.relay"));
        let relayed = Relayed::new(files, url.clone(), self.partitions).await?;
        relayed.published(0).await?;
        let watch = Watch::start();
        relayed.published(self.events as u64).await?;
        let measured = watch.stop();
        relayed.stop().await;
        delete(&[&url]).await?;
        Ok(measured)
    }

    /// A bare producer.
    async fn bare(&self, log: &Path) -> Result<Measured, BenchError> {
        let url = own_topic(&self.kafka)?;
        find_or_make(&url, self.partitions).await.map_err(BenchError::doing("making a topic"))?;
        let store: Arc<dyn EventStore> = Arc::new(store::open(log)?);
        let producer = producer(&url)?;
        let watch = Watch::start();
        let mut after = 0;
        while after < self.events as u64 {
            let batch = store.read(after, LIMIT).await.map_err(BenchError::doing("reading the event store"))?;
            after += batch.len() as u64;
            for event in batch.iter() {
                let partition = partition_of(event.stream, self.partitions) as i32;
                let record = BaseRecord::to(url.topic()).partition(partition);
                send(&producer, record.key(event.stream).payload(event.payload))?;
            }
        }
        producer.flush(PATIENCE).map_err(BenchError::doing("publishing"))?;
        let measured = watch.stop();
        drop(producer);
        delete(&[&url]).await?;
        Ok(measured)
    }
}

/// A producer with the relay's promises and settings.
fn producer(url: &TopicUrl) -> Result<ThreadedProducer<DefaultProducerContext>, BenchError> {
    let settings = [
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("compression.type", "lz4"),
        ("linger.ms", "1"),
        ("batch.num.messages", "10000"),
        ("queue.buffering.max.messages", "200000"),
    ];
    url.configure(&settings).create().map_err(BenchError::doing("making a producer"))
}

/// Sends a message; waits where the client's queue is full.
fn send(
    producer: &ThreadedProducer<DefaultProducerContext>,
    mut record: BaseRecord<'_, str, str>,
) -> Result<(), BenchError> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => record = back,
            Err((error, _)) => return Err(BenchError::doing("publishing")(error)),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Time and processor time from a moment on.
struct Watch {
    began: Instant,
    processor: f64,
}

impl Watch {
    fn start() -> Watch {
        Watch { began: Instant::now(), processor: processor_seconds().unwrap_or(f64::NAN) }
    }

    fn stop(self) -> Measured {
        let processor = processor_seconds().unwrap_or(f64::NAN) - self.processor;
        Measured { seconds: self.began.elapsed().as_secs_f64(), processor }
    }
}
