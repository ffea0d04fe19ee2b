//! A record that many in one process look at: the store is asked once for all of them. For those who follow a relay, not for relays:
//! what it answers may be a moment old.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::{RelayRecord, RelayState, Replaced, Stamp};
use crate::store::StoreError;

/// Answers with what was read at most so long ago; whoever asks meanwhile waits for the same answer.
pub struct RecentRelayState {
    state: Arc<dyn RelayState>,
    holds: Duration,
    last: Mutex<Option<(Instant, RelayRecord)>>,
}

impl RecentRelayState {
    /// The record in `state`, read anew when it is older than `holds`.
    #[must_use]
    pub fn new(state: Arc<dyn RelayState>, holds: Duration) -> RecentRelayState {
        RecentRelayState { state, holds, last: Mutex::default() }
    }
}

#[async_trait]
impl RelayState for RecentRelayState {
    async fn read(&self) -> Result<RelayRecord, StoreError> {
        let mut last = self.last.lock().await;
        if let Some((at, record)) = &*last
            && at.elapsed() < self.holds
        {
            return Ok(record.clone());
        }
        let asked = Instant::now();
        let record = self.state.read().await?;
        *last = Some((asked, record.clone()));
        Ok(record)
    }

    async fn replace(&self, from: Stamp, to: &RelayRecord) -> Result<Replaced, StoreError> {
        let mut last = self.last.lock().await;
        *last = None;
        self.state.replace(from, to).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    /// Answers with how often it was asked.
    #[derive(Default)]
    struct Counted(AtomicU64);

    #[async_trait]
    impl RelayState for Counted {
        async fn read(&self) -> Result<RelayRecord, StoreError> {
            tokio::task::yield_now().await;
            let beat = self.0.fetch_add(1, Ordering::Relaxed) + 1;
            Ok(RelayRecord { stamp: Stamp { epoch: 1, beat }, ..RelayRecord::default() })
        }

        async fn replace(&self, _: Stamp, _: &RelayRecord) -> Result<Replaced, StoreError> {
            Ok(Replaced::Superseded)
        }
    }

    async fn beat(state: &dyn RelayState) -> u64 {
        state.read().await.unwrap().stamp.beat
    }

    #[tokio::test]
    async fn many_questions_at_once_are_one() {
        let state = RecentRelayState::new(Arc::new(Counted::default()), Duration::from_secs(3600));
        let asked = futures::future::join_all((0..20).map(|_| beat(&state))).await;
        assert_eq!(asked, [1; 20]);
        state.replace(Stamp::default(), &RelayRecord::default()).await.unwrap();
        assert_eq!(beat(&state).await, 2, "a write makes it look again");
    }

    #[tokio::test]
    async fn what_is_too_old_is_read_again() {
        let state = RecentRelayState::new(Arc::new(Counted::default()), Duration::ZERO);
        assert_eq!((beat(&state).await, beat(&state).await), (1, 2));
    }
}
