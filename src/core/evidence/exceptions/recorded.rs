//! R9.5: privileged access recorded.

use super::{Case, Exception};
use crate::core::evidence::controls::Rule;
use crate::core::evidence::population::is_recorded;

pub(super) fn find(case: &Case<'_>) -> Vec<Exception> {
    let mut found = Vec::new();
    let sessions = case.population.sessions.iter();
    for (id, held) in sessions.filter(|(_, held)| is_recorded(case.history, held)) {
        let Some(recording) = held.recording else {
            // Nobody got in where the role was never made.
            if let Some(opened) = held.opened {
                let what = "no record tells of its recording".to_owned();
                found.push(Exception::new(Rule::NotRecorded, id.as_str(), opened, what));
            }
            continue;
        };
        if let (None, Some(dead)) = (recording.ended, held.dead)
            && case.is_settled(dead)
        {
            let what = format!("its role is gone since line {}, and the recording has no end", dead.seq);
            found.push(Exception::new(Rule::NotEnded, id.as_str(), recording.started, what));
        }
        if let Some(pruned) = &held.recording_pruned {
            let what = format!("it was pruned by the rule {}", pruned.rule);
            found.push(Exception::new(Rule::RecordingPruned, id.as_str(), pruned.mark, what));
        }
        let lost = recording.recovered.map_or(0, |recovered| recovered.lost);
        if lost > 0 {
            let what = format!("{lost} of its {} chunks were lost in a crash", recording.chunks);
            let mark = recording.ended.unwrap_or(recording.started);
            found.push(Exception::new(Rule::RecordingLost, id.as_str(), mark, what));
        }
    }
    found
}
