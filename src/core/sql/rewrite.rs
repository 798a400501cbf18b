//! The names that a person writes become the names of views.
//!
//! A masked or filtered table is shown through a view in a schema of the
//! session's profile. An unqualified name finds it by `search_path`; what names
//! the table's own schema (`public.users`, a column `public.users.id`, `SET
//! search_path TO public`) is changed here, in the text itself and nowhere
//! else: the tree says where, the scanner says how far. Nothing is deparsed.
//!
//! This is for comfort, not for safety: a name that stays is one that the
//! database denies. The gateway asks for every text that goes upstream; the
//! record has the person's own.

use super::facts::{Class, Facts, Named, Spot, Statement};
use super::{SqlError, analyse};
use crate::core::profile::{Views, quote_ident, quote_literal};
use pg_query::protobuf::Token as Kind;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What is changed in a text, and in every text of its shape (see
/// [`super::FactsCache`]), for those have the same tokens at the same places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// In the text's order; none overlaps another.
    edits: Vec<Edit>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Edit {
    /// What is replaced, in bytes; where it is empty, something is put in.
    range: Range<usize>,
    /// The same in characters.
    characters: Range<usize>,
    by: String,
}

impl Rewrite {
    /// What must change in a text for these views, or `None`. The result is
    /// proven before it is given: its tokens are the text's own but for what was
    /// replaced, and PostgreSQL's grammar finds the views where the tables were.
    ///
    /// # Errors
    /// [`SqlError::NoPlace`] where that cannot be proven.
    pub fn of(text: &str, facts: &Facts, views: &Views) -> Result<Option<Self>, SqlError> {
        if !applies(facts, views) {
            return Ok(None);
        }
        let tokens = tokens(text)?;
        let mut edits = Vec::new();
        for statement in facts.statements.iter().filter(|statement| takes_views(statement)) {
            let mut before = None;
            for spot in &statement.spots {
                let at = statement.range.start + spot.at;
                if let Some((range, by)) = edit(&tokens, at, &spot.what, before, views)? {
                    let by = if sticks(text, range.start) { format!(" {by}") } else { by };
                    edits.push(Edit { range, characters: 0..0, by });
                }
                before = Some(&spot.what);
            }
        }
        edits.sort_by_key(|edit| edit.range.start);
        // The tree has the source of `(a, b) = (SELECT …)` once for each column.
        edits.dedup();
        count_characters(text, &mut edits);
        let rewrite = Self { edits };
        let new = rewrite.apply(text);
        if rewrite.keeps_all_else(text, &tokens, &new)? && says_the_same(facts, &analyse(&new)?, views) {
            return Ok(Some(rewrite));
        }
        let mut spots = facts.statements.iter().flat_map(|statement| &statement.spots);
        let touched = spots.find(|spot| touches(&spot.what, views));
        Err(touched.map_or(SqlError::NoPlace(String::new()), |spot| lost(&spot.what)))
    }

    pub fn apply(&self, text: &str) -> String {
        let longer: usize = self.edits.iter().map(|edit| edit.by.len()).sum();
        let mut new = String::with_capacity(text.len() + longer);
        let mut done = 0;
        for edit in &self.edits {
            new.push_str(text.get(done..edit.range.start).unwrap_or_default());
            new.push_str(&edit.by);
            done = edit.range.end;
        }
        new.push_str(text.get(done..).unwrap_or_default());
        new
    }

    /// Where in the person's text a place of the new one is: characters from 1,
    /// as the `P` field of an ErrorResponse counts them. A place inside of what
    /// was put in is the beginning of what it stands for.
    pub fn position(&self, position: usize) -> usize {
        let Some(at) = position.checked_sub(1) else { return position };
        let (mut put_in, mut taken_out) = (0, 0);
        for edit in &self.edits {
            let begin = edit.characters.start + put_in - taken_out;
            if at < begin {
                break;
            }
            let length = edit.by.chars().count();
            if at < begin + length {
                return edit.characters.start + 1;
            }
            put_in += length;
            taken_out += edit.characters.len();
        }
        position + taken_out - put_in
    }

    /// Whether the new text's tokens are the old one's, kind by kind and letter
    /// by letter, but for those that were replaced.
    fn keeps_all_else(&self, text: &str, tokens: &[Token], new: &str) -> Result<bool, SqlError> {
        let (mut put_in, mut taken_out) = (0, 0);
        let mut ours = Vec::with_capacity(self.edits.len());
        for edit in &self.edits {
            let start = edit.range.start + put_in - taken_out;
            ours.push(start..start + edit.by.len());
            put_in += edit.by.len();
            taken_out += edit.range.len();
        }
        let now = self::tokens(new)?;
        let old = outside(tokens, self.edits.iter().map(|edit| edit.range.clone()));
        let now = outside(&now, ours.into_iter());
        let (Some(old), Some(now)) = (old, now) else { return Ok(false) };
        let same = |(one, other): (&&Token, &&Token)| {
            one.kind == other.kind && text.get(one.range.clone()) == new.get(other.range.clone())
        };
        Ok(old.len() == now.len() && old.iter().zip(&now).all(same))
    }
}

/// A search path as a startup parameter has it: before each schema its views'.
/// What is no list of names stays as it is, for the database to refuse.
pub fn search_path<'t>(value: &'t str, views: &Views) -> Cow<'t, str> {
    let Some(items) = path_items(value).filter(|_| !views.is_empty()) else { return Cow::Borrowed(value) };
    let mut new = String::with_capacity(value.len());
    let (mut done, mut before) = (0, None);
    for (at, schema) in &items {
        if let Some(view) = views.schemas.get(schema).filter(|view| before != Some(view.as_str())) {
            new.push_str(value.get(done..*at).unwrap_or_default());
            new.push_str(&quote_ident(view));
            new.push_str(", ");
            done = *at;
        }
        before = Some(schema);
    }
    if done == 0 && new.is_empty() {
        return Cow::Borrowed(value);
    }
    new.push_str(value.get(done..).unwrap_or_default());
    Cow::Owned(new)
}

/// The names of a list and where each begins (`SplitIdentifierString`).
fn path_items(value: &str) -> Option<Vec<(usize, String)>> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let mut items = Vec::new();
    let mut rest = value.trim_start_matches(is_space);
    if rest.is_empty() {
        return Some(items);
    }
    loop {
        let at = value.len() - rest.len();
        let name = if let Some(quoted) = rest.strip_prefix('"') {
            rest = quoted;
            let mut name = String::new();
            loop {
                let (part, after) = rest.split_once('"')?;
                name.push_str(part);
                rest = after;
                let Some(after) = rest.strip_prefix('"') else { break name };
                name.push('"');
                rest = after;
            }
        } else {
            let end = rest.find(|c| c == ',' || is_space(c)).unwrap_or(rest.len());
            let (name, after) = rest.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
            rest = after;
            name.to_ascii_lowercase()
        };
        items.push((at, name));
        rest = rest.trim_start_matches(is_space);
        if rest.is_empty() {
            return Some(items);
        }
        rest = rest.strip_prefix(',')?.trim_start_matches(is_space);
    }
}

/// One session's rewrites, so that a repeated statement costs neither parse nor
/// rewrite. Known by the address of the facts, which the shared cache gives for
/// each text of one shape; the weak reference keeps the address from being
/// another's. A full generation forgets the one before (G9).
#[derive(Debug, Default)]
pub struct Rewrites {
    generations: Mutex<[Generation; 2]>,
}

type Generation = HashMap<usize, (Weak<Facts>, Arc<Rewrite>)>;

/// In one generation: some hundred kilobytes where every place is taken.
const MOST: usize = 512;
/// A rewrite of more edits is of a text that hardly comes again.
const MOST_EDITS: usize = 64;

impl Rewrites {
    /// As [`Rewrite::of`], remembered. The views must always be the same ones.
    pub fn of(
        &self,
        text: &str,
        facts: &Arc<Facts>,
        views: &Views,
    ) -> Result<Option<Arc<Rewrite>>, SqlError> {
        if !applies(facts, views) {
            return Ok(None);
        }
        let address = Arc::as_ptr(facts).addr();
        if let Some(known) = self.find(address) {
            return Ok(Some(known));
        }
        let Some(rewrite) = Rewrite::of(text, facts, views)?.map(Arc::new) else { return Ok(None) };
        if rewrite.edits.len() <= MOST_EDITS {
            self.keep(address, (Arc::downgrade(facts), Arc::clone(&rewrite)));
        }
        Ok(Some(rewrite))
    }

    fn find(&self, address: usize) -> Option<Arc<Rewrite>> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let [young, old] = &mut *generations;
        if let Some((_, rewrite)) = young.get(&address) {
            return Some(Arc::clone(rewrite));
        }
        let entry = old.remove(&address)?;
        let rewrite = Arc::clone(&entry.1);
        keep(young, old, address, entry);
        Some(rewrite)
    }

    fn keep(&self, address: usize, entry: (Weak<Facts>, Arc<Rewrite>)) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let [young, old] = &mut *generations;
        keep(young, old, address, entry);
    }
}

fn keep(young: &mut Generation, old: &mut Generation, address: usize, entry: (Weak<Facts>, Arc<Rewrite>)) {
    if young.len() >= MOST {
        *old = std::mem::take(young);
    }
    young.insert(address, entry);
}

/// Whether anything of a text has a view: what decides for most texts, at once.
fn applies(facts: &Facts, views: &Views) -> bool {
    !views.is_empty()
        && facts.statements.iter().any(|statement| {
            statement.spots.iter().any(|spot| touches(&spot.what, views)) && takes_views(statement)
        })
}

fn touches(named: &Named, views: &Views) -> bool {
    match named {
        Named::Relation { relation, .. } => views.relations.contains_key(relation),
        Named::PathItem(schema) => views.schemas.contains_key(schema),
        Named::PathText(path) => matches!(search_path(path, views), Cow::Owned(_)),
    }
}

/// What changes the schema means the tables themselves: a view made over a
/// session's view would end with the session.
fn takes_views(statement: &Statement) -> bool {
    let means_the_table = |class| {
        matches!(
            class,
            Class::Ddl(_)
                | Class::Migration(_)
                | Class::CreateTable { temporary: false }
                | Class::Maintenance
                | Class::Privileges
                | Class::Roles
        )
    };
    !statement.classes().any(means_the_table)
}

/// What to replace for one place, and by what. `before` is the place before it
/// in the same statement.
fn edit(
    tokens: &[Token],
    at: usize,
    named: &Named,
    before: Option<&Named>,
    views: &Views,
) -> Result<Option<(Range<usize>, String)>, SqlError> {
    let first = tokens.partition_point(|token| token.range.start < at);
    let begins_here = |token: &&Token| token.range.start == at;
    match named {
        Named::Relation { relation, database } => {
            let Some(view) = views.relations.get(relation) else { return Ok(None) };
            let span = || {
                tokens.get(first).filter(begins_here)?;
                let mut next = first;
                if *database {
                    next = dot(tokens, name(tokens, next)?.1)?;
                }
                let (schema, after) = name(tokens, next)?;
                // The view's own name is the table's as a rule, and stays as it is written.
                if view.name == relation.name {
                    return Some((schema, quote_ident(&view.schema)));
                }
                let (table, _) = name(tokens, dot(tokens, after)?)?;
                let by = format!("{}.{}", quote_ident(&view.schema), quote_ident(&view.name));
                Some((schema.start..table.end, by))
            };
            span().map(Some).ok_or_else(|| lost(named))
        }
        Named::PathItem(schema) => {
            let Some(view) = views.schemas.get(schema) else { return Ok(None) };
            if matches!(before, Some(Named::PathItem(before)) if before == view) {
                return Ok(None);
            }
            tokens.get(first).filter(begins_here).ok_or_else(|| lost(named))?;
            let view = quote_ident(view);
            let keyword = first.checked_sub(1).and_then(|index| tokens.get(index));
            // SET SCHEMA takes one name only.
            Ok(Some(match keyword.filter(|token| token.kind == Kind::Schema as i32) {
                Some(keyword) => (keyword.range.clone(), format!("search_path TO {view},")),
                None => (at..at, format!("{view}, ")),
            }))
        }
        Named::PathText(path) => {
            let Cow::Owned(path) = search_path(path, views) else { return Ok(None) };
            let constant = tokens.get(first).filter(begins_here).ok_or_else(|| lost(named))?;
            Ok(Some((constant.range.start..escaped(tokens, first), quote_literal(&path))))
        }
    }
}

/// A name at a token: its range, and the token behind it.
fn name(tokens: &[Token], at: usize) -> Option<(Range<usize>, usize)> {
    let token = tokens.get(at)?;
    let end = escaped(tokens, at);
    let length = if end == token.range.end { 1 } else { 3 };
    Some((token.range.start..end, at + length))
}

fn dot(tokens: &[Token], at: usize) -> Option<usize> {
    tokens.get(at).filter(|token| token.kind == Kind::Ascii46 as i32).map(|_| at + 1)
}

/// Where a name or a string ends, with its `UESCAPE '!'` where it has one.
fn escaped(tokens: &[Token], at: usize) -> usize {
    let end = |token: Option<&Token>| token.map_or(0, |token| token.range.end);
    match tokens.get(at + 1) {
        Some(next) if next.kind == Kind::Uescape as i32 => end(tokens.get(at + 2)),
        _ => end(tokens.get(at)),
    }
}

/// Whether what is put in here would be read together with what is before it,
/// as in `U&"…"` or `""`.
fn sticks(text: &str, at: usize) -> bool {
    text.get(..at).is_some_and(|before| before.ends_with(['&', '"', '\'']))
}

struct Token {
    kind: i32,
    range: Range<usize>,
}

/// The tokens of a text, without its comments.
fn tokens(text: &str) -> Result<Vec<Token>, SqlError> {
    let tokens = pg_query::scan_tokens(text).map_err(|error| SqlError::Unreadable(error.to_string()))?;
    let comments = [Kind::SqlComment as i32, Kind::CComment as i32];
    let code = tokens.into_iter().filter(|token| !comments.contains(&token.token));
    let place = |place: i32| usize::try_from(place).unwrap_or(usize::MAX);
    Ok(code.map(|token| Token { kind: token.token, range: place(token.start)..place(token.end) }).collect())
}

/// The tokens outside of some ranges, which are in order; `None` where one is
/// neither inside nor outside.
fn outside(tokens: &[Token], ranges: impl Iterator<Item = Range<usize>>) -> Option<Vec<&Token>> {
    let mut ranges = ranges.peekable();
    let mut kept = Vec::with_capacity(tokens.len());
    for token in tokens {
        while ranges.next_if(|range| range.end <= token.range.start).is_some() {}
        match ranges.peek() {
            Some(range) if range.start < token.range.end => {
                if token.range.start < range.start || range.end < token.range.end {
                    return None;
                }
            }
            _ => kept.push(token),
        }
    }
    Some(kept)
}

/// Whether the grammar finds in the new text what it found in the old one, with
/// views in the place of tables.
fn says_the_same(old: &Facts, new: &Facts, views: &Views) -> bool {
    let same = |(old, new): (&Statement, &Statement)| {
        let moved = |spot: &Spot| match &spot.what {
            Named::Relation { relation, database } => {
                let view = views.relations.get(relation).filter(|_| takes_views(old));
                Some((view.unwrap_or(relation).clone(), *database))
            }
            _ => None,
        };
        let stayed = |spot: &Spot| match &spot.what {
            Named::Relation { relation, database } => Some((relation.clone(), *database)),
            _ => None,
        };
        let settings = |statement: &Statement| -> Vec<String> {
            statement.settings.iter().map(|setting| setting.name.clone()).collect()
        };
        old.spots.iter().filter_map(moved).eq(new.spots.iter().filter_map(stayed))
            && old.classes().eq(new.classes())
            && old.functions == new.functions
            && old.columns == new.columns
            && settings(old) == settings(new)
    };
    old.statements.len() == new.statements.len() && old.statements.iter().zip(&new.statements).all(same)
}

fn count_characters(text: &str, edits: &mut [Edit]) {
    let (mut bytes, mut characters) = (0, 0);
    let mut count = |to: usize| {
        characters += text.get(bytes..to).map_or(0, |piece| piece.chars().count());
        bytes = to;
        characters
    };
    for edit in edits {
        edit.characters = count(edit.range.start)..count(edit.range.end);
    }
}

fn lost(named: &Named) -> SqlError {
    SqlError::NoPlace(match named {
        Named::Relation { relation, .. } => relation.to_string(),
        Named::PathItem(path) | Named::PathText(path) => path.clone(),
    })
}

#[cfg(test)]
mod tests;
