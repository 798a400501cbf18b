//! Reconciling a target with the state: roles that belong to no session go at
//! once, profiles that no session needs after a grace.

use super::{Access, AccessError};
use crate::core::model::{Event, Session};
use crate::server::provision::{ManagedRole, SERVER};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an unused profile stays, so that the next session like it opens
/// fast. Its grants on tables are all that it is: no person can use them.
const PROFILE_GRACE: Duration = Duration::from_secs(10 * 60);

/// Since when profiles are unused, by target and name: as many as exist.
#[derive(Default)]
pub(super) struct Idle(Mutex<HashMap<(String, String), Instant>>);

impl Idle {
    /// Notes what is unused now; returns what has been for the whole grace.
    fn note(&self, target: &str, unused: Vec<String>, now: Instant, grace: Duration) -> Vec<String> {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let still: HashSet<&String> = unused.iter().collect();
        since.retain(|(of, name), _| of != target || still.contains(name));
        let mut overdue = |name: &&String| {
            let since = since.entry((target.to_owned(), (*name).clone())).or_insert(now);
            now.duration_since(*since) >= grace
        };
        unused.iter().filter(|name| overdue(name)).cloned().collect()
    }
}

/// Which server made a role, as the role's comment says it: two servers on one
/// cluster, a trial beside the real one, must not end each other's sessions.
pub(super) struct Mark(String);

impl Mark {
    /// From the ledger's public key, which no two servers share.
    pub(super) fn new(public_key: &str) -> Self {
        Self(public_key.trim().chars().take(16).collect())
    }

    /// What a session's role says of itself.
    pub(super) fn comment(&self, session: &Session) -> String {
        let Session { id, person, grant, .. } = session;
        format!("dbaccess {id} of {} under {grant}{SERVER}{}", person.email, self.0)
    }

    /// Another server's, within its window. After that it is an orphan to everybody.
    fn is_anothers(&self, role: &ManagedRole, now: Timestamp) -> bool {
        let of = role.comment.as_deref().and_then(|comment| comment.rsplit_once(SERVER));
        of.is_some_and(|(_, server)| server != self.0) && role.until.is_some_and(|until| until > now)
    }
}

impl Access {
    /// Removes session roles that this server knows nothing of (made by a
    /// process that died between the two, or restored from a backup), and
    /// profiles that were unused for long enough.
    ///
    /// What cannot be removed hinders nothing else; the first failure is told.
    pub async fn sweep(&self, target: &str) -> Result<(), AccessError> {
        self.sweep_with(target, PROFILE_GRACE).await
    }

    /// The last sweep of a server that stops: unused profiles go now.
    pub async fn sweep_before_leaving(&self, patience: Duration) {
        let sweeps = self.target_names().map(|name| async move {
            match tokio::time::timeout(patience, self.sweep_with(name, Duration::ZERO)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::info!(target = name, %error, "unused privileges stay in a target"),
                Err(_) => tracing::info!(target = name, "unused privileges stay in a target that is slow"),
            }
        });
        futures_util::future::join_all(sweeps).await;
    }

    async fn sweep_with(&self, target: &str, grace: Duration) -> Result<(), AccessError> {
        let database = &self.target(target)?.database;
        let roles = database.managed_roles().await?;
        let profiles = database.managed_profiles().await?;
        // Asked after the catalog: a session is on record before its role is
        // made and until it is gone, so none of these roles is about to be used.
        let known =
            self.store.read(|tx| tx.sessions(None, false, u32::MAX).map_err(AccessError::from)).await?;
        let used: HashSet<&str> = known.iter().map(|session| session.profile.as_str()).collect();
        let suspended = self.suspensions().await?.iter().any(|suspension| suspension.target == target);
        let known: HashSet<&str> = known.iter().map(|session| session.role.as_str()).collect();
        let mut failure = None;
        let now = crate::os::now();
        let orphan =
            |role: &ManagedRole| !known.contains(role.name.as_str()) && !self.mark.is_anothers(role, now);
        for role in roles.into_iter().filter(orphan) {
            match database.close_session(&role.name).await {
                Ok(closed) if closed.existed => self.record_swept(target, role.name).await?,
                // A session that died in the ordinary way meanwhile.
                Ok(_) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let mut unused = profiles;
        unused.retain(|profile| profile.members == 0 && !used.contains(profile.name.as_str()));
        // A deploy waits for these, whatever they are kept for.
        let (hindering, unused): (Vec<_>, Vec<_>) =
            unused.into_iter().partition(|profile| suspended && profile.has_views);
        let unused = unused.into_iter().map(|profile| profile.name).collect();
        let overdue = self.idle.note(target, unused, Instant::now(), grace);
        for name in hindering.into_iter().map(|profile| profile.name).chain(overdue) {
            // A session that takes it up in this moment makes it anew.
            if let Err(error) = database.drop_profile(&name).await {
                failure = failure.or(Some(error));
            }
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    async fn record_swept(&self, target: &str, role: String) -> Result<(), AccessError> {
        tracing::warn!(target = %target, %role, "swept a role that belonged to no session");
        let event = Event::RoleSwept { target: target.to_owned(), role };
        self.store.write(move |tx| tx.record(crate::os::now(), &event).map_err(AccessError::from)).await?;
        self.wake();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roles_of_another_server_are_its_own_until_their_window_ends() {
        let (ours, theirs) = (Mark::new("0123456789abcdef0000\n"), Mark::new("fedcba98765432100000\n"));
        let role = |comment: Option<&str>, until: Option<i64>| ManagedRole {
            name: "dbaccess_s_00".into(),
            until: until.map(|second| Timestamp::from_second(second).unwrap()),
            connections: 0,
            can_login: true,
            comment: comment.map(str::to_owned),
            profile: None,
        };
        let made =
            |mark: &Mark| Some(format!("dbaccess ses-1 of a@example.com under grt-1{SERVER}{}", mark.0));
        let now = Timestamp::from_second(100).unwrap();
        for (comment, until, anothers) in [
            (made(&ours), Some(101), false),
            (made(&theirs), Some(101), true),
            (made(&theirs), Some(100), false),
            (made(&theirs), None, false),
            (Some("somebody's".to_owned()), Some(101), false),
            (None, Some(101), false),
        ] {
            assert_eq!(
                ours.is_anothers(&role(comment.as_deref(), until), now),
                anothers,
                "{comment:?} {until:?}"
            );
        }
    }

    #[test]
    fn a_profile_goes_after_its_grace_and_not_while_it_is_used() {
        let (idle, start, grace) = (Idle::default(), Instant::now(), Duration::from_secs(60));
        let note = |target: &str, seconds: u64, unused: &[&str]| {
            let unused = unused.iter().map(ToString::to_string).collect();
            idle.note(target, unused, start + Duration::from_secs(seconds), grace)
        };
        assert!(note("a", 0, &["p", "q"]).is_empty());
        assert!(note("b", 30, &["p"]).is_empty(), "targets are apart");
        assert!(note("a", 30, &["p"]).is_empty(), "q is used again");
        assert_eq!(note("a", 60, &["p", "q"]), ["p"]);
        assert!(note("a", 80, &["q"]).is_empty(), "its grace began again");
        assert_eq!(note("a", 120, &["q"]), ["q"]);
        assert_eq!(note("b", 120, &["p"]), ["p"]);
        assert!(note("b", 121, &[]).is_empty());
        assert!(!idle.0.lock().unwrap().contains_key(&("b".to_owned(), "p".to_owned())), "gone is forgotten");
    }
}
