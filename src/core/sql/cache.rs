//! Facts by text, so that a repeated statement costs no parse: by the exact
//! text, or where only plain integers differ, by its [`shape`].

use super::{Class, Facts, SqlError, analyse};
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
    texts: [Mutex<Shard>; SHARDS],
    /// Apart from the texts: a text may look like another's shape.
    shapes: [Mutex<Shard>; SHARDS],
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
            texts: std::array::from_fn(|_| Mutex::default()),
            shapes: std::array::from_fn(|_| Mutex::default()),
            half: bytes / SHARDS / 4,
        }
    }

    /// The facts of a text: remembered, or analysed and remembered.
    pub fn analyse(&self, text: &str) -> Result<Arc<Facts>, SqlError> {
        if text.len() > LONGEST {
            return analyse(text).map(Arc::new);
        }
        let shape = shape(text);
        let known = shape.as_deref().and_then(|shape| self.shard(&self.shapes, shape).find(shape, self.half));
        if let Some(known) = known.or_else(|| self.shard(&self.texts, text).find(text, self.half)) {
            return Ok(known);
        }
        let facts = Arc::new(analyse(text)?);
        match shape.filter(|_| is_of_its_shape(&facts)) {
            Some(shape) => {
                self.shard(&self.shapes, &shape).keep(Arc::from(shape), Arc::clone(&facts), self.half);
            }
            None => self.shard(&self.texts, text).keep(Arc::from(text), Arc::clone(&facts), self.half),
        }
        Ok(facts)
    }

    fn shard<'a>(&self, shards: &'a [Mutex<Shard>; SHARDS], text: &str) -> MutexGuard<'a, Shard> {
        let index = self.hasher.hash_one(text) as usize % SHARDS;
        let [first, ..] = shards;
        // A shard is consistent between any two of its steps, so a panic
        // elsewhere under the lock does not spoil it.
        shards.get(index).unwrap_or(first).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text with zeros for the digits of its plain integers, or `None` where it
/// has none, or holds anything in which a digit may be something else: a
/// quote, a dollar, a backslash, a comment, a byte beyond ASCII.
///
/// A plain integer stands alone and has at most nine digits, so whatever its
/// digits are, PostgreSQL's scanner makes the same token of it (`ICONST`) at
/// the same place: texts of one shape are one sequence of tokens, and their
/// trees differ in these integers' values only.
fn shape(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let part_of_a_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
    let mut shape = String::with_capacity(text.len());
    let mut integers = false;
    let mut before = b' ';
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        let comment = matches!((before, byte), (b'-', b'-') | (b'/', b'*'));
        if comment || !byte.is_ascii() || matches!(byte, b'\'' | b'"' | b'$' | b'\\' | 0) {
            return None;
        }
        if !byte.is_ascii_digit() || part_of_a_word(&before) {
            shape.push(char::from(byte));
            (before, rest) = (byte, after);
            continue;
        }
        let length = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, after) = rest.split_at(length);
        let plain = length <= 9 && !after.first().is_some_and(part_of_a_word);
        shape.extend(digits.iter().map(|digit| if plain { '0' } else { char::from(*digit) }));
        integers |= plain;
        (before, rest) = (b'0', after);
    }
    integers.then_some(shape)
}

/// Whether every text of the same shape has these facts. Of integers' values
/// only two kinds of facts are made: what a setting is changed to, and types
/// (`float(24)` is another type than `float(25)`). Apart from plain
/// statements on data nothing is assumed.
fn is_of_its_shape(facts: &Facts) -> bool {
    facts.statements.iter().all(|statement| {
        let plain = matches!(statement.class, Class::Select | Class::Insert | Class::Update | Class::Delete);
        plain && statement.bodies.is_empty() && statement.settings.is_empty() && statement.types.is_empty()
    })
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
                + s.record.len()
                + 96 * (s.reads.len()
                    + s.writes.len()
                    + s.functions.len()
                    + s.types.len()
                    + s.operators.len()
                    + s.settings.len()
                    + s.columns.len()
                    + s.attributes.len()
                    + s.spots.len())
        })
        .sum();
    // The text, its range in facts of its shape, and what is left of it without values.
    3 * text.len() + names + OVERHEAD
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
            cache.analyse(&format!("SELECT '{n}'")).unwrap();
            assert!(Arc::ptr_eq(&hot, &cache.analyse("SELECT 'hot'").unwrap()), "after {n}");
        }
        let held: usize = cache
            .texts
            .iter()
            .map(|shard| {
                let shard = shard.lock().unwrap();
                shard.young.iter().chain(&shard.old).map(|(text, facts)| cost(text, facts)).sum::<usize>()
            })
            .sum();
        assert!(held <= 128 << 10, "{held}");
        assert!(held > 32 << 10, "{held}");
    }

    #[test]
    fn texts_that_differ_in_plain_integers_are_read_once() {
        let cache = FactsCache::new(1 << 20);
        for (one, other) in [
            ("SELECT a FROM t WHERE id = 17", "SELECT a FROM t WHERE id = 99"),
            ("UPDATE t SET a = a + -512 WHERE id=7;", "UPDATE t SET a = a + -130 WHERE id=0;"),
            (
                "INSERT INTO t VALUES (1, 22); DELETE FROM t WHERE a IN(3,4)",
                "INSERT INTO t VALUES (9, 10); DELETE FROM t WHERE a IN(0,7)",
            ),
        ] {
            let first = cache.analyse(one).unwrap();
            assert!(Arc::ptr_eq(&first, &cache.analyse(other).unwrap()), "{other}");
            assert_eq!(*first, analyse(other).unwrap(), "{other}");
            for statement in &first.statements {
                let own = analyse(other).unwrap();
                let shared = first.statements[0].redacted(one);
                assert_eq!(
                    shared,
                    own.statements[0].redacted(other),
                    "r5_2: what is left of {one} and of {other}"
                );
                assert!(!statement.redacted(one).text.contains(|c: char| c.is_ascii_digit()), "{one}");
            }
        }
    }

    #[test]
    fn g2_an_integer_that_facts_depend_on_is_not_looked_past() {
        let cache = FactsCache::new(1 << 20);
        for (one, other) in [
            ("SET work_mem = 10", "SET work_mem = 99"),
            ("SET work_mem = 00", "SET work_mem = 99"),
            ("SELECT set_config(x, 10, y)", "SELECT set_config(x, 99, y)"),
            ("SELECT a::float(10) FROM t", "SELECT a::float(30) FROM t"),
            ("SELECT a::float(10) FROM t", "SELECT a::float(99) FROM t"),
            ("SELECT 1 FROM t1", "SELECT 1 FROM t2"),
            ("SELECT a FROM t WHERE b = '1'", "SELECT a FROM t WHERE b = '2'"),
            ("SELECT a FROM \"t 1\"", "SELECT a FROM \"t 2\""),
            ("SELECT 1 a--1\n FROM t", "SELECT 1 a--2\n FROM t"),
            ("SELECT 1 /* 1 */ FROM t", "SELECT 1 /* 2 */ FROM t"),
            ("SELECT 1", "SELECT 12"),
            ("SELECT 1.5", "SELECT 1.6"),
            ("SELECT 1000000000", "SELECT 9999999999"),
            ("SELECT 1e1", "SELECT 1e2"),
            ("SELECT 1_0", "SELECT 1_1"),
            ("SELECT 0x1", "SELECT 0x2"),
        ] {
            let first = cache.analyse(one);
            let second = cache.analyse(other);
            assert_eq!(first.as_deref().ok(), analyse(one).ok().as_ref(), "{one}");
            assert_eq!(second.as_deref().ok(), analyse(other).ok().as_ref(), "{other}");
            if let (Ok(first), Ok(second)) = (first, second) {
                assert!(!Arc::ptr_eq(&first, &second), "{one} and {other}");
            }
        }
    }

    #[test]
    fn large_texts_are_not_kept() {
        let cache = FactsCache::new(16 << 20);
        let text = format!("SELECT '{}'", "x".repeat(LONGEST));
        let first = cache.analyse(&text).unwrap();
        assert!(!Arc::ptr_eq(&first, &cache.analyse(&text).unwrap()));
    }
}
