//! Asking for access.

use super::targets::TargetState;
use super::{Access, AccessError, Caller};
use crate::core::approval::{self, Submission};
use crate::core::model::{GrantId, RequestId, Scope, ScopeError, Tier, format_duration};
use crate::core::policy::{Question, sensitivities};
use crate::proto::{NewRequest, RequestView};
use std::time::Duration;

/// A reason is for people to read: one paragraph, in characters.
const LONGEST_REASON: usize = 2000;

impl Access {
    /// Takes a request in and lets policy decide: granted at once, waiting for
    /// people, or denied. What was decided, and by which rule, is in the answer.
    pub async fn request(&self, caller: &Caller, asked: NewRequest) -> Result<RequestView, AccessError> {
        if asked.reason.trim().is_empty() {
            return Err(AccessError::usage("a request needs a reason")
                .hint("say what the access is for: `--reason \"…\"`"));
        }
        if asked.reason.chars().count() > LONGEST_REASON {
            return Err(AccessError::usage(format!("the reason is longer than {LONGEST_REASON} characters"))
                .hint("say it shorter, and link to the rest"));
        }
        let state = match &asked.target {
            Some(name) => self.target(name)?,
            None => self.infer_target(&asked.scope).await?,
        };
        let scope = resolve(state, &asked).await?;
        let window = asked.window_seconds.map_or(self.config.default_window, Duration::from_secs);
        let now = crate::os::now();
        let decision = self.config.policy.decide(&Question {
            person: &caller.person,
            target: &state.target,
            scope: &scope,
            sensitivities: sensitivities(&scope, &state.target).into_keys().collect(),
            window,
            business_hours: self.business_hours().contains(now),
        });
        if decision.tier == Tier::Deny && !decision.longest.is_zero() && window > decision.longest {
            return Err(AccessError::denied(decision.why).hint(format!(
                "ask for less: `--for {}`",
                format_duration(decision.longest).replace(' ', "")
            )));
        }
        self.metrics.requested(decision.tier.as_str());
        let submission = Submission {
            id: RequestId::from_random(crate::os::random()),
            person: caller.person.to_ref(),
            target: state.target.name.clone(),
            scope,
            reason: asked.reason,
            window,
            expiry: self.config.request_expiry,
            decision,
        };
        let outcome = approval::submit(submission, now, GrantId::from_random(crate::os::random()))?;
        let saved = self
            .store
            .write(move |tx| {
                super::decide::save(tx, now, &outcome)?;
                Ok::<_, AccessError>(outcome)
            })
            .await?;
        self.outbox.wake();
        self.view(caller, saved.request).await
    }
}

async fn resolve(state: &TargetState, asked: &NewRequest) -> Result<Scope, AccessError> {
    let catalog = state.catalog().await?;
    match asked.scope.resolve(&catalog) {
        // Perhaps it is there since a minute: look again before saying no.
        Err(ScopeError::UnknownTable { .. } | ScopeError::UnknownSchema { .. }) => {
            let catalog = state.fresh_catalog().await?;
            asked.scope.resolve(&catalog).map_err(|error| {
                AccessError::from(error)
                    .hint(format!("`dbaccess targets {}` lists tables and columns", state.target.name))
            })
        }
        result => Ok(result?),
    }
}
