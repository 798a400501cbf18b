//! Which rule wins, and what follows from it.

use super::super::{Column, Partial, PartialKind, Relation, RelationKind};
use super::*;
use proptest::prelude::*;

fn name(text: &str) -> TableName {
    let (schema, name) = text.split_once('.').unwrap_or(("public", text));
    TableName::new(schema, name)
}

fn column(name: &str, type_name: &str) -> Column {
    Column::new(name, type_name)
}

fn relation(table: &str, kind: RelationKind, columns: Vec<Column>) -> Relation {
    Relation { name: name(table), kind, columns, ..Relation::default() }
}

fn source(text: &str) -> (TableName, String) {
    let (table, column) = text.rsplit_once('.').unwrap();
    (name(table), column.to_owned())
}

fn email() -> Mask {
    Mask::Partial(Partial { kind: PartialKind::Email, first: None, last: None })
}

fn token() -> Mask {
    Mask::Token { domain: "d".into() }
}

fn rule(selector: Selector, mask: Mask) -> Rule {
    Rule { selector, classified: Classified { sensitivity: Sensitivity::Pii, mask } }
}

/// `@tag`, a pattern, or a column.
fn on(key: &str, mask: Mask) -> Rule {
    let parts: Vec<&str> = key.split('.').collect();
    let selector = match parts.as_slice() {
        [tag] => Selector::Tag(tag.trim_start_matches('@').into()),
        [schema, table, column] if key.contains('*') => {
            Selector::Pattern { schema: (*schema).into(), table: (*table).into(), column: (*column).into() }
        }
        [schema, table, column] => {
            Selector::Column { table: TableName::new(*schema, *table), column: (*column).into() }
        }
        _ => panic!("{key}"),
    };
    rule(selector, mask)
}

/// users, a view and a view of that, and a family of partitions.
fn catalog() -> Catalog {
    use RelationKind::{MaterializedView, PartitionedTable, Table, View};
    let from = |name: &str, type_name: &str, sources: &[&str]| Column {
        derived_from: sources.iter().map(|text| source(text)).collect(),
        generated: true,
        ..column(name, type_name)
    };
    let mut email = column("email", "character varying(200)");
    email.comment = Some("Where we write to (@PII), not @contact-me; ask help@secret.example".into());
    let users = vec![
        column("id", "bigint"),
        email,
        from("email_lc", "text", &["users.email"]),
        from("email_length", "integer", &["users.email"]),
        from("label", "text", &["users.email", "users.id"]),
        from("lc_again", "text", &["users.email_lc"]),
        column("profile", "jsonb"),
        from("prefs", "jsonb", &["users.profile"]),
    ];
    let active = Relation {
        reads: vec![source("users.email"), source("users.id")],
        ..relation(
            "active",
            View,
            vec![
                from("id", "bigint", &["users.id"]),
                from("contact", "character varying(200)", &["users.email"]),
                column("computed", "text"),
            ],
        )
    };
    let above = Relation {
        reads: vec![source("active.contact")],
        ..relation("above", MaterializedView, vec![from("contact", "text", &["active.contact"])])
    };
    let child = |table: &str, ancestors: &[&str]| Relation {
        ancestors: ancestors.iter().map(|text| name(text)).collect(),
        ..relation(table, Table, vec![column("ip", "inet"), column("at", "date")])
    };
    Catalog {
        relations: vec![
            above,
            active,
            Relation {
                reads: vec![source("users.id")],
                ..relation("counted", View, vec![from("id", "bigint", &["users.id"])])
            },
            Relation {
                definers: vec!["public.peek".into()],
                ..relation("lent", View, vec![column("x", "text")])
            },
            relation("users", Table, users),
            relation("shop.Users", Table, vec![column("Email", "text")]),
            relation("events", PartitionedTable, vec![column("ip", "inet"), column("at", "date")]),
            child("events_a", &["events"]),
            child("events_a1", &["events", "events_a"]),
            child("events_b", &["events"]),
        ],
        ..Catalog::default()
    }
}

fn mask(found: &Classification, column: &str) -> Option<Mask> {
    let (table, column) = source(column);
    found.column(&table, &column).map(|classified| classified.mask.clone())
}

#[test]
fn r6_the_most_specific_rule_wins() {
    let cases: &[(&[Rule], &str, Option<Mask>)] = &[
        (&[], "users.email", None),
        (&[on("public.users.email", email())], "users.email", Some(email())),
        (&[on("public.users.email", email()), on("*.*.email", Mask::Null)], "users.email", Some(email())),
        (&[on("*.*.email", email()), on("@pii", Mask::Null)], "users.email", Some(email())),
        (&[on("@pii", Mask::Null)], "users.email", Some(Mask::Null)),
        (&[on("@PII", email()), on("@pii", Mask::Null)], "users.email", Some(Mask::Null)),
        // A part of a word is no tag.
        (&[on("@contact", email())], "users.email", None),
        (&[on("@contact-me", email())], "users.email", Some(email())),
        (&[on("@secret", email())], "users.email", None),
        // Fewer stars, then more letters, then the stricter.
        (&[on("*.*.email", Mask::Null), on("public.*.email", email())], "users.email", Some(email())),
        (&[on("public.*.e*", Mask::Null), on("public.*.email*", email())], "users.email", Some(email())),
        (
            &[on("public.user*.email", token()), on("public.*sers.email", email())],
            "users.email",
            Some(token()),
        ),
        (
            &[on("public.*sers.email", email()), on("public.user*.email", Mask::Null)],
            "users.email",
            Some(Mask::Null),
        ),
        // Capitals do not matter to a pattern; to a name they do.
        (&[on("*.users.email", token())], "shop.Users.Email", Some(token())),
        (&[on("shop.users.email", token())], "shop.Users.Email", None),
        // A column that is not there yet.
        (&[on("public.users.later", token())], "users.later", Some(token())),
    ];
    for (rules, of, expected) in cases {
        let found = Classification::of(rules, &catalog());
        assert_eq!(mask(&found, of), *expected, "{rules:?}");
    }
}

#[test]
fn r6_generated_columns_are_shown_as_what_they_are_computed_from() {
    let found = Classification::of(&[on("public.users.email", email())], &catalog());
    for (column, expected) in [
        ("users.email_lc", Some(email())),
        ("users.lc_again", Some(email())),
        ("users.email_length", Some(Mask::Null)),
        ("users.label", Some(Mask::Null)),
        ("users.id", None),
    ] {
        assert_eq!(mask(&found, column), expected, "{column}");
    }
    let own = [on("public.users.email", Mask::Null), on("public.users.email_length", token())];
    assert_eq!(mask(&Classification::of(&own, &catalog()), "users.email_length"), Some(token()));
    let json = Mask::Json { keep: vec![vec!["prefs".into()]] };
    let found = Classification::of(&[on("public.users.profile", json)], &catalog());
    assert_eq!(mask(&found, "users.prefs"), Some(Mask::Null), "a path means nothing in a part");
}

#[test]
fn r6_partitions_share_both_ways_and_among_each_other() {
    for named in ["events", "events_a", "events_a1", "events_b"] {
        let found = Classification::of(&[on(&format!("public.{named}.ip"), token())], &catalog());
        for heir in ["events", "events_a", "events_a1", "events_b"] {
            assert_eq!(mask(&found, &format!("{heir}.ip")), Some(token()), "{named} → {heir}");
            assert_eq!(mask(&found, &format!("{heir}.at")), None);
        }
    }
    let two = [on("public.events_a1.ip", token()), on("public.events_b.ip", Mask::Null)];
    let found = Classification::of(&two, &catalog());
    assert_eq!(mask(&found, "events_a1.ip"), Some(token()), "a rule stands");
    assert_eq!(mask(&found, "events.ip"), Some(Mask::Null), "the stricter is shared");
}

#[test]
fn r6_a_view_that_reads_a_classified_column_is_closed() {
    let found = Classification::of(&[on("public.users.email", email())], &catalog());
    let closed: Vec<(String, &str)> =
        found.closed_tables().map(|(table, why)| (table.to_string(), why)).collect();
    insta::assert_debug_snapshot!(closed, @r#"
    [
        (
            "public.above",
            "public.above reads public.active, which copies classified columns: classify a column of it, or leave it out",
        ),
        (
            "public.active",
            "public.active reads public.users.email, which is classified: classify a column of it, or leave it out",
        ),
        (
            "public.lent",
            "public.lent calls public.peek, which runs with its owner's rights and may read classified columns: classify a column of it, or leave it out",
        ),
    ]
    "#);
    assert_eq!(found.closed(&name("counted")), None, "it reads nothing classified");
    assert_eq!(Classification::of(&[], &catalog()).closed_tables().count(), 0);
}

#[test]
fn r6_a_view_with_a_rule_of_its_own_is_open_and_shows_nothing_raw() {
    let rules = [on("public.users.email", email()), on("public.active.id", token())];
    let found = Classification::of(&rules, &catalog());
    assert_eq!(found.closed(&name("active")), None);
    assert_eq!(mask(&found, "active.id"), Some(token()));
    assert_eq!(mask(&found, "active.contact"), Some(email()), "unchanged, so alike");
    assert_eq!(mask(&found, "active.computed"), Some(Mask::Null), "from who knows what");
    // What stands on it reads classified columns again.
    assert!(found.closed(&name("above")).is_some());
    let rules = [on("public.users.email", email()), on("*.a*.contact", token())];
    let found = Classification::of(&rules, &catalog());
    assert_eq!(
        found.closed_tables().map(|(table, _)| table.to_string()).collect::<Vec<_>>(),
        ["public.lent"]
    );
    assert_eq!(mask(&found, "above.contact"), Some(token()));
    // Above a view that stays closed.
    let rules = [on("public.users.email", email()), on("public.above.none", token())];
    assert_eq!(mask(&Classification::of(&rules, &catalog()), "above.contact"), Some(Mask::Null));
    let rules = [on("public.users.email", email()), on("public.lent.y", token())];
    assert_eq!(mask(&Classification::of(&rules, &catalog()), "lent.x"), Some(Mask::Null));
}

/// A mask decides what is shown, a sensitivity what unmasking takes: neither
/// may speak for the other.
#[test]
fn r4_the_worse_sensitivity_stays_whatever_mask_it_came_with() {
    use Sensitivity::{Financial, Health, Pii, Secret};
    let say = |sensitivity, mask| Classified { sensitivity, mask };
    let group = || Mask::Aggregate { min_group: 10 };
    for (one, other, expected) in [
        (say(Pii, Mask::Null), say(Financial, email()), say(Financial, Mask::Null)),
        (say(Secret, email()), say(Pii, Mask::Null), say(Secret, Mask::Null)),
        (say(Pii, token()), say(Health, email()), say(Health, token())),
        (say(Financial, group()), say(Health, token()), say(Health, group())),
        (say(Secret, token()), say(Health, token()), say(Secret, token())),
        (say(Pii, Mask::Null), say(Pii, email()), say(Pii, Mask::Null)),
    ] {
        assert_eq!(stricter(one.clone(), other.clone()), expected, "{one:?} {other:?}");
        assert_eq!(stricter(other.clone(), one.clone()), expected, "{other:?} {one:?}");
    }
}

#[test]
fn r4_what_copies_a_column_is_as_sensitive_as_the_worst_that_it_copies() {
    use Sensitivity::{Financial, Health, Pii, Secret};
    let is = |key: &str, sensitivity, mask| Rule {
        classified: Classified { sensitivity, mask },
        ..on(key, Mask::Null)
    };
    type Case<'c> = (&'c [Rule], &'c [(&'c str, Sensitivity, Mask)]);
    let cases: &[Case<'_>] = &[
        // Generated from two, of which the milder mask is the worse column's.
        (
            &[is("public.users.email", Pii, Mask::Null), is("public.users.id", Financial, token())],
            &[("users.label", Financial, Mask::Null), ("users.email_lc", Pii, Mask::Null)],
        ),
        // Partitions share both.
        (
            &[is("public.events_a1.ip", Secret, token()), is("public.events_b.ip", Pii, Mask::Null)],
            &[("events.ip", Secret, Mask::Null), ("events_a.ip", Secret, Mask::Null)],
        ),
        // Above a view that stays closed: the worst that the closed one reads.
        (
            &[
                is("public.users.email", Pii, email()),
                is("public.users.id", Health, token()),
                is("public.above.none", Pii, Mask::Null),
            ],
            &[("above.contact", Health, Mask::Null)],
        ),
        // Computed by an open view from any of what it reads; shown unchanged.
        (
            &[
                is("public.users.email", Pii, email()),
                is("public.users.id", Financial, token()),
                is("public.active.none", Pii, Mask::Null),
            ],
            &[("active.computed", Financial, Mask::Null), ("active.contact", Pii, email())],
        ),
        // A function with its owner's rights reads who knows what.
        (
            &[is("public.users.email", Pii, email()), is("public.lent.none", Pii, Mask::Null)],
            &[("lent.x", Secret, Mask::Null)],
        ),
        // Two tags of one column.
        (
            &[is("@pii", Pii, Mask::Null), is("@contact-me", Health, email())],
            &[("users.email", Health, Mask::Null), ("users.email_lc", Health, Mask::Null)],
        ),
    ];
    for (rules, expected) in cases {
        let found = Classification::of(rules, &catalog());
        for (of, sensitivity, mask) in *expected {
            let (table, column) = source(of);
            let expected = Classified { sensitivity: *sensitivity, mask: mask.clone() };
            assert_eq!(found.column(&table, &column), Some(&expected), "{of} under {rules:?}");
        }
    }
}

#[test]
fn r6_a_view_that_only_counts_rows_copies_nothing() {
    let mut catalog = catalog();
    let counts = |table: &str, of: &str| Relation {
        reads: vec![(name(of), String::new())],
        ..relation(table, RelationKind::View, vec![column("count", "bigint")])
    };
    catalog.relations.extend([counts("head_count", "users"), counts("active_count", "active")]);
    let found = Classification::of(&[on("public.users.email", email())], &catalog);
    assert!(found.closed(&name("active")).is_some());
    assert_eq!(found.closed(&name("head_count")), None);
    assert_eq!(found.closed(&name("active_count")), None);
}

proptest! {
    /// Adding a rule never opens a view's raw column: what copies a classified
    /// column is classified or in a closed relation.
    #[test]
    fn r6_no_copy_of_a_classified_column_is_raw(keys in proptest::collection::vec(
        prop_oneof![
            Just("public.users.email"), Just("public.users.profile"), Just("public.users.id"),
            Just("public.active.id"), Just("public.active.contact"), Just("public.above.contact"),
            Just("*.active.*"), Just("*.*.e*"), Just("@pii"), Just("public.events_b.ip"), Just("*.events*.*"),
        ], 0..6)) {
        let masks = [Mask::Null, token(), email(), Mask::Aggregate { min_group: 10 }];
        let rules: Vec<Rule> =
            keys.iter().enumerate().map(|(i, key)| on(key, masks[i % masks.len()].clone())).collect();
        let catalog = catalog();
        let found = Classification::of(&rules, &catalog);
        for relation in &catalog.relations {
            for column in &relation.columns {
                let view = relation.kind != RelationKind::Table && column.derived_from.is_empty();
                let sources = if view { &relation.reads } else { &column.derived_from };
                let taint = sources.iter().any(|(table, source)| {
                    found.column(table, source).is_some() || found.closed(table).is_some()
                });
                let safe = found.column(&relation.name, &column.name).is_some()
                    || found.closed(&relation.name).is_some();
                prop_assert!(!taint || safe, "{}.{} with {keys:?}", relation.name, column.name);
            }
        }
    }
}
