//! Reading a target's catalog: what scopes are resolved against, and what
//! classification and the gateway judge by. Readable by any login: names,
//! types and bodies of functions are no secret in PostgreSQL's own catalog.

use super::{ProvisionError, Target};
use crate::core::model::{
    Catalog, Column, ForeignKey, Relation, RelationKind, Routine, RoutineKind, SchemaOwner, TableName,
};
use crate::os;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tokio_postgres::Row;
use tokio_postgres::types::Type;

/// Schemas that are nobody's to ask for: the system's, and dbaccess's own.
pub(super) const SYSTEM: &str = "^(pg_|information_schema$|dbaccess$|dbaccess_secret$|dbaccess_v_)";

/// `public` belongs to the predefined role pg_database_owner (since PostgreSQL
/// 15), whose one member is the database's owner.
const SCHEMAS: &str = "
    SELECT n.nspname::text,
           pg_get_userbyid(CASE WHEN pg_get_userbyid(n.nspowner) = 'pg_database_owner' THEN d.datdba
                                ELSE n.nspowner END)::text
    FROM pg_namespace n CROSS JOIN pg_database d
    WHERE d.datname = current_database() AND n.nspname !~ $1 ORDER BY 1";

const RELATIONS: &str = "
    SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, pg_get_userbyid(c.relowner)::text,
           c.relrowsecurity,
           CASE WHEN c.reltuples >= 0 AND c.relkind <> 'v' THEN c.reltuples::bigint END,
           coalesce(a.numbers, '{}'), coalesce(a.names, '{}'), coalesce(a.types, '{}'),
           coalesce(a.comments, '{}'), coalesce(a.generated, '{}')
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN (
        SELECT attrelid, array_agg(attnum ORDER BY attnum) AS numbers,
               array_agg(attname::text ORDER BY attnum) AS names,
               array_agg(format_type(atttypid, atttypmod) ORDER BY attnum) AS types,
               array_agg(description ORDER BY attnum) AS comments,
               array_agg(attgenerated <> '' OR attidentity = 'a' ORDER BY attnum) AS generated
        FROM pg_attribute
        LEFT JOIN pg_description
            ON classoid = 'pg_class'::regclass AND objoid = attrelid AND objsubid = attnum
        WHERE attnum > 0 AND NOT attisdropped
          AND attrelid IN (SELECT oid FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f'))
        GROUP BY attrelid) a ON a.attrelid = c.oid
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ $1
    ORDER BY 2, 3";

const PARENTS: &str = "
    SELECT inhrelid, inhparent FROM pg_inherits
    JOIN pg_class c ON c.oid = inhrelid AND c.relkind IN ('r', 'p', 'f')
    ORDER BY inhparent";

const SEQUENCES: &str = "
    SELECT d.refobjid, n.nspname::text, q.relname::text
    FROM pg_class q
    JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = q.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    JOIN pg_namespace n ON n.oid = q.relnamespace
    WHERE q.relkind = 'S'
    ORDER BY q.oid";

const KEYS: &str = "
    SELECT conrelid, contype = 'p', conkey, confrelid, coalesce(confkey, '{}')
    FROM pg_constraint
    JOIN pg_namespace n ON n.oid = connamespace
    WHERE contype IN ('p', 'f') AND n.nspname !~ $1
    ORDER BY conname";

/// What generated columns are computed from. Some versions keep that with the
/// column, some with its default expression.
const GENERATED: &str = "
    SELECT d.refobjid, a.attnum, d.refobjsubid::int2
    FROM pg_attribute a
    JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
    JOIN LATERAL (
        SELECT refobjid, refobjsubid FROM pg_depend
        WHERE classid = 'pg_attrdef'::regclass AND objid = f.oid AND refclassid = 'pg_class'::regclass
        UNION
        SELECT refobjid, refobjsubid FROM pg_depend
        WHERE classid = 'pg_class'::regclass AND objid = a.attrelid AND objsubid = a.attnum
          AND refclassid = 'pg_class'::regclass) d
        ON d.refobjid = a.attrelid AND d.refobjsubid > 0 AND d.refobjsubid <> a.attnum
    WHERE a.attgenerated <> ''";

/// The columns that views read, and the relations that they read without any
/// column. PostgreSQL keeps them for a view as a whole.
const READS: &str = "
    SELECT r.ev_class, d.refobjid,
           coalesce(array_agg(d.refobjsubid::int2) FILTER (WHERE d.refobjsubid > 0), '{}')
    FROM pg_rewrite r
    JOIN pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ $1
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
    GROUP BY 1, 2";

/// Of every view: whether it uses a whole row somewhere (which leaves no
/// dependency on columns), and which of its columns show which column unchanged.
/// The analysed query says so (`TargetEntry.resorigtbl` in PostgreSQL's
/// primnodes.h); with a query inside the query it is not told apart whose entry
/// it is, so then none is taken. Names cannot pretend to be fields: their
/// blanks and braces are escaped.
const ORIGINS: &str = "
    SELECT r.ev_class, t.tree LIKE '%:varattno 0 %', coalesce(o.columns, '{}'), coalesce(o.tables, '{}'),
           coalesce(o.origins, '{}')
    FROM pg_rewrite r
    JOIN pg_class c ON c.oid = r.ev_class AND c.relkind IN ('v', 'm')
    JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ $1
    CROSS JOIN LATERAL (SELECT r.ev_action::text AS tree OFFSET 0) t
    LEFT JOIN LATERAL (
        SELECT array_agg(split_part(entry, ' ', 1)::int2) AS columns,
               array_agg(split_part(origin, ' ', 1)::oid) AS tables,
               array_agg(split_part(origin, ' ', 3)::int2) AS origins
        FROM string_to_table(t.tree, ':resno ') AS entry
        CROSS JOIN LATERAL (SELECT split_part(entry, ' :resorigtbl ', 2) AS origin OFFSET 0) o
        WHERE origin <> '' AND origin NOT LIKE '0 %') o ON t.tree NOT LIKE '%{QUERY %{QUERY %'
    WHERE r.rulename = '_RETURN'";

/// Functions that lend views their owner's rights: called directly or by a
/// cast, as an operator, or as a part of an aggregate.
const DEFINERS: &str = "
    SELECT DISTINCT r.ev_class, pn.nspname || '.' || p.proname
    FROM pg_proc p
    JOIN pg_namespace pn ON pn.oid = p.pronamespace AND pn.nspname !~ $1
    LEFT JOIN pg_operator o ON o.oprcode = p.oid
    LEFT JOIN pg_aggregate g ON p.oid IN (g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggmtransfn,
        g.aggminvtransfn, g.aggmfinalfn, g.aggserialfn, g.aggdeserialfn)
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass
        AND (d.refclassid = 'pg_proc'::regclass AND d.refobjid IN (p.oid, g.aggfnoid)
             OR d.refclassid = 'pg_operator'::regclass AND d.refobjid = o.oid)
    JOIN pg_rewrite r ON r.oid = d.objid
    WHERE p.prosecdef ORDER BY 2";

/// Functions, operators and casts, the latter two with the facts of the function
/// behind them, an aggregate with those of its parts.
const ROUTINES: &str = "
    WITH known AS (
        SELECT p.oid, p.pronamespace, p.proname, p.prosecdef, l.lanname,
               CASE WHEN l.lanname IN ('sql', 'plpgsql')
                    THEN coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) END AS body,
               n.nspname, n.nspname ~ $1 AS system, p.prokind
        FROM pg_proc p
        JOIN pg_language l ON l.oid = p.prolang
        JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE p.oid >= 16384 OR n.nspname !~ $1),
    members AS (
        SELECT d.classid, d.objid, e.extname::text
        FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
        WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass)
    SELECT 'f', k.nspname::text, k.proname::text,
           CASE WHEN k.prokind = 'a' THEN parts.definer ELSE k.prosecdef END,
           coalesce(parts.language, k.lanname)::text, coalesce(parts.body, k.body), m.extname
    FROM known k
    LEFT JOIN LATERAL (
        SELECT bool_or(part.prosecdef) AS definer,
               (array_agg(pl.lanname ORDER BY part.oid = g.aggfinalfn DESC))[1] AS language,
               string_agg(of.body, E'\\n;\\n') AS body
        FROM pg_aggregate g
        JOIN pg_proc part ON part.oid IN (g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggmtransfn,
            g.aggminvtransfn, g.aggmfinalfn, g.aggserialfn, g.aggdeserialfn)
        JOIN pg_language pl ON pl.oid = part.prolang
        LEFT JOIN known of ON of.oid = part.oid
        WHERE g.aggfnoid = k.oid) parts ON k.prokind = 'a'
    LEFT JOIN members m ON m.classid = 'pg_proc'::regclass AND m.objid = k.oid
    WHERE NOT k.system
    UNION ALL
    SELECT 'o', n.nspname::text, o.oprname::text, p.prosecdef, l.lanname::text, k.body, m.extname
    FROM pg_operator o
    JOIN pg_namespace n ON n.oid = o.oprnamespace AND n.nspname !~ $1
    JOIN pg_proc p ON p.oid = o.oprcode
    JOIN pg_language l ON l.oid = p.prolang
    LEFT JOIN known k ON k.oid = p.oid
    LEFT JOIN members m ON m.classid = 'pg_operator'::regclass AND m.objid = o.oid
    UNION ALL
    SELECT 'c', n.nspname::text, t.typname::text, p.prosecdef, l.lanname::text, k.body, m.extname
    FROM pg_cast c
    JOIN pg_proc p ON p.oid = c.castfunc
    JOIN pg_language l ON l.oid = p.prolang
    JOIN pg_type t ON t.oid IN (c.castsource, c.casttarget)
    JOIN pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN known k ON k.oid = p.oid
    LEFT JOIN members m ON m.classid = 'pg_cast'::regclass AND m.objid = c.oid
    WHERE n.nspname !~ $1
       -- A cast between built-in types by somebody's own function is told by its target.
       OR c.oid >= 16384 AND t.oid = c.casttarget AND NOT EXISTS (
            SELECT FROM pg_type s JOIN pg_namespace sn ON sn.oid = s.typnamespace
            WHERE s.oid IN (c.castsource, c.casttarget) AND sn.nspname !~ $1)
    ORDER BY 1 DESC, 2, 3";

impl Target {
    /// The relations, schemas and routines outside the system's and dbaccess's
    /// own. The queries share one connection and one round trip.
    pub async fn catalog(&self) -> Result<Catalog, ProvisionError> {
        let ask = |sql: &'static str| async move {
            let own = sql.contains("$1");
            let parameters: &[_] = if own { &[(&SYSTEM as _, Type::TEXT)] } else { &[] };
            self.opening.call(sql, parameters).await
        };
        let (schemas, relations, parents, sequences, keys, generated, reads, origins, definers, routines) = tokio::try_join!(
            ask(SCHEMAS),
            ask(RELATIONS),
            ask(PARENTS),
            ask(SEQUENCES),
            ask(KEYS),
            ask(GENERATED),
            ask(READS),
            ask(ORIGINS),
            ask(DEFINERS),
            ask(ROUTINES),
        )?;
        let mut found = Found::of(&relations);
        found.add_ancestors(&parents);
        found.add_sequences(&sequences);
        found.add_keys(&keys);
        found.add_generated(&generated);
        found.add_reads(&reads, &origins);
        found.add_definers(&definers);
        Ok(Catalog {
            relations: found.relations,
            schemas: schemas.iter().map(|row| row.get(0)).collect(),
            owners: schemas.iter().map(|row| SchemaOwner { schema: row.get(0), owner: row.get(1) }).collect(),
            routines: routines.iter().filter_map(routine).collect(),
            taken_at: os::now(),
        })
    }
}

type Oid = u32;

/// Relations while their parts are put together.
struct Found {
    relations: Vec<Relation>,
    places: HashMap<Oid, usize>,
    /// The columns' numbers, in the order of `Relation::columns`.
    numbers: Vec<Vec<i16>>,
}

impl Found {
    fn of(rows: &[Row]) -> Self {
        let mut found = Self { relations: Vec::new(), places: HashMap::new(), numbers: Vec::new() };
        for row in rows {
            if let Some(relation) = relation(row) {
                found.places.insert(row.get(0), found.relations.len());
                found.relations.push(relation);
                found.numbers.push(row.get(7));
            }
        }
        found
    }

    fn relation(&self, oid: Oid) -> Option<&Relation> {
        self.relations.get(*self.places.get(&oid)?)
    }

    fn relation_mut(&mut self, oid: Oid) -> Option<&mut Relation> {
        self.relations.get_mut(*self.places.get(&oid)?)
    }

    fn column_mut(&mut self, oid: Oid, number: i16) -> Option<&mut Column> {
        let place = *self.places.get(&oid)?;
        let index = self.numbers.get(place)?.iter().position(|known| *known == number)?;
        self.relations.get_mut(place)?.columns.get_mut(index)
    }

    /// A column by its numbers, as others refer to it.
    fn column(&self, oid: Oid, number: i16) -> Option<(TableName, String)> {
        let place = *self.places.get(&oid)?;
        let relation = self.relations.get(place)?;
        let index = self.numbers.get(place)?.iter().position(|known| *known == number)?;
        Some((relation.name.clone(), relation.columns.get(index)?.name.clone()))
    }

    fn names(&self, oid: Oid, numbers: &[i16]) -> Vec<String> {
        numbers.iter().filter_map(|number| Some(self.column(oid, *number)?.1)).collect()
    }

    fn add_ancestors(&mut self, rows: &[Row]) {
        let mut parents: HashMap<Oid, Vec<Oid>> = HashMap::new();
        for row in rows {
            parents.entry(row.get(0)).or_default().push(row.get(1));
        }
        for child in parents.keys() {
            let mut above: BTreeSet<Oid> = BTreeSet::new();
            let mut next = vec![*child];
            while let Some(relation) = next.pop() {
                let further = parents.get(&relation).into_iter().flatten();
                next.extend(further.filter(|parent| above.insert(**parent)));
            }
            let names = above.iter().filter_map(|oid| Some(self.relation(*oid)?.name.clone())).collect();
            if let Some(relation) = self.relation_mut(*child) {
                relation.ancestors = names;
            }
        }
    }

    fn add_sequences(&mut self, rows: &[Row]) {
        for row in rows {
            if let Some(relation) = self.relation_mut(row.get(0)) {
                relation.sequences.push(TableName::new(row.get::<_, String>(1), row.get::<_, String>(2)));
            }
        }
    }

    fn add_keys(&mut self, rows: &[Row]) {
        for row in rows {
            let (oid, primary, numbers): (Oid, bool, Vec<i16>) = (row.get(0), row.get(1), row.get(2));
            let columns = self.names(oid, &numbers);
            let (other, numbers): (Oid, Vec<i16>) = (row.get(3), row.get(4));
            let foreign = self.relation(other).map(|table| ForeignKey {
                columns: columns.clone(),
                table: table.name.clone(),
                references: self.names(other, &numbers),
            });
            let Some(relation) = self.relation_mut(oid) else { continue };
            if primary {
                relation.primary_key = columns;
            } else {
                relation.foreign_keys.extend(foreign);
            }
        }
    }

    fn add_generated(&mut self, rows: &[Row]) {
        for row in rows {
            let (oid, number, source): (Oid, i16, i16) = (row.get(0), row.get(1), row.get(2));
            let source = self.column(oid, source);
            if let Some(column) = self.column_mut(oid, number) {
                column.derived_from.extend(source);
            }
        }
    }

    fn add_reads(&mut self, reads: &[Row], origins: &[Row]) {
        let whole: BTreeMap<Oid, bool> = origins.iter().map(|row| (row.get(0), row.get(1))).collect();
        for row in reads {
            let (view, source, mut numbers): (Oid, Oid, Vec<i16>) = (row.get(0), row.get(1), row.get(2));
            if whole.get(&view).copied().unwrap_or(true) {
                let place = self.places.get(&source).and_then(|place| self.numbers.get(*place));
                numbers = place.cloned().unwrap_or_default();
            }
            let mut columns: Vec<_> =
                numbers.iter().filter_map(|number| self.column(source, *number)).collect();
            if columns.is_empty() {
                // `SELECT count(*)` depends on its rows all the same.
                columns.extend(self.relation(source).map(|relation| (relation.name.clone(), String::new())));
            }
            if let Some(relation) = self.relation_mut(view) {
                relation.reads.extend(columns);
            }
        }
        for row in origins {
            let (view, columns): (Oid, Vec<i16>) = (row.get(0), row.get(2));
            let (tables, numbers): (Vec<Oid>, Vec<i16>) = (row.get(3), row.get(4));
            for ((column, table), number) in columns.into_iter().zip(tables).zip(numbers) {
                let origin = self.column(table, number);
                if let Some(column) = self.column_mut(view, column) {
                    column.derived_from = origin.into_iter().collect();
                }
            }
        }
    }

    fn add_definers(&mut self, rows: &[Row]) {
        for row in rows {
            if let Some(relation) = self.relation_mut(row.get(0)) {
                relation.definers.push(row.get(1));
            }
        }
    }
}

fn relation(row: &Row) -> Option<Relation> {
    let kind = match row.get::<_, &str>(3) {
        "r" => RelationKind::Table,
        "p" => RelationKind::PartitionedTable,
        "v" => RelationKind::View,
        "m" => RelationKind::MaterializedView,
        "f" => RelationKind::ForeignTable,
        _ => return None,
    };
    let (names, types): (Vec<String>, Vec<String>) = (row.get(8), row.get(9));
    let (comments, generated): (Vec<Option<String>>, Vec<bool>) = (row.get(10), row.get(11));
    let columns = names.into_iter().zip(types).zip(comments.into_iter().zip(generated));
    Some(Relation {
        name: TableName::new(row.get::<_, String>(1), row.get::<_, String>(2)),
        kind,
        owner: row.get(4),
        row_security: row.get(5),
        rows: row.get::<_, Option<i64>>(6).and_then(|rows| u64::try_from(rows).ok()),
        columns: columns
            .map(|((name, type_name), (comment, generated))| Column {
                name,
                type_name,
                comment,
                generated,
                derived_from: Vec::new(),
            })
            .collect(),
        ..Relation::default()
    })
}

fn routine(row: &Row) -> Option<Routine> {
    let what = match row.get::<_, &str>(0) {
        "f" => RoutineKind::Function,
        "o" => RoutineKind::Operator,
        "c" => RoutineKind::Cast,
        _ => return None,
    };
    Some(Routine {
        schema: row.get(1),
        name: row.get(2),
        what,
        definer: row.get::<_, Option<bool>>(3).unwrap_or(true),
        language: row.get(4),
        body: row.get(5),
        extension: row.get(6),
    })
}
