//! `dbaccess target classify` and `target check`: what should be classified,
//! and what escapes. The one place that writes into the configuration.

use super::config::{Config, ConfiguredTarget};
use super::provision::{Sampler, Target};
use crate::core::classify::{Proposal, Samples, candidates, propose, sort};
use crate::core::model::{
    Catalog, Classification, Classified, Column, Mask, Partial, PartialKind, Relation, Secret, Sensitivity,
    TableName,
};
use crate::proto::Finding;
use crate::wire::postgres::scram::{DEFAULT_ITERATIONS, Keys, SALT_BYTES};
use anyhow::{Context as _, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

/// Proposals, and the configuration that they were made for.
pub struct Proposed {
    pub proposals: Vec<Proposal>,
    /// What could not be looked at, for people.
    pub problems: Vec<String>,
    path: PathBuf,
    text: String,
    target: String,
}

impl Proposed {
    /// Looks at a target as the server's login: at names and types, and in an
    /// ordinary session at `rows` rows of every base table.
    ///
    /// # Errors
    /// When the target cannot be read, or, with `rows`, has no setup to open a
    /// session by.
    pub async fn of(config: &Path, target: &str, rows: u32) -> anyhow::Result<Self> {
        // A link stays one: what it leads to is written.
        let path = config.canonicalize().with_context(|| format!("cannot read {}", config.display()))?;
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let config = Config::load(config)?;
        let configured = find(&config, target)?;
        let database = Target::new(configured.upstream.clone())?;
        let catalog = database.catalog().await?;
        let known = Classification::of(&configured.target.classified, &catalog);
        let candidates: Vec<_> = candidates(&catalog, &known).collect();
        let Sampled { samples, problems } = sampled(&database, &catalog, &candidates, rows).await?;
        let none = Samples::new();
        let mut proposals: Vec<Proposal> = candidates
            .iter()
            .flat_map(|(relation, columns)| {
                propose(relation, columns, samples.get(&relation.name).unwrap_or(&none))
            })
            .collect();
        sort(&mut proposals);
        Ok(Self { proposals, problems, path, text, target: target.to_owned() })
    }

    /// Writes rules for the accepted proposals into the configuration. Everything
    /// else in the file stays as it is, comments and order included. Returns the
    /// lines that were added.
    ///
    /// # Errors
    /// When the file changed since it was read, or would not be a configuration.
    pub fn write(&self, accepted: &[Proposal]) -> anyhow::Result<Vec<String>> {
        let (text, lines) = edited(&self.text, &self.target, accepted)?;
        let directory = self.path.parent().context("the configuration is in no directory")?;
        let mut file = tempfile::NamedTempFile::new_in(directory).context("beside the configuration")?;
        file.write_all(text.as_bytes())?;
        keep_owner(&self.path, file.as_file())?;
        file.as_file().sync_all()?;
        // As the server would read it: beside its secrets and policies.
        Config::load(file.path()).context("what would be written")?;
        if std::fs::read_to_string(&self.path)? != self.text {
            bail!("{} was changed meanwhile: run the command again", self.path.display());
        }
        file.persist(&self.path).with_context(|| format!("cannot replace {}", self.path.display()))?;
        Ok(lines)
    }
}

/// Relations and their columns that something could be proposed for.
type Candidate<'c> = (&'c Relation, Vec<&'c Column>);

#[derive(Default)]
struct Sampled {
    samples: BTreeMap<TableName, Samples>,
    problems: Vec<String>,
}

/// Samples of the candidates' values. The session that reads them ends in any
/// case, also when somebody interrupts.
async fn sampled(
    database: &Target,
    catalog: &Catalog,
    candidates: &[Candidate<'_>],
    rows: u32,
) -> anyhow::Result<Sampled> {
    let tables: BTreeSet<TableName> = candidates
        .iter()
        .filter(|(relation, _)| Sampler::reads(relation))
        .map(|(relation, _)| relation.name.clone())
        .collect();
    if rows == 0 || tables.is_empty() {
        return Ok(Sampled::default());
    }
    let password = Secret::from_random(crate::os::random());
    let keys = Keys::derive(password.expose(), &crate::os::random::<SALT_BYTES>(), DEFAULT_ITERATIONS)?;
    let verifier = Secret::new(keys.verifier().to_postgres().as_str());
    let sampler = Sampler::open(database, catalog, tables, (password, &verifier), rows)
        .await
        .context("no session to look at values in (--sample 0 looks at names and types alone)")?;
    let result = tokio::select! {
        sampled = sample(&sampler, candidates) => Ok(sampled),
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    let closed = sampler.close().await;
    let mut sampled = result?;
    if let Err(error) = closed {
        sampled.problems.push(format!("the session that looked at values is not gone yet: {error}"));
    }
    Ok(sampled)
}

async fn sample(sampler: &Sampler<'_>, candidates: &[Candidate<'_>]) -> Sampled {
    let mut sampled = Sampled::default();
    for (relation, columns) in candidates.iter().filter(|(relation, _)| Sampler::reads(relation)) {
        let name = &relation.name;
        match sampler.sample(relation, columns).await {
            Ok(samples) => {
                let hidden = !samples.is_empty() && samples.values().all(Vec::is_empty);
                if relation.row_security && hidden {
                    let why = "its policies show no row";
                    sampled.problems.push(format!("{name}: only names were looked at: {why}"));
                }
                sampled.samples.insert(name.clone(), samples);
            }
            Err(error) => sampled.problems.push(format!("{name}: only names were looked at: {error}")),
        }
    }
    sampled
}

/// What escapes a target's classification, as the server's login sees it.
pub async fn check(config: &Path, target: &str) -> anyhow::Result<Vec<Finding>> {
    let config = Config::load(config)?;
    let configured = find(&config, target)?;
    let database = Target::new(configured.upstream.clone())?;
    let catalog = database.catalog().await?;
    let rules = &configured.target.classified;
    Ok(database.escapes(rules, &catalog, &Classification::of(rules, &catalog)).await?)
}

fn find<'c>(config: &'c Config, target: &str) -> anyhow::Result<&'c ConfiguredTarget> {
    config.targets.get(target).with_context(|| {
        let names: Vec<&str> = config.targets.keys().map(String::as_str).collect();
        format!("the configuration has no target {target}; it has {}", names.join(", "))
    })
}

/// The text with rules added, and the lines that are new. A column that has a
/// line keeps it.
fn edited(text: &str, target: &str, accepted: &[Proposal]) -> anyhow::Result<(String, Vec<String>)> {
    let mut document: DocumentMut = text.parse().context("the configuration")?;
    let table = document
        .get_mut("targets")
        .and_then(|targets| targets.get_mut(target))
        .and_then(Item::as_table_like_mut)
        .with_context(|| format!("the configuration has no table [targets.{target}]"))?;
    let classified = table.entry("classified").or_insert_with(|| Item::Table(Table::new()));
    let classified: &mut dyn TableLike =
        classified.as_table_like_mut().with_context(|| format!("targets.{target}.classified is no table"))?;
    let mut lines = Vec::new();
    for Proposal { table, column, classified: proposed, .. } in accepted {
        let key = format!("{table}.{}", quoted(column));
        if classified.contains_key(&key) {
            continue;
        }
        let value = value(column, proposed);
        classified.insert(&key, Item::Value(value.clone()));
        lines.push(format!("{} = {}", toml_edit::Key::new(&key), value.to_string().trim()));
    }
    Ok((document.to_string(), lines))
}

/// One part of a key, in quotes where it would not be read as itself.
fn quoted(column: &str) -> String {
    if column.contains(['.', '"', '*']) {
        format!("\"{}\"", column.replace('"', "\"\""))
    } else {
        column.to_owned()
    }
}

/// As short as it can be said.
fn value(column: &str, Classified { sensitivity, mask }: &Classified) -> Value {
    let guessed = Partial { kind: PartialKind::of_name(column), first: None, last: None };
    match (mask, sensitivity) {
        (Mask::Null, _) => return sensitivity.as_str().into(),
        (Mask::Partial(partial), Sensitivity::Pii) if *partial == guessed => return "partial".into(),
        (Mask::Token { domain }, Sensitivity::Pii) if domain == column => return "token".into(),
        _ => {}
    }
    let mut table = InlineTable::new();
    match mask {
        Mask::Null => {}
        Mask::Partial(partial) => {
            table.insert("mask", "partial".into());
            table.insert("kind", partial.kind.as_str().into());
            for (key, kept) in [("first", partial.first), ("last", partial.last)] {
                if let Some(kept) = kept {
                    table.insert(key, i64::from(kept).into());
                }
            }
        }
        Mask::Token { domain } => {
            table.insert("mask", "token".into());
            table.insert("domain", domain.as_str().into());
        }
        Mask::Aggregate { min_group } => {
            table.insert("mask", "aggregate".into());
            table.insert("min_group", i64::from(*min_group).into());
        }
        Mask::Json { keep } => {
            table.insert("mask", "json".into());
            let path =
                |path: &Vec<String>| path.iter().map(|part| quoted(part)).collect::<Vec<_>>().join(".");
            table.insert("keep", keep.iter().map(path).collect::<Array>().into());
        }
    }
    if *sensitivity != Sensitivity::Pii {
        table.insert("sensitivity", sensitivity.as_str().into());
    }
    Value::InlineTable(table)
}

/// The new file is whose the old one was, readable by the same.
fn keep_owner(old: &Path, new: &std::fs::File) -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let metadata = old.metadata()?;
    let ours = new.metadata()?;
    if (ours.uid(), ours.gid()) != (metadata.uid(), metadata.gid()) {
        std::os::unix::fs::fchown(new, Some(metadata.uid()), Some(metadata.gid()))
            .context("the configuration belongs to somebody else: run the command as them")?;
    }
    new.set_permissions(metadata.permissions())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::classify::Confidence;

    const EXAMPLE: &str = include_str!("../../docs/server.example.toml");

    fn proposal(table: TableName, column: &str, sensitivity: Sensitivity, mask: Mask) -> Proposal {
        Proposal {
            table,
            column: column.to_owned(),
            classified: Classified { sensitivity, mask },
            confidence: Confidence::Certain,
            why: String::new(),
            example: None,
        }
    }

    fn proposals() -> Vec<Proposal> {
        let partial = |kind| Mask::Partial(Partial { kind, first: None, last: None });
        let odd = TableName::new("Od.d", "We\"ird");
        vec![
            proposal(TableName::new("public", "customers"), "email", Sensitivity::Pii, Mask::Null),
            proposal(TableName::new("public", "a"), "email", Sensitivity::Pii, partial(PartialKind::Email)),
            proposal(TableName::new("public", "a"), "contact", Sensitivity::Pii, partial(PartialKind::Email)),
            proposal(
                TableName::new("public", "a"),
                "pan",
                Sensitivity::Financial,
                Mask::Token { domain: "pan".into() },
            ),
            proposal(odd.clone(), "e.mail*", Sensitivity::Secret, Mask::Null),
            proposal(
                odd.clone(),
                "x\"y",
                Sensitivity::Pii,
                Mask::Json { keep: vec![vec!["a.b".into(), "c".into()]] },
            ),
            proposal(odd, "pay", Sensitivity::Financial, Mask::Aggregate { min_group: 10 }),
        ]
    }

    #[test]
    fn rules_are_added_and_nothing_else_changes() {
        let (text, lines) = edited(EXAMPLE, "prod-orders", &proposals()).unwrap();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        "public.a.email" = "partial"
        "public.a.contact" = { mask = "partial", kind = "email" }
        "public.a.pan" = { mask = "token", domain = "pan", sensitivity = "financial" }
        '"Od.d"."We""ird"."e.mail*"' = "secret"
        '"Od.d"."We""ird"."x""y"' = { mask = "json", keep = ['"a.b".c'] }
        '"Od.d"."We""ird".pay' = { mask = "aggregate", min_group = 10, sensitivity = "financial" }
        "#);
        let mut rest = text.lines();
        assert!(EXAMPLE.lines().all(|line| rest.any(|new| new == line)), "a line is gone:\n{text}");
        assert_eq!(text.lines().count(), EXAMPLE.lines().count() + lines.len());
        let outside = super::super::config::Outside { dir: Path::new("/nowhere"), env: &|_| None };
        let config = Config::parse(&text, "t", &outside).unwrap();
        let rules = &config.targets["prod-orders"].target.classified;
        for Proposal { table, column, classified, .. } in proposals().into_iter().skip(1) {
            let selector = crate::core::model::Selector::Column { table, column };
            let found = rules.iter().find(|rule| rule.selector == selector);
            assert_eq!(found.map(|rule| &rule.classified), Some(&classified), "{selector:?}");
        }
        assert_eq!(edited(&text, "prod-orders", &proposals()).unwrap(), (text, Vec::new()), "twice is once");
    }

    #[test]
    fn a_target_without_the_table_gets_one() {
        let text = "[targets.a]\nhost = \"x\" # here\n\n[targets.b]\nclassified = {}\n\n[limits]\n";
        let accepted = proposals();
        let (a, _) = edited(text, "a", &accepted[..1]).unwrap();
        assert!(a.starts_with("[targets.a]\nhost = \"x\" # here\n"), "{a}");
        assert!(a.contains("[targets.a.classified]\n\"public.customers.email\" = \"pii\"\n"), "{a}");
        let (b, _) = edited(text, "b", &accepted[..1]).unwrap();
        assert!(b.contains("classified = { \"public.customers.email\" = \"pii\" }"), "{b}");
        assert!(edited(text, "c", &accepted).is_err());
    }
}
