//! What happens when: the order in which a session is played.

use super::Timeline;
use jiff::Timestamp;

/// Something that is seen from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds from the session's first.
    pub at: u64,
    pub what: What,
}

/// By index in the timeline's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Mark(usize),
    Begin(usize),
    /// So many rows of the statement's grid are there.
    Rows {
        statement: usize,
        upto: usize,
    },
    End(usize),
}

/// All of a session, in order. A statement's own moments keep their order
/// whatever its times say.
pub fn moments(timeline: &Timeline) -> Vec<Moment> {
    let begins = timeline.begins_at();
    let since = |at: Timestamp| {
        u64::try_from(at.as_microsecond().saturating_sub(begins.as_microsecond())).unwrap_or(0)
    };
    let mut moments = Vec::new();
    for (index, mark) in timeline.marks.iter().enumerate() {
        moments.push(Moment { at: since(mark.at), what: What::Mark(index) });
    }
    for (index, statement) in timeline.statements.iter().enumerate() {
        let mut at = since(statement.at);
        moments.push(Moment { at, what: What::Begin(index) });
        for arrival in &statement.arrived {
            at = at.max(since(arrival.at));
            moments.push(Moment { at, what: What::Rows { statement: index, upto: arrival.rows } });
        }
        if let Some(end) = statement.ends_at() {
            moments.push(Moment { at: at.max(since(end)), what: What::End(index) });
        }
    }
    // Stable: what happens at one time stays in the order of the lists.
    moments.sort_by_key(|moment| moment.at);
    moments
}

#[cfg(test)]
mod tests {
    use super::super::{Arrival, Mark, MarkKind, Statement};
    use super::*;
    use crate::core::model::SessionId;

    fn at(us: i64) -> Timestamp {
        Timestamp::from_microsecond(1_000_000 + us).unwrap()
    }

    #[test]
    fn what_overlaps_is_played_in_the_order_of_its_times() {
        let mut timeline = Timeline::new(SessionId::from_stored("ses-x"));
        timeline.marks.push(Mark { at: at(0), connection: "a".to_owned(), what: MarkKind::Connected });
        let mut long = Statement::begun(1, at(10), "a", "SELECT 1".to_owned());
        long.duration_us = Some(50);
        // Seen by the recording's clock after the ledger's end.
        long.arrived = vec![Arrival { at: at(30), rows: 1 }, Arrival { at: at(65), rows: 3 }];
        let mut short = Statement::begun(2, at(20), "b", "SELECT 2".to_owned());
        short.duration_us = Some(5);
        let open = Statement::begun(3, at(90), "b", "SELECT pg_sleep(9)".to_owned());
        timeline.statements = vec![long, short, open];
        let played: Vec<(u64, What)> =
            moments(&timeline).into_iter().map(|moment| (moment.at, moment.what)).collect();
        assert_eq!(
            played,
            [
                (0, What::Mark(0)),
                (10, What::Begin(0)),
                (20, What::Begin(1)),
                (25, What::End(1)),
                (30, What::Rows { statement: 0, upto: 1 }),
                (65, What::Rows { statement: 0, upto: 3 }),
                (65, What::End(0)),
                (90, What::Begin(2)),
            ]
        );
    }
}
