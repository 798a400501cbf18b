//! What is read of a target's catalog, on every supported version, and what
//! classification makes of it.

use crate::support::pg_server::{MAJORS, PgServer};
use dbaccess::core::model::{
    Catalog, Classification, Classified, Column, Mask, Partial, PartialKind, Relation, RoutineKind, Rule,
    Selector, Sensitivity, TableName,
};
use dbaccess::os;
use dbaccess::server::provision::Target;
use std::time::Instant;
use tokio_postgres::Client;

/// A database of its own on a cluster that others use too.
async fn database(server: &PgServer) -> (String, Client) {
    let name = format!("catalog_{:x}", u64::from_be_bytes(os::random::<8>()));
    server.admin("postgres").await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
    let admin = server.admin(&name).await;
    (name, admin)
}

async fn drop_database(server: &PgServer, name: &str) {
    let sql = format!("DROP DATABASE {name} WITH (FORCE)");
    server.admin("postgres").await.batch_execute(&sql).await.unwrap();
}

fn table<'c>(catalog: &'c Catalog, name: &str) -> &'c Relation {
    let found = catalog.relations.iter().find(|relation| relation.name.to_string() == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

fn column<'c>(catalog: &'c Catalog, of: &str, name: &str) -> &'c Column {
    table(catalog, of).columns.iter().find(|column| column.name == name).unwrap()
}

fn shown(columns: &[(TableName, String)]) -> Vec<String> {
    let mut shown: Vec<String> = columns.iter().map(|(table, column)| format!("{table}.{column}")).collect();
    shown.sort();
    shown
}

const SCHEMA: &str = include_str!("catalog/schema.sql");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fact_is_read_on_every_version() {
    for major in MAJORS {
        let server = PgServer::exclusive(major).await;
        let (name, admin) = database(&server).await;
        admin.batch_execute(SCHEMA).await.unwrap_or_else(|error| panic!("{major}: {error:?}"));
        if major >= 18 {
            let sql = "ALTER TABLE users ADD COLUMN email_up text GENERATED ALWAYS AS (upper(email)) VIRTUAL";
            admin.batch_execute(sql).await.unwrap();
        }
        let catalog = Target::new(server.admin_upstream(&name)).unwrap().catalog().await.unwrap();
        relations(&catalog, major);
        views(&catalog, major);
        routines(&catalog);
        drop_database(&server, &name).await;
    }
}

fn relations(catalog: &Catalog, major: u32) {
    let names: Vec<String> = catalog.relations.iter().map(|relation| relation.name.to_string()).collect();
    assert!(!names.iter().any(|name| name.starts_with("dbaccess")), "{names:?}");
    assert_eq!(catalog.schemas, ["catalog", "public"]);
    assert_eq!(catalog.owner("catalog"), Some("postgres"));

    let users = table(catalog, "public.users");
    assert_eq!((users.rows, users.row_security), (Some(3), true));
    assert_eq!(users.primary_key, ["tenant", "id"], "in the key's order");
    assert_eq!(table(catalog, "public.orders").rows, None, "never analysed");
    let key = &table(catalog, "public.orders").foreign_keys[0];
    assert_eq!((key.columns.join(","), key.references.join(",")), ("who,whose".into(), "id,tenant".into()));
    assert_eq!(key.table.to_string(), "public.users");

    assert_eq!(column(catalog, "public.users", "email").comment.as_deref(), Some("Where we write to. @pii"));
    assert_eq!(column(catalog, "public.users", "id").comment, None);
    assert!(column(catalog, "public.users", "id").generated, "an identity ALWAYS");
    assert!(!column(catalog, "public.users", "email").generated);
    let lower = column(catalog, "public.users", "email_lc");
    assert!(lower.generated);
    assert_eq!(shown(&lower.derived_from), ["public.users.email"]);
    let both = column(catalog, "public.users", "both");
    assert_eq!(shown(&both.derived_from), ["public.users.email", "public.users.note"]);
    if major >= 18 {
        let up = column(catalog, "public.users", "email_up");
        assert!(up.generated);
        assert_eq!(shown(&up.derived_from), ["public.users.email"]);
    }
    let ancestors = &table(catalog, "public.leaf").ancestors;
    let ancestors: Vec<String> = ancestors.iter().map(ToString::to_string).collect();
    assert_eq!(ancestors, ["public.root", "public.branch"]);
}

fn views(catalog: &Catalog, major: u32) {
    let origin = |view: &str, name: &str| shown(&column(catalog, view, name).derived_from);
    let reads = |view: &str| shown(&table(catalog, view).reads);
    // A plain column is traced, also under another and under a hostile name.
    assert_eq!(origin("public.plain", "contact"), ["public.users.email"]);
    let hostile = r#"x :ressortgroupref 0 :resorigtbl 1 :resorigcol 1 :resno 1"#;
    assert_eq!(origin("public.plain", hostile), ["public.users.id"]);
    assert_eq!(reads("public.plain"), ["public.users.email", "public.users.id", "public.users.note"]);
    // What is computed is not; nor what a query inside brings.
    assert!(origin("public.computed", "hidden").is_empty());
    assert_eq!(origin("public.computed", "id"), ["public.users.id"]);
    assert!(origin("public.nested", "email").is_empty());
    assert_eq!(reads("public.nested"), ["public.users.email"]);
    // A whole row is every column.
    let width = table(catalog, "public.users").columns.len();
    assert_eq!(reads("public.whole").len(), width, "{major}");
    assert!(origin("public.whole", "to_json").is_empty());
    // A view of a view reads the view.
    assert_eq!(reads("public.above"), ["public.plain.contact"]);
    assert_eq!(reads("catalog.kept"), ["public.users.email"]);
    // Only counted: the relation, without a column.
    assert_eq!(reads("public.counted"), ["public.users."]);
    // Who lends rights to a view, also behind an operator and a cast.
    for view in ["public.calling", "public.operating", "public.casting", "public.gathering"] {
        assert!(!table(catalog, view).definers.is_empty(), "{view}");
    }
    assert_eq!(table(catalog, "public.calling").definers, ["public.peek"]);
    assert!(table(catalog, "public.plain").definers.is_empty());
}

fn routines(catalog: &Catalog) {
    let found = |what: RoutineKind, name: &str| {
        let mut all = catalog.routines.iter();
        let found = all.find(|routine| routine.what == what && routine.name == name);
        found.unwrap_or_else(|| panic!("no {what:?} {name}"))
    };
    let peek = found(RoutineKind::Function, "peek");
    assert!(peek.definer && peek.language == "sql" && peek.schema == "public");
    assert!(peek.body.as_ref().unwrap().contains("SELECT email"));
    let standard = found(RoutineKind::Function, "standard");
    assert!(!standard.definer && standard.body.as_ref().unwrap().contains("lower"), "{standard:?}");
    assert_eq!(found(RoutineKind::Function, "procedure").language, "plpgsql");
    let aggregate = found(RoutineKind::Function, "gather");
    assert!(aggregate.definer && aggregate.body.as_ref().unwrap().contains("email"), "{aggregate:?}");
    let operator = found(RoutineKind::Operator, "##");
    assert!(operator.definer && operator.language == "sql" && operator.body.is_some());
    let cast = found(RoutineKind::Cast, "uid");
    assert!(cast.definer && cast.schema == "public" && cast.body.is_some());
    // Between built-in types: the target tells.
    assert!(found(RoutineKind::Cast, "int8").definer);
    assert!(catalog.routines.iter().all(|routine| routine.extension.is_none()), "those are in pg_catalog");
}

/// What rules make of the real thing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r6_what_copies_a_classified_column_is_classified_or_closed() {
    let server = PgServer::exclusive(18).await;
    let (name, admin) = database(&server).await;
    admin.batch_execute(SCHEMA).await.unwrap();
    let catalog = Target::new(server.admin_upstream(&name)).unwrap().catalog().await.unwrap();
    let mask = Mask::Partial(Partial { kind: PartialKind::Email, first: None, last: None });
    let rules = [Rule {
        selector: Selector::Column { table: TableName::new("public", "users"), column: "email".into() },
        classified: Classified { sensitivity: Sensitivity::Pii, mask: mask.clone() },
    }];
    let found = Classification::of(&rules, &catalog);
    let users = TableName::new("public", "users");
    assert_eq!(found.column(&users, "email_lc").unwrap().mask, mask);
    assert_eq!(found.column(&users, "both").unwrap().mask, Mask::Null);
    let closed: Vec<String> = found.closed_tables().map(|(table, _)| table.to_string()).collect();
    assert_eq!(
        closed,
        [
            "catalog.kept",
            "public.above",
            "public.calling",
            "public.casting",
            "public.computed",
            "public.gathering",
            "public.nested",
            "public.operating",
            "public.plain",
            "public.whole"
        ]
    );
    drop_database(&server, &name).await;
}

/// A session's privileges are made from a catalog of at most two seconds' age,
/// so a large one must be read well within that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_relations_are_read_in_about_a_second() {
    let server = PgServer::exclusive(18).await;
    let (name, admin) = database(&server).await;
    for batch in 0..20 {
        let sql = format!(
            "DO $$ BEGIN FOR i IN 1..400 LOOP
                 EXECUTE format('CREATE TABLE t%s_{batch} (id bigint PRIMARY KEY, a text, b text, c text, d text,
                     e int, f int, g numeric, h timestamptz, email text)', i);
                 EXECUTE format('COMMENT ON COLUMN t%s_{batch}.email IS ''@pii''', i);
                 IF i % 4 = 0 THEN
                     EXECUTE format('CREATE VIEW v%s_{batch} AS SELECT t.id, t.a, u.b, lower(u.c) AS c, t.email
                         FROM t%s_{batch} t JOIN t%s_{batch} u USING (id) WHERE t.e > 0', i, i, i - 1);
                 END IF;
             END LOOP; END $$"
        );
        admin.batch_execute(&sql).await.unwrap();
    }
    admin.batch_execute("VACUUM ANALYZE").await.unwrap();
    let target = Target::new(server.admin_upstream(&name)).unwrap();
    target.catalog().await.unwrap();
    let started = Instant::now();
    let catalog = target.catalog().await.unwrap();
    let read = started.elapsed();
    assert_eq!(catalog.relations.len(), 10_000);
    let rules = [Rule {
        selector: Selector::Pattern { schema: "*".into(), table: "t*".into(), column: "*mail".into() },
        classified: Classified { sensitivity: Sensitivity::Pii, mask: Mask::Null },
    }];
    let started = Instant::now();
    let found = Classification::of(&rules, &catalog);
    let classified = started.elapsed();
    assert_eq!((found.tables().count(), found.closed_tables().count()), (8_000, 2_000));
    println!("10,000 relations: read in {read:?}, classified in {classified:?}");
    // Generous: this machine is busy and the build is not optimised.
    assert!(read.as_secs() < 8 && classified.as_secs() < 4, "{read:?} {classified:?}");
    drop_database(&server, &name).await;
}
