//! What is proposed for whole columns.

use super::*;
use crate::core::model::RelationKind;
use crate::core::model::Rule;

fn one(table: &str, column: &str, type_name: &str, values: &[&str]) -> Option<Proposal> {
    let catalog = Catalog {
        relations: vec![Relation {
            name: TableName::new("public", table),
            columns: vec![Column::new(column, type_name)],
            primary_key: vec!["id".into()],
            ..Relation::default()
        }],
        ..Catalog::default()
    };
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    let samples = Samples::from([(column.to_owned(), values)]);
    let known = Classification::default();
    let mut found =
        candidates(&catalog, &known).flat_map(|(relation, columns)| propose(relation, &columns, &samples));
    found.next()
}

fn shown(proposal: Option<Proposal>) -> String {
    match proposal {
        Some(Proposal { classified: Classified { sensitivity, mask }, confidence, why, example, .. }) => {
            let example = example.map(|text| format!(", as {text}")).unwrap_or_default();
            format!("{mask}, {}, {}: {why}{example}", sensitivity.as_str(), confidence.as_str())
        }
        None => "nothing".to_owned(),
    }
}

#[test]
fn columns_are_proposed_by_name_and_values_together() {
    let cards = ["4111111111111111", "5555555555554444", "378282246310005", "n/a"];
    let cases: &[(&str, &str, &str, &[&str], &str)] = &[
        (
            "users",
            "email",
            "text",
            &["a@x.com", "b@x.com", "c@x.com"],
            "partial (email), pii, certain: called so, and 3 of 3 sampled values are e-mail addresses, as a***@***",
        ),
        ("users", "email", "text", &[], "partial (email), pii, certain: the name says e-mail addresses"),
        (
            "t",
            "contact",
            "text",
            &["a@x.com", "b@x.com", "-"],
            "partial (email), pii, likely: 2 of 3 sampled values are e-mail addresses, as a***@***",
        ),
        ("t", "contact", "text", &["a@x.com", "call me", "later", "-"], "nothing"),
        ("t", "contact", "text", &["a@x.com", "b@x.com"], "nothing"),
        (
            "t",
            "ref",
            "text",
            &cards,
            "token (ref), financial, likely: 3 of 4 sampled values are card numbers (Luhn), as ***1111",
        ),
        (
            "t",
            "ref",
            "bigint",
            &cards[..3],
            "null, financial, likely: 3 of 3 sampled values are card numbers (Luhn), as ***1111",
        ),
        // An order number that a tenth of the time passes Luhn; UUIDs; timestamps; plain numbers.
        (
            "orders",
            "number",
            "text",
            &["4000000000000001", "4000000000000002", "4000000000000003", "4000000000000010"],
            "nothing",
        ),
        ("orders", "ref", "uuid", &["6f1c2f6e-2b1a-4c59-9d3c-0d4a35c2a111"; 5], "nothing"),
        ("orders", "ref", "text", &["6f1c2f6e-2b1a-4c59-9d3c-0d4a35c2a111"; 5], "nothing"),
        ("orders", "at", "text", &["2026-11-23 07:15:34", "2026-11-23", "2025-01-01"], "nothing"),
        ("orders", "ms", "bigint", &["1700000000000", "1700000000001", "1700000000002"], "nothing"),
        ("orders", "serial", "bigint", &["4155552671", "4155552672", "4155552673"], "nothing"),
        (
            "users",
            "phone",
            "text",
            &["415-555-2671", "415-555-2672", "415-555-2673"],
            "partial (phone), pii, certain: called so, and 3 of 3 sampled values are telephone numbers",
        ),
        (
            "users",
            "pay_to",
            "text",
            &["DE89370400440532013000"; 3],
            "partial (iban), financial, likely: 3 of 3 sampled values are account numbers (ISO 7064), as DE***",
        ),
        (
            "users",
            "salary",
            "numeric(12,5)",
            &["50731.13707"; 3],
            "aggregate (groups of 10 and more), financial, certain: the name says sums of money",
        ),
        (
            "users",
            "emails",
            "text[]",
            &["{a@x.com}", "{b@x.com}", "{c@x.com}"],
            "null, pii, certain: called so, and 3 of 3 sampled values are e-mail addresses",
        ),
        (
            "users",
            "profile",
            "jsonb",
            &[r#"{"address":"1 Elm St","theme":"dark"}"#],
            "null, pii, likely: sampled documents hold address; mask = \"json\" can keep the other keys",
        ),
        ("users", "settings", "jsonb", &[r#"{"theme":"dark","size":3}"#], "nothing"),
        ("audit", "token", "text", &["AUDITTOKEN"], "null, secret, likely: the name says secrets"),
        (
            "logs",
            "from_where",
            "inet",
            &["203.0.113.1", "203.0.113.2", "203.0.113.3"],
            "null, pii, likely: 3 of 3 sampled values are network addresses",
        ),
    ];
    for (table, column, type_name, values, expected) in cases {
        assert_eq!(shown(one(table, column, type_name, values)), *expected, "{table}.{column} {type_name}");
    }
}

#[test]
fn what_is_classified_or_follows_is_not_proposed_again() {
    let column = |name: &str| Column::new(name, "text");
    let users = TableName::new("public", "users");
    let email_lc = Column { derived_from: vec![(users.clone(), "email".into())], ..column("email_lc") };
    let relation = |name: &str, kind, columns, ancestors: &[&TableName]| Relation {
        name: TableName::new("public", name),
        kind,
        columns,
        ancestors: ancestors.iter().map(|name| (*name).clone()).collect(),
        ..Relation::default()
    };
    let catalog = Catalog {
        relations: vec![
            relation("users", RelationKind::Table, vec![column("email"), email_lc, column("phone")], &[]),
            relation("users_vip", RelationKind::Table, vec![column("phone"), column("passport")], &[&users]),
            relation("active", RelationKind::View, vec![column("email")], &[]),
        ],
        ..Catalog::default()
    };
    let rules = [Rule {
        selector: crate::core::model::Selector::Column { table: users.clone(), column: "email".into() },
        classified: Classified { sensitivity: Sensitivity::Pii, mask: Mask::Null },
    }];
    let known = Classification::of(&rules, &catalog);
    let found: Vec<String> = candidates(&catalog, &known)
        .flat_map(|(relation, columns)| propose(relation, &columns, &Samples::new()))
        .map(|proposal| format!("{}.{}", proposal.table, proposal.column))
        .collect();
    assert_eq!(found, ["public.users.phone", "public.users_vip.passport"]);
}

#[test]
fn no_example_gives_a_value_away() {
    for (meaning, value) in [
        (Meaning::Email, "alice.smith@example.com"),
        (Meaning::Card, "4111111111111111"),
        (Meaning::Card, "41"),
        (Meaning::Iban, "DE89370400440532013000"),
        (Meaning::NationalId, "901-71-5501"),
        (Meaning::Name, "Pat One"),
        (Meaning::Secret, "hunter2"),
    ] {
        let example = masked(meaning, value).unwrap_or_default();
        assert!(example.trim_matches(['*', '@']).len() <= 4, "{example}");
    }
}
