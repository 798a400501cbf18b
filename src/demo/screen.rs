//! What the demo shows: who types what, what it printed, and whether it was as
//! claimed; readable at 80 columns, coloured only on a terminal that wants it.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

const WIDEST: usize = 100;
const INDENT: &str = "    ";

pub struct Screen {
    colour: bool,
    width: usize,
}

impl Screen {
    pub fn new() -> Self {
        let terminal = std::io::stdout().is_terminal();
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
        let width = size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0).unwrap_or(80);
        Self { colour, width: width.clamp(40, WIDEST) }
    }

    /// The columns that a command's output may take.
    pub fn room(&self) -> usize {
        self.width - INDENT.len()
    }

    pub fn line(&self, text: &str) {
        for line in wrapped(text, self.width, "") {
            put(&line);
        }
    }

    pub fn scene(&self, title: &str) {
        put("");
        for line in wrapped(title, self.width, "") {
            put(&self.styled("1", &line));
        }
    }

    /// A command as its person types it.
    pub fn typed(&self, who: &str, words: &[String]) {
        put("");
        let prompt = format!("{who}$ ");
        let lines = command_lines(words, self.width, prompt.len());
        for (index, line) in lines.iter().enumerate() {
            let before = if index == 0 { self.styled("36", &prompt) } else { " ".repeat(prompt.len()) };
            put(&format!("{before}{}", self.styled("1", line)));
        }
    }

    /// A line that a command printed.
    pub fn printed(&self, line: &str) {
        for line in wrapped(line, self.room(), "  ") {
            put(format!("{INDENT}{line}").trim_end());
        }
    }

    /// What happens without a command.
    pub fn told(&self, text: &str) {
        for line in wrapped(text, self.width - 2, "") {
            put(&self.styled("2", &format!("  {line}")));
        }
    }

    pub fn held(&self, claim: &str) {
        self.verdict("32", "✓", claim);
    }

    pub fn failed(&self, why: &str) {
        self.verdict("31", "✗", why);
    }

    fn verdict(&self, colour: &str, mark: &str, text: &str) {
        for (index, line) in wrapped(text, self.width - 2, "").into_iter().enumerate() {
            let mark = if index == 0 { mark } else { " " };
            put(&format!("{} {line}", self.styled(colour, mark)));
        }
    }

    /// Says that something is being made; [`Progress::done`] says that it is.
    pub fn progress(&self, what: &'static str) -> Progress<'_> {
        let spinner = if std::io::stderr().is_terminal() {
            let spinner = ProgressBar::new_spinner().with_message(what);
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                spinner.set_style(style);
            }
            spinner.enable_steady_tick(Duration::from_millis(100));
            spinner
        } else {
            ProgressBar::hidden()
        };
        Progress { screen: self, what, started: Instant::now(), spinner }
    }

    fn styled(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

pub struct Progress<'a> {
    screen: &'a Screen,
    what: &'static str,
    started: Instant,
    spinner: ProgressBar,
}

impl Progress<'_> {
    pub fn done(self) {
        self.spinner.finish_and_clear();
        self.screen.held(&format!("{} ({:.1} s)", self.what, self.started.elapsed().as_secs_f64()));
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.spinner.finish_and_clear();
    }
}

/// A closed pipe must not end the demo before it has tidied up.
fn put(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}

/// Lines of at most `width` characters, broken at spaces; what is continued
/// starts with `hang`. Spaces at a line's start stay: tables have them.
fn wrapped(text: &str, width: usize, hang: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for source in text.lines() {
        let mut line = String::new();
        for word in source.split_inclusive(' ') {
            if line.chars().count() + word.trim_end().chars().count() > width && !line.trim().is_empty() {
                lines.push(line.trim_end().to_owned());
                line = hang.to_owned();
            }
            line.push_str(word);
        }
        lines.push(line.trim_end().to_owned());
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// A command in lines that a shell reads as one; an option stays with its value.
fn command_lines(words: &[String], width: usize, prompt: usize) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut expects_value = false;
    for word in words {
        match parts.last_mut() {
            Some(option) if expects_value && !word.starts_with('-') => {
                option.push(' ');
                option.push_str(&quoted(word));
                expects_value = false;
            }
            _ => {
                parts.push(quoted(word));
                expects_value = word.starts_with('-');
            }
        }
    }
    let mut lines = Vec::new();
    let mut line = String::new();
    for part in parts {
        if !line.is_empty() && prompt + line.chars().count() + part.chars().count() + 3 > width {
            line.push_str(" \\");
            lines.push(std::mem::replace(&mut line, "  ".to_owned()));
        } else if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&part);
    }
    lines.push(line);
    // What is too long even so is SQL in quotes: broken there, as people write it.
    lines.iter().flat_map(|line| wrapped(line, width.saturating_sub(prompt), "    ")).collect()
}

/// A word as a shell reads it back, in the quotes that disturb it least.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    if word.contains('\'') && !word.contains(['"', '$', '`', '\\', '!']) {
        return format!("\"{word}\"");
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_a_shell_takes_them() {
        let shown = |words: &[&str], width| {
            command_lines(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>(), width, 7)
        };
        assert_eq!(
            shown(&["psql", "-c", "SELECT 1", "it's", "a\"'b", ""], 80),
            ["psql -c 'SELECT 1' \"it's\" 'a\"'\\''b' ''"]
        );
        assert_eq!(
            shown(&["dbaccess", "request", "--reason", "a long reason"], 34),
            ["dbaccess request \\", "  --reason 'a long reason'"]
        );
        assert_eq!(
            shown(&["psql", "-c", "SELECT 1 FROM orders"], 21),
            ["psql \\", "  -c 'SELECT 1", "    FROM", "    orders'"]
        );
    }

    #[test]
    fn text_is_wrapped_at_spaces_and_tables_keep_theirs() {
        assert_eq!(wrapped("one two three", 8, "  "), ["one two", "  three"]);
        assert_eq!(wrapped("  id | n\n   1 | 2", 20, ""), ["  id | n", "   1 | 2"]);
        assert_eq!(wrapped("unbreakable", 4, ""), ["unbreakable"]);
    }
}
