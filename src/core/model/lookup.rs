//! Finding what a person typed in a catalog, and the nearest names where it
//! is not there.

use super::{Catalog, ScopeError, TableName};

/// Splits `a.b` into its parts, honouring double quotes. What is not quoted is
/// taken as it stands (a person who types `Orders` may mean just that).
pub(crate) fn split_name(text: &str) -> Option<Vec<String>> {
    let mut parts = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        let mut part = String::new();
        if rest.next_if_eq(&'"').is_some() {
            loop {
                match rest.next()? {
                    '"' if rest.next_if_eq(&'"').is_some() => part.push('"'),
                    '"' => break,
                    c => part.push(c),
                }
            }
        } else {
            while let Some(c) = rest.next_if(|c| *c != '.' && *c != '"') {
                part.push(c);
            }
        }
        if part.is_empty() || part.contains('\0') {
            return None;
        }
        parts.push(part);
        match rest.next() {
            None => return Some(parts),
            Some('.') => {}
            Some(_) => return None,
        }
    }
}

impl Catalog {
    /// The schema of that name.
    pub fn find_schema(&self, asked: &str) -> Result<String, ScopeError> {
        let Some([name]) = split_name(asked).and_then(|parts| <[String; 1]>::try_from(parts).ok()) else {
            return Err(ScopeError::Malformed(asked.to_owned()));
        };
        if self.schemas.contains(&name) {
            return Ok(name);
        }
        let nearest = nearest(&name, self.schemas.iter().map(String::as_str));
        Err(ScopeError::UnknownSchema { asked: asked.to_owned(), nearest })
    }

    /// The relation of that name. An unqualified one is sought in every schema;
    /// `public` wins where several have it.
    pub fn find_table(&self, asked: &str) -> Result<TableName, ScopeError> {
        let parts = split_name(asked).ok_or_else(|| ScopeError::Malformed(asked.to_owned()))?;
        let found: Vec<&TableName> = match parts.as_slice() {
            [name] => self.relations.iter().map(|r| &r.name).filter(|t| t.name == *name).collect(),
            [schema, name] => self
                .relations
                .iter()
                .map(|r| &r.name)
                .filter(|t| t.schema == *schema && t.name == *name)
                .collect(),
            _ => return Err(ScopeError::Malformed(asked.to_owned())),
        };
        match found.as_slice() {
            [] => {
                let qualified: Vec<String> = self.relations.iter().map(|r| r.name.to_string()).collect();
                let bare = self.relations.iter().map(|r| r.name.name.as_str());
                let names = if parts.len() == 1 {
                    nearest(asked, bare)
                } else {
                    nearest(asked, qualified.iter().map(String::as_str))
                };
                Err(ScopeError::UnknownTable { asked: asked.to_owned(), nearest: names })
            }
            [one] => Ok((*one).clone()),
            several => match several.iter().find(|t| t.schema == "public") {
                Some(public) => Ok((*public).clone()),
                None => Err(ScopeError::AmbiguousTable {
                    asked: asked.to_owned(),
                    candidates: several.iter().map(ToString::to_string).collect(),
                }),
            },
        }
    }
}

/// The at most three names that a person may have meant, best first.
pub fn nearest<'a>(asked: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let asked = asked.to_lowercase();
    let mut scored: Vec<(f64, &str)> = names
        .map(|name| (strsim::jaro_winkler(&asked, &name.to_lowercase()), name))
        .filter(|(score, _)| *score >= 0.8)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(3).map(|(_, name)| name.to_owned()).collect()
}
