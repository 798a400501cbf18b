//! Proposals: which columns of a database are probably sensitive, and how they
//! should be shown. By name, type and a sample of values; pure.
//!
//! It only proposes: nothing is classified until somebody says so. Called by
//! `dbaccess target classify`.

mod names;
mod values;

use crate::core::model::{
    Catalog, Classification, Classified, Column, MIN_GROUP, Mask, Partial, PartialKind, Relation,
    Sensitivity, TableName,
};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    Email,
    Phone,
    Card,
    Iban,
    NationalId,
    BirthDate,
    Ip,
    Name,
    Address,
    Secret,
    Health,
    /// What the law protects beside health: gender, religion…
    Personal,
    Pay,
    /// A JSON document with some of that in it.
    Document,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// A weak hint: for a person to look at.
    Unsure,
    Likely,
    Certain,
}

impl Confidence {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unsure => "unsure",
            Self::Likely => "likely",
            Self::Certain => "certain",
        }
    }
}

/// A column that should probably be classified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposal {
    pub table: TableName,
    pub column: String,
    #[serde(flatten)]
    pub classified: Classified,
    pub confidence: Confidence,
    /// For people: `94 of 100 sampled values are card numbers (Luhn)`.
    pub why: String,
    /// One of the values, masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

/// Sampled values of one relation as text, without NULLs, by column.
pub type Samples = BTreeMap<String, Vec<String>>;

/// Fewer values than this prove nothing.
const ENOUGH: usize = 3;

/// The columns that a proposal could be made for: those of relations that hold
/// values of their own, as far as nothing is said of them yet. What follows
/// other columns by itself (views, partitions, generated columns) is left out.
pub fn candidates<'c>(
    catalog: &'c Catalog,
    known: &Classification,
) -> impl Iterator<Item = (&'c Relation, Vec<&'c Column>)> {
    let by_name: HashMap<&TableName, &Relation> =
        catalog.relations.iter().map(|relation| (&relation.name, relation)).collect();
    let of = move |relation: &'c Relation| {
        let above: Vec<&Relation> =
            relation.ancestors.iter().filter_map(|name| by_name.get(name).copied()).collect();
        let inherited = |column: &Column| {
            above.iter().any(|relation| relation.columns.iter().any(|own| own.name == column.name))
        };
        let open = |column: &&Column| {
            column.derived_from.is_empty()
                && known.column(&relation.name, &column.name).is_none()
                && !inherited(column)
        };
        (relation, relation.columns.iter().filter(open).collect::<Vec<_>>())
    };
    let holding = catalog.relations.iter().filter(|relation| !relation.kind.is_view());
    holding.map(of).filter(|(_, columns)| !columns.is_empty())
}

/// Whether a sample of a column of this type would say something.
pub fn is_telling(type_name: &str) -> bool {
    // A type of the database's own would run somebody's code to become text.
    let built_in = !type_name.contains('.');
    let other = matches!(type_name, "inet" | "cidr" | "json" | "jsonb");
    built_in && (other || names::is_text(type_name) || names::is_number(type_name))
}

/// The columns of one relation, of its [`candidates`], that should probably be
/// classified.
pub fn propose(relation: &Relation, columns: &[&Column], samples: &Samples) -> Vec<Proposal> {
    let values = |column: &Column| samples.get(&column.name).map(Vec::as_slice).unwrap_or_default();
    columns.iter().filter_map(|column| judge(relation, column, values(column))).collect()
}

/// Surest first, then by name.
pub fn sort(proposals: &mut [Proposal]) {
    proposals.sort_by(|a, b| {
        b.confidence.cmp(&a.confidence).then_with(|| (&a.table, &a.column).cmp(&(&b.table, &b.column)))
    });
}

fn judge(relation: &Relation, column: &Column, values: &[String]) -> Option<Proposal> {
    if matches!(column.type_name.as_str(), "json" | "jsonb")
        && let Some(proposal) = document(relation, column, values)
    {
        return Some(proposal);
    }
    let named = names::meaning(&column.name, &column.type_name, &relation.name.name);
    let told = by_values(&column.type_name, values, named.map(|(meaning, _)| meaning));
    let (meaning, confidence, why) = match (named, told) {
        (Some((by_name, confidence)), Some((by_value, hits))) if by_name == by_value => {
            let why = format!("called so, and {}", counted(hits, values.len(), by_value));
            (by_name, confidence.max(Confidence::Certain), why)
        }
        // Values do not lie about their check digits; a name may.
        (_, Some((by_value, hits))) => {
            let sure = hits * 10 >= values.len() * 9 && values.len() >= 10;
            let confidence = if sure { Confidence::Certain } else { Confidence::Likely };
            (by_value, confidence, counted(hits, values.len(), by_value))
        }
        (Some((by_name, confidence)), None) => {
            (by_name, confidence, format!("the name says {}", called(by_name)))
        }
        (None, None) => return None,
    };
    let classified = classified(meaning, relation, column);
    let example = values
        .iter()
        .find(|value| named.is_some() || values::meaning(value) == Some(meaning))
        .and_then(|value| masked(meaning, value));
    let (table, column) = (relation.name.clone(), column.name.clone());
    Some(Proposal { table, column, classified, confidence, why, example })
}

/// What most of the values are, and how many of them.
fn by_values(type_name: &str, values: &[String], named: Option<Meaning>) -> Option<(Meaning, usize)> {
    let readable = names::is_text(type_name) || names::is_number(type_name) || type_name == "inet";
    if !readable || values.len() < ENOUGH {
        return None;
    }
    let mut counts: BTreeMap<Meaning, usize> = BTreeMap::new();
    for value in values {
        let bare = value.trim_matches(['{', '}', '"']);
        let meaning = values::meaning(bare).or_else(|| match named {
            // Shapes that only together with the name say something.
            Some(Meaning::Phone) if values::could_be_phone(bare) => Some(Meaning::Phone),
            _ => None,
        });
        if let Some(meaning) = meaning {
            *counts.entry(meaning).or_default() += 1;
        }
    }
    let (meaning, hits) = counts.into_iter().max_by_key(|(_, hits)| *hits)?;
    (hits * 10 >= values.len() * 6).then_some((meaning, hits))
}

fn document(relation: &Relation, column: &Column, values: &[String]) -> Option<Proposal> {
    let keys = values::personal_keys(values);
    if keys.is_empty() {
        return None;
    }
    let shown: Vec<&str> = keys.iter().take(4).map(String::as_str).collect();
    let more = if keys.len() > shown.len() { " and more" } else { "" };
    Some(Proposal {
        table: relation.name.clone(),
        column: column.name.clone(),
        classified: classified(Meaning::Document, relation, column),
        confidence: Confidence::Likely,
        why: format!(
            "sampled documents hold {}{more}; mask = \"json\" can keep the other keys",
            shown.join(", ")
        ),
        example: None,
    })
}

/// How a column with this meaning should be shown. A mask that makes text of a
/// value is for columns of text.
fn classified(meaning: Meaning, relation: &Relation, column: &Column) -> Classified {
    let partial = |kind| Mask::Partial(Partial { kind, first: None, last: None });
    let text = names::is_text(&column.type_name) && !column.type_name.ends_with("[]");
    let mask = match meaning {
        Meaning::Email if text => partial(PartialKind::Email),
        Meaning::Phone if text => partial(PartialKind::Phone),
        Meaning::Iban if text => partial(PartialKind::Iban),
        Meaning::Name if text => partial(PartialKind::Name),
        Meaning::Card if text => Mask::Token { domain: column.name.clone() },
        Meaning::Pay if names::is_number(&column.type_name) && !relation.primary_key.is_empty() => {
            Mask::Aggregate { min_group: MIN_GROUP }
        }
        _ => Mask::Null,
    };
    let sensitivity = match meaning {
        Meaning::Card | Meaning::Iban | Meaning::Pay => Sensitivity::Financial,
        Meaning::Health => Sensitivity::Health,
        Meaning::Secret => Sensitivity::Secret,
        _ => Sensitivity::Pii,
    };
    Classified { sensitivity, mask }
}

fn counted(hits: usize, of: usize, meaning: Meaning) -> String {
    let check = match meaning {
        Meaning::Card => " (Luhn)",
        Meaning::Iban => " (ISO 7064)",
        _ => "",
    };
    format!("{hits} of {of} sampled values are {}{check}", called(meaning))
}

fn called(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Email => "e-mail addresses",
        Meaning::Phone => "telephone numbers",
        Meaning::Card => "card numbers",
        Meaning::Iban => "account numbers",
        Meaning::NationalId => "identity numbers",
        Meaning::BirthDate => "dates of birth",
        Meaning::Ip => "network addresses",
        Meaning::Name => "people's names",
        Meaning::Address => "addresses",
        Meaning::Secret => "secrets",
        Meaning::Health => "health data",
        Meaning::Personal => "personal traits",
        Meaning::Pay => "sums of money",
        Meaning::Document => "documents",
    }
}

/// So much of a value that a person recognises its kind, and nobody its owner.
fn masked(meaning: Meaning, value: &str) -> Option<String> {
    let first = value.chars().next().filter(|c| c.is_alphanumeric())?;
    match meaning {
        Meaning::Email => Some(format!("{first}***@***")),
        Meaning::Iban => value.get(..2).map(|country| format!("{country}***")),
        Meaning::Card if value.len() >= 13 => {
            let last: String = value.chars().rev().take(4).collect();
            Some(format!("***{}", last.chars().rev().collect::<String>()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
