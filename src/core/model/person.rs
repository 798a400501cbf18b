//! People: who the identity provider says they are, and what that makes them here.

use super::Role;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a verified ID token said (OpenID Connect Core 1.0, section 2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// `sub`: stable and unique at the issuer.
    pub subject: String,
    pub email: String,
    pub name: Option<String>,
    pub groups: BTreeSet<String>,
}

/// A person with the teams and roles that configuration gives to their groups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub subject: String,
    pub email: String,
    pub name: Option<String>,
    pub teams: BTreeSet<String>,
    pub roles: BTreeSet<Role>,
}

impl Person {
    pub fn to_ref(&self) -> PersonRef {
        PersonRef { subject: self.subject.clone(), email: self.email.clone() }
    }
}

/// A person as records name them: the subject decides, the e-mail is for reading.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PersonRef {
    pub subject: String,
    pub email: String,
}
