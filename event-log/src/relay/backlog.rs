//! Events that are in the log and wait to be published: one batch at hand, the next being read meanwhile.

use std::sync::Arc;

use reel_events::{EventBatch, EventRef};
use tokio::{sync::watch, task::JoinHandle};

use crate::store::{EventStore, ReadLimit, StoreError};

/// How much is read at once.
const LIMIT: ReadLimit = ReadLimit { events: 8_192, bytes: 8 << 20 };

pub(super) struct Backlog {
    store: Arc<dyn EventStore>,
    head: watch::Receiver<u64>,
    batch: EventBatch,
    /// How many events of the batch were taken.
    taken: usize,
    ahead: Option<(u64, JoinHandle<Result<EventBatch, StoreError>>)>,
}

impl Backlog {
    pub(super) fn new(store: Arc<dyn EventStore>) -> Backlog {
        let head = store.watch();
        Backlog { store, head, batch: EventBatch::new(), taken: 0, ahead: None }
    }

    /// Throws away what was read.
    pub(super) fn forget(&mut self) {
        self.batch = EventBatch::new();
        self.taken = 0;
        self.stop_ahead();
    }

    fn stop_ahead(&mut self) {
        if let Some((_, read)) = self.ahead.take() {
            read.abort();
        }
    }

    /// Makes sure that the event behind position `after` is at hand; false where the log ends there. Not more than `most` events
    /// are read.
    pub(super) async fn fill(&mut self, after: u64, most: u64) -> Result<bool, StoreError> {
        if self.taken < self.batch.len() && self.batch.get(self.taken).position == after + 1 {
            return Ok(true);
        }
        self.head.borrow_and_update();
        let events = usize::try_from(most).unwrap_or(usize::MAX).min(LIMIT.events);
        let limit = ReadLimit { events, ..LIMIT };
        self.batch = match self.ahead.take() {
            Some((from, read)) if from == after && events == LIMIT.events => match read.await {
                Ok(read) => read?,
                Err(_) => self.store.read(after, limit).await?,
            },
            ahead => {
                self.ahead = ahead;
                self.stop_ahead();
                self.store.read(after, limit).await?
            }
        };
        self.taken = 0;
        let through = after + self.batch.len() as u64;
        if self.batch.len() >= LIMIT.events / 2 && *self.head.borrow() > through {
            let store = Arc::clone(&self.store);
            self.ahead = Some((through, tokio::spawn(async move { store.read(through, LIMIT).await })));
        }
        Ok(!self.batch.is_empty())
    }

    /// The next event at hand.
    pub(super) fn next(&mut self) -> Option<EventRef<'_>> {
        (self.taken < self.batch.len()).then(|| {
            self.taken += 1;
            self.batch.get(self.taken - 1)
        })
    }

    /// How far the log is known to reach.
    pub(super) fn known(&self) -> u64 {
        *self.head.borrow()
    }

    /// Waits until somebody appended since the last [`Backlog::fill`].
    pub(super) async fn appended(&mut self) {
        if self.head.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.stop_ahead();
    }
}
