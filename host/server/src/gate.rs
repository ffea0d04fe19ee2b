//! A gate in front of a generation's loop, by which a generation that tails the store is held at a position, for as long as two of them are
//! to stand alike. Nobody waits at it otherwise.
//!
//! Not here: why they are held (`inspect::diff`).

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

/// Lets events through up to where it is held.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The last position that went through; nothing while no loop stands behind the gate.
    passed: Option<u64>,
    /// Nothing beyond this goes through.
    held: Option<u64>,
}

impl Gate {
    /// A loop that stands at `position` is behind it now.
    pub(crate) fn begin(&self, position: u64) {
        self.state().passed = Some(position);
    }

    /// No loop is behind it any more.
    pub(crate) fn end(&self) {
        self.state().passed = None;
    }

    /// Waits until something behind `at` may go through of what ends at `last`; up to where it may, and so does.
    pub(crate) async fn pass(&self, at: u64, last: u64) -> u64 {
        loop {
            let moved = self.moved.notified();
            {
                let mut state = self.state();
                let open = state.held.unwrap_or(u64::MAX).min(last);
                if open > at {
                    state.passed = Some(open);
                    return open;
                }
            }
            moved.await;
        }
    }

    /// Holds it where it is; nothing where no loop is behind it. One at a time holds a gate.
    pub(crate) fn hold(self: &Arc<Gate>) -> Option<Held> {
        let mut state = self.state();
        let at = state.passed?;
        state.held = Some(at);
        Some(Held { gate: Arc::clone(self), at })
    }

    fn set(&self, held: Option<u64>) {
        self.state().held = held;
        self.moved.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics while holding it")
    }
}

/// A gate that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    gate: Arc<Gate>,
    /// What went through before it was held ends here.
    pub(crate) at: u64,
}

impl Held {
    /// Lets everything up to `position` through, and nothing else.
    pub(crate) fn up_to(&self, position: u64) {
        self.gate.set(Some(position));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.gate.set(None);
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_is_held_goes_as_far_as_it_may_and_no_further() {
        let gate = Arc::new(Gate::default());
        assert!(gate.hold().is_none(), "nobody is behind it");
        gate.begin(3);
        assert_eq!(gate.pass(3, 9).await, 9);
        let held = gate.hold().unwrap();
        assert_eq!(held.at, 9);
        assert!(gate.pass(9, 20).now_or_never().is_none());
        let mut waiting = Box::pin(gate.pass(9, 20));
        assert!((&mut waiting).now_or_never().is_none());
        held.up_to(12);
        assert_eq!(waiting.await, 12);
        assert!(gate.pass(12, 20).now_or_never().is_none());
        drop(held);
        assert_eq!(gate.pass(12, 20).await, 20);
        assert_eq!(gate.hold().unwrap().at, 20);
        gate.end();
        assert!(gate.hold().is_none());
    }
}
