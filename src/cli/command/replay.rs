use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, OutputArgs, colour_on_stdout};
use crate::cli::replay::{self, Asked, FASTEST, Loaded, Manner, SLOWEST};
use crate::core::model::parse_duration;
use crate::core::timeline::{Timeline, moments};
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Play a session: what was run, when, and what came back.
///
/// The statements of every session are on the ledger; the rows are there where
/// the session was recorded, as the person saw them. On a terminal it plays:
/// space pauses, the arrows seek and scroll, n and p step from statement to
/// statement, + and - change the speed, / searches, q quits. Elsewhere it prints
/// all of it at once.
///
/// What others did is for security and auditors, and nobody sees their own
/// recording; that you have looked at one is on the ledger.
#[derive(Clone, Debug, clap::Args)]
pub struct ReplayArgs {
    /// The session, by id or unique prefix; or a recording's file
    #[arg(value_name = "SESSION|FILE")]
    id: String,
    /// Write a page for a browser, which holds all it needs
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write an asciicast, for asciinema
    #[arg(long, value_name = "FILE")]
    cast: Option<PathBuf>,
    /// How fast: 2 is twice as fast as it was
    #[arg(long, value_name = "N", default_value = "1", value_parser = speed)]
    speed: f64,
    /// The longest pause that is played; `off` plays them as they were
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = idle)]
    idle_limit: Idle,
    /// The auditor's private key, where recordings are sealed
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// A copy of the ledger, in place of the server's
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

#[derive(Clone, Copy, Debug)]
struct Idle(Option<Duration>);

impl ReplayArgs {
    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        if self.output.output == Format::Csv {
            return Err(CliError::usage("a session is no table").hint("--output table, or json"));
        }
        let asked = Asked { what: &self.id, key: self.key.as_deref(), ledger: self.ledger.as_deref() };
        let Loaded { timeline, broken } = replay::load(&asked, || context.client()).await?;
        match (self.play(timeline).await?, broken) {
            (0, Some(broken)) => Err(broken),
            (code, _) => Ok(code),
        }
    }

    async fn play(&self, timeline: Timeline) -> Result<u8, CliError> {
        let manner = Manner { speed: self.speed, idle: self.idle_limit.0 };
        if self.html.is_some() || self.cast.is_some() {
            let timeline = replay::for_people(timeline);
            if let Some(path) = &self.html {
                write(path, &replay::page(&timeline, manner))?;
            }
            if let Some(path) = &self.cast {
                write(path, &replay::cast(&timeline, manner))?;
            }
            return Ok(0);
        }
        if self.output.output == Format::Json {
            return output::json(&timeline).map(|()| 0);
        }
        if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
            return replay::play(timeline, manner).await;
        }
        let timeline = replay::for_people(timeline);
        output::result(&replay::plain(&timeline, &moments(&timeline), colour_on_stdout())).map(|()| 0)
    }
}

/// Whole or not at all, and its owner's alone: it holds what a person saw.
fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let put = || {
        let mut file = tempfile::NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
        file.write_all(text.as_bytes())?;
        file.persist(path)?;
        Ok::<_, std::io::Error>(())
    };
    put().map_err(|error| CliError::local(format!("cannot write {}", path.display()), error))?;
    output::note(&format!("written to {}", path.display()));
    Ok(())
}

fn speed(text: &str) -> Result<f64, String> {
    let wrong = || format!("`{text}` is no speed: a number from {SLOWEST} to {FASTEST}, 1 is as it was");
    let speed: f64 = text.trim_end_matches(['x', '×']).parse().map_err(|_| wrong())?;
    (SLOWEST..=FASTEST).contains(&speed).then_some(speed).ok_or_else(wrong)
}

fn idle(text: &str) -> Result<Idle, String> {
    if text == "off" {
        return Ok(Idle(None));
    }
    parse_duration(text).map(|length| Idle(Some(length))).map_err(|error| format!("{error}; or off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_number_that_somebody_could_follow() {
        assert_eq!((speed("2"), speed("0.5x")), (Ok(2.0), Ok(0.5)));
        for bad in ["0", "-1", "fast", "1e9", "NaN"] {
            assert!(speed(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pause_has_a_limit_or_none() {
        assert_eq!(idle("5s").unwrap().0, Some(Duration::from_secs(5)));
        assert_eq!(idle("off").unwrap().0, None);
        assert!(idle("soon").unwrap_err().ends_with("or off"));
    }
}
