//! Who may lead, decided by what is seen of the record. Pure.
//!
//! Nobody compares clocks: a lease has lapsed for an onlooker once it has seen the same stamp for as long as the lease lasts, by its
//! own clock; the holder stops earlier, as it counts from before its last write. So clocks may be hours apart. Where a clock runs
//! wild, or a process sleeps at the wrong moment, two may lead for a while: their writes are fenced by the stamp, and what they
//! publish is the same.

use std::time::Duration;

use super::state::{RelayRecord, Stamp};

/// One relay's view of the lease. Times are of its own clock, from any start.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    holder: String,
    lasts: Duration,
    /// The stamp that was seen last, and when first.
    seen: Option<(Stamp, Duration)>,
    /// Until when this relay leads.
    until: Option<Duration>,
}

impl Lease {
    pub(super) fn new(holder: String, lasts: Duration) -> Lease {
        Lease { holder, lasts, seen: None, until: None }
    }

    /// Whether the lease is free to be taken, given the record as it was read just before `now`.
    pub(super) fn is_free(&mut self, record: &RelayRecord, now: Duration) -> bool {
        let since = match self.seen {
            Some((stamp, since)) if stamp == record.stamp => since,
            _ => now,
        };
        self.seen = Some((record.stamp, since));
        match &record.holder {
            None => true,
            // Our own: a write whose answer was lost, or one that had lapsed.
            Some(holder) if *holder == self.holder => true,
            Some(_) => now >= since + Duration::from_millis(record.lease_ms),
        }
    }

    /// The record with which the lease is taken.
    pub(super) fn taken(&self, record: &RelayRecord) -> RelayRecord {
        let stamp = Stamp { epoch: record.stamp.epoch + 1, beat: 0 };
        self.held(RelayRecord { stamp, ..record.clone() })
    }

    /// The record with which it is kept.
    pub(super) fn kept(&self, record: &RelayRecord) -> RelayRecord {
        let stamp = Stamp { beat: record.stamp.beat + 1, ..record.stamp };
        self.held(RelayRecord { stamp, ..record.clone() })
    }

    /// The record with which it is given back.
    pub(super) fn given_back(&self, record: &RelayRecord) -> RelayRecord {
        RelayRecord { holder: None, ..self.kept(record) }
    }

    fn held(&self, record: RelayRecord) -> RelayRecord {
        let lease_ms = u64::try_from(self.lasts.as_millis()).unwrap_or(u64::MAX);
        RelayRecord { holder: Some(self.holder.clone()), lease_ms, ..record }
    }

    /// A write that began at `began` was taken.
    pub(super) fn written(&mut self, began: Duration) {
        self.until = Some(began + self.lasts);
    }

    /// The lease is not ours any more.
    pub(super) fn lost(&mut self) {
        self.until = None;
    }

    /// Whether this relay leads.
    pub(super) fn holds(&self, now: Duration) -> bool {
        self.until.is_some_and(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LASTS: Duration = Duration::from_secs(3);

    fn lease(holder: &str) -> Lease {
        Lease::new(holder.to_owned(), LASTS)
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_lease_lapses_for_who_sees_the_same_stamp_for_as_long_as_it_lasts() {
        let (mut a, mut b) = (lease("a"), lease("b"));
        let empty = RelayRecord::default();
        assert!(a.is_free(&empty, seconds(0)));
        let taken = a.taken(&empty);
        a.written(seconds(0));
        assert!(a.holds(seconds(2)) && !a.holds(seconds(3)));
        // b's clock is an hour ahead.
        let hour = 3600;
        assert!(!b.is_free(&taken, seconds(hour + 1)));
        assert!(!b.is_free(&taken, seconds(hour + 3)));
        let kept = a.kept(&taken);
        assert!(!b.is_free(&kept, seconds(hour + 4)), "it moved");
        assert!(!b.is_free(&kept, seconds(hour + 6)));
        assert!(b.is_free(&kept, seconds(hour + 7)));
        let stolen = b.taken(&kept);
        assert_eq!((stolen.stamp, stolen.holder.as_deref()), (Stamp { epoch: 2, beat: 0 }, Some("b")));
    }

    #[test]
    fn what_is_given_back_and_what_is_ours_is_free_at_once() {
        let (mut a, mut b) = (lease("a"), lease("b"));
        let taken = a.taken(&RelayRecord::default());
        assert!(a.is_free(&taken, seconds(1)));
        assert!(!b.is_free(&taken, seconds(1)));
        assert!(b.is_free(&a.given_back(&taken), seconds(1)));
    }
}
