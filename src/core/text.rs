//! Text from elsewhere, as it may be shown to people.

/// Without what would make a page say something else than was written: control
/// characters, and marks that turn the direction of text.
pub fn shown(text: &str) -> String {
    let harmless = |c: char| match c {
        '\n' => c,
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(harmless).collect()
}
