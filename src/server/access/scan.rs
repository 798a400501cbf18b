//! Standing credentials: which logins of a target people could be using beside
//! dbaccess (R1.5, R10.1).

use super::{Access, AccessError, Caller};
use crate::core::model::{Actor, Event, MOST_ROLES, RoleScan, StandingRole};
use crate::proto::Scanned;
use crate::server::config::ConfiguredTarget;
use std::collections::BTreeSet;

impl Access {
    /// Looks at a target's login roles, and puts on record what it found.
    pub async fn scan(&self, caller: &Caller, target: &str) -> Result<Scanned, AccessError> {
        let state = self.target(target)?;
        let owns = caller.has_role("lead") && !state.target.owners.is_disjoint(&caller.person.teams);
        if !owns && !caller.sees_all() && !caller.has_role("admin") {
            return Err(AccessError::denied(format!(
                "{target} is scanned by security, auditors, admins and leads of the teams that own it"
            )));
        }
        self.scan_as(target, Actor::Person(caller.person.to_ref())).await
    }

    /// The daily scan.
    pub async fn scan_daily(&self, target: &str) -> Result<(), AccessError> {
        self.scan_as(target, Actor::System).await.map(drop)
    }

    async fn scan_as(&self, target: &str, by: Actor) -> Result<Scanned, AccessError> {
        let state = self.target(target)?;
        let services = self.config.targets.get(target).map(|configured| &configured.service_roles);
        let found = state.database.login_roles().await?;
        let own = self.own_logins(target);
        let (mut standing, mut managed, mut declared) = (Vec::new(), 0, BTreeSet::new());
        for role in found.roles {
            if role.is_session || own.contains(role.found.name.as_str()) {
                managed += 1;
            } else if services.is_some_and(|services| services.contains(&role.found.name)) {
                declared.insert(role.found.name);
            } else {
                standing.push(role.found);
            }
        }
        let missing = services.into_iter().flatten().filter(|name| !declared.contains(*name)).cloned();
        let scan = RoleScan {
            standing: standing.len(),
            roles: standing.iter().take(MOST_ROLES).map(|StandingRole { name, .. }| name.clone()).collect(),
            managed,
            declared: declared.len(),
            unread: found.unread.clone(),
        };
        let at = crate::os::now();
        let scanned = Scanned {
            target: target.to_owned(),
            at,
            standing,
            managed,
            missing: missing.collect(),
            declared,
            unread: found.unread,
        };
        let event = Event::TargetScanned { target: target.to_owned(), by, scan: Box::new(scan) };
        self.store.write(move |tx| tx.record(at, &event).map_err(AccessError::from)).await?;
        self.wake();
        Ok(scanned)
    }

    /// The server's own logins in the target's cluster: those of every target on the same host.
    fn own_logins(&self, target: &str) -> BTreeSet<&str> {
        let place = |one: &ConfiguredTarget| {
            let writable = one.upstream.writable();
            (writable.host, writable.port)
        };
        let targets = &self.config.targets;
        let here = targets.get(target).map(place);
        let same = targets.values().filter(|one| Some(place(one)) == here);
        same.map(|one| one.upstream.user.as_str()).collect()
    }
}
