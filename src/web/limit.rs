//! How much one citizen may ask: 30 callbacks at once, then 2 a second. Never per source address: one vendor's machine
//! speaks for a million citizens.
//!
//! A fixed array of cells, because a map with a cell for everybody who ever called has no limit. Two citizens who share a
//! cell share its allowance.

use crate::domain::msisdn::Msisdn;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use std::{
    hash::{BuildHasher, RandomState},
    num::NonZeroU32,
};

/// How many callbacks a citizen may make at once.
const BURST: NonZeroU32 = NonZeroU32::new(30).expect("not zero");
/// How many a second after that.
const PER_SECOND: NonZeroU32 = NonZeroU32::new(2).expect("not zero");
/// How many cells there are: all citizens together get [`PER_SECOND`] from each, so this many carry 65 000 callbacks a
/// second, several times what a process can do, and a citizen seldom shares one with another who is busy just then.
const CELLS: usize = 32_768;

/// The allowances of all citizens, in [`CELLS`] cells.
pub struct Limiter {
    cells: Vec<DefaultDirectRateLimiter>,
    hasher: RandomState,
}

impl Default for Limiter {
    fn default() -> Self {
        let cell = || RateLimiter::direct(Quota::per_second(PER_SECOND).allow_burst(BURST));
        Limiter { cells: (0..CELLS).map(|_| cell()).collect(), hasher: RandomState::new() }
    }
}

impl Limiter {
    /// Takes one callback off a citizen's allowance; false when there is none left.
    pub fn allows(&self, citizen: &Msisdn) -> bool {
        let cell = self.hasher.hash_one(citizen) as usize % CELLS;
        self.cells[cell].check().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cells_carry_a_state_in_a_few_megabytes() {
        assert!(CELLS * PER_SECOND.get() as usize >= 60_000);
        assert!(CELLS * size_of::<DefaultDirectRateLimiter>() <= 3 << 20);
    }

    #[test]
    fn thirty_at_once_and_then_a_pause() {
        let limiter = Limiter::default();
        let one = Msisdn::from_e164("+919437000001").expect("a number");
        let allowed = (0..40).filter(|_| limiter.allows(&one)).count();
        assert!((30..=31).contains(&allowed), "{allowed} of 40");
        let others = (0..50)
            .filter(|n| limiter.allows(&Msisdn::from_e164(&format!("+9194370{n:05}")).expect("a number")));
        assert!(others.count() > 40, "others go on");
    }
}
