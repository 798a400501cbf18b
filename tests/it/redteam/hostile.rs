//! Names and values that would be SQL if anybody let them (hostile_names.json).

use super::database::dsn;
use super::{TARGET, file, targets};
use crate::support::env::GATEWAY_PASSWORD;
use crate::support::masked::open_profile;
use crate::support::pg_server::{PgServer, installed_bin};
use dbaccess::core::model::{
    Classification, Classified, Comparison, Condition, Mask, Objects, Partial, PartialKind, Permission, Rule,
    Scope, Selector, Sensitivity, TableName,
};
use dbaccess::core::profile::quote_ident;
use dbaccess::server::provision::{Target, apply_setup};
use dbaccess::server::setup;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn words(of: &str) -> Vec<String> {
    let all: Value =
        serde_json::from_str(&std::fs::read_to_string(file("hostile_names.json")).unwrap()).unwrap();
    all[of].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

/// Names that PostgreSQL itself takes whole.
fn names() -> Vec<String> {
    let taken = |name: &String| !name.is_empty() && name.len() < 64 && !name.contains('\0');
    words("tables").into_iter().filter(taken).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn g3_a_hostile_name_is_masked_and_filtered_like_any_other() {
    let pg = PgServer::start(&installed_bin(), &[]).await;
    let admin = pg.admin("postgres").await;
    for sql in ["CREATE ROLE app_owner", "CREATE ROLE shop_owner", "CREATE DATABASE hostile"] {
        admin.batch_execute(sql).await.unwrap();
    }
    let admin = pg.admin("hostile").await;
    let names = names();
    for name in &names {
        let quoted = quote_ident(name);
        // The column has the hostile name too.
        let sql = format!(
            "CREATE TABLE {quoted} (id int PRIMARY KEY, {quoted} text, x text);
             INSERT INTO {quoted} VALUES (1, 'shown.qzx1@example.com', 'qzx'), (2, 'HID9@example.com', 'HID9')"
        );
        admin.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    let configured = targets("hostile", pg.port(), GATEWAY_PASSWORD).remove(TARGET).unwrap();
    let params = setup::params(&configured.upstream).unwrap();
    apply_setup(&pg.admin_upstream("hostile"), &params).await.unwrap();
    let target = Target::new(configured.upstream).unwrap();
    let catalog = target.catalog().await.unwrap();
    let tables: BTreeSet<TableName> = names.iter().map(|name| TableName::new("public", name)).collect();
    let mask = Mask::Partial(Partial { kind: PartialKind::Email, first: None, last: None });
    let rules: Vec<Rule> = tables
        .iter()
        .flat_map(|table| {
            let rule = |column: &str, mask: &Mask| Rule {
                selector: Selector::Column { table: table.clone(), column: column.to_owned() },
                classified: Classified { sensitivity: Sensitivity::Pii, mask: mask.clone() },
            };
            [rule(&table.name, &mask), rule("x", &Mask::Token { domain: table.name.clone() })]
        })
        .collect();
    let classification = Classification::of(&rules, &catalog);
    let scope = |value: &str| Scope {
        rows: tables
            .iter()
            .map(|table| {
                let condition = Condition::Compare {
                    column: "id".to_owned(),
                    operator: Comparison::Equal,
                    value: value.to_owned(),
                    type_name: "integer".to_owned(),
                };
                (table.clone(), condition)
            })
            .collect(),
        unmask: BTreeMap::new(),
        permissions: BTreeSet::from([Permission::Read]),
        objects: Objects::Only { schemas: BTreeSet::new(), tables: tables.clone() },
    };

    let profile = target.profile(&scope("1"), &catalog, &classification);
    let role = open_profile(&target, &profile, true).await.unwrap();
    let place = dsn(target.upstream(), &role);
    let (client, connection) = tokio_postgres::connect(&place, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for name in &names {
        let quoted = quote_ident(name);
        // The view is found by its bare name; but `pg_temp` and kin are names too.
        let rows = client.query(&format!("SELECT id, t.*::text FROM {quoted} t"), &[]).await;
        let rows = rows.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(rows.len(), 1, "{name}");
        let shown: String = rows[0].get(1);
        assert!(!shown.contains("qzx") && !shown.contains("HID9"), "{name}: {shown}");
        let base = client.query(&format!("SELECT * FROM public.{quoted}"), &[]).await;
        assert!(base.is_err(), "{name} by its whole name");
    }

    // As a value it is of the column's type, or there is no session.
    for value in words("filter_values") {
        let profile = target.profile(&scope(&value), &catalog, &classification);
        let before = target.managed_roles().await.unwrap().len();
        let opened = open_profile(&target, &profile, true).await;
        assert!(opened.is_err(), "`{value}` is no integer");
        assert_eq!(target.managed_roles().await.unwrap().len(), before, "{value}");
    }
    let tables: i64 = admin
        .query_one("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(tables, names.len() as i64, "nothing was dropped");
}
