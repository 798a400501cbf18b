//! How long a pause is played: a person types for minutes, and nobody wants to
//! wait that long again.

use super::Moment;
use std::time::Duration;

/// From the session's own time to the time it takes to play it, at speed 1.
#[derive(Clone, Debug)]
pub struct Pace {
    /// (session's time, played time), both in microseconds and growing.
    stops: Vec<(u64, u64)>,
}

impl Pace {
    /// Between two moments no more than `idle` passes.
    pub fn new(moments: &[Moment], idle: Option<Duration>) -> Self {
        let most = idle.map_or(u64::MAX, |idle| u64::try_from(idle.as_micros()).unwrap_or(u64::MAX));
        let mut stops = vec![(0, 0)];
        let (mut last, mut played) = (0, 0);
        for moment in moments.iter().filter(|moment| moment.at > 0) {
            if moment.at > last {
                played += (moment.at - last).min(most);
                last = moment.at;
                stops.push((last, played));
            }
        }
        Self { stops }
    }

    /// How long all of it is played.
    pub fn length(&self) -> u64 {
        self.stops.last().map_or(0, |(_, played)| *played)
    }

    pub fn stops(&self) -> &[(u64, u64)] {
        &self.stops
    }

    /// When in the session's time something is that is played then.
    pub fn session_time(&self, played: u64) -> u64 {
        between(&self.stops, |stop| stop.1, |stop| stop.0, played)
    }

    /// When something of the session's time is played.
    pub fn played_time(&self, session: u64) -> u64 {
        between(&self.stops, |stop| stop.0, |stop| stop.1, session)
    }
}

fn between(
    stops: &[(u64, u64)],
    from: impl Fn(&(u64, u64)) -> u64,
    to: impl Fn(&(u64, u64)) -> u64,
    at: u64,
) -> u64 {
    let next = stops.partition_point(|stop| from(stop) <= at);
    let before = next.checked_sub(1).and_then(|index| stops.get(index));
    match (before, stops.get(next)) {
        (Some(a), Some(b)) => {
            let (passed, length) = (at - from(a), from(b) - from(a));
            let share = u128::from(to(b) - to(a)) * u128::from(passed) / u128::from(length.max(1));
            to(a) + u64::try_from(share).unwrap_or(0)
        }
        (Some(last), None) => to(last),
        (None, _) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::What;
    use super::*;

    #[test]
    fn pauses_are_shortened_and_the_rest_is_played_as_it_was() {
        let moments: Vec<Moment> =
            [0, 1_000_000, 61_000_000, 61_500_000].map(|at| Moment { at, what: What::Mark(0) }).to_vec();
        let pace = Pace::new(&moments, Some(Duration::from_secs(2)));
        assert_eq!(pace.length(), 3_500_000);
        for (session, played) in [
            (0, 0),
            (500_000, 500_000),
            (1_000_000, 1_000_000),
            (31_000_000, 2_000_000),
            (61_000_000, 3_000_000),
            (61_250_000, 3_250_000),
            (61_500_000, 3_500_000),
        ] {
            assert_eq!((pace.played_time(session), pace.session_time(played)), (played, session));
        }
        assert_eq!(pace.played_time(99_000_000), 3_500_000, "behind the end is the end");
        let whole = Pace::new(&moments, None);
        assert_eq!((whole.length(), whole.session_time(31_000_000)), (61_500_000, 31_000_000));
        assert_eq!(Pace::new(&[], None).length(), 0);
        let at_once = Pace::new(&moments, Some(Duration::ZERO));
        assert_eq!((at_once.length(), at_once.session_time(0)), (0, 61_500_000));
    }
}
