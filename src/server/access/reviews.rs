//! Reviews of break-glass access (R8.5): opened when a grant has ended, told of
//! until somebody answerable writes what they found, and for as long as one is
//! overdue its person gets no other.

use super::request::short_enough;
use super::visible::{Loaded, Loading};
use super::{Access, AccessError, Caller};
use crate::core::model::{
    Event, Grant, Notice, NoticeKind, Person, PersonRef, Review, ReviewId, ReviewTold, Role, Urgency,
    format_duration,
};
use crate::core::review::{self, ReviewError};
use crate::proto::{ReviewView, ReviewsQuery, WriteReview};
use crate::server::store::{StoreError, Tx};
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;

const MOST_REVIEWS: u32 = 500;
const MOST_ACTIONS: usize = 20;

impl From<ReviewError> for AccessError {
    fn from(error: ReviewError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl Access {
    /// Opens the review that a grant owes, if it has ended and there is none.
    /// Whoever ends a grant calls it in the transaction that does;
    /// [`Access::tend_reviews`] finds those that end by themselves. Call
    /// [`Access::wake`] once it is committed.
    pub(super) fn open_review(&self, tx: &Tx<'_>, grant: &Grant, now: Timestamp) -> Result<bool, StoreError> {
        let Some(ended_at) = review::owed_since(grant, now) else { return Ok(false) };
        if tx.review_of(&grant.id)?.is_some() {
            return Ok(false);
        }
        let id = ReviewId::from_random(crate::os::random());
        let review = review::open(id, grant, ended_at, self.config.break_glass.review_within);
        tx.save_review(&review)?;
        let event = Event::ReviewOpened { review: Box::new(review.clone()) };
        let mut notice = notice(&review, NoticeKind::ReviewDue, Urgency::Normal, now);
        notice.to = self.reviewers_of(tx, &review)?;
        self.notices.tell(tx, now, &event, &notice)?;
        Ok(true)
    }

    /// The reminder, or the alert, whose time has come.
    fn tell_of_review(&self, tx: &Tx<'_>, mut review: Review, now: Timestamp) -> Result<bool, StoreError> {
        let Some(stage) = review::to_tell(&review, now) else { return Ok(false) };
        review.told = stage;
        let (id, due_at) = (review.id.clone(), review.due_at);
        let (event, kind, urgency) = match stage {
            // An open review was told of when it opened.
            ReviewTold::Opened => return Ok(false),
            ReviewTold::Reminded => {
                (Event::ReviewReminded { review: id, due_at }, NoticeKind::ReviewDue, Urgency::Normal)
            }
            ReviewTold::Overdue => {
                let (grant, person) = (review.grant.clone(), review.person.clone());
                let event = Event::ReviewOverdue { review: id, grant, person, due_at };
                (event, NoticeKind::ReviewOverdue, Urgency::High)
            }
        };
        tx.save_review(&review)?;
        let mut notice = notice(&review, kind, urgency, now);
        notice.to = self.reviewers_of(tx, &review)?;
        self.notices.tell(tx, now, &event, &notice)?;
        Ok(true)
    }

    /// Those who hold a role and could write a review. They are few: policy is
    /// asked of nobody else, which fits into a transaction.
    fn reviewers_of(&self, tx: &Tx<'_>, review: &Review) -> Result<Vec<PersonRef>, StoreError> {
        let request = tx.request(review.request.as_str())?;
        let requester = tx.person(&request.person.subject)?;
        let judging = self.judging(&request, requester.as_ref());
        let people = tx.people()?.into_iter().map(|one| self.config.directory.person(&one));
        let may = |person: &Person| {
            let fills = judging.roles(person, &reviewers());
            review::may_write(review, person, &fills).is_ok()
        };
        Ok(people.filter(|one| !one.roles.is_empty()).filter(may).map(|one| one.to_ref()).collect())
    }

    /// Why somebody may not break the glass now, if that is so: a review of
    /// their last is overdue.
    pub fn break_glass_blocked(
        &self,
        tx: &Tx<'_>,
        subject: &str,
        now: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        if !self.config.break_glass.overdue_blocks {
            return Ok(None);
        }
        let reviews = tx.waiting_reviews(Some(subject))?;
        Ok(review::blocking(&reviews, now).map(|review| {
            format!(
                "the review of your break-glass on {} that ended at {:.0} is overdue since {:.0}: \
                 somebody answerable must write it first (`dbaccess review write {}`)",
                review.target, review.ended_at, review.due_at, review.id
            )
        }))
    }

    /// The reviews that concern the caller: as reviewer, as the person, as security.
    pub async fn reviews(
        &self,
        caller: &Caller,
        query: ReviewsQuery,
    ) -> Result<Vec<ReviewView>, AccessError> {
        let loaded = self
            .store
            .read(move |tx| {
                let reviews = tx.reviews(query.all, MOST_REVIEWS)?;
                Loading::new(tx).of_reviews(reviews).map_err(AccessError::from)
            })
            .await?;
        let seen = loaded.into_iter().filter(|(loaded, _)| self.concerns(caller, loaded));
        Ok(seen.map(|(loaded, review)| self.review_view(caller, review, &loaded)).collect())
    }

    /// Adds a finding. Load, decide, save and record are one transaction: of two
    /// reviewers at once both are heard, and neither is overwritten.
    pub async fn write_review(
        self: &Arc<Self>,
        caller: &Caller,
        id: String,
        body: WriteReview,
    ) -> Result<ReviewView, AccessError> {
        short_enough("finding", Some(&body.finding))?;
        if body.actions.len() > MOST_ACTIONS {
            return Err(AccessError::usage(format!("a finding has at most {MOST_ACTIONS} actions"))
                .hint("say the rest in the finding"));
        }
        body.actions.iter().try_for_each(|action| short_enough("action", Some(action)))?;
        let (loaded, found) = self.find_review(caller, &id).await?;
        let (access, caller_then) = (Arc::clone(self), caller.clone());
        let review = self
            .store
            .write(move |tx| {
                let now = crate::os::now();
                let person = access.decider(tx, &caller_then, now)?;
                let review = one(tx.reviews_named(found.id.as_str())?, &found.id)?;
                let request = tx.request(review.request.as_str())?;
                let requester = tx.person(&request.person.subject)?;
                let fills = access.judging(&request, requester.as_ref()).roles(&person, &reviewers());
                let said = (body.verdict, body.finding.as_str(), body.actions.as_slice());
                let (review, event) = review::write(review, &person, &fills, said, now)?;
                tx.save_review(&review)?;
                tx.record(now, &event)?;
                Ok::<_, AccessError>(review)
            })
            .await?;
        self.wake();
        Ok(self.review_view(caller, review, &loaded))
    }

    pub(super) fn review_view(&self, caller: &Caller, review: Review, loaded: &Loaded) -> ReviewView {
        let Loaded { request, requester, .. } = loaded;
        let fills = self.judging(request, requester.as_ref()).roles(&caller.person, &reviewers());
        let you_review_as = review::may_write(&review, &caller.person, &fills).ok();
        ReviewView { review, reason: request.reason.clone(), you_review_as }
    }

    /// Opens the reviews of grants that have ended by themselves, and tells of
    /// those that nobody writes. Each is told once, whatever stops in between:
    /// what was told is in the state, committed with the notice.
    pub async fn tend_reviews(self: &Arc<Self>) -> Result<(), AccessError> {
        let access = Arc::clone(self);
        let told = self
            .store
            .write(move |tx| {
                let now = crate::os::now();
                let mut told = 0;
                for grant in tx.unreviewed_break_glass()? {
                    told += usize::from(access.open_review(tx, &grant, now)?);
                }
                for review in tx.waiting_reviews(None)? {
                    told += usize::from(access.tell_of_review(tx, review, now)?);
                }
                Ok::<_, AccessError>(told)
            })
            .await?;
        if told > 0 {
            self.wake();
        }
        Ok(())
    }
}

fn reviewers() -> Vec<Role> {
    review::REVIEWERS.map(Role::new).to_vec()
}

/// The review of this very id, read again.
fn one(found: Vec<Review>, id: &ReviewId) -> Result<Review, AccessError> {
    let mut found = found.into_iter().filter(|review| review.id == *id);
    found.next().ok_or_else(|| AccessError::not_found(format!("no review {id}")))
}

fn notice(review: &Review, kind: NoticeKind, urgency: Urgency, now: Timestamp) -> Notice {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let left = Duration::try_from(review.due_at.duration_since(now)).unwrap_or_default();
    let when = match left {
        Duration::ZERO => "is overdue".to_owned(),
        left => format!("is due in {}", format_duration(Duration::from_secs(left.as_secs()))),
    };
    Notice {
        kind,
        urgency,
        title: format!("the review of {}'s break-glass on {} {when}", review.person.email, review.target),
        facts: vec![
            fact("who", review.person.email.clone()),
            fact("target", review.target.clone()),
            fact("ended", format!("{:.0}", review.ended_at)),
            fact("due", format!("{:.0}", review.due_at)),
            fact("review", format!("dbaccess review show {}", review.id)),
        ],
        request: None,
        to: Vec::new(),
        thread: Some(review.id.to_string()),
    }
}
