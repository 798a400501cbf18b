//! The words that the story is written in: data, which `runner` carries out.
//! In every text `{name}` stands for what an earlier step kept under that name.

use super::incidents::Happening;

/// A part of the story.
#[derive(Debug)]
pub struct Scene {
    pub title: &'static str,
    pub steps: &'static [Step],
}

#[derive(Debug)]
pub enum Step {
    /// A person types a command; it runs to its end.
    Types(Typed),
    /// A person types a command that goes on, until the fact holds.
    Starts(Typed, Fact),
    /// What the command that goes on has come to; its words are not typed again.
    Ends(Typed),
    /// The database itself says so.
    Shows(&'static str, Fact),
    /// Somebody reads the password file of the running session: keeps `role`
    /// and `password`.
    TakesCredential(&'static str),
    /// Somebody tries that credential.
    Tries { claim: &'static str, door: Door, opens: bool },
    /// Something becomes of the incident, or of the system that knows it.
    IncidentSystem(&'static str, Happening),
    /// Security's pager has a page with this text, open or resolved.
    Pages(&'static str, &'static str, bool),
    /// The auditor gets a copy of the ledger.
    CopiesLedger(&'static str),
    /// Somebody changes one letter in that copy.
    TampersWithCopy(&'static str),
}

/// A command, and what it must do for the claim to hold.
#[derive(Clone, Copy, Debug)]
pub struct Typed {
    pub who: &'static str,
    /// As a shell reads it, with words in quotes where they need them.
    pub line: &'static str,
    pub exit: i32,
    pub claim: &'static str,
    pub says: &'static [Says],
    /// What to remember: the first word of the output that starts so.
    pub keeps: Option<Keep>,
}

/// What a command's output must hold.
#[derive(Clone, Copy, Debug)]
pub enum Says {
    /// On stdout.
    Out(&'static str),
    /// On stderr.
    Err(&'static str),
    /// Nowhere.
    Nothing(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub struct Keep {
    pub name: &'static str,
    pub prefix: &'static str,
}

/// A query as the database's superuser, and the one value that must come back.
#[derive(Clone, Copy, Debug)]
pub struct Fact {
    pub sql: &'static str,
    pub is: &'static str,
}

/// Where a credential can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// The server's native PostgreSQL endpoint.
    Gateway,
    /// The database, past the gateway.
    Database,
}

/// `who` types `line`, which succeeds.
pub const fn types(who: &'static str, line: &'static str) -> Typed {
    Typed { who, line, exit: 0, claim: "", says: &[], keeps: None }
}

impl Typed {
    /// The line's words. What is in quotes is one word, as it stands.
    pub fn words(&self) -> Vec<String> {
        let (mut words, mut word, mut quote) = (Vec::new(), None, None);
        for c in self.line.chars() {
            match (c, quote) {
                (c, Some(open)) if c == open => quote = None,
                ('\'' | '"', None) => {
                    quote = Some(c);
                    word.get_or_insert_with(String::new);
                }
                (' ', None) => words.extend(word.take()),
                (c, _) => word.get_or_insert_with(String::new).push(c),
            }
        }
        words.extend(word);
        words
    }

    pub const fn exits(self, exit: i32) -> Self {
        Self { exit, ..self }
    }

    pub const fn claims(self, claim: &'static str, says: &'static [Says]) -> Self {
        Self { claim, says, ..self }
    }

    pub const fn keeps(self, name: &'static str, prefix: &'static str) -> Self {
        Self { keeps: Some(Keep { name, prefix }), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_a_shell_reads_it() {
        let words = |line| types("alice", line).words();
        assert_eq!(words("psql -c 'SELECT 1' --"), ["psql", "-c", "SELECT 1", "--"]);
        assert_eq!(words(r#"psql -c "SELECT 'a  b'"  ''"#), ["psql", "-c", "SELECT 'a  b'", ""]);
    }
}
