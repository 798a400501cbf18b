//! Reading TOML so that every problem is found in one go, each with its file,
//! line, key and what was expected; and no key goes unread.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::RangeInclusive;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: String,
    pub line: usize,
    /// Dotted, as in `server.listen`; empty where the text is not TOML.
    pub key: String,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// One text, and what was found wrong with it so far.
pub(super) struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Reader<'t> {
    pub fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, problems: RefCell::default() }
    }

    pub fn say(&self, offset: usize, key: &str, message: impl Into<String>) {
        let line = self.text.get(..offset).unwrap_or(self.text).matches('\n').count() + 1;
        let (file, key) = (self.file.to_owned(), key.to_owned());
        self.problems.borrow_mut().push(Problem { file, line, key, message: message.into() });
    }

    /// The problems in the order of the text.
    pub fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort();
        problems
    }
}

/// One table of the text. Asking for a key makes it known; [`Section::finish`]
/// reports the keys that nobody asked for.
pub(super) struct Section<'r> {
    pub reader: &'r Reader<'r>,
    path: String,
    offset: usize,
    table: &'r DeTable<'r>,
    known: RefCell<BTreeSet<String>>,
}

/// A value with its place.
pub(super) struct Found<'r, T> {
    pub value: T,
    pub offset: usize,
    pub key: String,
    pub reader: &'r Reader<'r>,
}

impl<'r, T> Found<'r, T> {
    /// Reports what was expected in place of this value.
    pub fn say(&self, message: impl Into<String>) {
        self.reader.say(self.offset, &self.key, message);
    }
}

impl<'r> Section<'r> {
    pub fn root(reader: &'r Reader<'r>, table: &'r DeTable<'r>) -> Self {
        Self { reader, path: String::new(), offset: 0, table, known: RefCell::default() }
    }

    fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    fn find(&self, name: &str) -> Option<&'r Spanned<DeValue<'r>>> {
        self.known.borrow_mut().insert(name.to_owned());
        self.table.iter().find(|(key, _)| key.get_ref() == name).map(|(_, value)| value)
    }

    /// A problem with the section as a whole.
    pub fn say(&self, message: impl Into<String>) {
        self.reader.say(self.offset, &self.path, message);
    }

    fn missing(&self, name: &str, expected: &str) {
        self.reader.say(self.offset, &self.key(name), format!("missing: expected {expected}"));
    }

    /// The value of a key if it has the right type.
    fn typed<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'r DeValue<'r>) -> Option<T>,
    ) -> Option<Found<'r, T>> {
        let value = self.find(name)?;
        let (offset, key) = (value.span().start, self.key(name));
        match read(value.get_ref()) {
            Some(value) => Some(Found { value, offset, key, reader: self.reader }),
            None => {
                self.reader.say(
                    offset,
                    &key,
                    format!("expected {expected}, found {}", value.get_ref().type_str()),
                );
                None
            }
        }
    }

    pub fn text(&self, name: &str, expected: &str) -> Option<Found<'r, &'r str>> {
        self.typed(name, expected, DeValue::as_str)
    }

    pub fn required(&self, name: &str, expected: &str) -> Option<Found<'r, &'r str>> {
        if self.find(name).is_none() {
            self.missing(name, expected);
        }
        self.text(name, expected)
    }

    /// A text that means a `T`; reports `expected` where it does not.
    pub fn parsed<T>(&self, name: &str, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Option<T> {
        let found = self.text(name, expected)?;
        let parsed = parse(found.value);
        if parsed.is_none() {
            found.say(format!("expected {expected}, found `{}`", found.value));
        }
        parsed
    }

    pub fn required_parsed<T>(
        &self,
        name: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        if self.find(name).is_none() {
            self.missing(name, expected);
        }
        self.parsed(name, expected, parse)
    }

    /// A whole number of at least one and at most `most`.
    pub fn number(&self, name: &str, most: u64, default: u64) -> u64 {
        self.number_within(name, 1..=most).unwrap_or(default)
    }

    /// A whole number within `range`, where it is given.
    pub fn number_within(&self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let read = |value: &DeValue<'_>| {
            let integer = value.as_integer()?;
            u64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|n| range.contains(n))
        };
        self.typed(name, &expected, read).map(|found| found.value)
    }

    /// Whether a key is given, of whatever type.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// Whether a key's value is a table.
    pub fn holds_table(&self, name: &str) -> bool {
        self.find(name).is_some_and(|value| value.get_ref().is_table())
    }

    /// Whether a key's value is a list.
    pub fn holds_list(&self, name: &str) -> bool {
        self.find(name).is_some_and(|value| value.get_ref().is_array())
    }

    /// Reports a key that does not belong here, where it is given.
    pub fn refuse(&self, name: &str, message: &str) {
        if let Some(value) = self.find(name) {
            self.reader.say(value.span().start, &self.key(name), message);
        }
    }

    /// How much of something: a number of at least one, one with a unit of
    /// bytes (`16MiB`), or `unlimited`.
    pub fn amount(&self, name: &str, default: u64) -> u64 {
        let expected = "a number from 1, a size such as 16MiB, or \"unlimited\"";
        let read = |value: &DeValue<'_>| match value {
            DeValue::String(text) => amount(text),
            _ => value.as_integer().and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok()),
        };
        let positive = |value: &DeValue<'_>| read(value).filter(|n| *n > 0);
        self.typed(name, expected, positive).map_or(default, |found| found.value)
    }

    pub fn boolean(&self, name: &str) -> bool {
        self.typed(name, "true or false", DeValue::as_bool).is_some_and(|found| found.value)
    }

    pub fn texts(&self, name: &str, expected: &str) -> Option<Vec<Found<'r, &'r str>>> {
        let list = self.typed(name, expected, DeValue::as_array)?;
        let mut texts = Vec::new();
        for item in list.value.iter() {
            match item.get_ref().as_str() {
                Some(value) => texts.push(Found {
                    value,
                    offset: item.span().start,
                    key: list.key.clone(),
                    reader: self.reader,
                }),
                None => self.reader.say(
                    item.span().start,
                    &list.key,
                    format!("expected {expected}, found {} in the list", item.get_ref().type_str()),
                ),
            }
        }
        Some(texts)
    }

    /// At least one text.
    pub fn required_texts(&self, name: &str, expected: &str) -> Vec<Found<'r, &'r str>> {
        if self.find(name).is_none() {
            self.missing(name, expected);
        }
        let texts = self.texts(name, expected);
        let empty = self.table.iter().any(|(key, value)| {
            key.get_ref() == name && value.get_ref().as_array().is_some_and(|list| list.is_empty())
        });
        if empty {
            self.reader.say(self.offset, &self.key(name), format!("empty: expected {expected}"));
        }
        texts.unwrap_or_default()
    }

    pub fn section(&self, name: &str) -> Option<Section<'r>> {
        let found = self.typed(name, "a table", DeValue::as_table)?;
        let known = RefCell::default();
        Some(Section {
            reader: self.reader,
            path: found.key,
            offset: found.offset,
            table: found.value,
            known,
        })
    }

    pub fn required_section(&self, name: &str, expected: &str) -> Option<Section<'r>> {
        if self.find(name).is_none() {
            self.missing(name, expected);
        }
        self.section(name)
    }

    /// The tables inside this one, where their names are free.
    pub fn sections(&self) -> BTreeMap<String, Section<'r>> {
        let names = self.names();
        names.into_iter().filter_map(|name| Some((name.clone(), self.section(&name)?))).collect()
    }

    /// The keys of this table, where they are free.
    pub fn names(&self) -> Vec<String> {
        self.table.keys().map(|key| key.get_ref().to_string()).collect()
    }

    /// Reports keys that nobody asked for, with the nearest that would do.
    pub fn finish(self) {
        let known = self.known.into_inner();
        for (key, _) in self.table.iter().filter(|(key, _)| !known.contains(key.get_ref().as_ref())) {
            let name = key.get_ref().as_ref();
            let message = match nearest(name, known.iter().map(String::as_str)) {
                Some(near) => format!("unknown key: did you mean {near}?"),
                None => {
                    let known: Vec<&str> = known.iter().map(String::as_str).collect();
                    format!("unknown key: expected one of {}", known.join(", "))
                }
            };
            let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
            self.reader.say(key.span().start, &path, message);
        }
    }
}

/// The name that was probably meant.
pub(super) fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = names.map(|name| (strsim::jaro_winkler(asked, name), name));
    let best = scored.filter(|(score, _)| *score >= 0.8).max_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, name)| name)
}

fn amount(text: &str) -> Option<u64> {
    if text == "unlimited" {
        return Some(u64::MAX);
    }
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let shift = match unit.trim_start() {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}
