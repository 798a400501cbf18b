//! Originals of redacted statements (R5.2): asked for by one auditor, decided
//! by another, and opened by either, on the ledger before a share is given.
//! Who may do what, `core::unseal` decides.

use super::request::short_enough;
use super::{Access, AccessError, Caller};
use crate::core::model::{
    ErrorKind, Event, Notice, NoticeKind, PersonRef, SessionId, Unseal, UnsealId, Urgency,
};
use crate::core::unseal::{self, MOST, TextSealer, UnsealError, WAITS};
use crate::proto::{
    AskUnseal, DecideUnseal, OpenUnseal, OpenedStatement, SealedPart, UnsealView, Unsealed, UnsealsQuery,
};
use crate::server::journal::{SealedOf, SealedRow, SealedTexts};
use crate::server::store::{Tx, only_seen};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::sync::Arc;

const MOST_UNSEALS: u32 = 200;
/// Of one person's that can still be decided or opened.
const MOST_LIVE: usize = 20;
/// Statements of one answer, and bytes after which no other is begun.
const PAGE: usize = 100;
const MOST_BYTES: usize = 16 << 20;

impl From<UnsealError> for AccessError {
    fn from(error: UnsealError) -> Self {
        let refusal = Self::new(error.kind(), error.to_string());
        match error {
            UnsealError::Same => refusal.hint("`dbaccess audit unseal approve ID` is for another auditor"),
            UnsealError::NotSo { .. } | UnsealError::NotYours { .. } => {
                refusal.hint("ask anew: `dbaccess audit unseal request`")
            }
            _ => refusal,
        }
    }
}

impl Access {
    /// What seals a session's texts, where they are redacted.
    pub(super) fn text_sealer(&self, session: &SessionId) -> Result<Option<TextSealer>, AccessError> {
        if !self.config.redacts {
            return Ok(None);
        }
        let halves = self.unseal_key.as_ref().zip(self.config.auditor_key);
        let sealer = halves
            .and_then(|(server, auditor)| TextSealer::new(server, auditor, session, crate::os::random()));
        match sealer {
            Some(sealer) => Ok(Some(sealer)),
            None => Err(AccessError::internal("texts are to be redacted, and cannot be sealed")),
        }
    }

    pub async fn ask_unseal(
        self: &Arc<Self>,
        caller: &Caller,
        asked: AskUnseal,
    ) -> Result<UnsealView, AccessError> {
        unseal::may_take_part(&caller.person, &[])?;
        let reason = asked.reason.trim().to_owned();
        if reason.is_empty() {
            return Err(UnsealError::NoReason.into());
        }
        short_enough("reason", Some(&reason))?;
        let of = match (asked.session, asked.statements) {
            (Some(session), statements) if statements.is_empty() => {
                SealedOf::Session(self.find_session(caller, &session).await?.id)
            }
            (None, statements) if (1..=MOST).contains(&statements.len()) => SealedOf::Statements(statements),
            _ => {
                return Err(AccessError::usage(format!(
                    "say whose originals: a session, or the places on the ledger of 1 to {MOST} statements"
                )));
            }
        };
        self.caught_up().await?;
        let wanted = match &of {
            SealedOf::Statements(seqs) => Some(seqs.iter().copied().collect::<BTreeSet<u64>>()),
            SealedOf::Session(_) => None,
        };
        let most = u32::try_from(MOST).unwrap_or(u32::MAX);
        let rows = self.index.sealed(of, most + 1).await?;
        if rows.len() > MOST {
            return Err(AccessError::usage(format!("that is more than {MOST} statements"))
                .hint("name those that matter by their `seq` of `dbaccess audit`"));
        }
        let found: BTreeSet<u64> = rows.iter().map(|row| row.seq).collect();
        if let Some(not) = wanted.as_ref().and_then(|wanted| wanted.difference(&found).next()) {
            return Err(AccessError::not_found(format!("line {not} of the ledger is no redacted statement"))
                .hint("`dbaccess audit -o json` says which are, as `text_sealed` and `message_sealed`"));
        }
        if rows.is_empty() {
            return Err(AccessError::not_found("nothing of it is redacted: `dbaccess audit` shows all"));
        }
        let people = distinct(rows.iter().map(|row| &row.person), |person| person.subject.clone());
        unseal::may_take_part(&caller.person, &people)?;
        let sessions = distinct(rows.iter().map(|row| &row.session), SessionId::to_string);
        let now = crate::os::now();
        let unseal = Unseal {
            id: UnsealId::from_random(crate::os::random()),
            by: caller.person.to_ref(),
            asked_at: now,
            reason,
            statements: found.into_iter().collect(),
            sessions,
            people,
            expires_at: now + WAITS,
            decision: None,
        };
        let event = Event::UnsealRequested { unseal: Box::new(unseal.clone()) };
        let (notices, notice, saved) = (self.notices.clone(), notice(&unseal), unseal.clone());
        let (access, caller) = (Arc::clone(self), caller.clone());
        self.store
            .write(move |tx| {
                unseal::may_take_part(&access.decider(tx, &caller, now)?, &saved.people)?;
                if tx.live_unseals_of(&saved.by.subject, now)? >= MOST_LIVE {
                    let message = format!("you have {MOST_LIVE} unsealings that wait or can be opened");
                    return Err(AccessError::new(ErrorKind::TooMany, message)
                        .hint("withdraw those that are not needed: `dbaccess audit unseal deny ID`"));
                }
                tx.save_unseal(&saved)?;
                notices.tell(tx, now, &event, &notice).map_err(AccessError::from)
            })
            .await?;
        self.wake();
        Ok(view(unseal, now))
    }

    pub async fn unseals(
        &self,
        caller: &Caller,
        query: UnsealsQuery,
    ) -> Result<Vec<UnsealView>, AccessError> {
        if !caller.sees_all() {
            return Err(AccessError::denied("originals of redacted statements are for auditors"));
        }
        let now = crate::os::now();
        let found = self
            .store
            .read(move |tx| tx.unseals(query.all, now, MOST_UNSEALS).map_err(AccessError::from))
            .await?;
        Ok(found.into_iter().map(|unseal| view(unseal, now)).collect())
    }

    pub async fn decide_unseal(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        body: DecideUnseal,
    ) -> Result<UnsealView, AccessError> {
        let comment = body.comment.map(|comment| comment.trim().to_owned()).filter(|said| !said.is_empty());
        short_enough("comment", comment.as_deref())?;
        let (access, caller) = (Arc::clone(self), caller.clone());
        let decided = self
            .store
            .write(move |tx| {
                let now = crate::os::now();
                let person = access.decider(tx, &caller, now)?;
                let mut unseal = one(tx, &caller, &id)?;
                let asker = tx.person(&unseal.by.subject)?;
                let asker = asker.map(|identity| access.config.directory.person(&identity));
                let event = unseal::decide(&mut unseal, &person, asker.as_ref(), body.approve, comment, now)?;
                tx.save_unseal(&unseal)?;
                tx.record(now, &event)?;
                Ok::<_, AccessError>(view(unseal, now))
            })
            .await?;
        self.wake();
        Ok(decided)
    }

    /// The sealed originals with the server's shares, a page at a time. That they
    /// were given is on the ledger before they are.
    pub async fn open_unseal(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        body: OpenUnseal,
    ) -> Result<Unsealed, AccessError> {
        let (access, by) = (Arc::clone(self), caller.clone());
        let unseal = self
            .store
            .read(move |tx| {
                let now = crate::os::now();
                let person = access.decider(tx, &by, now)?;
                let unseal = one(tx, &by, &id)?;
                unseal::may_open(&unseal, &person, now)?;
                Ok::<_, AccessError>(unseal)
            })
            .await?;
        let Some(key) = &self.unseal_key else {
            return Err(AccessError::internal("the server's half of the key, unseal.key, is not there"));
        };
        let after = body.after.unwrap_or(0);
        let mut wanted: Vec<u64> = unseal.statements.iter().copied().filter(|seq| *seq > after).collect();
        let more = wanted.len() > PAGE;
        wanted.truncate(PAGE);
        let texts = self.index.sealed_texts(wanted.clone(), MOST_BYTES).await?;
        // Some are not there any more, or there was no room for them.
        let next = match texts.last() {
            Some(last) if texts.len() < wanted.len() && wanted.last() != Some(&last.row.seq) => {
                Some(last.row.seq)
            }
            _ => wanted.last().copied().filter(|_| more),
        };
        let part = |sealed: Option<String>| {
            sealed.map(|sealed| Ok(SealedPart { share: key.share(&sealed)?, sealed })).transpose()
        };
        let statements = texts
            .into_iter()
            .map(|SealedTexts { row, text, sealed, sealed_result }| {
                let SealedRow { seq, at, person, target, session } = row;
                let (original, message) = (part(sealed)?, part(sealed_result)?);
                Ok(OpenedStatement { seq, at, person, target, session, text, original, message })
            })
            .collect::<Result<Vec<_>, UnsealError>>()?;
        let event = Event::UnsealOpened {
            unseal: unseal.id.clone(),
            by: caller.person.to_ref(),
            statements: statements.len(),
        };
        self.store.write(move |tx| tx.record(crate::os::now(), &event).map_err(AccessError::from)).await?;
        self.flush().await?;
        Ok(Unsealed { unseal: view(unseal, crate::os::now()), statements, next })
    }
}

/// The first of each, in their order.
fn distinct<'a, T: Clone + 'a>(all: impl Iterator<Item = &'a T>, name: impl Fn(&T) -> String) -> Vec<T> {
    let mut seen = BTreeSet::new();
    all.filter(|one| seen.insert(name(one))).cloned().collect()
}

/// Whoever may not see it is told that there is none.
fn one(tx: &Tx<'_>, caller: &Caller, id: &str) -> Result<Unseal, AccessError> {
    Ok(only_seen("unsealing", id.trim(), tx.unseals_named(id)?, |_| caller.sees_all())?)
}

fn view(unseal: Unseal, now: Timestamp) -> UnsealView {
    UnsealView { state: unseal.state(now), unseal }
}

fn notice(unseal: &Unseal) -> Notice {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let emails = |people: &[PersonRef]| {
        people.iter().map(|person| person.email.as_str()).collect::<Vec<_>>().join(", ")
    };
    Notice {
        kind: NoticeKind::UnsealWaiting,
        urgency: Urgency::Normal,
        title: format!(
            "{} asks for the originals of {} redacted statements",
            unseal.by.email,
            unseal.statements.len()
        ),
        facts: vec![
            fact("whose", emails(&unseal.people)),
            fact("reason", unseal.reason.clone()),
            fact("another auditor decides", format!("dbaccess audit unseal approve {}", unseal.id)),
        ],
        request: None,
        to: Vec::new(),
        thread: Some(unseal.id.to_string()),
    }
}
