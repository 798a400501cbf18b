//! A session as asciicast v2 (<https://docs.asciinema.org/manual/asciicast/v2/>):
//! a header, and an event a line. The times are the session's own; how long a
//! pause is played stands in the header, and each statement has a marker.

use super::Manner;
use super::roll::Roll;
use crate::core::timeline::{Timeline, What, moments};
use serde_json::json;

const COLUMNS: usize = 120;
const ROWS: usize = 36;
/// A marker is one line of a list.
const LONGEST_LABEL: usize = 80;

/// Of a timeline that was made harmless.
pub fn cast(timeline: &Timeline, manner: Manner) -> String {
    let moments = moments(timeline);
    let roll = Roll::new(timeline, &moments, Some(COLUMNS));
    let mut header = json!({
        "version": 2,
        "width": COLUMNS,
        "height": ROWS,
        "timestamp": timeline.begins_at().as_second(),
        "title": format!("dbaccess {}", timeline.session),
    });
    if let (Some(idle), Some(header)) = (manner.idle, header.as_object_mut()) {
        header.insert("idle_time_limit".to_owned(), idle.as_secs_f64().into());
    }
    let mut cast = format!("{header}\n");
    let mut shown = 0;
    let mut show = |cast: &mut String, seconds: f64, upto: usize| {
        let lines = roll.shown(timeline, std::mem::replace(&mut shown, upto)..upto, COLUMNS, true);
        let text: String = lines.map(|line| format!("{line}\r\n")).collect();
        if !text.is_empty() {
            cast.push_str(&format!("{}\n", json!([seconds, "o", text])));
        }
    };
    // How sure all of it is.
    show(&mut cast, 0.0, roll.upto(0));
    for (passed, moment) in (1..).zip(&moments) {
        let seconds = seconds(moment.at, manner.speed);
        if let What::Begin(index) = moment.what
            && let Some(statement) = timeline.statements.get(index)
        {
            let label: Vec<&str> = statement.text.split_whitespace().collect();
            let label: String = label.join(" ").chars().take(LONGEST_LABEL).collect();
            cast.push_str(&format!("{}\n", json!([seconds, "m", label])));
        }
        show(&mut cast, seconds, roll.upto(passed));
    }
    cast
}

/// To the millisecond.
fn seconds(us: u64, speed: f64) -> f64 {
    (us as f64 / speed / 1000.0).round() / 1000.0
}
