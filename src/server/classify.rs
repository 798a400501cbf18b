//! `dbaccess target classify` and `target check`: what should be classified,
//! and what escapes. The one place that writes into the configuration.

use super::config::{Config, ConfiguredTarget, Upstream};
use super::provision::{Sampler, Target};
use crate::core::classify::{Proposal, Samples, candidates, propose, sort};
use crate::core::model::{Classification, Classified, Mask, Partial, PartialKind, Secret, Sensitivity};
use crate::proto::Finding;
use anyhow::{Context as _, bail};
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
    /// Looks at a target: as the server's login at names and types, as the
    /// administrator `admin` also at `rows` rows of every table.
    pub async fn of(
        config: &Path,
        target: &str,
        admin: Option<(&str, Secret)>,
        rows: u32,
    ) -> anyhow::Result<Self> {
        // A link stays one: what it leads to is written.
        let path = config.canonicalize().with_context(|| format!("cannot read {}", config.display()))?;
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let config = Config::load(config)?;
        let configured = find(&config, target)?;
        let upstream = match &admin {
            Some((user, password)) => Upstream {
                user: (*user).to_owned(),
                password: Some(password.clone()),
                ..configured.upstream.clone()
            },
            None => configured.upstream.clone(),
        };
        let catalog = Target::new(upstream.clone())?.catalog().await?;
        let known = Classification::of(&configured.target.classified, &catalog);
        let sampler = admin.map(|_| Sampler::new(&upstream, rows)).transpose()?;
        let (mut proposals, mut problems) = (Vec::new(), Vec::new());
        for (relation, columns) in candidates(&catalog, &known) {
            let samples = match &sampler {
                Some(sampler) => sampler.sample(relation, &columns).await.unwrap_or_else(|error| {
                    problems.push(format!("{}: only names were looked at: {error}", relation.name));
                    Samples::new()
                }),
                None => Samples::new(),
            };
            proposals.extend(propose(relation, &columns, &samples));
        }
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
    use crate::core::model::TableName;

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
