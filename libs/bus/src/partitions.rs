//! Which partition a key goes to, for those who must know it before they produce.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{BusError, Producer};

/// How long a number of partitions is believed. A topic that grew gets records in its new partitions after so long.
const BELIEVED: Duration = Duration::from_secs(30);

/// How many partitions a topic has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partitions(i32);

impl Partitions {
    /// The partition of a key: the one that the Java client and librdkafka's `murmur2` partitioner choose.
    pub fn of(self, key: &[u8]) -> i32 {
        // As Kafka's `Utils.toPositive`: the sign bit is cleared, not the number negated.
        let positive = i32::try_from(murmur2(key) & 0x7fff_ffff).unwrap_or_default();
        positive.checked_rem(self.0).unwrap_or_default()
    }
}

/// What was asked last.
#[derive(Debug, Default)]
pub(crate) struct Known(Mutex<HashMap<Arc<str>, (Partitions, Instant)>>);

impl Known {
    fn get(&self, topic: &str) -> Option<(Partitions, Instant)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(topic).copied()
    }
}

impl Producer {
    /// How many partitions a topic has: asked for the first time and then every half a minute. While brokers do not
    /// answer, what is known stays true.
    ///
    /// # Errors
    /// No broker answers, or there is no such topic, and nothing is known yet.
    pub async fn partitions(&self, topic: &Arc<str>, timeout: Duration) -> Result<Partitions, BusError> {
        let known = self.known().get(topic);
        if let Some((partitions, at)) = known
            && at.elapsed() < BELIEVED
        {
            return Ok(partitions);
        }
        match (self.count_partitions(topic, timeout).await, known) {
            (Ok(count), _) => {
                let partitions = Partitions(count);
                let mut all = self.known().0.lock().unwrap_or_else(PoisonError::into_inner);
                all.insert(Arc::clone(topic), (partitions, Instant::now()));
                Ok(partitions)
            }
            (Err(_), Some((partitions, _))) => Ok(partitions),
            (Err(error), None) => Err(error),
        }
    }
}

/// MurmurHash2 by Austin Appleby, 32 bits, with the seed that Kafka uses.
fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const SEED: u32 = 0x9747_b28c;
    // The length goes in as 32 bits; keys are shorter.
    let mut hash = SEED ^ u32::try_from(data.len()).unwrap_or(u32::MAX);
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Kafka's own `Utils.murmur2` gives.
    #[test]
    fn hashes_as_kafka_does() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn every_key_has_a_partition() {
        for count in [1, 2, 4, 7] {
            for n in 0..1_000 {
                assert!((0..count).contains(&Partitions(count).of(format!("{n:032x}").as_bytes())));
            }
        }
        assert_eq!(Partitions(0).of(b"key"), 0);
    }
}
