//! What an access review took from somebody (R9.4): kept with its event in one
//! transaction, asked before anything is granted, ended by a later review or
//! by security.

use super::{Access, AccessError, Caller};
use crate::core::approval;
use crate::core::campaign;
use crate::core::model::{
    Bar, CampaignId, Decision, Event, Grant, GrantId, Person, PersonRef, Role, Scope, SessionId,
};
use crate::proto::LiftBar;
use crate::server::store::Tx;
use jiff::Timestamp;
use std::sync::Arc;

/// Grants that were revoked, and the sessions to cut once that is committed.
pub(super) type TakenBack = (Vec<GrantId>, Vec<(SessionId, String)>);

impl Access {
    /// Policy's decision, or the denial of what a review took.
    pub(super) async fn after_reviews(
        &self,
        person: &Person,
        target: &str,
        scope: &Scope,
        decision: Decision,
    ) -> Result<Decision, AccessError> {
        let (subject, target) = (person.subject.clone(), target.to_owned());
        let bars =
            self.store.read(move |tx| tx.bars_of(&subject, &target).map_err(AccessError::from)).await?;
        let stands = |bar| campaign::barred(&bar, scope).map(|what| (bar, what));
        Ok(match bars.into_iter().find_map(stands) {
            Some((bar, what)) => campaign::denial(&bar, &what, decision),
            None => decision,
        })
    }

    /// Bars somebody, in place of what the same campaign barred before, and
    /// revokes their live grants that go beyond it.
    pub(super) fn bar(
        &self,
        tx: &Tx<'_>,
        (bar, replaces): (&Bar, Option<Bar>),
        (by, fills): (&Person, &[Role]),
        now: Timestamp,
    ) -> Result<TakenBack, AccessError> {
        tx.save_bar(bar)?;
        let event = Event::AccessBarred { bar: Box::new(bar.clone()), replaces: replaces.map(Box::new) };
        tx.record(now, &event)?;
        let (mut grants, mut sessions) = (Vec::new(), Vec::new());
        for grant in tx.live_grants(&bar.person.subject, now)? {
            if grant.target != bar.target || campaign::barred(bar, &grant.scope).is_none() {
                continue;
            }
            let reason = format!("access review {}, line {}: {}", bar.campaign, bar.line, bar.comment);
            let revoked = approval::revoke(grant, by, fills, Some(reason), now)?;
            grants.push(revoked.0.id.clone());
            sessions.extend(self.take_back(tx, revoked, now)?);
        }
        Ok((grants, sessions))
    }

    /// What reviews took from people, as far as it concerns the caller.
    pub async fn bars(&self, caller: &Caller) -> Result<Vec<Bar>, AccessError> {
        let mut bars = self.store.read(|tx| tx.bars().map_err(AccessError::from)).await?;
        let me = &caller.person.subject;
        bars.retain(|bar| {
            caller.sees_all()
                || caller.has_role("admin")
                || bar.person.subject == *me
                || bar.by.subject == *me
        });
        Ok(bars)
    }

    /// Security gives back what a review took.
    pub async fn lift_bar(self: &Arc<Self>, caller: &Caller, body: LiftBar) -> Result<Vec<Bar>, AccessError> {
        super::request::reasoned("giving access back", &body.comment)?;
        if !caller.has_role("security") {
            return Err(AccessError::denied(
                "what a review took is given back by security, or by another review",
            )
            .hint("`dbaccess review campaign list`: a campaign in which the line is certified"));
        }
        let (access, caller) = (Arc::clone(self), caller.clone());
        let lifted =
            self.store
                .write(move |tx| {
                    let now = crate::os::now();
                    let by = access.decider(tx, &caller, now)?;
                    let named = |bar: &Bar| {
                        bar.target == body.target
                            && (bar.person.subject == body.person
                                || bar.person.email.eq_ignore_ascii_case(&body.person))
                    };
                    let bars: Vec<Bar> = tx.bars()?.into_iter().filter(named).collect();
                    if bars.is_empty() {
                        let message = format!("no review bars {} from {}", body.person, body.target);
                        return Err(AccessError::not_found(message)
                            .hint("`dbaccess review campaign bars` lists them"));
                    }
                    if bars.iter().any(|bar| bar.person.subject == by.subject) {
                        return Err(AccessError::denied("it bars you: somebody else must lift it"));
                    }
                    for bar in &bars {
                        unbar(tx, bar, &by.to_ref(), None, &body.comment, now)?;
                    }
                    Ok(bars)
                })
                .await?;
        self.wake();
        Ok(lifted)
    }
}

/// Ends a bar.
pub(super) fn unbar(
    tx: &Tx<'_>,
    bar: &Bar,
    by: &PersonRef,
    campaign: Option<&CampaignId>,
    comment: &str,
    now: Timestamp,
) -> Result<(), AccessError> {
    tx.remove_bar(bar)?;
    let event = Event::AccessUnbarred {
        person: bar.person.clone(),
        target: bar.target.clone(),
        by: by.clone(),
        of: Some(bar.campaign.clone()),
        campaign: campaign.cloned(),
        comment: comment.trim().to_owned(),
    };
    tx.record(now, &event)?;
    Ok(())
}

/// Asked in the transaction that grants: a review may have come after policy's decision.
pub(super) fn check(tx: &Tx<'_>, grant: &Grant) -> Result<(), AccessError> {
    for bar in tx.bars_of(&grant.person.subject, &grant.target)? {
        if let Some(what) = campaign::barred(&bar, &grant.scope) {
            return Err(AccessError::denied(campaign::why(&bar, &what)));
        }
    }
    Ok(())
}
