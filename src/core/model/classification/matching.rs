//! Which columns of a catalog the rules speak of.

use super::super::{Catalog, Column, Relation};
use super::{Classified, Columns, Rule, Selector, stricter};
use std::cmp::Reverse;

/// The columns that a rule speaks of, each with the rule that wins.
pub(super) fn named(rules: &[Rule], catalog: &Catalog) -> Columns {
    let mut columns = Columns::new();
    let (mut patterns, mut tags) = (Vec::new(), Vec::new());
    for rule in rules {
        match &rule.selector {
            Selector::Column { table, column } => {
                let of_table = columns.entry(table.clone()).or_default();
                of_table.insert(column.clone(), rule.classified.clone());
            }
            Selector::Pattern { schema, table, column } => {
                patterns.push(Pattern::of(schema, table, column, &rule.classified));
            }
            Selector::Tag(tag) => tags.push((format!("@{}", tag.to_lowercase()), &rule.classified)),
        }
    }
    for relation in &catalog.relations {
        let (schema, name) = (relation.name.schema.to_lowercase(), relation.name.name.to_lowercase());
        let fitting: Vec<&Pattern<'_>> =
            patterns.iter().filter(|p| fits(&p.schema, &schema) && fits(&p.table, &name)).collect();
        for column in &relation.columns {
            if is_named(&columns, relation, column) {
                continue;
            }
            if let Some(found) = by_pattern(&fitting, column).or_else(|| by_tag(&tags, column)) {
                columns.entry(relation.name.clone()).or_default().insert(column.name.clone(), found);
            }
        }
    }
    columns
}

fn is_named(columns: &Columns, relation: &Relation, column: &Column) -> bool {
    columns.get(&relation.name).is_some_and(|known| known.contains_key(&column.name))
}

struct Pattern<'r> {
    schema: String,
    table: String,
    column: String,
    /// The smaller, the more specific: stars, then letters.
    rank: (usize, Reverse<usize>),
    classified: &'r Classified,
}

impl<'r> Pattern<'r> {
    fn of(schema: &str, table: &str, column: &str, classified: &'r Classified) -> Self {
        let [schema, table, column] = [schema, table, column].map(str::to_lowercase);
        let stars = [&schema, &table, &column].iter().map(|part| part.matches('*').count()).sum();
        let letters = schema.len() + table.len() + column.len() - stars;
        Self { schema, table, column, rank: (stars, Reverse(letters)), classified }
    }
}

fn by_pattern(fitting: &[&Pattern<'_>], column: &Column) -> Option<Classified> {
    if fitting.is_empty() {
        return None;
    }
    let name = column.name.to_lowercase();
    let fitting: Vec<_> = fitting.iter().filter(|pattern| fits(&pattern.column, &name)).collect();
    let best = fitting.iter().map(|pattern| pattern.rank).min()?;
    let equals = fitting.iter().filter(|pattern| pattern.rank == best);
    equals.map(|pattern| pattern.classified.clone()).reduce(stricter)
}

fn by_tag(tags: &[(String, &Classified)], column: &Column) -> Option<Classified> {
    let comment = column.comment.as_ref().filter(|_| !tags.is_empty())?.to_lowercase();
    let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let holds = |tag: &str| {
        comment.match_indices(tag).any(|(at, _)| {
            let before = comment.get(..at).and_then(|text| text.chars().next_back());
            let after = comment.get(at + tag.len()..).and_then(|text| text.chars().next());
            // `mail@pii.example` is an address, no tag.
            !before.is_some_and(word) && !after.is_some_and(word)
        })
    };
    tags.iter().filter(|(tag, _)| holds(tag)).map(|(_, classified)| (*classified).clone()).reduce(stricter)
}

/// Whether a text is a pattern's: each `*` any run of characters, everything
/// else itself.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(at) = text.find(part) else {
            return false;
        };
        text = text.get(at + part.len()..).unwrap_or_default();
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run_of_characters() {
        for (pattern, text, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("*", "anything", true),
            ("*mail", "email", true),
            ("*mail", "mailbox", false),
            ("mail*", "mailbox", true),
            ("*mail*", "my_mail_box", true),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("*a*b", "ab-ba", false),
            ("**", "x", true),
            ("tä*", "täble", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }
}
