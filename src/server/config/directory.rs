//! What a person's groups make them here.

use crate::core::model::{Identity, Person, Role};
use std::collections::{BTreeMap, BTreeSet};

/// Teams and roles by the groups of the identity provider that confer them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directory {
    pub teams: BTreeMap<String, BTreeSet<String>>,
    pub roles: BTreeMap<Role, BTreeSet<String>>,
}

impl Directory {
    /// Asked at every sign-in and renewal, so that a change of groups is seen then.
    pub fn person(&self, identity: &Identity) -> Person {
        Person {
            subject: identity.subject.clone(),
            email: identity.email.clone(),
            name: identity.name.clone(),
            teams: conferred(&self.teams, &identity.groups),
            roles: conferred(&self.roles, &identity.groups),
        }
    }
}

fn conferred<T: Clone + Ord>(
    names: &BTreeMap<T, BTreeSet<String>>,
    groups: &BTreeSet<String>,
) -> BTreeSet<T> {
    names.iter().filter(|(_, by)| !by.is_disjoint(groups)).map(|(name, _)| name.clone()).collect()
}
