//! Waiting for what must come: looked for again and again, with a deadline after which the test fails.

use std::time::{Duration, Instant};

/// How long anything that a test waits for may take, on a machine that does much else.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// Looks until there is something to find.
///
/// # Panics
/// Where it does not come within [`PATIENCE`].
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: not within {} s", PATIENCE.as_secs());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
