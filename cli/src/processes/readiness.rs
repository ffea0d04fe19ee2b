//! Whether a process can do its work: all that it needs, by name, and whether each answers now. Asked by `/health/ready`.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use reel_event_log::EventStore;
use reel_event_log::relay::RelayStatus;
use reel_projector::chain;
use reel_read_model::Target;
use serde::Serialize;
use tokio::sync::watch;

use crate::config::Address;

/// How long something that is needed may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer holds: whoever asks in a loop does not load the databases.
const HOLDS: Duration = Duration::from_millis(500);
/// A projection's name that nobody can give: looking it up is the smallest question to a catalog.
const NOBODY: &str = "(health)";

/// What a process needs.
#[derive(Default)]
pub(crate) struct Readiness {
    needs: Mutex<Vec<Entry>>,
    /// Set once requests are taken.
    serves: std::sync::atomic::AtomicBool,
    last: tokio::sync::Mutex<Option<(Instant, Report)>>,
}

struct Entry {
    name: String,
    location: String,
    weight: Weight,
    state: State,
}

/// What it means when something does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// The process is not ready.
    Needed,
    /// It is said, and the process is ready for the rest.
    Told,
}

#[derive(Clone)]
enum State {
    NotOpened(String),
    Open(Need),
}

/// Something that was opened.
#[derive(Clone)]
pub(crate) enum Need {
    /// The event store.
    Store(Arc<dyn EventStore>),
    /// A read database.
    Target(Arc<dyn Target>),
    /// The topic, as it was last looked at.
    Topic(watch::Receiver<Result<(), String>>),
    /// The relay of this process.
    Relay(watch::Receiver<RelayStatus>),
}

/// The answer of `/health/ready`.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    /// Whether everything that is needed answers.
    pub(crate) ready: bool,
    checks: Vec<Check>,
}

#[derive(Debug, Clone, Serialize)]
struct Check {
    name: String,
    location: String,
    ok: bool,
    /// Whether the process is not ready without it.
    needed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Readiness {
    /// Notes that something is needed; the answer is its number.
    pub(super) fn need(&self, name: &str, url: &Address, weight: Weight) -> usize {
        let mut needs = self.entries();
        let state = State::NotOpened("not opened yet".into());
        needs.push(Entry { name: name.into(), location: url.to_string(), weight, state });
        needs.len() - 1
    }

    /// Notes why it is not there yet.
    pub(super) fn waits(&self, number: usize, why: &str) {
        self.entries()[number].state = State::NotOpened(why.into());
    }

    /// Notes that it is there.
    pub(super) fn opened(&self, number: usize, need: Need) {
        self.entries()[number].state = State::Open(need);
    }

    /// Notes that requests are taken.
    pub(super) fn serves(&self) {
        self.serves.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Why requests are not taken yet.
    pub(super) fn waits_for(&self) -> String {
        let needs = self.entries();
        let waits = needs.iter().filter_map(|entry| match &entry.state {
            State::NotOpened(why) => Some(format!("{}: {why}", entry.name)),
            State::Open(_) => None,
        });
        let waits: Vec<String> = waits.collect();
        if waits.is_empty() { "it is starting".into() } else { waits.join("; ") }
    }

    /// Asks everything.
    pub(super) async fn report(&self) -> Report {
        let mut last = self.last.lock().await;
        if let Some((at, report)) = &*last
            && at.elapsed() < HOLDS
        {
            return report.clone();
        }
        let report = self.ask().await;
        *last = Some((Instant::now(), report.clone()));
        report
    }

    async fn ask(&self) -> Report {
        let asked: Vec<_> = self.entries().iter().map(Entry::check).collect();
        let checks = futures::future::join_all(asked).await;
        let serves = self.serves.load(std::sync::atomic::Ordering::Relaxed);
        Report { ready: serves && checks.iter().all(|check| check.ok || !check.needed), checks }
    }

    fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.needs.lock().expect("nobody panics while holding it")
    }
}

impl Entry {
    fn check(&self) -> impl Future<Output = Check> + use<> {
        let (name, location, state) = (self.name.clone(), self.location.clone(), self.state.clone());
        let needed = self.weight == Weight::Needed;
        async move {
            let problem = match state {
                State::NotOpened(why) => Some(why),
                State::Open(need) => match tokio::time::timeout(PATIENCE, need.answers()).await {
                    Ok(answered) => answered.err(),
                    Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
                },
            };
            Check { name, location, ok: problem.is_none(), needed, problem }
        }
    }
}

impl Need {
    async fn answers(&self) -> Result<(), String> {
        match self {
            Need::Store(store) => store.head().await.map(drop).map_err(|error| chain(&error)),
            Need::Target(target) => target.live(NOBODY).await.map(drop).map_err(|error| chain(&error)),
            Need::Topic(seen) => seen.borrow().clone(),
            Need::Relay(status) => status.borrow().trouble.clone().map_or(Ok(()), Err),
        }
    }
}
