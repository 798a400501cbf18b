//! When people are told again of a request that waits, and when others are.
//! Pure: what was told so far and the time come in, what is due comes out.

use super::model::{AccessRequest, RequestState};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// From `[approvals]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminding {
    /// The first reminder comes so long after a request, the next after twice
    /// as long as that one took, and so on.
    pub remind_after: Duration,
    /// At most so many; none where it is 0.
    pub most: u32,
    pub escalate_after: Duration,
}

impl Default for Reminding {
    fn default() -> Self {
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        Self { remind_after: minutes(15), most: 4, escalate_after: minutes(60) }
    }
}

/// What people were told of a request since it began to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reminded {
    /// The number of the last reminder that was due: one that nobody sent,
    /// because the server was down, is not sent afterwards.
    pub reminders: u32,
    pub escalated: bool,
}

/// What is to be told now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub remind: bool,
    pub escalate: bool,
    /// What people will have been told.
    pub reminded: Reminded,
}

/// What is due of a request at `now`; `None` where nothing is.
pub fn due(request: &AccessRequest, told: Reminded, rule: &Reminding, now: Timestamp) -> Option<Due> {
    if request.state != RequestState::Waiting || request.expires_at <= now {
        return None;
    }
    let reached =
        (told.reminders..rule.most).take_while(|sent| reminder(request, rule, *sent) <= now).count();
    let reminders = told.reminders.saturating_add(u32::try_from(reached).unwrap_or(u32::MAX));
    let escalate = !told.escalated && escalation(request, rule) <= now;
    let reminded = Reminded { reminders, escalated: told.escalated || escalate };
    (reminded != told).then_some(Due { remind: reached > 0, escalate, reminded })
}

/// When to look at a request again; `None` where nothing more will be told.
pub fn next(request: &AccessRequest, told: Reminded, rule: &Reminding) -> Option<Timestamp> {
    let remind = (told.reminders < rule.most).then(|| reminder(request, rule, told.reminders));
    let escalate = (!told.escalated).then(|| escalation(request, rule));
    remind.into_iter().chain(escalate).min().filter(|at| *at < request.expires_at)
}

/// When the reminder comes after so many: at 1, 3, 7, 15 … times the first's wait.
fn reminder(request: &AccessRequest, rule: &Reminding, sent: u32) -> Timestamp {
    let times = 2_u32.checked_pow(sent.saturating_add(1)).map_or(u32::MAX, |power| power - 1);
    after(request.created_at, rule.remind_after.saturating_mul(times))
}

fn escalation(request: &AccessRequest, rule: &Reminding) -> Timestamp {
    after(request.created_at, rule.escalate_after)
}

fn after(at: Timestamp, length: Duration) -> Timestamp {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    at.saturating_add(length).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::approval::tests::{at, waiting};

    const RULE: Reminding = Reminding {
        remind_after: Duration::from_secs(15 * 60),
        most: 3,
        escalate_after: Duration::from_secs(3600),
    };

    /// Minute by minute: what is told when, with the server looking every `step`.
    fn told(step: i64, from: i64, to: i64) -> Vec<String> {
        let (request, mut reminded, mut said) = (waiting(), Reminded::default(), Vec::new());
        for minute in (from..=to).step_by(usize::try_from(step).unwrap()) {
            let Some(due) = due(&request, reminded, &RULE, at(minute)) else { continue };
            reminded = due.reminded;
            let what = [(due.remind, "reminder"), (due.escalate, "escalation")];
            let what: Vec<&str> = what.iter().filter(|(is, _)| *is).map(|(_, what)| *what).collect();
            said.push(format!("{minute} {}", what.join(" and ")));
            // A second look at the same moment finds nothing.
            assert_eq!(super::due(&request, reminded, &RULE, at(minute)), None);
        }
        said
    }

    #[test]
    fn reminders_double_and_end_and_escalation_comes_once() {
        assert_eq!(told(1, 0, 1500), ["15 reminder", "45 reminder", "60 escalation", "105 reminder"]);
        assert_eq!(told(10, 0, 1500), ["20 reminder", "50 reminder", "60 escalation", "110 reminder"]);
        // A server that was down for long tells once, not of everything that it missed.
        assert_eq!(told(1, 300, 1500), ["300 reminder and escalation"]);
        assert_eq!(told(1, 1440, 1500), Vec::<String>::new(), "it has lapsed");
    }

    #[test]
    fn a_request_that_is_decided_is_told_of_no_more() {
        let decided = AccessRequest { state: RequestState::Granted, ..waiting() };
        assert_eq!(due(&decided, Reminded::default(), &RULE, at(500)), None);
    }

    #[test]
    fn what_is_next_is_when_something_is_due() {
        let (request, mut reminded, mut times) = (waiting(), Reminded::default(), Vec::new());
        while let Some(time) = next(&request, reminded, &RULE) {
            let before = time - SignedDuration::from_secs(1);
            assert_eq!(due(&request, reminded, &RULE, before), None);
            reminded = due(&request, reminded, &RULE, time).unwrap().reminded;
            times.push(time);
        }
        assert_eq!(times, [15, 45, 60, 105].map(at));
        let never = Reminding { most: 0, escalate_after: Duration::from_secs(2 * 86_400), ..RULE };
        assert_eq!(next(&request, Reminded::default(), &never), None);
    }
}
