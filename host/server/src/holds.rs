//! Generations that are to stand still for a moment, so that several can be read at one position, whichever hosts run them: who reads says so in the
//! catalogs, again and again, and each host does it to the loops that it runs.
//!
//! Nobody is trusted with it: a host keeps to a hold for as long as its stamp moves, by the host's own clock, and never longer than a few
//! seconds. So one whose reader died, or whose database does not answer, ends by itself, and no two clocks are compared.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reel_projector::chain;
use reel_read_model::{CatalogError, GenerationId, Hold, Target};
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use crate::error::HostError;
use crate::host::Host;

/// How often a host looks who is to be held: otherwise, and while somebody is.
const LOOKED: Duration = Duration::from_secs(1);
const LOOKED_HELD: Duration = Duration::from_millis(50);
/// A hold of which nothing was heard for so long is none any more.
const LAPSES: Duration = Duration::from_secs(2);
/// No reader holds a generation for longer.
const LONGEST: Duration = Duration::from_secs(6);

impl Host {
    /// Keeps to the holds of a read database until it is dropped.
    pub(crate) async fn keep_to_holds(self, target: Arc<dyn Target>) {
        let mut heard = Heard::default();
        loop {
            let now = Instant::now();
            let held = match timeout(LAPSES, target.holds()).await {
                Ok(Ok(holds)) => {
                    for hold in heard.hear(&holds, now) {
                        end(&target, hold.generation, hold.holder).await;
                    }
                    heard.held(now)
                }
                // What was heard last counts until it lapses.
                Ok(Err(_)) | Err(_) => heard.held(Instant::now()),
            };
            self.set_gates(target.name(), &held);
            let pause = if heard.0.is_empty() { LOOKED } else { LOOKED_HELD };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.inner.asked_to_hold.notified() => {}
            }
        }
    }

    fn set_gates(&self, target: &str, held: &HashMap<GenerationId, u64>) {
        for ((name, id), runner) in &*self.runners() {
            if name == target {
                runner.gate.set(held.get(id).copied());
            }
        }
    }
}

/// What a host has heard of the holds of one read database.
#[derive(Debug, Default)]
struct Heard(HashMap<GenerationId, Said>);

/// What was said of one generation.
#[derive(Debug, Clone, Copy)]
struct Said {
    hold: Hold,
    /// When its holder was heard first, and when it last said it again.
    first: Instant,
    last: Instant,
}

impl Heard {
    /// Hears all that stands in the catalog; answers with what nobody says any more, and is to be cleared away.
    fn hear(&mut self, holds: &[Hold], now: Instant) -> Vec<Hold> {
        let before = std::mem::take(&mut self.0);
        for hold in holds {
            let said = match before.get(&hold.generation).filter(|said| said.hold.holder == hold.holder) {
                Some(said) if said.hold.stamp == hold.stamp => *said,
                Some(said) => Said { hold: *hold, last: now, ..*said },
                None => Said { hold: *hold, first: now, last: now },
            };
            self.0.insert(hold.generation, said);
        }
        let lapsed = self.0.values().filter(|said| now.duration_since(said.last) >= LAPSES);
        lapsed.map(|said| said.hold).collect()
    }

    /// Which are to be held now, and where.
    fn held(&self, now: Instant) -> HashMap<GenerationId, u64> {
        let counts = |said: &&Said| now.duration_since(said.last) < LAPSES && now.duration_since(said.first) < LONGEST;
        self.0.values().filter(counts).map(|said| (said.hold.generation, said.hold.through)).collect()
    }
}

/// Generations that are held for one reader, until this is dropped.
pub(crate) struct Holds {
    host: Host,
    holder: Uuid,
    held: Vec<(Arc<dyn Target>, GenerationId)>,
}

impl Holds {
    /// Holds all of these generations at a position; nothing where somebody else holds one of them.
    pub(crate) async fn take(
        host: &Host,
        wanted: &[(Arc<dyn Target>, GenerationId)],
        through: u64,
    ) -> Result<Option<Holds>, HostError> {
        let mut holds = Holds { host: host.clone(), holder: Uuid::new_v4(), held: wanted.to_vec() };
        // In one order, so that of two readers one gets them all.
        holds.held.sort_by(|one, other| (one.0.name(), one.1).cmp(&(other.0.name(), other.1)));
        holds.held.dedup_by(|one, other| (one.0.name(), one.1) == (other.0.name(), other.1));
        Ok(holds.say(through).await?.then_some(holds))
    }

    /// Says again that they are held, and where; false where somebody else holds one of them.
    pub(crate) async fn say(&self, through: u64) -> Result<bool, HostError> {
        let catalog = |error: CatalogError| HostError::catalog("holding a generation", error);
        for (target, id) in &self.held {
            if !target.hold(*id, self.holder, through).await.map_err(catalog)? {
                return Ok(false);
            }
        }
        self.host.inner.asked_to_hold.notify_waiters();
        Ok(true)
    }
}

impl Drop for Holds {
    fn drop(&mut self) {
        let (host, holder, held) = (self.host.clone(), self.holder, std::mem::take(&mut self.held));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            for (target, id) in &held {
                end(target, *id, holder).await;
            }
            host.inner.asked_to_hold.notify_waiters();
        });
    }
}

/// Takes a hold back; where that does not work, it lapses.
async fn end(target: &Arc<dyn Target>, id: GenerationId, holder: Uuid) {
    if let Err(error) = target.end_hold(id, holder).await {
        tracing::debug!(
            target = target.name(),
            error = chain(&error),
            "a hold cannot be taken back; it ends by itself"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: GenerationId = GenerationId(1);

    fn hold(holder: u128, through: u64, stamp: u64) -> Hold {
        Hold { generation: ONE, holder: Uuid::from_u128(holder), through, stamp }
    }

    fn seconds(tenths: u64) -> Duration {
        Duration::from_millis(tenths * 100)
    }

    #[test]
    fn a_hold_counts_for_as_long_as_it_is_said_again() {
        let (mut heard, start) = (Heard::default(), Instant::now());
        for tenth in 0..30 {
            assert_eq!(heard.hear(&[hold(1, tenth, tenth)], start + seconds(tenth)), []);
            assert_eq!(heard.held(start + seconds(tenth)), HashMap::from([(ONE, tenth)]));
        }
        assert_eq!(heard.hear(&[hold(1, 29, 29)], start + seconds(48)), []);
        assert_eq!(heard.held(start + seconds(48)).len(), 1);
        assert!(heard.held(start + seconds(49)).is_empty(), "nothing was heard since");
        assert_eq!(heard.hear(&[hold(1, 29, 29)], start + seconds(49)), [hold(1, 29, 29)], "it may be cleared away");
        assert!(heard.held(start + seconds(49)).is_empty());
        assert_eq!(heard.hear(&[], start + seconds(50)), []);
        assert!(heard.0.is_empty());
    }

    #[test]
    fn no_reader_holds_for_long_and_the_next_one_may() {
        let (mut heard, start) = (Heard::default(), Instant::now());
        for tenth in 0..100 {
            heard.hear(&[hold(1, 7, tenth)], start + seconds(tenth));
            assert_eq!(heard.held(start + seconds(tenth)).is_empty(), tenth >= 60, "{tenth}");
        }
        heard.hear(&[hold(2, 8, 1)], start + seconds(100));
        assert_eq!(heard.held(start + seconds(100)), HashMap::from([(ONE, 8)]));
    }
}
