//! Threads of a build: they leave the processor to live work, where both want it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Mutex, oneshot};

/// How much lower the priority of such a thread is: beside one of live work it gets about a third of a core.
#[cfg(target_os = "linux")]
const NICER: i32 = 3;

/// Does some work on a thread of its own, not on one of the runtime's: a priority that was lowered cannot be raised again. What it came to
/// is received from the answer; nothing where it panicked.
pub(super) fn yielding<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> oneshot::Receiver<T> {
    let (done, answer) = oneshot::channel();
    let thread = std::thread::Builder::new().name("reel-build".to_owned()).spawn(move || {
        be_nice();
        // Whoever does not wait for it any more has given it up.
        let _ = done.send(work());
    });
    thread.expect("the system gives a thread to a process that has a few");
    answer
}

/// On Linux a thread has a priority of its own; elsewhere it would be the whole process's.
fn be_nice() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(NICER) {
        tracing::debug!(%error, "a build works at full priority");
    }
}

/// The thread that writes rows down, or reads those that were: one at a time, and whoever stops the build waits until it has ended. So
/// nobody writes into a directory that is let go of.
#[derive(Debug, Clone, Default)]
pub(super) struct Writing {
    turn: Arc<Mutex<()>>,
    given_up: Arc<AtomicBool>,
}

impl Writing {
    /// Does some work on such a thread.
    pub(super) async fn done<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let answer = yielding(move || {
            let _until_done = turn;
            work()
        });
        answer.await.expect("writing rows does not panic")
    }

    /// Says whether the work is given up.
    pub(super) fn given_up(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.given_up)
    }

    /// Ends the work that is under way.
    pub(super) async fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        drop(self.turn.lock().await);
    }
}
