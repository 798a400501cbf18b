//! Who is told of a request: those who could decide, when it begins to wait,
//! again when it goes on waiting, and others when it has waited for too long;
//! whoever asked, when it is decided.

use super::authority::Approver;
use super::{Access, AccessError, bars};
use crate::core::approval::{self, Outcome};
use crate::core::model::{
    AccessRequest, Actor, Event, Grant, Notice, NoticeKind, PersonRef, RequestState, Tier, Urgency,
    format_duration,
};
use crate::core::reminder::{self, Due, Reminded};
use crate::server::store::{Tx, Waiting};
use jiff::Timestamp;
use std::sync::Arc;

/// Requests that one look at what waits takes up; the others come with the next.
const BATCH: u32 = 100;

impl Access {
    /// Writes what a transition made: state, record, and what people are told of
    /// it, in one transaction (G7). `to` is who could decide a request that
    /// begins to wait.
    pub(super) fn save(
        &self,
        tx: &Tx<'_>,
        now: Timestamp,
        outcome: &Outcome,
        to: &[PersonRef],
    ) -> Result<(), AccessError> {
        let Outcome { request, grant, events } = outcome;
        tx.save_request(request)?;
        if let Some(grant) = grant {
            bars::check(tx, grant)?;
            tx.save_grant(grant)?;
        }
        for event in events {
            match self.notice_of(event, outcome, to) {
                Some(notice) => self.notices.tell(tx, now, event, &notice)?,
                None => tx.record(now, event)?,
            }
        }
        let begins = events
            .iter()
            .any(|event| matches!(event, Event::RequestCreated { .. } | Event::RequestAmended { .. }));
        if request.state != RequestState::Waiting {
            tx.save_reminder(&request.id, Reminded::default(), None)?;
        } else if begins {
            let told = Reminded::default();
            let next = reminder::next(request, told, &self.config.approvals.reminding);
            tx.save_reminder(&request.id, told, next)?;
        }
        Ok(())
    }

    fn notice_of(&self, event: &Event, outcome: &Outcome, to: &[PersonRef]) -> Option<Notice> {
        let request = &outcome.request;
        match event {
            Event::RequestCreated { .. } | Event::RequestAmended { .. }
                if request.state == RequestState::Waiting =>
            {
                Some(self.waiting(request, NoticeKind::RequestWaiting, to.to_vec()))
            }
            // Who was let in at once, or refused by policy, has it on the screen.
            Event::GrantIssued { grant } if matches!(request.decision.tier, Tier::Single | Tier::Dual) => {
                Some(granted(request, grant))
            }
            Event::RequestDenied { by: Actor::Person(by), reason, .. } => {
                let mut notice = decided(request, format!("{} denied your request", by.email));
                notice.facts.extend(reason.clone().map(|reason| fact("because", reason)));
                Some(notice)
            }
            Event::RequestExpired { .. } => {
                Some(decided(request, "your request lapsed: nobody answered in time".to_owned()))
            }
            _ => None,
        }
    }

    /// What those who could decide are told.
    fn waiting(&self, request: &AccessRequest, kind: NoticeKind, to: Vec<PersonRef>) -> Notice {
        let (who, target) = (&request.person.email, &request.target);
        let title = match kind {
            NoticeKind::RequestReminder => format!("{who} still waits for access to {target}"),
            NoticeKind::RequestEscalated => format!("{who} has waited for long for access to {target}"),
            _ => format!("{who} asks for access to {target}"),
        };
        let needs: Vec<String> = request.open_slots().map(|(_, slot)| slot.to_string()).collect();
        let mut facts = vec![fact("scope", request.scope.to_string())];
        if let Some(script) = &request.migration {
            // Its name is the person's word; its hash is what an approval is for.
            let sha256 = script.sha256.get(..12).unwrap_or(&script.sha256);
            facts.push(fact("script", script.name.clone()));
            facts.push(fact("sha256", format!("{sha256}… (revision {})", script.revision)));
        }
        facts.extend(self.risk(request).map(|risk| fact("risk", risk.to_string())));
        facts.extend([
            fact("reason", request.reason.clone()),
            fact("for", format_duration(request.window)),
            fact("needs", needs.join(" and ")),
            fact("lapses", format!("{:.0}", request.expires_at)),
        ]);
        let thread = Some(request.id.to_string());
        Notice { kind, urgency: Urgency::Normal, title, facts, request: Some(request.id.clone()), to, thread }
    }

    /// Tells again of what still waits, and others of what has waited for too
    /// long. What was told is written down in the transaction that tells it, so
    /// that it is told once, whatever stops in between.
    pub async fn remind(self: &Arc<Self>) -> Result<(), AccessError> {
        let now = crate::os::now();
        let waiting =
            self.store.read(move |tx| tx.waiting_since(now, BATCH).map_err(AccessError::from)).await?;
        for Waiting { request, reminded } in waiting {
            let due = reminder::due(&request, reminded, &self.config.approvals.reminding, now);
            let approvers = if due.is_some() { self.approvers(&request).await? } else { Vec::new() };
            let access = Arc::clone(self);
            self.store.write(move |tx| access.remind_of(tx, &request, &approvers, now)).await?;
            self.wake();
        }
        Ok(())
    }

    fn remind_of(
        &self,
        tx: &Tx<'_>,
        seen: &AccessRequest,
        approvers: &[Approver],
        now: Timestamp,
    ) -> Result<(), AccessError> {
        let approvals = &self.config.approvals;
        // As it is now: it may have been decided, or told of, since it was looked at.
        let request = tx.request(seen.id.as_str())?;
        let Some(told) = tx.reminded(&request.id)? else { return Ok(()) };
        let due = reminder::due(&request, told, &approvals.reminding, now);
        let Due { remind, escalate, reminded } =
            due.unwrap_or(Due { remind: false, escalate: false, reminded: told });
        if remind {
            let to: Vec<PersonRef> = approvers.iter().map(|approver| approver.person.clone()).collect();
            let number = reminded.reminders;
            let event = Event::RequestReminded { request: request.id.clone(), number, to: to.clone() };
            self.notices.tell(tx, now, &event, &self.waiting(&request, NoticeKind::RequestReminder, to))?;
        }
        if escalate {
            let called = approvers.iter().filter(|one| !one.roles.is_disjoint(&approvals.escalate_to));
            let to: Vec<PersonRef> = called.map(|approver| approver.person.clone()).collect();
            let event = Event::RequestEscalated { request: request.id.clone(), to: to.clone() };
            self.notices.tell(tx, now, &event, &self.waiting(&request, NoticeKind::RequestEscalated, to))?;
        }
        let waits = request.state == RequestState::Waiting;
        let next = waits.then(|| reminder::next(&request, reminded, &approvals.reminding)).flatten();
        Ok(tx.save_reminder(&request.id, reminded, next)?)
    }
}

fn granted(request: &AccessRequest, grant: &Grant) -> Notice {
    let by: Vec<&str> = request.approvals.iter().map(|given| given.by.email.as_str()).collect();
    let (scope, window) = approval::narrowed(request);
    let is_narrowed = scope != request.scope || window != request.window;
    let how = if is_narrowed { "approved your request, narrowed" } else { "approved your request" };
    let mut notice = decided(request, format!("{} {how}", by.join(" and ")));
    if scope != request.scope {
        notice.facts.push(fact("granted", scope.to_string()));
    }
    notice.facts.push(fact("until", format!("{:.0}", grant.until)));
    for given in &request.approvals {
        notice.facts.extend(given.comment.clone().map(|comment| fact(&given.by.email, comment)));
    }
    notice
}

/// What whoever asked is told.
fn decided(request: &AccessRequest, title: String) -> Notice {
    Notice {
        kind: NoticeKind::RequestDecided,
        urgency: Urgency::Normal,
        title: format!("{}: {title}", request.target),
        facts: vec![fact("request", request.id.to_string()), fact("scope", request.scope.to_string())],
        request: None,
        to: vec![request.person.clone()],
        thread: Some(request.id.to_string()),
    }
}

fn fact(name: &str, text: String) -> (String, String) {
    (name.to_owned(), text)
}
