//! The people of the demo, each with a home of their own below its directory:
//! on one machine they are as apart as on five.

use anyhow::{Context as _, Result};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Somebody to be.
#[derive(Clone, Copy, Debug)]
pub struct Person {
    pub name: &'static str,
    /// What the identity provider says of them.
    pub groups: &'static [&'static str],
    pub about: &'static str,
}

/// Whose incident it is.
pub const ON_CALL: &str = "bob@example.com";

pub const PEOPLE: [Person; 4] = [
    Person { name: "alice", groups: &["eng-shop"], about: "developer in the team shop" },
    Person { name: "bob", groups: &["eng-shop"], about: "developer in the team shop, on call" },
    Person {
        name: "carol",
        groups: &["eng-shop", "eng-leads", "eng-managers"],
        about: "lead and manager of the team shop",
    },
    Person { name: "dave", groups: &["security", "auditors"], about: "security; reads the whole record" },
];

/// What all of them share.
#[derive(Clone, Debug)]
pub struct Surroundings {
    pub url: String,
    pub ca: PathBuf,
    /// Where `dbaccess` and `psql` are, before everything else on `PATH`.
    pub programs: Vec<PathBuf>,
}

/// A migration to ask for, in everybody's home.
pub const SCRIPT: &str = "V42__add_index.sql";

/// Makes everybody's home in `dir`, and the file `NAME.env` that makes a shell theirs.
pub fn settle(dir: &Path, around: &Surroundings) -> Result<()> {
    for person in PEOPLE {
        for name in ["", "config", "state", "run"] {
            let path = home(dir, person.name).join(name);
            DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        }
        fs::write(home(dir, person.name).join(SCRIPT), include_str!("V42__add_index.sql"))?;
        let path = dir.join(format!("{}.env", person.name));
        fs::write(&path, env_file(dir, person.name, around))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

pub fn home(dir: &Path, name: &str) -> PathBuf {
    dir.join(name)
}

/// What makes the command line tool a person's: its files, its server, and no
/// keyring, since all of them would share the one of whoever runs the demo.
pub fn environment(dir: &Path, name: &str, around: &Surroundings) -> Vec<(&'static str, PathBuf)> {
    let home = home(dir, name);
    vec![
        ("XDG_CONFIG_HOME", home.join("config")),
        ("XDG_STATE_HOME", home.join("state")),
        ("XDG_RUNTIME_DIR", home.join("run")),
        ("DBACCESS_SERVER", PathBuf::from(&around.url)),
        ("DBACCESS_CA", around.ca.clone()),
        ("DBACCESS_KEYRING", PathBuf::from("off")),
    ]
}

fn env_file(dir: &Path, name: &str, around: &Surroundings) -> String {
    let quoted = |path: &Path| format!("'{}'", path.display().to_string().replace('\'', "'\\''"));
    let mut text = format!("# Makes this shell {name}'s. Close it, or open another, to be yourself again.\n");
    for (variable, value) in environment(dir, name, around) {
        text.push_str(&format!("export {variable}={}\n", quoted(&value)));
    }
    text.push_str("unset DBACCESS_TOKEN\n");
    for program in around.programs.iter().rev() {
        text.push_str(&format!("export PATH={}:\"$PATH\"\n", quoted(program)));
    }
    text.push_str(&format!("PS1='{name}$ '\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_shell_that_sources_the_file_is_the_persons() {
        let dir = tempfile::TempDir::with_prefix("it's ").unwrap();
        let around = Surroundings {
            url: "https://localhost:1".to_owned(),
            ca: dir.path().join("ca.pem"),
            programs: vec!["/first".into(), "/second".into()],
        };
        settle(dir.path(), &around).unwrap();
        let home = home(dir.path(), "alice");
        assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o700);
        let script = r#". "$1" && echo "$XDG_STATE_HOME|$DBACCESS_SERVER|$PS1|${PATH%%:/usr*}""#;
        let output = std::process::Command::new("/bin/sh")
            .args(["-c", script, "sh"])
            .arg(dir.path().join("alice.env"))
            .env("PATH", "/usr/bin:/bin")
            .output()
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said, format!("{}/state|https://localhost:1|alice$ |/first:/second\n", home.display()));
    }
}
