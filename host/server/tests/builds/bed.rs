//! A log, read databases of one's own, generations that are built in them, and the loop that goes on from there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use reel_event_log::topic::Tail;
use reel_event_log::{EventStore, Limits, SqliteStore};
use reel_events::{EventBatch, LogPoint, Place};
use reel_host::inspect::{TableFingerprint, fingerprints};
use reel_host::{Build, BuildConfig, BuildError, Built, LogSource};
use reel_projector::memory::{MemoryReadModel, MemoryTables};
use reel_projector::ports::{ApplyError, FailurePolicy, Sink};
use reel_projector::{Checkpoint, Orders, Plugin, Progress, ReadModel, Row, RunError, RunSettings, ShardParts};
use reel_read_model::{Component, Generation, NewGeneration, Promotion, Target};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::ledger::{self, Ledger};

/// A log.
pub(crate) struct Bed {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) folder: TempDir,
}

/// What became of a generation: rows by table with their fingerprints, positions of dead letters, and where it halted.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) rows: Vec<Vec<Row>>,
    pub(crate) fingerprints: Vec<TableFingerprint>,
    pub(crate) dead: BTreeSet<Place>,
    pub(crate) halted: Option<Place>,
}

/// How a generation came to its rows.
pub(crate) struct Way {
    pub(crate) outcome: Outcome,
    /// How far the build came before the loop went on.
    pub(crate) built: u64,
    /// Most bytes that its rows took at once.
    pub(crate) held: usize,
    /// The nice value of the threads that ran the component, and of the test's own.
    pub(crate) nice: (i64, i64),
}

/// What the component of a build was asked to do: by position which streams' events it applied, and the nice value of the threads that did.
#[derive(Default)]
pub(crate) struct Noted {
    pub(crate) applied: Mutex<BTreeMap<u64, String>>,
    nice: AtomicI64,
}

/// The ledger, watched.
struct Watched {
    ledger: Ledger,
    noted: Arc<Noted>,
}

impl Plugin for Watched {
    fn apply(&mut self, batch: &EventBatch, range: Range<usize>, sink: &mut dyn Sink) -> Result<(), ApplyError> {
        self.noted.nice.store(nice(), Ordering::Relaxed);
        let events = range.clone().map(|index| (batch.get(index).position, batch.stream(index).to_owned()));
        self.noted.applied.lock().unwrap().extend(events);
        self.ledger.apply(batch, range, sink)
    }
}

/// That of this thread.
fn nice() -> i64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap_or_default();
    // The 19th field; the second, in parentheses, may hold anything.
    let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace().nth(16));
    fields.flatten().map_or(0, |nice| nice.parse().unwrap())
}

impl Bed {
    pub(crate) async fn new(seed: u64, shape: (u64, u64, u64)) -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn EventStore> =
            Arc::new(SqliteStore::open(folder.path().join("events.db"), Limits::default()).unwrap());
        for answer in store.append_all(ledger::log(seed, shape)).await {
            answer.unwrap();
        }
        Bed { store, folder }
    }

    /// What the loop makes of the log, one shard and everything in memory.
    pub(crate) async fn expected(&self, policy: FailurePolicy) -> Outcome {
        let start = Checkpoint { log: self.store.log_id(), point: LogPoint::START, layout: 0, epoch: 1 };
        let read_model = Arc::new(MemoryReadModel::new(ledger::manifest(), start));
        let halted = self.follow(read_model.clone(), start, settings(policy)).await;
        let state = read_model.state();
        let rows = rows(&state.tables);
        let fingerprint = |(table, rows)| TableFingerprint::of(table, rows);
        let fingerprints = ledger::manifest().tables.iter().zip(&rows).map(fingerprint).collect();
        Outcome { rows, fingerprints, dead: state.dead_letters.into_keys().collect(), halted }
    }

    /// Builds a generation in `target`, and lets the loop apply what the build left.
    pub(crate) async fn built(&self, target: &Arc<dyn Target>, policy: FailurePolicy, config: BuildConfig) -> Way {
        let generation = self.generation(target, policy).await;
        let checkpoint = target.take(generation.id).await.unwrap()[0];
        let noted = Arc::new(Noted::default());
        let build = self.build((target, &generation, checkpoint), (policy, config), &noted);
        let progress = Arc::clone(&build.progress);
        let (_go_on, mut stop) = watch::channel(false);
        let halted = match build.run(&mut stop).await {
            Ok(built) => {
                assert_eq!(built, Built::Whole);
                None
            }
            Err(BuildError::Run(RunError::Halted(failure))) => failure.position,
            Err(error) => panic!("{error:?}"),
        };
        let held = progress.now().most_held;
        let nice = (noted.nice.load(Ordering::Relaxed), nice());
        if halted.is_some() {
            let outcome = Outcome { rows: Vec::new(), fingerprints: Vec::new(), dead: BTreeSet::new(), halted };
            return Way { outcome, built: 0, held, nice };
        }
        let (outcome, built) = self.outcome(target, &generation, policy).await;
        Way { outcome, built, held, nice }
    }

    /// A build, to be run.
    pub(crate) fn build(
        &self,
        (target, generation, checkpoint): (&Arc<dyn Target>, &Generation, Checkpoint),
        (policy, config): (FailurePolicy, BuildConfig),
        noted: &Arc<Noted>,
    ) -> Build {
        let noted = Arc::clone(noted);
        Build {
            store: Arc::clone(&self.store),
            archive: None,
            target: Arc::clone(target),
            generation: generation.clone(),
            checkpoint,
            plugins: Arc::new(move || {
                Ok(Box::new(Watched { ledger: Ledger, noted: Arc::clone(&noted) }) as Box<dyn Plugin>)
            }),
            settings: settings(policy),
            progress: Arc::new(Progress::new(0, watch::Sender::new(0))),
            config,
        }
    }

    /// Lets the loop apply what a build left; what became of it, and how far the build had come.
    pub(crate) async fn outcome(
        &self,
        target: &Arc<dyn Target>,
        generation: &Generation,
        policy: FailurePolicy,
    ) -> (Outcome, u64) {
        let checkpoint = target.take(generation.id).await.unwrap()[0];
        let parked = target.dead_letters(generation.id, Place::START, 100_000).await.unwrap();
        let is_parked = |reason| reason == reel_projector::ports::DeadLetterReason::Parked;
        let parked = parked.into_iter().filter(|letter| is_parked(letter.reason)).map(|letter| letter.stream).collect();
        let settings = RunSettings { parked, ..settings(policy) };
        let halted = self.follow(target.read_model(generation), checkpoint, settings).await;
        let letters = target.dead_letters(generation.id, Place::START, 100_000).await.unwrap();
        let dead = letters.iter().map(|letter| letter.position).collect();
        let (rows, fingerprints) = stored(target, generation).await;
        (Outcome { rows, fingerprints, dead, halted }, checkpoint.point.position)
    }

    pub(crate) async fn generation(&self, target: &Arc<dyn Target>, on_failure: FailurePolicy) -> Generation {
        let digest = Uuid::new_v4().to_string();
        let component = Component { digest: digest.clone(), manifest: ledger::MANIFEST.to_owned(), bytes: vec![0] };
        target.put_component(&component).await.unwrap();
        let new = NewGeneration {
            projection: "ledger".to_owned(),
            digest,
            manifest: ledger::manifest(),
            settings: "{}".to_owned(),
            on_failure,
            promotion: Promotion::Manual,
            log: self.store.log_id(),
            shards: 1,
        };
        target.create_generation(new).await.unwrap()
    }

    /// Runs the loop from a checkpoint to the log's end; where it halts, if it does.
    async fn follow(&self, read_model: Arc<dyn ReadModel>, at: Checkpoint, settings: RunSettings) -> Option<Place> {
        let head = self.store.head().await.unwrap().position;
        let progress = Arc::new(Progress::new(at.point.position, watch::Sender::new(0)));
        let parts = ShardParts {
            manifest: ledger::manifest(),
            plugin: Box::new(Ledger),
            read_model,
            number: 0,
            shards: 1,
            checkpoint: at,
            cache_bytes: 1 << 20,
            progress: Arc::clone(&progress),
        };
        let source = LogSource::new(Tail::new(Arc::clone(&self.store), at.log, at.point));
        let (stop, stopped) = watch::channel(false);
        let (_asking, requests) = mpsc::channel(1);
        let mut orders = Orders { stop: stopped, requests };
        let running = reel_projector::run(parts, Box::new(source), settings, &mut orders);
        tokio::pin!(running);
        let mut position = progress.watch();
        tokio::select! {
            ended = &mut running => match ended {
                Err(RunError::Halted(failure)) => return failure.position,
                ended => panic!("{ended:?}"),
            },
            reached = position.wait_for(|position| *position >= head) => drop(reached.unwrap()),
        }
        stop.send_replace(true);
        running.await.unwrap();
        None
    }

    pub(crate) async fn sqlite(&self) -> Arc<dyn Target> {
        let path = self.folder.path().join(format!("{}.sqlite", Uuid::new_v4()));
        reel_read_model::open("default", &format!("sqlite:{}", path.display())).await.unwrap()
    }
}

fn settings(on_failure: FailurePolicy) -> RunSettings {
    RunSettings { on_failure, let_go: HashSet::new(), parked: HashSet::new(), most_events: 500 }
}

fn rows(tables: &MemoryTables) -> Vec<Vec<Row>> {
    (0..tables.manifest().tables.len()).map(|table| tables.rows(table).cloned().collect()).collect()
}

/// All rows of a generation, in key order, and their fingerprints.
async fn stored(target: &Arc<dyn Target>, generation: &Generation) -> (Vec<Vec<Row>>, Vec<TableFingerprint>) {
    let mut snapshot = target.snapshot(generation).await.unwrap();
    let mut all = Vec::new();
    for table in 0..generation.manifest.tables.len() as u16 {
        all.push(snapshot.rows(table, None, usize::MAX >> 1).await.unwrap());
    }
    let fingerprints = fingerprints(snapshot.as_mut(), &generation.manifest).await.unwrap();
    (all, fingerprints)
}

/// A database on the server that the environment gives; nothing where it gives none.
pub(crate) struct Postgres {
    server: String,
    database: String,
    pub(crate) target: Arc<dyn Target>,
}

impl Postgres {
    pub(crate) async fn new() -> Option<Postgres> {
        let given = std::env::var("REEL_TEST_POSTGRES").ok().filter(|given| !given.is_empty());
        let Some(server) = given else {
            let required = std::env::var("REEL_TEST_REQUIRE").unwrap_or_default();
            let named = required.split(',').any(|required| required.trim() == "postgres");
            assert!(!named, "REEL_TEST_REQUIRE names postgres, but REEL_TEST_POSTGRES is not set");
            println!("passed over: REEL_TEST_POSTGRES is not set");
            return None;
        };
        let database = format!("reel_builds_{}", Uuid::new_v4().simple());
        admin(&server, &format!("CREATE DATABASE {database} ENCODING 'UTF8' TEMPLATE template0")).await;
        let url = format!("{}/{database}", server.rsplit_once('/').unwrap().0);
        let target = reel_read_model::open("default", &url).await.unwrap();
        Some(Postgres { server, database, target })
    }

    pub(crate) async fn end(self) {
        drop(self.target);
        admin(&self.server, &format!("DROP DATABASE {} WITH (FORCE)", self.database)).await;
    }
}

async fn admin(server: &str, sql: &str) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
