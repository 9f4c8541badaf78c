//! The same "random" values in every run, so that a failure can be repeated.
//!
//! The seed is fixed unless `JOINTUSE_SEED` names another; it is part of [`Seeded`]'s `Debug`, so print it in
//! assertions that depend on it.
use rand::{Rng as _, RngExt as _, SeedableRng as _, seq::IndexedRandom as _};
use rand_chacha::ChaCha12Rng;

const SEED: u64 = 20_170_530; // the day on which the amended Act came into force

/// A source of repeatable values. ChaCha12 answers the same on every platform and release.
#[derive(Debug, Clone)]
pub struct Seeded {
    seed: u64,
    rng: ChaCha12Rng,
}

impl Seeded {
    /// The run's seed, mixed with the name of what is being made, so that two tests do not share their values.
    pub fn for_test(name: &str) -> Self {
        let seed = std::env::var("JOINTUSE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
        // FNV-1a: all it must do is differ between names.
        let mixed = name
            .bytes()
            .fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self::new(mixed)
    }

    /// From this seed.
    pub fn new(seed: u64) -> Self {
        Self { seed, rng: ChaCha12Rng::seed_from_u64(seed) }
    }

    /// The seed, for messages.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A whole number from `low` to `high`, both possible.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        self.rng.random_range(low..=high)
    }

    /// True once in `times` on average.
    pub fn one_in(&mut self, times: u32) -> bool {
        self.rng.random_ratio(1, times.max(1))
    }

    /// One of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.choose(&mut self.rng)
    }

    /// That many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    /// 32 lower-case hex digits: the shape of a contact id.
    pub fn id(&mut self) -> String {
        hex::encode(self.bytes(16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_gives_the_same_values_and_another_gives_others() {
        let id = |name: &str| Seeded::for_test(name).id();
        assert_eq!(id("a"), id("a"));
        assert_ne!(id("a"), id("b"));
        assert_eq!(Seeded::new(7).bytes(4), Seeded::new(7).bytes(4));
        assert_eq!(id("a").len(), 32);
    }
}
