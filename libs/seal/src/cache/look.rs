//! Looking keys up one by one, without awaiting, while an answer is made.

use std::{collections::HashMap, time::Instant};

use super::{CacheError, KeyCache, Need};
use crate::{KeyName, Resolved};

/// A look into the cache for one answer: what is missing is noted, fetched together, and kept until the answer is done,
/// however small the cache is.
#[derive(Debug)]
pub struct Look {
    cache: KeyCache,
    at: Instant,
    found: u64,
    ahead: Vec<(KeyName, Option<Resolved>)>,
    /// How many of `ahead` were passed.
    passed: usize,
    fetched: HashMap<KeyName, Resolved>,
    missing: Vec<KeyName>,
}

impl KeyCache {
    /// Begins a look. Take one per answer: what it gave out may be erased a moment later.
    ///
    /// # Errors
    /// [`CacheError::Stale`].
    pub fn look(&self) -> Result<Look, CacheError> {
        let at = Instant::now();
        self.inner.fresh(at)?;
        Ok(Look {
            cache: self.clone(),
            at,
            found: 0,
            ahead: Vec::new(),
            passed: 0,
            fetched: HashMap::new(),
            missing: Vec::new(),
        })
    }
}

impl Look {
    /// Looks the next ones up together, so that their waits for memory overlap. [`Look::get`] may be asked for them afterwards, in
    /// this order, some left out.
    pub fn ahead(&mut self, names: &[KeyName]) {
        let Self { cache, at, ahead, passed, .. } = self;
        ahead.clear();
        *passed = 0;
        let mut each = names.iter();
        cache.inner.table().look(Need::Open, names, *at, |found| ahead.extend(each.next().map(|name| (*name, found))));
    }

    /// What was found ahead.
    fn passing(&mut self, name: KeyName) -> Option<Option<Resolved>> {
        let nth = self.ahead.get(self.passed..)?.iter().position(|(ahead, _)| *ahead == name)?;
        self.passed += nth + 1;
        self.ahead.get_mut(self.passed - 1).map(|(_, found)| found.take())
    }

    /// The key, if it is at hand; else it is noted for [`Look::fetch`].
    pub fn get(&mut self, name: KeyName) -> Option<Resolved> {
        // Before the cache: it may have dropped what was fetched for this answer, and would be asked for ever.
        if let Some(fetched) = (!self.fetched.is_empty()).then(|| self.fetched.get(&name)).flatten() {
            return Some(fetched.clone());
        }
        let found = self.passing(name).unwrap_or_else(|| {
            let mut found = None;
            self.cache.inner.table().look(Need::Open, &[name], self.at, |one| found = one);
            found
        });
        match found {
            Some(_) => self.found += 1,
            None => self.missing.push(name),
        }
        found
    }

    /// Whether something was not at hand.
    pub fn is_missing_some(&self) -> bool {
        !self.missing.is_empty()
    }

    /// Fetches what was missing, in one query.
    ///
    /// # Errors
    /// [`CacheError`].
    pub async fn fetch(&mut self) -> Result<(), CacheError> {
        let mut missing = std::mem::take(&mut self.missing);
        missing.sort_unstable();
        missing.dedup();
        let fetched = self.cache.resolve(&missing).await?;
        self.fetched.extend(missing.into_iter().zip(fetched));
        Ok(())
    }
}

impl Drop for Look {
    fn drop(&mut self) {
        self.cache.inner.metrics.looked_up(usize::try_from(self.found).unwrap_or_default(), 0);
    }
}
