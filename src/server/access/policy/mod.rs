//! The policy in force: loaded, replaced while the server runs, and asked about
//! the past. A decision takes the policy once; whatever is loaded meanwhile is
//! for the next.

mod lessons;
mod past;

use super::{Access, AccessError, Caller};
use crate::core::model::{Actor, ErrorKind, Event, Notice, NoticeKind, PolicySource, Urgency};
use crate::core::policy::Policy;
use crate::proto::PolicyLoaded;
use crate::server::config::{Unusable, usable};
use crate::server::store::{StoreError, Tx};
use jiff::Timestamp;
use std::sync::{Arc, PoisonError};

/// Writes down that a policy decides from now on, with its texts, so that what
/// decisions cite can be found again.
fn on_record(tx: &Tx<'_>, now: Timestamp, policy: &Policy, by: Actor) -> Result<(), StoreError> {
    tx.save_policy(policy.hash(), now, policy.sources())?;
    let sources = policy.sources().to_vec();
    tx.record(now, &Event::PolicyLoaded { policy: policy.hash().to_owned(), by, sources })
}

impl Access {
    /// Records the policy that the server starts with.
    pub async fn policy_started(&self) -> Result<(), AccessError> {
        let policy = self.policy();
        let write = move |tx: &Tx<'_>| on_record(tx, crate::os::now(), &policy, Actor::System);
        self.store.write(move |tx| write(tx).map_err(AccessError::from)).await?;
        self.wake();
        Ok(())
    }

    /// Reads the policy's files again, at a person's word.
    ///
    /// # Errors
    /// What is wrong with them, all of it; the policy in force then stays.
    ///
    /// Cancel-safety: once begun it goes on by itself, so that what is on record is in force.
    pub async fn reload_policy(self: &Arc<Self>, caller: &Caller) -> Result<PolicyLoaded, AccessError> {
        if !caller.has_role("security") && !caller.has_role("admin") {
            return Err(AccessError::denied("the policy is for security and admins to load"));
        }
        let (access, by) = (Arc::clone(self), Actor::Person(caller.person.to_ref()));
        let loading = tokio::spawn(async move { access.load_policy(by).await });
        loading.await.map_err(|_| AccessError::internal("loading the policy broke off"))?
    }

    /// The same at a signal.
    pub async fn reload_policy_of_disk(&self) -> Result<PolicyLoaded, AccessError> {
        self.load_policy(Actor::System).await
    }

    async fn load_policy(&self, by: Actor) -> Result<PolicyLoaded, AccessError> {
        // One after the other: what was read last is in force last.
        let _one = self.loading.lock().await;
        let (files, directory) = (self.config.policy_files.clone(), self.config.directory.clone());
        let read = tokio::task::spawn_blocking(move || files.load(&directory)).await;
        let before = self.policy();
        let policy = match read.map_err(|_| AccessError::internal("reading the policy broke off"))? {
            Ok(policy) => Arc::new(policy),
            Err(problems) => return Err(self.refuse_policy(&before, by, &problems).await?),
        };
        // On record before it decides: no decision cites what cannot be found.
        let loaded = Arc::clone(&policy);
        let write = move |tx: &Tx<'_>| on_record(tx, crate::os::now(), &loaded, by);
        self.store.write(move |tx| write(tx).map_err(AccessError::from)).await?;
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&policy);
        self.wake();
        let (hash, was) = (policy.hash().to_owned(), before.hash().to_owned());
        tracing::info!(policy = %hash, %was, rules = policy.len(), "the policy was loaded");
        Ok(PolicyLoaded { changed: hash != was, policy: hash, was, rules: policy.len() })
    }

    /// Tells everybody who should know that the texts on disk are not what decides.
    async fn refuse_policy(
        &self,
        kept: &Policy,
        by: Actor,
        problems: &[Unusable],
    ) -> Result<AccessError, AccessError> {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        let list = problems.join("\n");
        tracing::error!(problems = %list, kept = %kept.hash(), "the policy on disk cannot be used: the old one stays in force");
        let short = kept.hash().get(..12).unwrap_or_default();
        let notice = Notice {
            kind: NoticeKind::PolicyRefused,
            urgency: Urgency::High,
            title: "the policy on disk cannot be used: the old one stays in force".to_owned(),
            facts: vec![("in force".to_owned(), short.to_owned()), ("problems".to_owned(), list.clone())],
            request: None,
            to: Vec::new(),
            thread: None,
        };
        let event = Event::PolicyRefused { policy: kept.hash().to_owned(), by, problems };
        let notices = self.notices.clone();
        self.store
            .write(move |tx| notices.tell(tx, crate::os::now(), &event, &notice).map_err(AccessError::from))
            .await?;
        self.wake();
        Ok(AccessError::usage(format!("the policy was not loaded, and {short} stays in force:\n{list}"))
            .hint("`dbaccess policy check --config FILE` finds the same before the server does"))
    }

    /// A policy that somebody sent, to be asked and not to be used.
    async fn policy_of(&self, sources: Vec<PolicySource>) -> Result<Policy, AccessError> {
        let directory = self.config.directory.clone();
        let compiled = tokio::task::spawn_blocking(move || usable(&sources, &directory)).await;
        compiled.map_err(|_| AccessError::internal("reading the policy broke off"))?.map_err(|problems| {
            let list: Vec<String> = problems.iter().map(ToString::to_string).collect();
            AccessError::new(ErrorKind::Usage, format!("the policy has problems:\n{}", list.join("\n")))
                .hint("`dbaccess policy check FILE…` finds them without a server")
        })
    }
}

impl Caller {
    /// The past of all people is for those who answer for it.
    fn may_look_back(&self) -> Result<(), AccessError> {
        if self.sees_all() || self.has_role("admin") {
            return Ok(());
        }
        Err(AccessError::denied("other people's requests are for security, admins and auditors to weigh"))
    }
}
