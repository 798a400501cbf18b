//! Legal holds: what they cover stays, whatever its age. A hold that is on
//! record when retention decides wins; both are transactions of the one state.

use super::request::short_enough;
use super::retention::candidate;
use super::{Access, AccessError, Caller};
use crate::core::model::{Covered, ErrorKind, Event, Hold, HoldId, PersonRef, Released, Session};
use crate::core::retention::Candidate;
use crate::proto::{HoldView, HoldsQuery, PlaceHold, ReleaseHold};
use crate::server::store::{StoreError, Tx, only};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// Holds that last at a time: each is asked about each session.
const MOST_HOLDS: usize = 1000;
/// Sessions that are looked at in one transaction.
const PAGE: u32 = 500;

impl Access {
    /// Places a hold. Security and auditors do.
    pub async fn place_hold(&self, caller: &Caller, body: PlaceHold) -> Result<HoldView, AccessError> {
        if !caller.sees_all() {
            return Err(AccessError::denied("holds are placed by security and auditors"));
        }
        let reason = reasoned(&body.reason)?;
        let mut covers = body.covers;
        if let (Some(from), Some(until)) = (covers.from, covers.until)
            && from >= until
        {
            return Err(AccessError::usage(format!("the time ends at {until}, before it begins")));
        }
        if let Some(session) = &mut covers.session {
            *session = self.find_session(caller, session.as_str()).await?.id;
        }
        let subjects = self.named(&covers).await?;
        let by = caller.person.to_ref();
        let hold = self
            .store
            .write(move |tx| {
                if tx.holds(false)?.len() >= MOST_HOLDS {
                    let message = format!("{MOST_HOLDS} holds last already, which is the limit");
                    return Err(AccessError::new(ErrorKind::TooMany, message));
                }
                let (id, at) = (HoldId::from_random(crate::os::random()), crate::os::now());
                let hold = Hold { id, covers, subjects, reason, by, at, released: None };
                tx.save_hold(&hold)?;
                tx.record(at, &Event::HoldPlaced { hold: Box::new(hold.clone()) })?;
                Ok(hold)
            })
            .await?;
        self.wake();
        // It holds by now: what had gone before does not change any more.
        self.counted(hold).await
    }

    /// The subjects that the named person has, or had. Neither a person nor a
    /// target who is misspelt must be held in vain; one that was configured once
    /// still has its sessions.
    async fn named(&self, covers: &Covered) -> Result<Vec<String>, AccessError> {
        let mut subjects = BTreeSet::new();
        if let Some(name) = covers.person.clone() {
            let people = self.store.read(move |tx| {
                let mut people = tx.people_with_email(&name)?;
                people.extend(tx.person(&name)?.map(|person| (person, Timestamp::MIN)));
                Ok::<_, AccessError>(people)
            });
            subjects.extend(people.await?.into_iter().map(|(person, _)| person.subject));
        }
        let target = covers.target.as_ref().filter(|target| self.target(target).is_err());
        let mut of_target = false;
        if covers.person.is_some() || target.is_some() {
            let each = |_: &Tx<'_>, page: Vec<Session>| Ok(page);
            let look = |page: Vec<Session>| {
                for session in page {
                    let PersonRef { subject, email } = session.person;
                    if covers.person.as_ref().is_some_and(|name| email.eq_ignore_ascii_case(name)) {
                        subjects.insert(subject);
                    }
                    of_target |= target == Some(&session.target);
                }
            };
            self.each_page(each, look).await?;
        }
        if let Some(name) = covers.person.as_ref().filter(|_| subjects.is_empty()) {
            return Err(AccessError::not_found(format!("nobody called {name} has signed in here"))
                .hint("say their e-mail address as it is on their sessions"));
        }
        match target.filter(|_| !of_target) {
            Some(target) => {
                Err(AccessError::not_found(format!("there is no target {target}, and no session of one"))
                    .hint("`dbaccess targets` lists them"))
            }
            None => Ok(subjects.into_iter().collect()),
        }
    }

    /// A hold with how much it covers so far.
    async fn counted(&self, hold: Hold) -> Result<HoldView, AccessError> {
        let mut view = HoldView { hold: hold.clone(), sessions: 0, pruned: 0, recordings_pruned: 0 };
        let each = move |tx: &Tx<'_>, page: Vec<Session>| covered_of(tx, &hold, page);
        let add = |covered: Vec<Session>| {
            for session in covered {
                view.sessions += 1;
                view.pruned += u64::from(session.statements_pruned.is_some());
                view.recordings_pruned += u64::from(session.recording_pruned.is_some());
            }
        };
        self.each_page(each, add).await?;
        Ok(view)
    }

    /// Goes through all sessions, some at a time: whoever else wants the state
    /// has their turn in between.
    async fn each_page(
        &self,
        each: impl Fn(&Tx<'_>, Vec<Session>) -> Result<Vec<Session>, AccessError> + Clone + Send + 'static,
        mut take: impl FnMut(Vec<Session>),
    ) -> Result<(), AccessError> {
        let mut after = Some(String::new());
        while let Some(from) = after {
            let each = each.clone();
            let page = self.store.read(move |tx| {
                let page = tx.sessions_behind(&from, PAGE)?;
                let last = page.last().map(|session| session.id.to_string());
                Ok::<_, AccessError>((last, each(tx, page)?))
            });
            let (last, page) = page.await?;
            take(page);
            after = last;
        }
        Ok(())
    }

    /// The holds that last; with `all` those that were released, too.
    pub async fn holds(&self, caller: &Caller, query: HoldsQuery) -> Result<Vec<Hold>, AccessError> {
        if !caller.sees_all() {
            return Err(AccessError::denied("holds are for security and auditors"));
        }
        self.store.read(move |tx| tx.holds(query.all).map_err(AccessError::from)).await
    }

    /// Ends a hold: what it alone has kept goes with the next run of retention.
    pub async fn release_hold(
        &self,
        caller: &Caller,
        id: String,
        body: ReleaseHold,
    ) -> Result<Hold, AccessError> {
        if !caller.sees_all() {
            return Err(StoreError::NoSuch { kind: "hold", prefix: id.trim().to_owned() }.into());
        }
        let reason = reasoned(&body.reason)?;
        let by = caller.person.to_ref();
        let released = self
            .store
            .write(move |tx| {
                let mut hold = only("hold", id.trim(), tx.holds_named(&id)?)?;
                if let Some(released) = &hold.released {
                    let message =
                        format!("{} was released by {} at {:.0}", hold.id, released.by.email, released.at);
                    return Err(AccessError::new(ErrorKind::Conflict, message));
                }
                let at = crate::os::now();
                hold.released = Some(Released { by: by.clone(), at, reason: reason.clone() });
                tx.save_hold(&hold)?;
                tx.record(at, &Event::HoldReleased { hold: hold.id.clone(), by, reason })?;
                Ok(hold)
            })
            .await?;
        self.wake();
        Ok(released)
    }
}

fn reasoned(reason: &str) -> Result<String, AccessError> {
    short_enough("reason", Some(reason))?;
    match reason.trim() {
        "" => {
            Err(AccessError::usage("a hold is placed and released for a reason").hint("say it with --reason"))
        }
        reason => Ok(reason.to_owned()),
    }
}

/// Those of the sessions that a hold covers.
fn covered_of(tx: &Tx<'_>, hold: &Hold, page: Vec<Session>) -> Result<Vec<Session>, AccessError> {
    let mut covered = Vec::new();
    for session in page {
        let (incident, awaits_review) = match hold.covers.incident {
            Some(_) => candidate(tx, &session)?,
            None => (None, false),
        };
        if hold.has(&Candidate { session: &session, incident: incident.as_ref(), awaits_review }) {
            covered.push(session);
        }
    }
    Ok(covered)
}
