//! Facts by exact text, so that a repeated statement costs no parse.

use super::{Facts, SqlError, analyse};
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 16;

/// Texts longer than this are not kept: they are bulk loads, seldom the same twice.
const LONGEST: usize = 16 << 10;

/// What an entry costs besides its text (kept once) and its facts, in bytes.
const OVERHEAD: usize = 256;

/// A bounded map from text to facts, shared by every connection. A shard that
/// is full forgets, oldest half first (two generations: what is used again
/// moves to the young one), so every operation takes constant time and no
/// list is walked. No lock is held during a parse.
///
/// Facts depend on the text alone, never on a session, so sessions share them.
pub struct FactsCache {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    /// Bytes that one generation of one shard may hold.
    half: usize,
}

#[derive(Default)]
struct Shard {
    young: HashMap<Arc<str>, Arc<Facts>>,
    old: HashMap<Arc<str>, Arc<Facts>>,
    young_bytes: usize,
}

impl FactsCache {
    /// A cache of at most about `bytes` bytes.
    pub fn new(bytes: usize) -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::default()),
            half: bytes / SHARDS / 2,
        }
    }

    /// The facts of a text: remembered, or analysed and remembered.
    pub fn analyse(&self, text: &str) -> Result<Arc<Facts>, SqlError> {
        if text.len() > LONGEST {
            return analyse(text).map(Arc::new);
        }
        if let Some(known) = self.shard(text).find(text, self.half) {
            return Ok(known);
        }
        let facts = Arc::new(analyse(text)?);
        self.shard(text).keep(Arc::from(text), Arc::clone(&facts), self.half);
        Ok(facts)
    }

    fn shard(&self, text: &str) -> MutexGuard<'_, Shard> {
        let index = self.hasher.hash_one(text) as usize % SHARDS;
        let [first, ..] = &self.shards;
        // A shard is consistent between any two of its steps, so a panic
        // elsewhere under the lock does not spoil it.
        self.shards.get(index).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn find(&mut self, text: &str, half: usize) -> Option<Arc<Facts>> {
        if let Some(facts) = self.young.get(text) {
            return Some(Arc::clone(facts));
        }
        let (key, facts) = self.old.remove_entry(text)?;
        self.keep(key, Arc::clone(&facts), half);
        Some(facts)
    }

    fn keep(&mut self, text: Arc<str>, facts: Arc<Facts>, half: usize) {
        let bytes = cost(&text, &facts);
        if bytes > half {
            return;
        }
        if self.young_bytes + bytes > half {
            self.old = std::mem::take(&mut self.young);
            self.young_bytes = 0;
        }
        if self.young.insert(text, facts).is_none() {
            self.young_bytes += bytes;
        }
    }
}

/// About what an entry takes. Names in the facts come from the text, so they
/// weigh no more than it does, their headers aside.
fn cost(text: &str, facts: &Facts) -> usize {
    let names: usize = facts
        .statements
        .iter()
        .map(|s| {
            size_of_val(s)
                + 96 * (s.reads.len()
                    + s.writes.len()
                    + s.functions.len()
                    + s.types.len()
                    + s.operators.len()
                    + s.settings.len()
                    + s.columns.len())
        })
        .sum();
    2 * text.len() + names + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_read_once() {
        let cache = FactsCache::new(1 << 20);
        let first = cache.analyse("SELECT 1").unwrap();
        let again = cache.analyse("SELECT 1").unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(!Arc::ptr_eq(&first, &cache.analyse("select 1").unwrap()));
        assert!(cache.analyse("SELEC 1").is_err());
    }

    #[test]
    fn g9_the_cache_is_bounded_and_keeps_what_is_used() {
        let cache = FactsCache::new(256 << 10);
        let hot = cache.analyse("SELECT 'hot'").unwrap();
        for n in 0..3000 {
            cache.analyse(&format!("SELECT {n}")).unwrap();
            assert!(Arc::ptr_eq(&hot, &cache.analyse("SELECT 'hot'").unwrap()), "after {n}");
        }
        let held: usize = cache
            .shards
            .iter()
            .map(|shard| {
                let shard = shard.lock().unwrap();
                shard.young.iter().chain(&shard.old).map(|(text, facts)| cost(text, facts)).sum::<usize>()
            })
            .sum();
        assert!(held <= 256 << 10, "{held}");
        assert!(held > 64 << 10, "{held}");
    }

    #[test]
    fn large_texts_are_not_kept() {
        let cache = FactsCache::new(16 << 20);
        let text = format!("SELECT '{}'", "x".repeat(LONGEST));
        let first = cache.analyse(&text).unwrap();
        assert!(!Arc::ptr_eq(&first, &cache.analyse(&text).unwrap()));
    }
}
