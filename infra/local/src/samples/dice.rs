//! Chance that falls the same way everywhere and in every release.
//!
//! Every output draws from a stream of its own, so a new field in one file does not move the others. Ranges are reduced
//! here and not by `rand`, whose reduction may change between versions.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

/// One stream of chance.
#[derive(Debug, Clone)]
pub(crate) struct Dice(ChaCha20Rng);

impl Dice {
    /// The stream called `name` under `seed`.
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let mut key = [0u8; 32];
        for (to, from) in key.iter_mut().zip(seed.to_le_bytes()) {
            *to = from;
        }
        let mut rng = ChaCha20Rng::from_seed(key);
        // FNV-1a: all it must do is differ between names.
        rng.set_stream(
            name.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)),
        );
        Self(rng)
    }

    /// Less than `bound`; 0 when that is 0.
    #[expect(clippy::cast_possible_truncation, reason = "the high half of the product is below `bound`")]
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // Multiply and shift: its bias (2^-64 times the bound) is far below what a sample shows.
        ((u128::from(self.0.next_u64()) * (bound as u128)) >> 64) as usize
    }

    /// From `low` to `high`, both possible.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True in so many of a thousand.
    pub(crate) fn permille(&mut self, of_thousand: usize) -> bool {
        self.below(1000) < of_thousand
    }

    /// One of a table.
    pub(crate) fn pick<T: Copy>(&mut self, table: &[T]) -> T {
        *self.choose(table)
    }

    /// One of some larger things.
    #[expect(clippy::indexing_slicing, reason = "below() is within, and the tables of this crate are not empty")]
    pub(crate) fn choose<'a, T>(&mut self, table: &'a [T]) -> &'a T {
        &table[self.below(table.len())]
    }

    /// An index, with the odds of these weights.
    pub(crate) fn weighted(&mut self, weights: impl IntoIterator<Item = usize> + Clone) -> usize {
        let total: usize = weights.clone().into_iter().sum();
        let mut left = self.below(total);
        let mut chosen = 0;
        for (index, weight) in weights.into_iter().enumerate() {
            chosen = index;
            if left < weight {
                break;
            }
            left -= weight;
        }
        chosen
    }

    /// In another order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// So many decimal digits.
    pub(crate) fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap_or(0))).collect()
    }

    /// So many lower-case hexadecimal digits.
    pub(crate) fn hex(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from_digit(u32::try_from(self.below(16)).unwrap_or(0), 16).unwrap_or('0')).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn falls_the_same_way_for_ever() {
        // If this changes, every sample file changes: say so in the release notes.
        let mut dice = Dice::new(1, "test");
        assert_eq!((0..8).map(|_| dice.below(100)).collect::<Vec<_>>(), GOLDEN);
        assert_ne!(Dice::new(1, "other").hex(16), Dice::new(1, "test").hex(16));
        assert_ne!(Dice::new(2, "test").hex(16), Dice::new(1, "test").hex(16));
    }

    const GOLDEN: [usize; 8] = [82, 94, 28, 41, 25, 11, 36, 14];

    #[test]
    fn odds_are_what_they_say() {
        let mut dice = Dice::new(3, "odds");
        let hits = (0..10_000).filter(|_| dice.permille(310)).count();
        assert!((2900..3300).contains(&hits), "{hits}");
        let mut seen = [0usize; 3];
        for _ in 0..10_000 {
            seen[dice.weighted([1, 0, 3])] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!((2200..2800).contains(&seen[0]), "{seen:?}");
        assert_eq!((0..100).filter(|_| dice.below(0) != 0).count(), 0);
    }
}
