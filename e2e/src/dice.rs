//! Chance that can be repeated: a seed, printed, decides everything.

use std::time::{SystemTime, UNIX_EPOCH};

/// A stream of numbers, the same for the same seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Dice {
    /// What it began with.
    pub seed: u64,
    state: u64,
}

impl Dice {
    /// By the seed in `REEL_TEST_SEED`, else by the clock.
    ///
    /// # Panics
    /// Where the variable is no number.
    #[must_use]
    pub fn new() -> Dice {
        let given = std::env::var("REEL_TEST_SEED").ok();
        let given = given.map(|seed| seed.parse().expect("REEL_TEST_SEED is a number"));
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        Dice::of(given.unwrap_or(u64::from(clock)))
    }

    /// By this seed.
    #[must_use]
    pub fn of(seed: u64) -> Dice {
        Dice { seed, state: seed }
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

impl Default for Dice {
    fn default() -> Dice {
        Dice::new()
    }
}
