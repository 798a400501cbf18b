use super::*;
use crate::core::model::{
    Classified, Comparison, Partial, PartialKind, Permission, Rule, SchemaOwner, Selector, Sensitivity,
    TableName,
};
use crate::core::profile::Profile;
use std::collections::BTreeMap;

fn column(name: &str, type_name: &str) -> Column {
    Column::new(name, type_name)
}

fn catalog() -> Catalog {
    let people = Relation {
        name: TableName::new("hr", "people"),
        columns: vec![
            Column { generated: true, ..column("id", "bigint") },
            column("email", "text"),
            column("profile", "jsonb"),
            column("pay", "numeric"),
            column("team", "integer"),
        ],
        sequences: vec![TableName::new("hr", "people_id_seq")],
        primary_key: vec!["id".to_owned()],
        ..Relation::default()
    };
    let child = Relation {
        name: TableName::new("hr", "people_old"),
        ancestors: vec![people.name.clone()],
        primary_key: Vec::new(),
        sequences: Vec::new(),
        ..people.clone()
    };
    let names = Relation {
        name: TableName::new("hr", "names"),
        kind: RelationKind::View,
        columns: vec![Column {
            derived_from: vec![(people.name.clone(), "team".to_owned())],
            ..column("team", "integer")
        }],
        reads: vec![(people.name.clone(), "team".to_owned())],
        ..Relation::default()
    };
    // Of a view, and of no column of it; of a part; of whatever its function reads.
    let over = |name: &str, reads: &TableName, definers: &[&str]| Relation {
        name: TableName::new("hr", name),
        kind: RelationKind::View,
        columns: vec![column("n", "bigint")],
        reads: vec![(reads.clone(), String::new())],
        definers: definers.iter().map(ToString::to_string).collect(),
        ..Relation::default()
    };
    let counts = over("counts", &names.name, &[]);
    let olds = over("olds", &child.name, &[]);
    let calls = over("calls", &TableName::new("public", "plain"), &["hr.people_of"]);
    let fine = over("fine", &TableName::new("public", "plain"), &[]);
    let plain = Relation {
        name: TableName::new("public", "plain"),
        columns: vec![column("a", "integer")],
        ..Relation::default()
    };
    let owner =
        |schema: &str, owner: &str| SchemaOwner { schema: schema.to_owned(), owner: owner.to_owned() };
    Catalog {
        relations: vec![people, child, names, counts, olds, calls, fine, plain],
        schemas: vec!["hr".to_owned(), "public".to_owned()],
        owners: vec![owner("hr", "hr_owner"), owner("public", "shop_owner")],
        ..Catalog::default()
    }
}

fn classification(masks: &[(&str, Mask)]) -> Classification {
    let rule = |(column, mask): &(&str, Mask)| Rule {
        selector: Selector::Column { table: TableName::new("hr", "people"), column: (*column).to_owned() },
        classified: Classified { sensitivity: Sensitivity::Pii, mask: mask.clone() },
    };
    let rules: Vec<Rule> = masks.iter().map(rule).collect();
    Classification::of(&rules, &catalog())
}

fn scope(permissions: &[Permission]) -> Scope {
    Scope::new(Objects::Database, permissions.iter().copied().collect())
}

fn reading() -> Scope {
    scope(&[Permission::Read])
}

fn email() -> Mask {
    Mask::Partial(Partial { kind: PartialKind::Email, first: None, last: None })
}

fn team(value: &str) -> Condition {
    Condition::Compare {
        column: "team".to_owned(),
        operator: Comparison::Equal,
        value: value.to_owned(),
        type_name: "integer".to_owned(),
    }
}

fn shown(parts: &Parts) -> Vec<String> {
    let column = |column: &ViewColumn| match &column.mask {
        None => column.name.clone(),
        Some(mask) => format!("{}: {mask}", column.name),
    };
    let view = |view: &View| {
        let columns: Vec<String> = view.columns.iter().map(column).collect();
        format!("{}.{} [{}]", view.schema, view.name, columns.join(", "))
    };
    parts.views.iter().map(view).collect()
}

#[test]
fn r6_a_masked_column_makes_a_view_and_the_rest_is_granted_as_it_is() {
    let parts = compile(&reading(), &catalog(), &classification(&[("email", email())]), "shop");
    assert_eq!(
        shown(&parts),
        [
            "hr.people [id, email: partial (email), profile, pay, team]",
            "hr.people_old [id, email: partial (email), profile, pay, team]"
        ]
    );
    let held = |name: &str| -> Vec<Privilege> {
        let tables =
            parts.grants.iter().filter(|grant| grant.kind == ObjectKind::Table && grant.name == name);
        tables.flat_map(|grant| grant.privileges.clone()).collect()
    };
    assert_eq!(held("people"), [Privilege::References]);
    assert_eq!(held("plain"), [Privilege::Select]);
}

#[test]
fn r6_what_is_unmasked_is_shown_and_needs_no_view() {
    let raw = Scope {
        unmask: BTreeMap::from([
            (TableName::new("hr", "people"), BTreeSet::from(["email".to_owned()])),
            (TableName::new("hr", "people_old"), BTreeSet::from(["email".to_owned()])),
        ]),
        ..reading()
    };
    let parts = compile(&raw, &catalog(), &classification(&[("email", email())]), "shop");
    assert_eq!(shown(&parts), [] as [&str; 0]);
}

#[test]
fn r6_a_mask_that_a_column_cannot_have_is_null() {
    let aggregate = || Mask::Aggregate { min_group: 10 };
    let json = || Mask::Json { keep: vec![vec!["theme".to_owned()]] };
    for (masks, expected) in [
        (vec![("pay", aggregate())], "pay: aggregate (groups of 10 and more)"),
        (vec![("pay", aggregate()), ("id", Mask::Null)], "pay: null"),
        (vec![("id", aggregate())], "id: null"),
        (vec![("profile", json())], "profile: json (keeps theme)"),
        (vec![("email", json())], "email: null"),
    ] {
        let parts = compile(&reading(), &catalog(), &classification(&masks), "shop");
        let people = shown(&parts).into_iter().next().unwrap();
        assert!(people.contains(expected), "{people}");
        let key: &[&str] = if expected.contains("aggregate") { &["id"] } else { &[] };
        assert_eq!(parts.views[0].key, key, "{people}");
        // It has no key of its own.
        assert!(!shown(&parts)[1].contains("aggregate"), "{parts:?}", parts = shown(&parts));
    }
}

#[test]
fn r6_masked_and_generated_columns_are_never_written() {
    let writing = scope(&[Permission::Read, Permission::Write]);
    let token = Mask::Token { domain: "email".to_owned() };
    let parts = compile(&writing, &catalog(), &classification(&[("email", token)]), "shop");
    let view = &parts.views[0];
    assert_eq!(view.insert, ["profile", "pay", "team"]);
    assert_eq!(view.update, view.insert);
    assert!(view.delete);
    assert!(parts.grants.iter().any(|grant| grant.name == "people_id_seq"));

    // ON CONFLICT would reach a hidden row, another key would renew the noise.
    let rows = BTreeMap::from([(TableName::new("hr", "people"), team("7"))]);
    let filtered =
        compile(&Scope { rows, ..writing.clone() }, &catalog(), &Classification::default(), "shop");
    assert!(filtered.views[0].insert.is_empty() && filtered.views[0].delete);
    let keyed = Catalog {
        relations: catalog()
            .relations
            .into_iter()
            .map(|relation| Relation { primary_key: vec!["team".to_owned()], ..relation })
            .collect(),
        ..catalog()
    };
    let sealed = classification(&[("pay", Mask::Aggregate { min_group: 5 })]);
    let sealed = compile(&writing, &keyed, &sealed, "shop");
    assert_eq!(sealed.views[0].update, ["email", "profile"]);

    let reading = compile(&reading(), &catalog(), &classification(&[("email", Mask::Null)]), "shop");
    let view = &reading.views[0];
    assert!(view.insert.is_empty() && view.update.is_empty() && !view.delete);
}

#[test]
fn r3_4_a_condition_holds_for_the_parts_of_a_table_and_hides_what_shows_it_whole() {
    let rows = BTreeMap::from([(TableName::new("hr", "people"), team("7"))]);
    let parts = compile(&Scope { rows, ..reading() }, &catalog(), &Classification::default(), "shop");
    let conditions: Vec<(&str, Option<Condition>)> =
        parts.views.iter().map(|view| (view.name.as_str(), view.rows.clone())).collect();
    assert_eq!(conditions, [("people", Some(team("7"))), ("people_old", Some(team("7")))]);
    // Neither the view over them, nor a foreign key that would tell of hidden rows.
    let hidden = ["names", "counts", "olds", "calls", "people"];
    assert!(!parts.grants.iter().any(|grant| hidden.contains(&grant.name.as_str())));
    assert!(parts.grants.iter().any(|grant| grant.name == "fine"));

    // What is narrowed to shows no more than it did before.
    let rows = BTreeMap::from([(TableName::new("hr", "people"), team("7"))]);
    let asked = Scope { rows, ..reading() };
    let only = |name: &str| {
        asked.narrowed_to(BTreeSet::new(), BTreeSet::from([TableName::new("hr", name)])).unwrap()
    };
    for name in ["names", "counts", "olds", "calls"] {
        let narrowed = compile(&only(name), &catalog(), &Classification::default(), "shop");
        assert!(!narrowed.grants.iter().any(|grant| grant.kind == ObjectKind::Table), "{name}");
    }
    let narrowed = compile(&only("people_old"), &catalog(), &Classification::default(), "shop");
    assert_eq!(narrowed.views[0].rows, Some(team("7")));

    // A condition on a part alone leaves the whole out, which would show the rest.
    let rows = BTreeMap::from([(TableName::new("hr", "people_old"), team("8"))]);
    let parts = compile(&Scope { rows, ..reading() }, &catalog(), &Classification::default(), "shop");
    let names: Vec<&str> = parts.views.iter().map(|view| view.name.as_str()).collect();
    assert_eq!(names, ["people_old"]);
    assert!(!parts.grants.iter().any(|grant| ["people", "names"].contains(&grant.name.as_str())));

    let rows = BTreeMap::from([
        (TableName::new("hr", "people"), team("7")),
        (TableName::new("hr", "people_old"), team("8")),
    ]);
    let parts = compile(&Scope { rows, ..reading() }, &catalog(), &Classification::default(), "shop");
    assert_eq!(parts.views[1].rows, Some(Condition::And { all: vec![team("7"), team("8")] }));
}

#[test]
fn r3_5_a_migration_works_as_the_one_owner_of_its_schemas() {
    let ddl = |schemas: &[&str]| {
        let objects = Objects::Only {
            schemas: schemas.iter().map(ToString::to_string).collect(),
            tables: BTreeSet::new(),
        };
        let scope = Scope::new(objects, BTreeSet::from([Permission::Read, Permission::Ddl]));
        compile(&scope, &catalog(), &Classification::default(), "shop").become_role
    };
    assert_eq!(ddl(&["hr"]).as_deref(), Some("hr_owner"));
    assert_eq!(ddl(&["hr", "public"]), None);
    assert_eq!(compile(&reading(), &catalog(), &Classification::default(), "shop").become_role, None);
}

#[test]
fn the_content_names_views_in_the_order_of_their_schemas() {
    let masks = classification(&[("email", email()), ("pay", Mask::Aggregate { min_group: 5 })]);
    let tables = BTreeSet::from([TableName::new("hr", "people")]);
    let narrowed = Scope {
        rows: BTreeMap::from([(TableName::new("hr", "people"), team("7"))]),
        ..reading().narrowed_to(BTreeSet::new(), tables).unwrap()
    };
    let profile = Profile::compile(&narrowed, &catalog(), &masks, "shop");
    insta::assert_snapshot!(profile.to_json(), @r#"{"database":"shop","grants":[{"kind":"database","schema":"shop","name":"shop","privileges":["CONNECT"]},{"kind":"schema","schema":"hr","name":"hr","privileges":["USAGE"]}],"schemas":["hr"],"views":[{"schema":"hr","name":"people","columns":[{"name":"id"},{"name":"email","mask":{"mask":"partial","kind":"email"}},{"name":"profile"},{"name":"pay","mask":{"mask":"aggregate","min_group":5}},{"name":"team"}],"key":["id"],"rows":{"is":"compare","column":"team","operator":"=","value":"7","type_name":"integer"}}]}"#);
    let people = TableName::new("hr", "people");
    let digest = profile.name().trim_start_matches("dbaccess_p_");
    let views = profile.views();
    assert_eq!(views.relations[&people].to_string(), format!("dbaccess_v_{digest}_0.people"));
    assert_eq!(views.schemas["hr"], format!("dbaccess_v_{digest}_0"));
    assert_eq!(views.sealed[&people], ["pay"]);
}

#[test]
fn hostile_identifiers_stay_values_of_the_content() {
    for name in ["a\"; DROP TABLE x; --", "o'brien", "%I", "\\", "a\nb", "☃", "{}", "$$"] {
        let relation = Relation {
            name: TableName::new(name, name),
            columns: vec![column(name, "text")],
            ..Relation::default()
        };
        let catalog =
            Catalog { relations: vec![relation], schemas: vec![name.to_owned()], ..Catalog::default() };
        let rule = Rule {
            selector: Selector::Column { table: TableName::new(name, name), column: name.to_owned() },
            classified: Classified { sensitivity: Sensitivity::Pii, mask: email() },
        };
        let profile = Profile::compile(&reading(), &catalog, &Classification::of(&[rule], &catalog), name);
        let content: serde_json::Value = serde_json::from_str(profile.to_json()).unwrap();
        assert_eq!(content["views"][0]["name"], name);
        assert_eq!(content["views"][0]["columns"][0]["name"], name);
    }
}
