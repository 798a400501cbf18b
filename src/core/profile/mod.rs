//! Profiles: the exact set of privileges that a scope compiles to in one
//! database. Sessions with equal profiles share one access role there.
//!
//! Decides what is granted; never how it gets into the database (that is
//! `server::provision`) nor who may have it (policy).

use crate::core::hex::hex;
mod compile;
mod quote;
mod views;

pub use quote::{quote_ident, quote_literal};
pub use views::{OWNER_PREFIX, VIEW_SCHEMA_PREFIX, View, ViewColumn, Views};

use super::model::{Catalog, Classification, Scope};
use compile::Parts;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Every access role's name begins so; 32 hex digits follow.
pub const PROFILE_PREFIX: &str = "dbaccess_p_";
/// Every session role's name begins so; 16 to 40 hex digits follow.
pub const SESSION_PREFIX: &str = "dbaccess_s_";

/// A new session role's name. Never made of anything that a person typed: two
/// long names would be cut to one.
pub fn session_role(random: [u8; 16]) -> String {
    format!("{SESSION_PREFIX}{}", hex(&random))
}

/// What kind of object a privilege is held on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectKind {
    Database,
    Schema,
    /// Whatever `GRANT … ON TABLE` takes: tables, views, foreign tables.
    Table,
    Sequence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Privilege {
    Select,
    Insert,
    Update,
    Delete,
    Usage,
    Connect,
    /// On the base table of a view: it reads nothing, but lets
    /// `information_schema` list the columns that are not masked.
    References,
}

/// Privileges on one object. A schema's or database's name stands in both places.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ObjectGrant {
    pub kind: ObjectKind,
    pub schema: String,
    pub name: String,
    pub privileges: Vec<Privilege>,
}

/// A compiled scope. Its name is the digest of its content, so equal content
/// is the same access role and changed content is another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    name: String,
    content: String,
    grants: Vec<ObjectGrant>,
    views: Arc<Views>,
}

/// What the digest covers, in one fixed order. The database is part of it:
/// roles belong to a whole cluster, and an access role that two databases
/// shared would carry one target's session into the other.
#[derive(Serialize)]
struct Content<'a> {
    database: &'a str,
    grants: &'a [ObjectGrant],
    /// Of the relations that have views: the n-th one's views are in the
    /// profile's n-th view schema.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    schemas: &'a [&'a str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    views: &'a [View],
    #[serde(rename = "become", skip_serializing_if = "Option::is_none")]
    become_role: Option<&'a str>,
}

impl Profile {
    /// Compiles a scope against the catalog as it is now. A whole schema or
    /// database is the relations that it has now; one made later is in the
    /// profile of the next session, because its digest differs.
    ///
    /// A relation with a masked column or a condition on its rows becomes a
    /// view; the rest is granted as it is.
    pub fn compile(
        scope: &Scope,
        catalog: &Catalog,
        classification: &Classification,
        database: &str,
    ) -> Self {
        Self::of(database, compile::compile(scope, catalog, classification, database))
    }

    fn of(database: &str, parts: Parts) -> Self {
        let Parts { grants, views, become_role } = parts;
        let schemas: BTreeSet<&str> = views.iter().map(|view| view.schema.as_str()).collect();
        let schemas: Vec<&str> = schemas.into_iter().collect();
        let content = Content {
            database,
            grants: &grants,
            schemas: &schemas,
            views: &views,
            become_role: become_role.as_deref(),
        };
        // Serialising strings and enums cannot fail; were it to, the empty
        // content is refused by the database.
        let content = serde_json::to_string(&content).unwrap_or_default();
        let digest = Sha256::digest(content.as_bytes());
        let digest = hex(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
        let views = Views { become_role: become_role.clone(), ..Views::of(&digest, &schemas, &views) };
        let name = format!("{PROFILE_PREFIX}{digest}");
        Self { name, content, grants, views: Arc::new(views) }
    }

    /// The access role's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// In a fixed order: the database, schemas, tables, sequences, each by name.
    pub fn grants(&self) -> &[ObjectGrant] {
        &self.grants
    }

    /// What the gateway needs to know: where the views are, and whose rights a
    /// migration has.
    pub fn views(&self) -> &Arc<Views> {
        &self.views
    }

    /// The content, exactly as the digest in the name was taken of it.
    pub fn to_json(&self) -> &str {
        &self.content
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{AskedScope, Relation, RelationKind, TableName};

    fn relation(schema: &str, name: &str, kind: RelationKind) -> Relation {
        Relation {
            name: TableName::new(schema, name),
            kind,
            owner: "app".to_owned(),
            sequences: vec![TableName::new(schema, format!("{name}_id_seq"))],
            ..Relation::default()
        }
    }

    fn catalog() -> Catalog {
        Catalog {
            relations: vec![
                relation("public", "orders", RelationKind::Table),
                relation("public", "totals", RelationKind::MaterializedView),
                relation("hr", "Salary\"", RelationKind::Table),
            ],
            schemas: vec!["public".to_owned(), "hr".to_owned(), "empty".to_owned()],
            ..Catalog::default()
        }
    }

    fn compiled(schemas: &[&str], tables: &[&str], write: bool) -> Profile {
        let asked = AskedScope {
            schemas: schemas.iter().map(ToString::to_string).collect(),
            tables: tables.iter().map(ToString::to_string).collect(),
            write,
            ..AskedScope::default()
        };
        compile(&asked.resolve(&catalog(), &Classification::default()).unwrap(), "shop")
    }

    fn compile(scope: &Scope, database: &str) -> Profile {
        Profile::compile(scope, &catalog(), &Classification::default(), database)
    }

    fn shown(profile: &Profile) -> Vec<String> {
        profile
            .grants()
            .iter()
            .filter(|g| g.kind != ObjectKind::Database)
            .map(|g| format!("{:?} {}.{} {:?}", g.kind, g.schema, g.name, g.privileges))
            .collect()
    }

    #[test]
    fn r3_levels_compile_to_exactly_their_relations() {
        let read_orders = ["Schema public.public [Usage]", "Table public.orders [Select]"];
        assert_eq!(shown(&compiled(&[], &["orders"], false)), read_orders);
        let schema = ["Schema hr.hr [Usage]", "Table hr.Salary\" [Select]"];
        assert_eq!(shown(&compiled(&["hr"], &[], false)), schema);
        assert_eq!(compiled(&[], &[], false).grants().len(), 1 + 3 + 3);
    }

    #[test]
    fn r3_5_write_adds_dml_and_sequences_but_not_on_materialized_views() {
        let orders = [
            "Schema public.public [Usage]",
            "Table public.orders [Select, Insert, Update, Delete]",
            "Sequence public.orders_id_seq [Usage]",
        ];
        assert_eq!(shown(&compiled(&[], &["orders"], true)), orders);
        let totals = shown(&compiled(&[], &["totals"], true));
        assert!(totals.contains(&"Table public.totals [Select]".to_owned()), "{totals:?}");
    }

    #[test]
    fn equal_privileges_share_a_profile_and_a_database_is_part_of_it() {
        let by_tables = compiled(&[], &["orders", "totals"], false);
        assert_eq!(by_tables, compiled(&["public"], &[], false));
        assert_eq!(by_tables, compiled(&[], &["totals", "orders"], false));
        assert_ne!(by_tables.name(), compiled(&[], &["orders"], false).name());
        let scope = AskedScope::default().resolve(&catalog(), &Classification::default()).unwrap();
        let elsewhere = compile(&scope, "shop2");
        assert_ne!(compile(&scope, "shop").name(), elsewhere.name());
    }

    #[test]
    fn a_name_is_the_prefix_and_32_hex_digits_of_the_content() {
        let profile = compiled(&[], &["orders"], false);
        let digits = profile.name().strip_prefix(PROFILE_PREFIX).unwrap();
        assert!(digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()), "{digits}");
        insta::assert_snapshot!(profile.to_json(), @r#"{"database":"shop","grants":[{"kind":"database","schema":"shop","name":"shop","privileges":["CONNECT"]},{"kind":"schema","schema":"public","name":"public","privileges":["USAGE"]},{"kind":"table","schema":"public","name":"orders","privileges":["SELECT"]}]}"#);
    }
}
