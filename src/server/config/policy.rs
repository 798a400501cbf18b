//! `[policy]`: which texts the rules come from, and what they make together.
//! The same reading serves the start, each reload and `policy check`.

use super::Directory;
use crate::core::model::PolicySource;
use crate::core::policy::{self, DEFAULT, Policy, PolicyError};
use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

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
        for path in self.paths() {
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

    /// The policy that the files are now. A file that is written to meanwhile may be
    /// half of what it should be, and half of one can be a policy of its own: that
    /// lacks what it forbids further down.
    ///
    /// # Errors
    /// Everything that is wrong, each file and line. Whoever has a policy keeps it then.
    pub fn load(&self, directory: &Directory) -> Result<Policy, Vec<Unusable>> {
        let before: Vec<Option<Stamp>> = self.paths().map(|path| stamp(path)).collect();
        let policy = usable(&self.read()?, directory);
        let changed = self.paths().zip(before).filter(|(path, before)| stamp(path) != *before);
        let why = "it was written to meanwhile: write the new one aside and rename it into place";
        let changed: Vec<Unusable> = changed
            .map(|(path, _)| Unusable::Unreadable { path: path.clone(), why: why.to_owned() })
            .collect();
        if changed.is_empty() { policy } else { Err(changed) }
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.extra.iter().chain(self.files.iter().flatten())
    }
}

/// Inode, length, and the time of the last change: different after a write.
type Stamp = (u64, u64, i64, i64);

/// None of what is no file: nothing of a pipe stays to be changed.
fn stamp(path: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    Some((found.ino(), found.len(), found.ctime(), found.ctime_nsec()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    const PERMIT: &str = "@id(\"all\") @title(\"All\") @longest(\"1h\")\npermit (principal, action == Action::\"auto\", resource);\n";
    const FORBID: &str = "@id(\"none\") @title(\"None\")\nforbid (principal, action, resource);\n";

    /// The files `first` and a pipe behind it, of which reading waits for `meanwhile`.
    fn load(first: &str, meanwhile: impl FnOnce(&Path)) -> Result<Policy, Vec<Unusable>> {
        let dir = tempfile::tempdir().unwrap();
        let [file, pipe] = ["policy.cedar", "pipe"].map(|name| dir.path().join(name));
        fs::write(&file, first).unwrap();
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let files = PolicyFiles { extra: Vec::new(), files: Some(vec![file.clone(), pipe.clone()]) };
        let loading = std::thread::spawn(move || files.load(&Directory::default()));
        // It opens when the other end is opened: the file has been read then.
        let writer = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
        meanwhile(&file);
        drop(writer);
        loading.join().unwrap()
    }

    #[test]
    fn b8_a_file_that_is_written_to_while_it_is_read_is_no_policy() {
        let whole = format!("{PERMIT}{FORBID}");
        assert_eq!(load(&whole, |_| {}).unwrap().len(), 2);
        let unread = |loaded: Result<Policy, Vec<Unusable>>| {
            let problems = loaded.map(|policy| policy.len()).unwrap_err();
            let [problem] = problems.as_slice() else { panic!("{problems:?}") };
            assert!(problem.to_string().contains("policy.cedar: it was written to meanwhile"), "{problem}");
        };
        // Half of it is a policy that forbids nothing.
        assert_eq!(load(PERMIT, |_| {}).unwrap().len(), 1);
        unread(load(PERMIT, |file| fs::write(file, &whole).unwrap()));
        unread(load(&whole, |file| {
            let aside = file.with_extension("new");
            fs::write(&aside, &whole).unwrap();
            fs::rename(aside, file).unwrap();
        }));
        unread(load(&whole, |file| fs::remove_file(file).unwrap()));
    }
}
