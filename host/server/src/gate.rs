//! A gate in front of a generation's loops on this host, by which it is held at a position for as long as several generations are read there.
//! Nobody waits at it otherwise.
//!
//! Not here: who asks for that, and for how long it is done (`holds`).

use tokio::sync::watch;

/// Lets events through up to where it is held.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    held: watch::Sender<Option<u64>>,
}

impl Gate {
    /// Holds it at a position, or lets everything through.
    pub(crate) fn set(&self, held: Option<u64>) {
        self.held.send_if_modified(|now| std::mem::replace(now, held) != held);
    }

    /// Follows where it is held.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<u64>> {
        self.held.subscribe()
    }

    /// Waits until something behind `at` may go through of what ends at `last`; up to where it may.
    pub(crate) async fn pass(&self, at: u64, last: u64) -> u64 {
        let mut held = self.held.subscribe();
        let open = held.wait_for(|held| held.is_none_or(|through| through > at)).await;
        let held = *open.expect("who waits at a gate has it");
        held.map_or(last, |through| through.min(last))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_is_held_goes_as_far_as_it_may_and_no_further() {
        let gate = Gate::default();
        assert_eq!(gate.pass(3, 9).await, 9);
        gate.set(Some(9));
        assert!(gate.pass(9, 20).now_or_never().is_none());
        let mut waiting = Box::pin(gate.pass(9, 20));
        assert!((&mut waiting).now_or_never().is_none());
        gate.set(Some(12));
        assert_eq!(waiting.await, 12);
        assert!(gate.pass(12, 20).now_or_never().is_none());
        gate.set(None);
        assert_eq!(gate.pass(12, 20).await, 20);
    }
}
