//! Attacks and benign statements as data, against the vocabulary of the schema
//! that they were written for: the gateway's part of the red team's corpus, and
//! more of the same kinds in `cases.txt`.

use super::tests::permit_for;
use super::*;
use crate::core::model::{
    Catalog, Column, Condition, Permission, Relation, RelationKind, Routine, RoutineKind, TableName,
};
use crate::core::sql::analyse;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct Case {
    id: String,
    category: String,
    kind: String,
    layer: String,
    scope: String,
    statements: Vec<serde_json::Value>,
    oracle: Option<Oracle>,
    /// More of the connection string, which is what the case is about.
    connect: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Oracle {
    a: Vec<String>,
}

impl Case {
    /// Every statement passes; else at least one is refused.
    fn passes(&self) -> bool {
        self.kind == "benign"
    }

    /// The texts, of cases that are for the guard to judge: what the database
    /// or a budget stops passes here.
    fn texts(&self) -> Vec<&str> {
        let judged = self.passes() || self.layer == "gateway";
        if !judged || self.category == "limits" || self.connect.is_some() {
            return Vec::new();
        }
        let guess = self.oracle.iter().flat_map(|oracle| oracle.a.iter().map(String::as_str));
        self.statements.iter().filter_map(text_of).chain(guess).collect()
    }
}

/// A statement is a text, or one with what the protocol makes of it.
fn text_of(said: &serde_json::Value) -> Option<&str> {
    said.as_str().or_else(|| said.get("sql")?.as_str())
}

fn routine(
    schema: &str,
    name: &str,
    what: RoutineKind,
    definer: bool,
    language: &str,
    body: &str,
) -> Routine {
    Routine {
        schema: schema.into(),
        name: name.into(),
        what,
        definer,
        language: language.into(),
        body: Some(body.into()),
        extension: None,
    }
}

/// The schema of the corpus; with `more`, routines for the cases here.
fn catalog(more: bool) -> Catalog {
    use RoutineKind::{Cast, Function, Operator};
    let email = "SELECT email FROM public.users WHERE id = uid";
    let corpus = vec![
        routine("public", "get_user_email", Function, true, "sql", email),
        routine("public", "purge_user_note", Function, true, "sql", "UPDATE public.users SET note = NULL"),
        routine("public", "fmt_money", Function, false, "sql", " SELECT '$' || round($1,2)::text "),
        routine("public", "wipe_notes", Function, true, "sql", "UPDATE public.users SET note = NULL"),
        routine("public", "with_key", Function, true, "sql", " SELECT 'KEYINSRC_qzx777' "),
        routine("public", "##", Operator, true, "sql", email),
        routine("public", "uid_to_text", Function, true, "sql", email),
        routine("public", "uid", Cast, true, "sql", email),
        routine("public", "peek", Function, true, "sql", email),
    ];
    let mut extra = vec![
        routine("shop", "net", Function, false, "sql", "RETURN round($1 / 1.19, 2)"),
        routine("shop", "label", Function, false, "sql", "BEGIN ATOMIC\n SELECT shop.net($1)::text;\nEND"),
        routine(
            "shop",
            "restock",
            Function,
            false,
            "sql",
            "UPDATE shop.stock SET qty = qty + 1 RETURNING qty",
        ),
        routine("shop", "through", Function, false, "sql", "SELECT public.get_user_email($1)"),
        routine("shop", "ping", Function, false, "sql", "SELECT shop.pong($1 - 1)"),
        routine("shop", "pong", Function, false, "sql", "SELECT shop.ping($1) || query_to_xml($1)"),
        routine("shop", "even", Function, false, "sql", "SELECT $1 = 0 OR shop.odd($1 - 1)"),
        routine("shop", "odd", Function, false, "sql", "SELECT $1 <> 0 AND shop.even($1 - 1)"),
        routine("shop", "limits", Function, false, "sql", "SET statement_timeout = 0; SELECT 1"),
        routine("shop", "counters", Function, false, "sql", "SELECT n_live_tup FROM pg_stat_user_tables"),
        routine("shop", "dynamic", Function, false, "plpgsql", "BEGIN EXECUTE q; END"),
        routine("shop", "native", Function, false, "c", ""),
        routine("shop", "half", Function, false, "sql", "SELECT $1 FROM"),
        routine("shop", "twice", Function, false, "sql", "SELECT $1 * 2"),
        routine("hr", "twice", Function, true, "sql", "SELECT $1 * 2"),
        routine("shop", "rank_of", Function, false, "plpgsql", "BEGIN RETURN 1; END"),
        routine("hr", "lower", Function, true, "sql", "SELECT email FROM hr.p WHERE id = $1"),
        routine("shop", "@@@@", Operator, false, "sql", "SELECT $1 - $2"),
        routine("shop", "score", Function, false, "plpgsql", "BEGIN RETURN 1; END"),
        routine("public", "sku", Function, true, "sql", email),
    ];
    let extension = |schema: &str, name: &str, what, of: &str| Routine {
        extension: Some(of.into()),
        body: None,
        ..routine(schema, name, what, false, "c", "")
    };
    extra.extend([
        extension("ext", "digest", Function, "pgcrypto"),
        extension("ext", "similarity", Function, "pg_trgm"),
        extension("ext", "<->>", Operator, "pg_trgm"),
        extension("ext", "citext", Cast, "citext"),
        extension("ext", "st_area", Function, "postgis"),
        extension("ext", "addgeometrycolumn", Function, "postgis"),
        extension("ext", "dblink", Function, "dblink"),
        extension("ext", "crosstab", Function, "tablefunc"),
        extension("ext", "evil", Function, "unheard_of"),
    ]);
    let table = |schema: &str, name: &str, columns: &[(&str, &str)]| Relation {
        name: TableName::new(schema, name),
        columns: columns.iter().map(|(name, type_name)| Column::new(*name, *type_name)).collect(),
        ..Relation::default()
    };
    let routines = if more { [corpus, extra].concat() } else { corpus };
    Catalog {
        relations: vec![
            table("public", "users", &[("id", "bigint"), ("email", "text"), ("plan", "plan_t")]),
            table("public", "orders", &[("id", "bigint"), ("total", "numeric(12,2)"), ("score", "integer")]),
            table("public", "owners", &[("id", "bigint"), ("who", "uid"), ("note", "text")]),
            table("shop", "products", &[("id", "bigint"), ("sku", "text"), ("price", "numeric(10,2)")]),
            table("shop", "stock", &[("product_id", "bigint"), ("qty", "integer")]),
            Relation { kind: RelationKind::ForeignTable, ..table("public", "remote", &[("id", "bigint")]) },
        ],
        schemas: vec!["public".into(), "shop".into()],
        routines,
        ..Catalog::default()
    }
}

/// The scopes of the corpus, as `scopes.json` describes them.
fn permit_of(scope: &str, vocabulary: &Arc<Vocabulary>) -> Permit {
    use Permission::{Ddl, Export, Read, Write};
    let table = |schema: &str, name: &str| TableName::new(schema, name);
    let public = ["users", "payments", "orders", "events", "people"].map(|name| table("public", name));
    let tables: BTreeSet<_> =
        public.into_iter().chain([table("shop", "products"), table("shop", "stock")]).collect();
    let tables = Objects::Only { schemas: BTreeSet::new(), tables };
    let shop = Objects::Only { schemas: BTreeSet::from(["shop".to_owned()]), tables: BTreeSet::new() };
    let (objects, permissions) = match scope {
        "rw_masked" => (tables, BTreeSet::from([Read, Write])),
        "export" => (tables, BTreeSet::from([Read, Export])),
        "rw_export" => (tables, BTreeSet::from([Read, Write, Export])),
        "ddl_shop" => (shop, BTreeSet::from([Read, Ddl])),
        "ro_masked" | "ro_row" | "agg_only" => (tables, BTreeSet::from([Read])),
        other => panic!("the scope {other}"),
    };
    let mut scope_ = Scope::new(objects, permissions);
    if scope == "ro_row" {
        let condition = Condition::Null { column: "tenant_id".into(), negated: true };
        scope_.rows = BTreeMap::from([(table("public", "users"), condition)]);
    }
    Permit { vocabulary: Arc::clone(vocabulary), ..permit_for(scope_) }
}

fn vocabulary(more: bool) -> Arc<Vocabulary> {
    Arc::new(Vocabulary::of(&catalog(more), &["shop.rank_of".to_owned(), "analytics.*".to_owned()]))
}

/// The first refusal of a text's statements.
fn refused(permit: &Permit, text: &str) -> Option<Refusal> {
    let facts = analyse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    facts.statements.iter().find_map(|statement| match check(permit, statement, TxStatus::Idle) {
        Verdict::Allow(_) => None,
        Verdict::Refuse(refusal) => Some(refusal),
    })
}

#[test]
fn r6_the_gateways_part_of_the_corpus_holds() {
    let vocabulary = vocabulary(false);
    let mut wrong = Vec::new();
    let mut judged = 0;
    for line in include_str!("../../../tests/redteam/corpus.jsonl").lines() {
        let case: Case = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let texts = case.texts();
        if texts.is_empty() {
            continue;
        }
        judged += 1;
        let permit = permit_of(&case.scope, &vocabulary);
        let refusal = texts.iter().find_map(|text| refused(&permit, text));
        if refusal.is_none() != case.passes() {
            let told = refusal.map_or("passed".to_owned(), |refusal| refusal.message);
            wrong.push(format!("{}: {told}\n    {}", case.id, texts.join("; ")));
        }
    }
    assert_eq!(judged, 119);
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

/// `+scope  SQL` passes, `-scope  SQL` is refused.
#[test]
fn g2_more_of_the_same_kinds() {
    let vocabulary = vocabulary(true);
    let mut wrong = Vec::new();
    for line in include_str!("cases.txt").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (scope, text) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        let (sign, scope) = scope.split_at(1);
        if let Err(error) = analyse(text) {
            wrong.push(format!("{line}\n    {error}"));
            continue;
        }
        let refusal = refused(&permit_of(scope, &vocabulary), text.trim());
        if refusal.is_none() != (sign == "+") {
            wrong.push(format!("{line}\n    {}", refusal.map_or("passed".to_owned(), |r| r.message)));
        }
    }
    assert!(wrong.is_empty(), "{} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_refusal_says_how_a_function_is_let_pass() {
    let permit = permit_of("ro_masked", &vocabulary(false));
    let refusal = refused(&permit, "SELECT get_user_email(1)").expect("refused");
    assert_eq!(
        refusal.message,
        "the function public.get_user_email, which runs with its owner's rights (SECURITY DEFINER), is not \
         allowed in a dbaccess session (grant grt-7k)"
    );
    assert!(refusal.hint.ends_with("functions = [\"public.get_user_email\"] under [targets.prod-orders]"));
    let refusal = refused(&permit, "SELECT app.nobody_knows()").expect("refused");
    assert!(refusal.message.starts_with("the function app.nobody_knows, which dbaccess does not know,"));
}

/// Constructs that stand for an operator, where the target has an unsafe one of
/// that name: it may be chosen for the types at hand.
#[test]
fn g2_an_operator_is_found_where_no_sign_stands() {
    let mut catalog = catalog(false);
    for name in ["=", "<"] {
        catalog.routines.push(routine("shop", name, RoutineKind::Operator, true, "sql", "SELECT 1"));
    }
    let permit = permit_of("ro_masked", &Arc::new(Vocabulary::of(&catalog, &[])));
    for text in [
        "SELECT 1 = 2",
        "SELECT CASE 1 WHEN 2 THEN 3 END",
        "SELECT 1 IN (SELECT 2)",
        "SELECT 1 IN (2, 3)",
        "SELECT 1 = ANY (ARRAY[1])",
        "SELECT * FROM users JOIN orders USING (id)",
        "SELECT * FROM users NATURAL JOIN orders",
        "SELECT NULLIF(1, 2), 1 IS DISTINCT FROM 2",
        "SELECT 1 BETWEEN 2 AND 3",
        "SELECT 1 NOT BETWEEN SYMMETRIC 2 AND 3",
        "SELECT 1 ORDER BY 1 USING <",
    ] {
        assert!(refused(&permit, text).is_some(), "{text}");
    }
    for text in ["SELECT 1 OPERATOR(pg_catalog.=) 2", "SELECT CASE WHEN true THEN 1 END, 1 > 2"] {
        assert_eq!(refused(&permit, text), None, "{text}");
    }
}
