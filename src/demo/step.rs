//! The words that the story is written in: data, which `runner` carries out.
//! In every text `{name}` stands for what an earlier step kept under that name.

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
    /// The auditor gets a copy of the ledger.
    CopiesLedger(&'static str),
    /// Somebody changes one letter in that copy.
    TampersWithCopy(&'static str),
}

/// A command, and what it must do for the claim to hold.
#[derive(Clone, Copy, Debug)]
pub struct Typed {
    pub who: &'static str,
    pub words: &'static [&'static str],
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

/// `who` types `words`, which succeeds.
pub const fn types(who: &'static str, words: &'static [&'static str]) -> Typed {
    Typed { who, words, exit: 0, claim: "", says: &[], keeps: None }
}

impl Typed {
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
