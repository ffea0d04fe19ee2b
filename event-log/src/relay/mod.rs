//! The relay: publishes the log to Kafka, in the order of its positions. Of several relays of one log one leads; the others wait.
//!
//! What it decides is in `machine` (and `lease`, `plan`, `chain`), what it remembers in `state`, its I/O in `runner`. Not here: the
//! topic itself (`topic/kafka`), and who consumes it.

mod backlog;
mod chain;
mod lease;
mod machine;
mod plan;
mod runner;
pub mod state;
mod survey;

use std::sync::Arc;

use reel_events::LogId;
use tokio::{sync::watch, task::JoinHandle};
use uuid::Uuid;

pub use self::{
    chain::{Place, Watermark},
    machine::{Do, Machine, Pace},
    plan::{Standing, Survey, Tail},
};
use self::{runner::Runner, state::RelayState};
use crate::{
    store::{EventStore, StoreError},
    topic::kafka::{TopicFault, TopicUrl},
};

/// What a relay publishes to, and how.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    /// Where to.
    pub topic: TopicUrl,
    /// How many partitions the topic gets where it is missing.
    pub partitions: u32,
    /// What the relay is called in the record and in logs, beside an id of its own; the machine's name, say.
    pub name: String,
    /// See [`Pace`].
    pub pace: Pace,
}

/// How a relay stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RelayStatus {
    /// Where this relay leads: up to which position the topic holds every event.
    pub leading: Option<u64>,
    /// What keeps it from publishing, if anything does. It tries again by itself.
    pub trouble: Option<String>,
}

/// Why a relay cannot publish, by what is to be done.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The store does not answer, or cannot be read.
    #[error("the relay cannot use the event store")]
    Store(#[from] StoreError),
    /// The topic cannot be used.
    #[error("the relay cannot use its topic")]
    Topic(#[from] TopicFault),
    /// Another log is published there: each needs a topic of its own.
    #[error(
        "the topic {url} holds events of log {found}, but the event store is log {expected}: give each log a topic of its own"
    )]
    OtherLog {
        /// The topic.
        url: String,
        /// The log in the topic.
        found: LogId,
        /// The store's.
        expected: LogId,
    },
    /// The store was restored from an older copy.
    #[error(
        "the topic {url} holds event {event} at position {position}, which the event store does not have there: bring the event \
         store back as it was, or delete the topic (it is made anew, and projections take what it lacks from the store)"
    )]
    OtherEvents {
        /// The topic.
        url: String,
        /// A position in the topic.
        position: u64,
        /// The event there.
        event: Uuid,
    },
}

/// A relay at work. Dropping it ends it at once, as a crash would: its lease lapses.
pub struct Relay {
    status: watch::Receiver<RelayStatus>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Starts a relay of `store`. It goes on until it is stopped, whatever fails: it waits and tries again.
    #[must_use]
    pub fn start(store: Arc<dyn EventStore>, state: Arc<dyn RelayState>, config: RelayConfig) -> Relay {
        let (stop, stopped) = watch::channel(false);
        let (status, watched) = watch::channel(RelayStatus::default());
        let task = tokio::spawn(Runner::new(store, state, config, status).run(stopped));
        Relay { status: watched, stop, task }
    }

    /// How it stands, now and later.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<RelayStatus> {
        self.status.clone()
    }

    /// Ends it: what is on its way is awaited for a few seconds, then the lease is given back.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Err(error) = (&mut self.task).await
            && error.is_panic()
        {
            tracing::error!(%error, "the relay had panicked");
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
