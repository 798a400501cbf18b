//! Legal holds: what they cover stays, whatever its age. A hold that is on
//! record when retention decides wins; both are transactions of the one state.

use super::request::short_enough;
use super::retention::candidate;
use super::{Access, AccessError, Caller};
use crate::core::model::{Covered, ErrorKind, Event, Hold, HoldId, Released};
use crate::proto::{HoldView, HoldsQuery, PlaceHold, ReleaseHold};
use crate::server::store::{StoreError, Tx};

/// Holds that last at a time: each is asked about each session.
const MOST_HOLDS: usize = 1000;

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
        let configured = covers.target.as_ref().is_none_or(|target| self.target(target).is_ok());
        let by = caller.person.to_ref();
        let placed = self
            .store
            .write(move |tx| {
                if tx.holds(false)?.len() >= MOST_HOLDS {
                    let message = format!("{MOST_HOLDS} holds last already, which is the limit");
                    return Err(AccessError::new(ErrorKind::TooMany, message));
                }
                known(tx, &covers)?;
                let (id, at) = (HoldId::from_random(crate::os::random()), crate::os::now());
                let hold = Hold { id, covers, reason, by, at, released: None };
                let view = counted(tx, hold)?;
                // One that was configured once still has its sessions.
                if !configured && view.sessions == 0 {
                    let target = view.hold.covers.target.unwrap_or_default();
                    return Err(AccessError::not_found(format!(
                        "there is no target {target}, and no session of one"
                    ))
                    .hint("`dbaccess targets` lists them"));
                }
                tx.save_hold(&view.hold)?;
                tx.record(at, &Event::HoldPlaced { hold: Box::new(view.hold.clone()) })?;
                Ok(view)
            })
            .await?;
        self.wake();
        Ok(placed)
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
                let mut hold = one(tx.holds_named(&id)?, &id)?;
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

/// A person who is misspelt must not be held in vain.
fn known(tx: &Tx<'_>, covers: &Covered) -> Result<(), AccessError> {
    let Some(name) = &covers.person else { return Ok(()) };
    if tx.person(name)?.is_some() || !tx.people_with_email(name)?.is_empty() {
        return Ok(());
    }
    Err(AccessError::not_found(format!("nobody called {name} has signed in here"))
        .hint("say their e-mail address as it is on their sessions"))
}

/// A hold with how much it covers so far.
fn counted(tx: &Tx<'_>, hold: Hold) -> Result<HoldView, AccessError> {
    let (mut sessions, mut pruned) = (0, 0);
    tx.each_session(|session| {
        let (incident, awaits_review) = match hold.covers.incident {
            Some(_) => candidate(tx, &session)?,
            None => (None, false),
        };
        let asked = crate::core::retention::Candidate {
            session: &session,
            incident: incident.as_ref(),
            awaits_review,
        };
        if hold.covers.has(&asked) {
            sessions += 1;
            pruned += u64::from(session.statements_pruned.is_some());
        }
        Ok::<_, AccessError>(())
    })?;
    Ok(HoldView { hold, sessions, pruned })
}

fn one(mut found: Vec<Hold>, id: &str) -> Result<Hold, StoreError> {
    let prefix = id.trim().to_owned();
    match (found.pop(), found.pop()) {
        (Some(one), None) => Ok(one),
        (None, _) => Err(StoreError::NoSuch { kind: "hold", prefix }),
        _ => Err(StoreError::Ambiguous { kind: "hold", prefix }),
    }
}
