//! Reading a target's catalog: what scopes are resolved against.

use super::{ProvisionError, Target};
use crate::core::model::{Catalog, Column, Relation, RelationKind, TableName};
use crate::os;
use tokio_postgres::Row;

/// Readable by any login: names and types are no secret in PostgreSQL's catalog.
const RELATIONS: &str = "
    WITH RECURSIVE above (child, parent) AS (
        SELECT inhrelid, inhparent FROM pg_inherits
        UNION
        SELECT a.child, i.inhparent FROM above a JOIN pg_inherits i ON i.inhrelid = a.parent)
    SELECT n.nspname::text, c.relname::text, c.relkind::text, pg_get_userbyid(c.relowner)::text,
           a.names, a.types, s.schemas, s.names,
           coalesce(p.schemas, '{}'), coalesce(p.names, '{}')
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(attname::text ORDER BY attnum), '{}') AS names,
               coalesce(array_agg(format_type(atttypid, atttypmod) ORDER BY attnum), '{}') AS types
        FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped) a
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(sn.nspname::text ORDER BY q.oid), '{}') AS schemas,
               coalesce(array_agg(q.relname::text ORDER BY q.oid), '{}') AS names
        FROM pg_depend d
        JOIN pg_class q ON q.oid = d.objid AND q.relkind = 'S'
        JOIN pg_namespace sn ON sn.oid = q.relnamespace
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
          AND d.refobjid = c.oid AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')) s
    LEFT JOIN (
        SELECT b.child, array_agg(pn.nspname::text ORDER BY r.oid) AS schemas,
               array_agg(r.relname::text ORDER BY r.oid) AS names
        FROM above b
        JOIN pg_class r ON r.oid = b.parent
        JOIN pg_namespace pn ON pn.oid = r.relnamespace
        GROUP BY b.child) p ON p.child = c.oid
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'dbaccess', 'dbaccess_secret')
      AND n.nspname !~ '^dbaccess_v_[0-9a-f]{32}_'
    ORDER BY 1, 2";

const SCHEMAS: &str = "
    SELECT nspname::text FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'dbaccess', 'dbaccess_secret')
      AND nspname !~ '^dbaccess_v_[0-9a-f]{32}_' ORDER BY 1";

impl Target {
    /// The relations and schemas outside the system's and dbaccess's own.
    pub async fn catalog(&self) -> Result<Catalog, ProvisionError> {
        let (relations, schemas) =
            tokio::try_join!(self.opening.call(RELATIONS, &[]), self.opening.call(SCHEMAS, &[]))?;
        Ok(Catalog {
            relations: relations.iter().filter_map(relation).collect(),
            schemas: schemas.iter().map(|row| row.get(0)).collect(),
            taken_at: os::now(),
            ..Catalog::default()
        })
    }
}

fn relation(row: &Row) -> Option<Relation> {
    let kind = match row.get::<_, &str>(2) {
        "r" => RelationKind::Table,
        "p" => RelationKind::PartitionedTable,
        "v" => RelationKind::View,
        "m" => RelationKind::MaterializedView,
        "f" => RelationKind::ForeignTable,
        _ => return None,
    };
    let pairs = |names: usize, others: usize| {
        let (names, others): (Vec<String>, Vec<String>) = (row.get(names), row.get(others));
        names.into_iter().zip(others)
    };
    Some(Relation {
        name: TableName::new(row.get::<_, String>(0), row.get::<_, String>(1)),
        kind,
        owner: row.get(3),
        columns: pairs(4, 5)
            .map(|(name, type_name)| Column { name, type_name, ..Column::default() })
            .collect(),
        sequences: pairs(6, 7).map(|(schema, name)| TableName::new(schema, name)).collect(),
        ancestors: pairs(8, 9).map(|(schema, name)| TableName::new(schema, name)).collect(),
        ..Relation::default()
    })
}
