//! `[targets.NAME.classified]`: which columns are sensitive, why, and how they
//! are shown. A key is a column, a pattern with `*`, or a tag; a value is a
//! word or a table. What a rule leaves out follows from the column's name.

use super::reader::Section;
use crate::core::model::{
    Classified, MIN_GROUP, Mask, Partial, PartialKind, Rule, Selector, Sensitivity, TableName,
};

const WORDS: &str = "pii, financial, health or secret, or a mask: null, partial, token, aggregate or json";
const MASKS: &str = "null, partial, token, aggregate or json";
/// The keys that only one mask understands.
const OF_MASK: [(&str, &str); 6] = [
    ("kind", "partial"),
    ("first", "partial"),
    ("last", "partial"),
    ("domain", "token"),
    ("min_group", "aggregate"),
    ("keep", "json"),
];
/// A partial mask that keeps more characters than this hides little.
const MOST_KEPT: u64 = 32;
const MOST_GROUP: u64 = 1_000_000;

pub(super) fn rules(section: Section<'_>) -> Vec<Rule> {
    let mut found: Vec<Rule> = Vec::new();
    for key in section.names() {
        let Some(selector) = selector(&key) else {
            section.say(format!(
                "`{key}` is not a column: expected \"schema.table.column\" in quotes, where * stands for \
                 any run of characters, or a tag such as \"@pii\""
            ));
            continue;
        };
        if found.iter().any(|rule| rule.selector == selector) {
            section.say(format!("`{key}` is classified twice"));
        }
        if let Some(classified) = classified(&section, &key, &selector) {
            found.push(Rule { selector, classified });
        }
    }
    found
}

fn selector(key: &str) -> Option<Selector> {
    if let Some(tag) = key.strip_prefix('@') {
        let word = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
        return (!tag.is_empty() && tag.chars().all(word)).then(|| Selector::Tag(tag.to_owned()));
    }
    let [schema, table, column] = <[Part; 3]>::try_from(parts(key)?).ok()?;
    if schema.wild || table.wild || column.wild {
        return Some(Selector::Pattern { schema: schema.text, table: table.text, column: column.text });
    }
    Some(Selector::Column { table: TableName::new(schema.text, table.text), column: column.text })
}

fn classified(section: &Section<'_>, key: &str, selector: &Selector) -> Option<Classified> {
    if section.holds_table(key) {
        return of_table(section.section(key)?, selector);
    }
    let found = section.text(key, &format!("{WORDS}; or a table such as {{ mask = \"partial\" }}"))?;
    if let Some(sensitivity) = sensitivity(found.value) {
        return Some(Classified { sensitivity, mask: Mask::Null });
    }
    let mask = match found.value {
        "null" => Mask::Null,
        "partial" => partial(selector, None, None, None),
        "aggregate" => Mask::Aggregate { min_group: MIN_GROUP },
        "token" => {
            match domain(selector) {
                Some(domain) => Mask::Token { domain },
                None => {
                    found.say("expected { mask = \"token\", domain = \"…\" }: the key names no column to call it by");
                    return None;
                }
            }
        }
        "json" => {
            found.say("expected { mask = \"json\", keep = [\"path.to.key\"] }: which keys are shown");
            return None;
        }
        other => {
            found.say(format!("expected {WORDS}, found `{other}`"));
            return None;
        }
    };
    Some(Classified { sensitivity: Sensitivity::Pii, mask })
}

fn of_table(section: Section<'_>, selector: &Selector) -> Option<Classified> {
    let why = section.parsed("sensitivity", "pii, financial, health or secret", sensitivity);
    let name = section.parsed("mask", MASKS, mask_name);
    let name = match name {
        Some(name) => name,
        None if section.has("mask") => return None,
        None => "null",
    };
    for (key, mask) in OF_MASK.iter().filter(|(_, mask)| *mask != name) {
        section.refuse(key, &format!("expected only with mask = \"{mask}\", found mask = \"{name}\""));
    }
    let mask = match name {
        "partial" => {
            let kinds = PartialKind::ALL.map(PartialKind::as_str).join(", ");
            let kind = section.parsed("kind", &format!("one of {kinds}"), |text| {
                PartialKind::ALL.into_iter().find(|kind| kind.as_str() == text)
            });
            let kept =
                |key| section.number_within(key, 0..=MOST_KEPT).and_then(|number| u16::try_from(number).ok());
            partial(selector, kind, kept("first"), kept("last"))
        }
        "token" => {
            let domain = match section.text("domain", "the name of a domain") {
                Some(found) if found.value.is_empty() || found.value.len() > 63 => {
                    found.say("expected a name of 1 to 63 bytes");
                    None
                }
                Some(found) => Some(found.value.to_owned()),
                None => domain(selector),
            };
            if domain.is_none() && !section.has("domain") {
                section.say("missing: expected domain = \"…\": the key names no column to call it by");
            }
            Mask::Token { domain: domain? }
        }
        "aggregate" => {
            let group = section.number_within("min_group", 2..=MOST_GROUP);
            let group = group.and_then(|number| u32::try_from(number).ok());
            Mask::Aggregate { min_group: group.unwrap_or(MIN_GROUP) }
        }
        "json" => Mask::Json { keep: keep(&section) },
        _ => Mask::Null,
    };
    section.finish();
    Some(Classified { sensitivity: why.unwrap_or(Sensitivity::Pii), mask })
}

/// The paths of the keys that a JSON document keeps.
fn keep(section: &Section<'_>) -> Vec<Vec<String>> {
    let expected = "a list of keys such as [\"prefs\", \"address.city\"]";
    let paths = section.required_texts("keep", expected);
    let path = |text: &str| Some(parts(text)?.into_iter().map(|part| part.text).collect());
    paths
        .iter()
        .filter_map(|found| {
            let path = path(found.value);
            if path.is_none() {
                found.say(format!("expected {expected}, found `{}`", found.value));
            }
            path
        })
        .collect()
}

fn sensitivity(text: &str) -> Option<Sensitivity> {
    match text {
        "pii" => Some(Sensitivity::Pii),
        "financial" => Some(Sensitivity::Financial),
        "health" => Some(Sensitivity::Health),
        "secret" => Some(Sensitivity::Secret),
        _ => None,
    }
}

fn mask_name(text: &str) -> Option<&'static str> {
    ["null", "partial", "token", "aggregate", "json"].into_iter().find(|known| *known == text)
}

fn partial(selector: &Selector, kind: Option<PartialKind>, first: Option<u16>, last: Option<u16>) -> Mask {
    let name = match selector {
        Selector::Column { column, .. } | Selector::Pattern { column, .. } => column,
        Selector::Tag(tag) => tag,
    };
    Mask::Partial(Partial { kind: kind.unwrap_or_else(|| PartialKind::of_name(name)), first, last })
}

/// What tokens are called by where nothing is said: the column's name, so that
/// equal columns of several tables still join.
fn domain(selector: &Selector) -> Option<String> {
    let name = match selector {
        Selector::Column { column, .. } => column.clone(),
        Selector::Pattern { column, .. } => column.replace('*', "").trim_matches('_').to_owned(),
        Selector::Tag(tag) => tag.clone(),
    };
    (!name.is_empty()).then_some(name)
}

/// One part of a dotted name.
#[derive(Default)]
struct Part {
    text: String,
    /// Has a `*` outside quotes.
    wild: bool,
}

/// The parts of a dotted name; one in double quotes may hold dots and stars.
fn parts(text: &str) -> Option<Vec<Part>> {
    let mut parts = vec![Part::default()];
    let mut quoted = false;
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        let part = parts.last_mut()?;
        match c {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => part.text.push('"'),
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(Part::default()),
            c => {
                part.wild |= c == '*' && !quoted;
                part.text.push(c);
            }
        }
    }
    (!quoted && parts.iter().all(|part| !part.text.is_empty())).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::super::reader::Reader;
    use super::*;
    use toml::de::DeTable;

    /// What lines of `[classified]` mean, or what is wrong with them.
    fn read(lines: &str) -> Result<Vec<Rule>, Vec<String>> {
        let reader = Reader::new("t", lines);
        let (table, errors) = DeTable::parse_recoverable(lines);
        assert!(errors.is_empty(), "{lines}: {errors:?}");
        let rules = rules(Section::root(&reader, table.get_ref()));
        let problems: Vec<String> = reader.into_problems().iter().map(ToString::to_string).collect();
        if problems.is_empty() { Ok(rules) } else { Err(problems) }
    }

    fn partial(kind: PartialKind, first: Option<u16>, last: Option<u16>) -> Mask {
        Mask::Partial(Partial { kind, first, last })
    }

    fn token(domain: &str) -> Mask {
        Mask::Token { domain: domain.to_owned() }
    }

    #[test]
    fn r6_a_value_says_why_and_how_a_column_is_shown() {
        use PartialKind::{Card, Email, Generic, Iban, Name, Phone};
        use Sensitivity::{Financial, Health, Pii, Secret};
        let json = Mask::Json { keep: vec![vec!["a".into(), "b".into()], vec!["x.y".into(), "z".into()]] };
        for (line, sensitivity, mask) in [
            (r#""a.b.c" = "health""#, Health, Mask::Null),
            (r#""a.b.c" = "secret""#, Secret, Mask::Null),
            (r#""a.b.c" = "null""#, Pii, Mask::Null),
            (r#""a.b.c" = {}"#, Pii, Mask::Null),
            (r#""a.b.e_mail" = "partial""#, Pii, partial(Email, None, None)),
            (r#""a.b.ownerPhone2" = "partial""#, Pii, partial(Phone, None, None)),
            (r#""a.b.bank_account" = "partial""#, Pii, partial(Iban, None, None)),
            (r#""a.b.lastName" = "partial""#, Pii, partial(Name, None, None)),
            (r#""a.b.japan" = "partial""#, Pii, partial(Generic, None, None)),
            (r#""@email" = "partial""#, Pii, partial(Email, None, None)),
            (
                r#""a.b.c" = { mask = "partial", kind = "card", first = 0, last = 4, sensitivity = "financial" }"#,
                Financial,
                partial(Card, Some(0), Some(4)),
            ),
            (r#""a.b.pan" = "token""#, Pii, token("pan")),
            (r#""a.*.*card_no*" = "token""#, Pii, token("card_no")),
            (r#""@card" = "token""#, Pii, token("card")),
            (r#""a.b.*" = { mask = "token", domain = "x" }"#, Pii, token("x")),
            (r#""a.b.c" = "aggregate""#, Pii, Mask::Aggregate { min_group: MIN_GROUP }),
            (r#""a.b.c" = { mask = "aggregate", min_group = 2 }"#, Pii, Mask::Aggregate { min_group: 2 }),
            (r#""a.b.c" = { mask = "json", keep = ["a.b", '"x.y".z'] }"#, Pii, json),
        ] {
            let rules = read(line).unwrap_or_else(|problems| panic!("{line}: {problems:?}"));
            assert_eq!(rules[0].classified, Classified { sensitivity, mask }, "{line}");
        }
    }

    #[test]
    fn r6_a_key_says_which_columns() {
        let column = |schema: &str, table: &str, column: &str| Selector::Column {
            table: TableName::new(schema, table),
            column: column.to_owned(),
        };
        let pattern = |schema: &str, table: &str, column: &str| Selector::Pattern {
            schema: schema.to_owned(),
            table: table.to_owned(),
            column: column.to_owned(),
        };
        for (key, selector) in [
            ("a.b.c", column("a", "b", "c")),
            (r#""A b"."t.t"."e""*""#, column("A b", "t.t", "e\"*")),
            ("*.*.ssn", pattern("*", "*", "ssn")),
            ("public.user*.*mail*", pattern("public", "user*", "*mail*")),
            ("@top-secret_2", Selector::Tag("top-secret_2".to_owned())),
        ] {
            assert_eq!(read(&format!("'{key}' = 'pii'")).unwrap()[0].selector, selector, "{key}");
        }
    }

    #[test]
    fn bad_rules_are_told_with_what_was_expected() {
        let word =
            "expected pii, financial, health or secret, or a mask: null, partial, token, aggregate or json";
        for (lines, expected) in [
            ("'a.b.c' = 'private'", format!("t:1: a.b.c: {word}, found `private`")),
            (
                "'a.b.c' = 1",
                format!("t:1: a.b.c: {word}; or a table such as {{ mask = \"partial\" }}, found integer"),
            ),
            (
                "a.b.c = 'pii'",
                "t:1: `a` is not a column: expected \"schema.table.column\" in quotes".to_owned(),
            ),
            ("'b.c' = 'pii'", "t:1: `b.c` is not a column".to_owned()),
            ("'a.b..c' = 'pii'", "t:1: `a.b..c` is not a column".to_owned()),
            ("'@' = 'pii'", "t:1: `@` is not a column".to_owned()),
            ("'@a b' = 'pii'", "t:1: `@a b` is not a column".to_owned()),
            ("'a.b.c' = 'pii'\n'a.\"b\".c' = 'null'", "is classified twice".to_owned()),
            (
                "'a.b.c' = 'json'",
                "t:1: a.b.c: expected { mask = \"json\", keep = [\"path.to.key\"] }".to_owned(),
            ),
            ("'a.b.*' = 'token'", "t:1: a.b.*: expected { mask = \"token\", domain = \"…\" }".to_owned()),
            ("'a.b.*' = { mask = 'token' }", "missing: expected domain = \"…\"".to_owned()),
            (
                "'a.b.c' = { mask = 'hash' }",
                "a.b.c.mask: expected null, partial, token, aggregate or json, found `hash`".to_owned(),
            ),
            ("'a.b.c' = { mask = '' }", "a.b.c.mask: expected null, partial".to_owned()),
            (
                "'a.b.c' = { mask = 'null', sensitivity = 'x' }",
                "a.b.c.sensitivity: expected pii, financial, health or secret, found `x`".to_owned(),
            ),
            (
                "'a.b.c' = { mask = 'partial', kind = 'mail' }",
                "a.b.c.kind: expected one of email, phone, card, iban, name, generic, found `mail`"
                    .to_owned(),
            ),
            (
                "'a.b.c' = { mask = 'partial', last = 99 }",
                "a.b.c.last: expected a whole number from 0 to 32".to_owned(),
            ),
            (
                "'a.b.c' = { mask = 'partial', domain = 'x' }",
                "a.b.c.domain: expected only with mask = \"token\", found mask = \"partial\"".to_owned(),
            ),
            (
                "'a.b.c' = { kind = 'email' }",
                "a.b.c.kind: expected only with mask = \"partial\", found mask = \"null\"".to_owned(),
            ),
            (
                "'a.b.c' = { mask = 'token', domain = '' }",
                "a.b.c.domain: expected a name of 1 to 63 bytes".to_owned(),
            ),
            (
                "'a.b.c' = { mask = 'aggregate', min_group = 1 }",
                "a.b.c.min_group: expected a whole number from 2 to".to_owned(),
            ),
            ("'a.b.c' = { mask = 'json' }", "a.b.c.keep: missing: expected a list of keys".to_owned()),
            (
                "'a.b.c' = { mask = 'json', keep = [] }",
                "a.b.c.keep: empty: expected a list of keys".to_owned(),
            ),
            (
                "'a.b.c' = { mask = 'json', keep = ['a..b'] }",
                "a.b.c.keep: expected a list of keys such as [\"prefs\", \"address.city\"], found `a..b`"
                    .to_owned(),
            ),
            ("'a.b.c' = { masc = 'null' }", "a.b.c.masc: unknown key: did you mean mask?".to_owned()),
        ] {
            let problems = read(lines).expect_err(lines);
            assert!(problems.len() == 1 && problems[0].contains(&expected), "{lines}: {problems:#?}");
        }
    }
}
