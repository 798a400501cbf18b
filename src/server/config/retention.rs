//! `[retention]`: how long statements and recordings are kept.

use super::reader::Section;
use crate::core::model::parse_duration;
use crate::core::retention::Retention;

/// Recordings hold the statements too, so they are kept no longer than those.
pub(super) fn retention(section: Option<Section<'_>>) -> Retention {
    let Some(section) = section else { return Retention::default() };
    let age = |name| section.parsed(name, "a length of time such as 400d", |text| parse_duration(text).ok());
    let (statements, recordings) = (age("statements"), age("recordings"));
    if let (Some(statements), Some(recordings)) = (statements, recordings)
        && recordings > statements
    {
        section.say(
            "recordings are kept longer than statements: a recording holds its session's statements, so give \
             recordings no more than statements have",
        );
    }
    section.finish();
    Retention { statements, recordings: recordings.or(statements) }
}
