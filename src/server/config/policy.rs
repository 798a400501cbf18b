//! `[policy]`: which texts the rules come from, and what they make together.
//! The same reading serves the start, each reload and `policy check`.

use super::Directory;
use crate::core::model::PolicySource;
use crate::core::policy::{self, DEFAULT, Policy, PolicyError};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The name under which the built-in rules are cited.
pub const DEFAULT_NAME: &str = "default.cedar";

/// Where the rules are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicyFiles {
    /// Before the others, so that within a tier they win.
    pub extra: Vec<PathBuf>,
    /// In place of the default policy.
    pub files: Option<Vec<PathBuf>>,
}

/// One thing that keeps texts from being the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    Unreadable {
        path: PathBuf,
        why: String,
    },
    Wrong(policy::Problem),
    /// An approval that nobody could ever give, and the rules that ask for it.
    NobodyApproves {
        slot: String,
        rules: Vec<String>,
    },
    Schema(String),
}

impl Unusable {
    /// What a compiler found, one by one.
    pub fn all(error: PolicyError) -> Vec<Self> {
        match error {
            PolicyError::Problems(problems) => problems.into_iter().map(Self::Wrong).collect(),
            PolicyError::Schema(why) => vec![Self::Schema(why)],
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, why } => write!(f, "cannot read {}: {why}", path.display()),
            Self::Wrong(problem) => problem.fmt(f),
            Self::NobodyApproves { slot, rules } => write!(
                f,
                "policy asks for approval by {slot} ({}): expected a table [roles.NAME] for one of them",
                rules.join(", ")
            ),
            Self::Schema(why) => f.write_str(why),
        }
    }
}

impl PolicyFiles {
    /// The texts, in the order in which their rules decide.
    ///
    /// # Errors
    /// Each file that cannot be read.
    pub fn read(&self) -> Result<Vec<PolicySource>, Vec<Unusable>> {
        let (mut sources, mut unreadable) = (Vec::new(), Vec::new());
        for path in self.extra.iter().chain(self.files.iter().flatten()) {
            match std::fs::read_to_string(path) {
                Ok(text) => sources.push(PolicySource { file: path.display().to_string(), text }),
                Err(error) => {
                    unreadable.push(Unusable::Unreadable { path: path.clone(), why: error.to_string() });
                }
            }
        }
        if self.files.is_none() {
            sources.push(default_source());
        }
        if unreadable.is_empty() { Ok(sources) } else { Err(unreadable) }
    }

    /// The policy that the files are now.
    ///
    /// # Errors
    /// Everything that is wrong, each file and line. Whoever has a policy keeps it then.
    pub fn load(&self, directory: &Directory) -> Result<Policy, Vec<Unusable>> {
        usable(&self.read()?, directory)
    }
}

/// The built-in rules.
pub fn default_source() -> PolicySource {
    PolicySource { file: DEFAULT_NAME.to_owned(), text: DEFAULT.to_owned() }
}

/// A policy of which every approval can be given by somebody.
pub fn usable(sources: &[PolicySource], directory: &Directory) -> Result<Policy, Vec<Unusable>> {
    let policy = Policy::of(sources).map_err(Unusable::all)?;
    let known = directory.roles.keys().cloned().collect();
    let mut slots: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (rule, slot) in policy.unfillable(&known) {
        slots.entry(slot.to_string()).or_default().push(rule.id);
    }
    if slots.is_empty() {
        return Ok(policy);
    }
    Err(slots.into_iter().map(|(slot, rules)| Unusable::NobodyApproves { slot, rules }).collect())
}
