//! How many events a loop asks for at once. One that is behind writes a row that many events of a batch change once for all of them, so
//! large batches are faster; but a batch is also what a shard that changes hands is waited for, and what a crash has applied again.

use std::time::Duration;

/// What a loop begins with, and never goes below where it may have more.
const FIRST: usize = 20_000;
/// A full batch that was applied and written in less than this is followed by one that is twice as large.
const QUICK: Duration = Duration::from_millis(1_200);
/// One that took longer than this by one of half its size: hosts wait three seconds for a shard that changes hands.
const SLOW: Duration = Duration::from_millis(2_800);

/// How many events the next batch has at most.
#[derive(Debug)]
pub(crate) struct Stride {
    now: usize,
    most: usize,
}

impl Stride {
    /// Never more than `most`.
    pub(crate) fn new(most: usize) -> Stride {
        Stride { now: FIRST.min(most), most }
    }

    pub(crate) fn events(&self) -> usize {
        self.now
    }

    /// Takes in how long a batch of `events` took.
    pub(crate) fn took(&mut self, events: usize, time: Duration) {
        if time > SLOW {
            self.now = (self.now / 2).max(FIRST.min(self.most));
        } else if events >= self.now && time < QUICK {
            self.now = (2 * self.now).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(3);

    #[test]
    fn it_grows_while_batches_are_full_and_quick() {
        let mut stride = Stride::new(100_000);
        stride.took(stride.events() - 1, MOMENT);
        assert_eq!(stride.events(), FIRST, "who is not behind needs no more");
        for _ in 0..10 {
            stride.took(stride.events(), MOMENT);
        }
        assert_eq!(stride.events(), 100_000);
        stride.took(100_000, QUICK + MOMENT);
        assert_eq!(stride.events(), 100_000, "neither quick nor slow");
    }

    #[test]
    fn it_shrinks_where_a_batch_is_slow() {
        let mut stride = Stride::new(100_000);
        (0..10).for_each(|_| stride.took(stride.events(), MOMENT));
        stride.took(100_000, LONG);
        assert_eq!(stride.events(), 50_000);
        (0..10).for_each(|_| stride.took(10, LONG));
        assert_eq!(stride.events(), FIRST);
    }

    #[test]
    fn it_keeps_below_what_is_asked_for() {
        let mut stride = Stride::new(7);
        stride.took(7, MOMENT);
        assert_eq!(stride.events(), 7);
        stride.took(7, LONG);
        assert_eq!(stride.events(), 7);
    }
}
