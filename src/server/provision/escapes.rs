//! What escapes a target's classification, or could: copies of classified
//! columns, and ways around the views that mask them. Each with what to do.
//! Called by `dbaccess target check` and by doctor.

use super::catalog::SYSTEM;
use super::findings::{ok, problem, shortened, warning};
use super::{ProvisionError, Target};
use crate::core::classify::{Confidence, Samples, candidates, propose};
use crate::core::model::{Catalog, Classification, Mask, Rule, Selector, TableName};
use crate::proto::Finding;
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::types::Type;

const CLASSIFY: &str =
    "run `dbaccess target classify` for this target, or add lines to its [classified] table";

/// The relations asked about, by the arrays of their schemas and names.
macro_rules! of_the_relations {
    ($query:literal) => {
        concat!(
            "WITH wanted AS (
                SELECT c.oid, n.nspname::text AS schema, c.relname::text AS name
                FROM unnest($1, $2) AS asked (schema, name)
                JOIN pg_namespace n ON n.nspname = asked.schema
                JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = asked.name) ",
            $query
        )
    };
}

const PUBLIC_READS: &str = of_the_relations!(
    "SELECT w.schema, w.name, a.attname::text FROM wanted w
     JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE has_column_privilege('public', w.oid, a.attnum, 'SELECT') ORDER BY 1, 2, a.attnum"
);

const STATISTICS: &str = of_the_relations!(
    "SELECT w.schema, w.name, a.attname::text, format('%I.%I', n.nspname, s.stxname) FROM wanted w
     JOIN pg_statistic_ext s ON s.stxrelid = w.oid
     JOIN pg_namespace n ON n.oid = s.stxnamespace
     JOIN pg_depend d ON d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid
         AND d.refclassid = 'pg_class'::regclass AND d.refobjid = w.oid
     JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum = d.refobjsubid ORDER BY 4"
);

const INDEXES: &str = of_the_relations!(
    "SELECT w.schema, w.name, a.attname::text, format('%I', i.relname) FROM wanted w
     JOIN pg_index x ON x.indrelid = w.oid AND x.indexprs IS NOT NULL
     JOIN pg_class i ON i.oid = x.indexrelid
     JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = i.oid
         AND d.refclassid = 'pg_class'::regclass AND d.refobjid = w.oid
     JOIN pg_attribute a ON a.attrelid = w.oid AND a.attnum = d.refobjsubid ORDER BY 4"
);

const TRIGGERS: &str = of_the_relations!(
    "SELECT w.schema, w.name, format('trigger %I calls %s', t.tgname, p.oid::regprocedure),
            CASE WHEN l.lanname IN ('sql', 'plpgsql') THEN p.prosrc END
     FROM wanted w
     JOIN pg_trigger t ON t.tgrelid = w.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'
     JOIN pg_proc p ON p.oid = t.tgfoid
     JOIN pg_language l ON l.oid = p.prolang
     UNION ALL
     SELECT w.schema, w.name, format('rule %I', r.rulename), NULL FROM wanted w
     JOIN pg_rewrite r ON r.ev_class = w.oid AND r.rulename <> '_RETURN' ORDER BY 1, 2, 3"
);

const PUBLICATIONS: &str = of_the_relations!(
    "SELECT w.schema, w.name, format('%I', p.pubname) FROM wanted w
     JOIN pg_publication_tables p ON p.schemaname = w.schema AND p.tablename = w.name ORDER BY 3, 1, 2"
);

/// Definer functions that everybody may call, with what else leads to them.
const LENDERS: &str = "
    SELECT p.oid::regprocedure::text,
           CASE WHEN l.lanname IN ('sql', 'plpgsql') THEN coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) END,
           ARRAY(SELECT 'operator ' || o.oid::regoperator::text FROM pg_operator o WHERE o.oprcode = p.oid)
           || ARRAY(SELECT format('cast %s AS %s', c.castsource::regtype, c.casttarget::regtype)
                    FROM pg_cast c WHERE c.castfunc = p.oid)
    FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace AND n.nspname !~ $1
    JOIN pg_language l ON l.oid = p.prolang
    WHERE p.prosecdef AND has_function_privilege('public', p.oid, 'EXECUTE')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                      AND d.objid = p.oid AND d.deptype = 'e') ORDER BY 1";

/// Statistics hold values: most common ones, and the bounds of histograms.
const READABLE_STATISTICS: &str = "
    SELECT format('REVOKE ALL ON pg_catalog.%I FROM PUBLIC;', c.relname) FROM pg_class c
    WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relname IN ('pg_statistic', 'pg_statistic_ext_data')
      AND has_any_column_privilege('public', c.oid, 'SELECT')";

impl Target {
    /// Findings on a target's classification.
    pub async fn escapes(
        &self,
        rules: &[Rule],
        catalog: &Catalog,
        classification: &Classification,
    ) -> Result<Vec<Finding>, ProvisionError> {
        let all = Looked { catalog, classification };
        let mut findings = vec![all.unknown(rules), all.views(), all.inheritance(), all.same_names()];
        findings.extend([all.references(), all.new_columns(), all.owners()]);
        let asked: Vec<&TableName> = classification
            .tables()
            .map(|(table, _)| table)
            .chain(classification.closed_tables().map(|(table, _)| table))
            .collect();
        let schemas: Vec<&str> = asked.iter().map(|table| table.schema.as_str()).collect();
        let names: Vec<&str> = asked.iter().map(|table| table.name.as_str()).collect();
        let asking = [(&schemas as _, Type::TEXT_ARRAY), (&names as _, Type::TEXT_ARRAY)];
        let ask = |sql| self.closing.call(sql, &asking);
        let lent = [(&SYSTEM as _, Type::TEXT)];
        let (public, statistics, indexes, triggers, publications, lenders, readable) = tokio::try_join!(
            ask(PUBLIC_READS),
            ask(STATISTICS),
            ask(INDEXES),
            ask(TRIGGERS),
            ask(PUBLICATIONS),
            self.closing.call(LENDERS, &lent),
            self.closing.call(READABLE_STATISTICS, &[]),
        )?;
        let name =
            |row: &tokio_postgres::Row| TableName::new(row.get::<_, String>(0), row.get::<_, String>(1));
        let touching = |rows: &[tokio_postgres::Row], shown: fn(&TableName, &str, &str) -> String| {
            let found = rows.iter().filter_map(|row| {
                let (table, column): (TableName, String) = (name(row), row.get(2));
                let third = if row.len() > 3 { row.get(3) } else { String::new() };
                all.holds(&table, &column).then(|| shown(&table, &column, &third))
            });
            found.collect::<BTreeSet<String>>().into_iter().collect::<Vec<String>>()
        };
        findings.push(public_reads(touching(&public, |table, column, _| format!("{table}.{column}"))));
        let statistics = touching(&statistics, |table, column, name| format!("{name} ({table}.{column})"));
        let readable: Vec<String> = readable.iter().map(|row| row.get(0)).collect();
        findings.push(statistics_finding(&statistics, &readable));
        let indexes = touching(&indexes, |table, _, name| format!("{name} on {table}"));
        findings.push(indexes_finding(&indexes));
        let copying = triggers.iter().filter(|row| may_copy(row.get(3)));
        findings.push(triggers_finding(
            copying.map(|row| format!("{}: {}", name(row), row.get::<_, String>(2))).collect(),
        ));
        findings.push(publications_finding(
            publications.iter().map(|row| format!("{} ({})", row.get::<_, String>(2), name(row))).collect(),
        ));
        findings.push(all.lenders(lenders.iter().map(|row| (row.get(0), row.get(1), row.get(2)))));
        findings.extend(self.deploy_findings().await?);
        Ok(findings)
    }
}

struct Looked<'c> {
    catalog: &'c Catalog,
    classification: &'c Classification,
}

impl Looked<'_> {
    /// Whether a column's values are classified, or may be copies of such.
    fn holds(&self, table: &TableName, column: &str) -> bool {
        self.classification.column(table, column).is_some() || self.classification.closed(table).is_some()
    }

    fn exists(&self, table: &TableName, column: &str) -> bool {
        let relation = self.catalog.relation(table);
        relation.is_some_and(|relation| relation.columns.iter().any(|known| known.name == column))
    }

    /// A classification that matches nothing protects nothing.
    fn unknown(&self, rules: &[Rule]) -> Finding {
        let named = rules.iter().filter_map(|rule| match &rule.selector {
            Selector::Column { table, column } => Some((table, column)),
            _ => None,
        });
        let gone: Vec<String> = named
            .filter(|(table, column)| !self.exists(table, column))
            .map(|(table, column)| format!("{table}.{column}"))
            .collect();
        if gone.is_empty() {
            return ok("classified", "every classified column exists".to_owned());
        }
        problem(
            "classified",
            format!("not in the database: {}", gone.join(", ")),
            Some(
                "correct the names in the server's configuration: what they were to protect is not classified"
                    .to_owned(),
            ),
        )
    }

    fn views(&self) -> Finding {
        let closed: Vec<String> =
            self.classification.closed_tables().map(|(_, why)| why.to_owned()).collect();
        if closed.is_empty() {
            return ok("views", "no view copies a classified column unclassified".to_owned());
        }
        let message = format!("in no scope ({}): {}", closed.len(), shortened(&closed, "; "));
        let remedy = "add a line for a column of the view to [classified] where people need it";
        warning("views", message, Some(remedy.to_owned()))
    }

    /// Reading a parent reads its children, with the parent's mask.
    fn inheritance(&self) -> Finding {
        let mut lax = Vec::new();
        for relation in &self.catalog.relations {
            let Some(own) = self.classification.table(&relation.name) else { continue };
            for ancestor in &relation.ancestors {
                let differs = own.iter().filter(|(column, classified)| {
                    let above = self.classification.column(ancestor, column);
                    above.is_some_and(|above| above.mask != classified.mask && classified.mask == Mask::Null)
                });
                let name = &relation.name;
                lax.extend(
                    differs.map(|(column, _)| format!("{name}.{column} is shown more of in {ancestor}")),
                );
            }
        }
        let fine = "partitions and inheritance children are shown alike";
        let remedy = "classify both alike: reading the one above reads this one too";
        counted(
            "inheritance",
            &lax,
            fine,
            "children are masked more strictly than what is above them",
            remedy,
        )
    }

    fn same_names(&self) -> Finding {
        let classified: BTreeMap<&str, &TableName> = self
            .classification
            .tables()
            .flat_map(|(table, columns)| columns.keys().map(move |column| (column.as_str(), table)))
            .collect();
        let mut found = Vec::new();
        for (relation, columns) in candidates(self.catalog, self.classification) {
            for column in columns {
                if let Some(like) = classified.get(column.name.as_str()) {
                    found.push(format!("{}.{} (as in {like})", relation.name, column.name));
                }
            }
        }
        let fine = "no column is called like a classified one and unclassified";
        let lax = "columns are called like a classified one elsewhere";
        counted("same_name", &found, fine, lax, CLASSIFY)
    }

    /// A key that refers to a token must be one too, or it shows what the token hides.
    fn references(&self) -> Finding {
        let mut found = Vec::new();
        for relation in &self.catalog.relations {
            for key in &relation.foreign_keys {
                for (own, other) in key.columns.iter().zip(&key.references) {
                    let hidden = self.classification.column(&key.table, other);
                    let shown = self.classification.column(&relation.name, own).map(|found| &found.mask);
                    if let Some(hidden) = hidden.filter(|hidden| shown != Some(&hidden.mask)) {
                        found.push(format!(
                            "{}.{own} refers to {}.{other}, which is {}",
                            relation.name, key.table, hidden.mask
                        ));
                    }
                }
            }
        }
        let fine = "foreign keys are shown as what they refer to";
        let remedy = "classify both columns alike (a token of one domain keeps joins working)";
        counted("foreign_keys", &found, fine, "foreign keys show what is masked where they lead", remedy)
    }

    /// By name alone: nothing of the data is looked at.
    fn new_columns(&self) -> Finding {
        let none = Samples::new();
        let found: Vec<String> = candidates(self.catalog, self.classification)
            .flat_map(|(relation, columns)| propose(relation, &columns, &none))
            .filter(|proposal| proposal.confidence > Confidence::Unsure)
            .map(|proposal| format!("{}.{} ({})", proposal.table, proposal.column, proposal.why))
            .collect();
        let fine = "no unclassified column has the name of something sensitive";
        counted("unclassified", &found, fine, "unclassified columns look sensitive", CLASSIFY)
    }

    /// Whoever owns a table reads it raw, and migrations run as a schema's owner.
    fn owners(&self) -> Finding {
        let holding = |schema: &str, owner: &str| {
            self.classification.tables().any(|(table, _)| {
                let owned = self.catalog.relation(table).is_some_and(|relation| relation.owner == owner);
                owned && (schema.is_empty() || table.schema == schema)
            })
        };
        let shared: Vec<String> = self
            .catalog
            .owners
            .iter()
            .filter(|known| holding("", &known.owner) && !holding(&known.schema, &known.owner))
            .map(|known| format!("{} (owned by {})", known.schema, known.owner))
            .collect();
        let fine = "no schema without classified columns is owned by who owns some";
        let lax = "migrations of these schemas run as a role that owns classified tables elsewhere";
        let remedy = "give the schemas an owner of their own: ALTER SCHEMA … OWNER TO …";
        counted("shared_owners", &shared, fine, lax, remedy)
    }

    /// A definer function that everybody may call and whose text speaks of a
    /// classified relation, be it called by name, as an operator or a cast.
    fn lenders(&self, found: impl Iterator<Item = (String, Option<String>, Vec<String>)>) -> Finding {
        let sensitive: BTreeSet<&str> = self
            .classification
            .tables()
            .map(|(table, _)| table.name.as_str())
            .chain(self.classification.closed_tables().map(|(table, _)| table.name.as_str()))
            .collect();
        let speaks = |body: &Option<String>| {
            body.as_ref().is_some_and(|body| {
                let body = body.to_lowercase();
                sensitive.iter().any(|name| mentions(&body, &name.to_lowercase()))
            })
        };
        let (mut names, mut remedies) = (Vec::new(), Vec::new());
        for (function, _, others) in found.filter(|(_, body, _)| speaks(body)) {
            remedies.push(format!("REVOKE EXECUTE ON ROUTINE {function} FROM PUBLIC;"));
            let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
            names.push(format!("{function}{others}"));
        }
        if names.is_empty() {
            return ok("definers", "no function that everybody may call reads what is classified".to_owned());
        }
        let message = format!(
            "functions with their owner's rights read classified tables for everybody: {}",
            shortened(&names, ", ")
        );
        problem("definers", message, Some(remedies.join("\n")))
    }
}

fn public_reads(columns: Vec<String>) -> Finding {
    if columns.is_empty() {
        return ok("public_select", "no classified column is readable by everybody".to_owned());
    }
    problem(
        "public_select",
        format!("everybody may read {}: every session does, past its mask", shortened(&columns, ", ")),
        Some("REVOKE SELECT ON … FROM PUBLIC; and grant it to the roles that need it".to_owned()),
    )
}

fn statistics_finding(of_columns: &[String], readable: &[String]) -> Finding {
    if !readable.is_empty() {
        let message = "everybody may read the planner's statistics, which hold values".to_owned();
        return problem("statistics", message, Some(readable.join("\n")));
    }
    ok(
        "statistics",
        match of_columns {
            [] => "none but the planner's own hold classified values, and nobody reads those".to_owned(),
            some => format!(
                "these hold classified values, and only the owner reads them: {}",
                shortened(some, ", ")
            ),
        },
    )
}

fn indexes_finding(indexes: &[String]) -> Finding {
    ok(
        "indexes",
        match indexes {
            [] => "no index computes with a classified column".to_owned(),
            some => format!(
                "these compute with classified columns, and nobody but the planner reads them: {}",
                shortened(some, ", ")
            ),
        },
    )
}

fn triggers_finding(copying: Vec<String>) -> Finding {
    let fine = "no trigger or rule of a classified table writes elsewhere";
    let remedy = "see what they write, and classify the columns that get copies";
    counted("triggers", &copying, fine, "triggers may copy classified columns to other tables", remedy)
}

fn publications_finding(published: Vec<String>) -> Finding {
    let fine = "no publication sends classified tables elsewhere";
    let remedy = "classify the same columns where the subscribers are targets, or publish without them";
    counted("publications", &published, fine, "publications send classified tables elsewhere", remedy)
}

/// A warning with its items, or that there are none.
fn counted(check: &str, items: &[String], fine: &str, lax: &str, remedy: &str) -> Finding {
    if items.is_empty() {
        return ok(check, fine.to_owned());
    }
    warning(check, format!("{lax}: {}", shortened(items, ", ")), Some(remedy.to_owned()))
}

/// Whether a trigger's function could write what it sees somewhere else. One
/// whose text is not known could do anything.
fn may_copy(body: Option<String>) -> bool {
    let Some(body) = body.map(|body| body.to_lowercase()) else { return true };
    ["insert", "update", "merge", "copy", "execute", "perform", "notify", "select", "raise"]
        .iter()
        .any(|word| mentions(&body, word))
}

/// Whether a text has a word, as SQL understands words.
fn mentions(text: &str, word: &str) -> bool {
    let of_word = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(of_word) && !after.is_some_and(of_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_whole_word() {
        for (text, expected) in [
            ("select email from public.users where", true),
            ("select * from \"users\"", true),
            ("users_old", false),
            ("app_users", false),
            ("", false),
        ] {
            assert_eq!(mentions(text, "users"), expected, "{text}");
        }
        assert!(may_copy(None));
        assert!(may_copy(Some("BEGIN INSERT INTO audit VALUES (NEW.*); RETURN NEW; END".to_owned())));
        assert!(!may_copy(Some("BEGIN NEW.updated_at := now(); RETURN NEW; END".to_owned())));
    }
}
