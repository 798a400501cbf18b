//! Names and lengths of time, as people type them.

use super::{Target, kind, no_seeds};
use dbaccess::core::model::{
    AskedScope, Catalog, Classification, Relation, TableName, format_duration, parse_duration,
};
use dbaccess::core::profile::{quote_ident, quote_literal};

pub fn names() -> Target {
    fn check(data: &[u8]) -> u64 {
        let text = String::from_utf8_lossy(data);
        let name: Result<TableName, _> = serde_json::from_value(serde_json::Value::from(&*text));
        if let Ok(name) = &name {
            // What is shown is read back as the same name.
            let shown = serde_json::to_value(name).unwrap();
            assert_eq!(serde_json::from_value::<TableName>(shown).unwrap(), *name);
            // Quoted it is one identifier for PostgreSQL's grammar too, and this one.
            if name.schema.len() < 64 && name.name.len() < 64 {
                let read = format!("TABLE {}.{}", quote_ident(&name.schema), quote_ident(&name.name));
                let facts = dbaccess::core::sql::analyse(&read).expect("a quoted name is a name");
                let reads: Vec<_> = facts.statements[0].reads.iter().collect();
                assert_eq!(
                    (reads.len(), reads[0].schema.as_deref(), &*reads[0].name),
                    (1, Some(&*name.schema), &*name.name)
                );
            }
        }
        if !text.contains('\0') {
            let literal = format!("SELECT {}", quote_literal(&text));
            let facts = dbaccess::core::sql::analyse(&literal).expect("a quoted text is a text");
            assert_eq!((facts.statements.len(), facts.statements[0].functions.len()), (1, 0));
        }
        let catalog = Catalog {
            relations: ["orders", "We\"ird. Täble"]
                .map(|name| Relation { name: TableName::new("public", name), ..Relation::default() })
                .into(),
            schemas: vec!["public".to_owned()],
            ..Catalog::default()
        };
        let texts = || vec![text.to_string()];
        let by_table = AskedScope { tables: texts(), ..AskedScope::default() }
            .resolve(&catalog, &Classification::default());
        let by_schema = AskedScope { schemas: texts(), ..AskedScope::default() }
            .resolve(&catalog, &Classification::default());
        let length = parse_duration(&text);
        if let Ok(length) = &length {
            assert!(!format_duration(*length).is_empty());
        }
        let words = |error: dbaccess::core::model::ScopeError| std::mem::discriminant(&error);
        kind((
            name.is_ok(),
            by_table.map(drop).map_err(words),
            by_schema.map(drop).map_err(words),
            length.is_ok(),
        ))
    }
    Target { name: "names", dictionary: WORDS, seeds: no_seeds, check }
}

const WORDS: &[&[u8]] = &[
    b"\"",
    b"\"\"",
    b".",
    b"public.",
    b"orders",
    b"\\",
    b"'",
    b"--",
    b";",
    b"\0",
    b" ",
    b"\xe2\x80\xae",
    b"\xc3\xa9",
    b"1h30m",
    b"90s",
    b"2d",
    b"99999999999999999999h",
];
