//! What a terminal in raw mode sends for a key.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Char(char),
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
    Enter,
    Escape,
    Backspace,
    /// Ctrl-C and Ctrl-D: no signal comes of them in raw mode.
    Interrupt,
}

/// Sequences of xterm, which all others follow; what is behind `ESC [` or `ESC O`.
const SEQUENCES: [(&str, Key); 14] = [
    ("A", Key::Up),
    ("B", Key::Down),
    ("C", Key::Right),
    ("D", Key::Left),
    ("H", Key::Home),
    ("F", Key::End),
    ("1~", Key::Home),
    ("7~", Key::Home),
    ("4~", Key::End),
    ("8~", Key::End),
    ("5~", Key::PageUp),
    ("6~", Key::PageDown),
    ("1;2C", Key::Right),
    ("1;2D", Key::Left),
];

/// The keys in what was read at once. A sequence is read whole: it is short,
/// and the terminal writes it in one piece.
pub fn keys(bytes: &[u8]) -> Vec<Key> {
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.as_ref();
    let mut keys = Vec::new();
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        let sequence = rest.strip_prefix('[').or_else(|| rest.strip_prefix('O')).filter(|_| c == '\x1b');
        if let Some(sequence) = sequence {
            let end = sequence
                .find(|c: char| c.is_ascii_alphabetic() || c == '~')
                .map_or(sequence.len(), |at| at + 1);
            let (sequence, behind) = sequence.split_at_checked(end).unwrap_or((sequence, ""));
            keys.extend(SEQUENCES.iter().find(|(known, _)| *known == sequence).map(|(_, key)| *key));
            rest = behind;
            continue;
        }
        keys.extend(match c {
            '\x1b' => Some(Key::Escape),
            '\r' | '\n' => Some(Key::Enter),
            '\x7f' | '\x08' => Some(Key::Backspace),
            '\x03' | '\x04' => Some(Key::Interrupt),
            c if c.is_control() => None,
            c => Some(Key::Char(c)),
        });
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_as_bytes() {
        use Key::{Backspace, Char, End, Enter, Escape, Interrupt, Left, PageDown, Right};
        for (bytes, expected) in [
            (b"q".as_slice(), vec![Char('q')]),
            (b"\x1b[C\x1bOD ", vec![Right, Left, Char(' ')]),
            (b"\x1b", vec![Escape]),
            (b"\x1b[6~\x1b[4~", vec![PageDown, End]),
            // Some other key's.
            (b"\x1b[15~x\x1b[", vec![Char('x')]),
            ("ü\r\x7f\x03\x01".as_bytes(), vec![Char('ü'), Enter, Backspace, Interrupt]),
        ] {
            assert_eq!(keys(bytes), expected, "{bytes:?}");
        }
    }
}
