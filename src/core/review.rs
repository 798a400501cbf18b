//! The review that break-glass owes (R8.5): when it opens, who may write it,
//! what people are told while nobody does, and whom it keeps from the next.
//!
//! Pure: the store calls it inside the transaction that holds the row, so of
//! two reviewers at once the second adds to what the first wrote. Who fills
//! which role is policy's answer and comes in as an argument; that nobody
//! reviews their own access is enforced here (G6).
//!
//! ```text
//! the grant ends ─► opened ─► reminded ─► overdue        (nobody has written)
//!                      └─────────┴──────────┴──► written (findings are only added)
//! ```

use super::model::{
    ErrorKind, Event, Grant, Path, Person, Review, ReviewFinding, ReviewId, ReviewTold, Role, Verdict,
};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The roles that are answerable for what was done; policy says who fills them for whom.
pub const REVIEWERS: [&str; 3] = ["security", "manager", "lead"];

/// Why a finding was refused. Nothing has changed then.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewError {
    #[error("{0} is about your own access: somebody else must write it")]
    Own(ReviewId),
    #[error("you are none of those who can review {id}: {needed} can, for {person} and {target}")]
    NotAReviewer { id: ReviewId, needed: String, person: String, target: String },
    #[error("a review needs a finding: say what was done, and whether the incident needed it")]
    NoFinding,
}

impl ReviewError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Own(_) | Self::NotAReviewer { .. } => ErrorKind::Denied,
            Self::NoFinding => ErrorKind::Usage,
        }
    }
}

/// When a grant's access ended, if it owes a review and has ended by `now`.
pub fn owed_since(grant: &Grant, now: Timestamp) -> Option<Timestamp> {
    if grant.path != Path::BreakGlass {
        return None;
    }
    let revoked = grant.revoked.as_ref().map(|revoked| revoked.at);
    let ended = revoked.map_or(grant.until, |at| at.min(grant.until));
    (ended <= now || revoked.is_some()).then_some(ended)
}

/// The review of a grant that ended at `ended_at`, due `within` from then.
pub fn open(id: ReviewId, grant: &Grant, ended_at: Timestamp, within: Duration) -> Review {
    let within = SignedDuration::try_from(within).unwrap_or(SignedDuration::MAX);
    Review {
        id,
        grant: grant.id.clone(),
        request: grant.request.clone(),
        person: grant.person.clone(),
        target: grant.target.clone(),
        ended_at,
        due_at: ended_at.saturating_add(within).unwrap_or(Timestamp::MAX),
        told: ReviewTold::Opened,
        findings: Vec::new(),
    }
}

/// The role in which somebody may write the review. `fills` are those of
/// [`REVIEWERS`] that policy lets them fill for its person and target.
pub fn may_write(review: &Review, by: &Person, fills: &[Role]) -> Result<Role, ReviewError> {
    if by.subject == review.person.subject {
        return Err(ReviewError::Own(review.id.clone()));
    }
    let named = REVIEWERS.iter().find_map(|name| fills.iter().find(|role| role.0 == *name));
    named.cloned().ok_or_else(|| ReviewError::NotAReviewer {
        id: review.id.clone(),
        needed: REVIEWERS.join(" or "),
        person: review.person.email.clone(),
        target: review.target.clone(),
    })
}

/// One reviewer's finding, behind those that are there.
pub fn write(
    mut review: Review,
    by: &Person,
    fills: &[Role],
    (verdict, finding, actions): (Verdict, &str, &[String]),
    now: Timestamp,
) -> Result<(Review, Event), ReviewError> {
    let role = may_write(&review, by, fills)?;
    let finding = finding.trim().to_owned();
    if finding.is_empty() {
        return Err(ReviewError::NoFinding);
    }
    let actions = actions.iter().map(|action| action.trim().to_owned());
    let finding = ReviewFinding {
        by: by.to_ref(),
        role,
        at: now,
        verdict,
        finding,
        actions: actions.filter(|action| !action.is_empty()).collect(),
    };
    review.findings.push(finding.clone());
    let event = Event::ReviewWritten { review: review.id.clone(), grant: review.grant.clone(), finding };
    Ok((review, event))
}

/// What the findings come to: the last verdict. But access that was found
/// unjustified only security finds justified after all.
pub fn verdict(review: &Review) -> Option<Verdict> {
    review.findings.iter().fold(None, |so_far, finding| match (so_far, finding.verdict) {
        (Some(Verdict::Unjustified), Verdict::Justified) if finding.role.0 != "security" => so_far,
        (_, verdict) => Some(verdict),
    })
}

/// What people must be told of a review by `now` and were not: a reminder when
/// a quarter of the time is left, then that it is overdue; each once.
pub fn to_tell(review: &Review, now: Timestamp) -> Option<ReviewTold> {
    if review.is_written() {
        return None;
    }
    let quarter = review.due_at.duration_since(review.ended_at) / 4;
    let reminder = review.due_at.saturating_sub(quarter).unwrap_or(review.due_at);
    let stage = match now {
        now if now >= review.due_at => ReviewTold::Overdue,
        now if now >= reminder => ReviewTold::Reminded,
        _ => ReviewTold::Opened,
    };
    (stage > review.told).then_some(stage)
}

/// The review that keeps its person from the next break-glass: the one that is
/// overdue for longest.
pub fn blocking(reviews: &[Review], now: Timestamp) -> Option<&Review> {
    reviews.iter().filter(|review| review.is_overdue(now)).min_by_key(|review| review.due_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{GrantId, Limits, Objects, PersonRef, RequestId, Revoked, Scope};
    use std::collections::BTreeSet;

    const WITHIN: Duration = Duration::from_secs(400);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn who(name: &str) -> Person {
        Person {
            subject: name.to_owned(),
            email: format!("{name}@example.com"),
            name: None,
            teams: BTreeSet::new(),
            roles: BTreeSet::new(),
        }
    }

    fn grant(path: Path, revoked: Option<i64>) -> Grant {
        let by = PersonRef { subject: "dave".into(), email: "dave@example.com".into() };
        let objects = Objects::Only { schemas: BTreeSet::new(), tables: BTreeSet::new() };
        Grant {
            id: GrantId::from_random([0; 8]),
            request: RequestId::from_random([0; 8]),
            person: who("alice").to_ref(),
            target: "prod-orders".into(),
            scope: Scope::new(objects, BTreeSet::new()),
            path,
            limits: Limits::default(),
            script: None,
            from: at(0),
            until: at(1000),
            revoked: revoked.map(|second| Revoked { by, at: at(second), reason: None }),
        }
    }

    fn review() -> Review {
        open(ReviewId::from_random([0; 8]), &grant(Path::BreakGlass, None), at(1000), WITHIN)
    }

    #[test]
    fn r8_5_a_break_glass_grant_owes_a_review_once_it_has_ended() {
        for (path, revoked, now, ended) in [
            (Path::BreakGlass, None, 999, None),
            (Path::BreakGlass, None, 1000, Some(1000)),
            (Path::BreakGlass, Some(300), 300, Some(300)),
            (Path::BreakGlass, Some(1300), 1300, Some(1000)),
            (Path::Write, Some(300), 2000, None),
            (Path::Migration, None, 2000, None),
        ] {
            let owed = owed_since(&grant(path, revoked), at(now));
            assert_eq!(owed, ended.map(at), "{path:?} {revoked:?} {now}");
        }
        assert_eq!(review().due_at, at(1400));
    }

    #[test]
    fn r8_5_g6_the_reviewer_is_answerable_and_never_the_user() {
        let roles = |names: &[&str]| names.iter().map(|name| Role::new(*name)).collect::<Vec<_>>();
        let of = |name: &str, fills: &[&str]| {
            write(review(), &who(name), &roles(fills), (Verdict::Justified, " needed \n", &[]), at(1001))
        };
        assert!(matches!(of("alice", &["security", "lead"]), Err(ReviewError::Own(_))));
        assert!(matches!(of("bob", &["peer", "on-call"]), Err(ReviewError::NotAReviewer { .. })));
        let (written, event) = of("carol", &["lead", "security"]).unwrap();
        let [only] = written.findings.as_slice() else { panic!("{written:?}") };
        assert_eq!((only.role.0.as_str(), only.finding.as_str()), ("security", "needed"));
        assert!(matches!(event, Event::ReviewWritten { finding, .. } if finding == *only));
        let empty =
            write(review(), &who("carol"), &roles(&["lead"]), (Verdict::Justified, " ", &[]), at(1001));
        assert_eq!(empty.unwrap_err(), ReviewError::NoFinding);
    }

    #[test]
    fn r8_5_a_finding_stays_and_more_are_added() {
        let fills = [Role::new("lead")];
        let said = |verdict, text| (verdict, text, [].as_slice());
        let first = said(Verdict::Justified, "fine");
        let (review, _) = write(review(), &who("carol"), &fills, first, at(1001)).unwrap();
        let second = (Verdict::Unjustified, "it was not", ["rotate the key".to_owned()]);
        let second = (second.0, second.1, second.2.as_slice());
        let (review, _) = write(review, &who("dave"), &fills, second, at(1002)).unwrap();
        let texts: Vec<&str> = review.findings.iter().map(|one| one.finding.as_str()).collect();
        assert_eq!(texts, ["fine", "it was not"]);
        assert_eq!(review.state(at(9999)), "unjustified");
    }

    #[test]
    fn r8_5_reminders_and_the_alert_come_once_each() {
        let mut review = review();
        assert_eq!(to_tell(&review, at(1299)), None);
        assert_eq!(to_tell(&review, at(1300)), Some(ReviewTold::Reminded));
        // A server that was down for long says what counts, and no more.
        assert_eq!(to_tell(&review, at(5000)), Some(ReviewTold::Overdue));
        review.told = ReviewTold::Overdue;
        assert_eq!(to_tell(&review, at(5000)), None);
        review.told = ReviewTold::Opened;
        let said = (Verdict::Justified, "ok", [].as_slice());
        let (written, _) = write(review, &who("carol"), &[Role::new("lead")], said, at(1001)).unwrap();
        assert_eq!(to_tell(&written, at(5000)), None);
    }

    #[test]
    fn r8_5_only_an_overdue_review_blocks() {
        let reviews = [review()];
        assert_eq!(blocking(&reviews, at(1399)), None);
        assert_eq!(blocking(&reviews, at(1400)), Some(&reviews[0]));
        let said = (Verdict::Unjustified, "no", [].as_slice());
        let (written, _) = write(review(), &who("carol"), &[Role::new("lead")], said, at(2000)).unwrap();
        assert_eq!(blocking(&[written], at(3000)), None);
    }
}
