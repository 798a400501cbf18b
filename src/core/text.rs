//! Text from elsewhere, as it may be shown to people.

/// Without what would make a page say something else than was written. Lines
/// stay lines.
pub fn shown(text: &str) -> String {
    text.chars().map(|c| if is_misleading(c) && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// Whether a character moves or recolours what stands around it, turns the
/// direction of text (Unicode Standard Annex 9), breaks a line where nobody
/// sees a break, or is not seen at all. Line breaks and tabs are control
/// characters too: whoever shows more than one line lets them pass first.
pub fn is_misleading(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}')
}
