//! Threads of a build: they leave the processor to live work, where both want it.

use tokio::sync::oneshot;

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
