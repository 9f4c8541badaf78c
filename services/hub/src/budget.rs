//! Memory of all connections together: a semaphore over bytes, and buffers that are used again.
//!
//! A large answer is read only when its bytes are granted, so the rest of it waits in the kernel and the broker waits with
//! it. A buffer's pages are dear (the kernel zeroes each once): emptied buffers are kept, up to a bound.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const UNIT: usize = 1024;

/// The bound and the buffers.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes: Arc<Semaphore>,
    units: u32,
    idle: Mutex<Idle>,
    keep: usize,
}

#[derive(Debug, Default)]
struct Idle {
    buffers: Vec<BytesMut>,
    bytes: usize,
}

/// A grant of bytes; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease(Option<OwnedSemaphorePermit>);

impl Lease {
    /// Bytes that it grants.
    fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) * UNIT
    }

    /// Gives back what is beyond `size`.
    pub(crate) fn shrink(&mut self, size: usize) {
        let Some(held) = &mut self.0 else { return };
        // What is split off is dropped.
        drop(held.split(held.num_permits().saturating_sub(size.div_ceil(UNIT))));
    }
}

impl Budget {
    /// At most `total` bytes in flight; idle buffers of at most `keep` bytes together are kept.
    pub(crate) fn new(total: usize, keep: usize) -> Self {
        let units = u32::try_from((total / UNIT).max(1)).unwrap_or(u32::MAX).min(u32::MAX >> 4);
        let bytes = Arc::new(Semaphore::new(usize::try_from(units).unwrap_or(usize::MAX >> 4)));
        Self { bytes, units, idle: Mutex::default(), keep }
    }

    /// Waits for `size` bytes. One frame larger than the whole budget waits for all of it.
    pub(crate) async fn lease(&self, size: usize) -> Lease {
        let units = u32::try_from(size.div_ceil(UNIT)).unwrap_or(u32::MAX).clamp(1, self.units);
        Lease(Arc::clone(&self.bytes).acquire_many_owned(units).await.ok())
    }

    /// Brings a lease up to `size` bytes, as far as there are some that nobody waits for; says how many it grants then. It
    /// does not wait: who waits for more while holding some may wait for somebody who does the same.
    pub(crate) fn grow(&self, lease: &mut Lease, size: usize) -> usize {
        let lacks = size.saturating_sub(lease.bytes()).div_ceil(UNIT).min(self.bytes.available_permits());
        if let Ok(lacks) = u32::try_from(lacks)
            && let Ok(more) = Arc::clone(&self.bytes).try_acquire_many_owned(lacks)
        {
            match &mut lease.0 {
                Some(held) => held.merge(more),
                none => *none = Some(more),
            }
        }
        lease.bytes()
    }

    /// An empty buffer of at least that capacity: the smallest kept one that fits.
    pub(crate) fn buffer(&self, capacity: usize) -> BytesMut {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let best = idle
            .buffers
            .iter()
            .enumerate()
            .filter(|(_, buffer)| buffer.capacity() >= capacity)
            .min_by_key(|(_, buffer)| buffer.capacity())
            .map(|(at, _)| at);
        match best {
            Some(at) => {
                let buffer = idle.buffers.swap_remove(at);
                idle.bytes -= buffer.capacity();
                buffer
            }
            None => {
                drop(idle);
                // Rounded up, so that answers of about the same size share buffers.
                BytesMut::with_capacity(capacity.max(UNIT).next_power_of_two().min(capacity.max(UNIT) + (1 << 20)))
            }
        }
    }

    /// Takes a buffer back.
    pub(crate) fn recycle(&self, mut buffer: BytesMut) {
        buffer.clear();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Room is made by dropping the smallest: large ones are dear, small ones are not.
        while idle.bytes + buffer.capacity() > self.keep {
            let Some(smallest) =
                idle.buffers.iter().enumerate().min_by_key(|(_, b)| b.capacity()).map(|(at, b)| (at, b.capacity()))
            else {
                return;
            };
            if smallest.1 >= buffer.capacity() {
                return;
            }
            idle.buffers.swap_remove(smallest.0);
            idle.bytes -= smallest.1;
        }
        idle.bytes += buffer.capacity();
        idle.buffers.push(buffer);
    }

    /// Takes a frozen buffer back, if nobody else holds a part of it.
    pub(crate) fn recycle_frozen(&self, bytes: Bytes) {
        if let Ok(buffer) = bytes.try_into_mut() {
            self.recycle(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_budget_holds_and_is_given_back() {
        let budget = Budget::new(10 * UNIT, 0);
        let first = budget.lease(8 * UNIT).await;
        let waits = tokio::time::timeout(std::time::Duration::from_millis(20), budget.lease(3 * UNIT)).await;
        assert!(waits.is_err(), "11 of 10 units were granted");
        drop(first);
        let _all = budget.lease(usize::MAX).await;
    }

    #[tokio::test]
    async fn leases_grow_by_what_nobody_waits_for() {
        let budget = Budget::new(10 * UNIT, 0);
        let mut first = budget.lease(2 * UNIT).await;
        assert_eq!(budget.grow(&mut first, 5 * UNIT), 5 * UNIT);
        assert_eq!(budget.grow(&mut first, UNIT), 5 * UNIT, "a lease does not shrink by growing");
        let mut second = budget.lease(UNIT).await;
        assert_eq!(budget.grow(&mut second, 100 * UNIT), 5 * UNIT, "the rest");
        let soon = std::time::Duration::from_millis(20);
        let waits = budget.lease(3 * UNIT);
        tokio::pin!(waits);
        assert!(tokio::time::timeout(soon, &mut waits).await.is_err(), "11 of 10 units were granted");
        first.shrink(3 * UNIT);
        assert_eq!(budget.grow(&mut second, 100 * UNIT), 5 * UNIT, "what was given back is promised");
        first.shrink(UNIT);
        waits.await;
    }

    #[test]
    fn buffers_come_back_even_when_they_were_frozen() {
        let budget = Budget::new(1 << 20, 1 << 20);
        let mut buffer = budget.buffer(100_000);
        buffer.extend_from_slice(&[7; 90_000]);
        let at = buffer.as_ptr();
        let frozen = buffer.freeze();
        let part = frozen.slice(10..20);
        drop(part);
        budget.recycle_frozen(frozen);
        let again = budget.buffer(100_000);
        assert_eq!(again.as_ptr(), at);
        assert!(again.is_empty());
        let held = again.freeze();
        let _part = held.clone();
        budget.recycle_frozen(held);
        assert!(budget.idle.lock().unwrap().buffers.is_empty(), "a buffer that is still read was kept for writing");
    }
}
