use super::Context;
use super::ledger::read_key;
use crate::cli::bundle::{self, Checked};
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, OutputArgs};
use crate::core::model::{ErrorKind, Framework, parse_duration};
use crate::os;
use crate::proto::MakeReport;
use indicatif::HumanBytes;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Make evidence for auditors, and check it on any machine.
#[derive(Clone, Debug, clap::Args)]
pub struct ReportArgs {
    #[command(subcommand)]
    command: ReportCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum ReportCommand {
    Evidence(EvidenceArgs),
    Verify(VerifyArgs),
}

/// Make a signed bundle of evidence for an interval.
///
/// It holds a document (HTML and PDF) that states for each control of the
/// framework the requirement, the population, the sample and the exceptions
/// found, and for each access who approved it, when it was used, and when its
/// roles were proven gone; the same as data; and the lines of the ledger that
/// all of it follows from. For security and auditors; that you made it is on
/// the ledger.
#[derive(Clone, Debug, clap::Args)]
struct EvidenceArgs {
    /// Whose controls
    #[arg(long, value_name = "FRAMEWORK", default_value = "all", value_parser = framework())]
    framework: Framework,
    /// From a day, a time or a length of time back (90d), to another; the last
    /// day counts whole; days are UTC
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"], required = true)]
    between: Vec<String>,
    /// Where it goes; it must not exist
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: Option<PathBuf>,
}

/// Check a bundle of evidence, without any server.
///
/// The signature, the hash of every file, the chain of the ledger with its
/// checkpoints; then the report is made again from the same lines, and compared
/// word for word. What was changed is named with its file and line.
#[derive(Clone, Debug, clap::Args)]
struct VerifyArgs {
    /// The bundle
    #[arg(value_hint = clap::ValueHint::FilePath)]
    bundle: PathBuf,
    /// The public key that must have signed it; without one, compare the key that is shown
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    key: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

fn framework() -> impl clap::builder::TypedValueParser<Value = Framework> {
    use clap::builder::{PossibleValuesParser, TypedValueParser as _};
    PossibleValuesParser::new(Framework::ALL.map(Framework::as_str))
        .map(|text| Framework::parse(&text).unwrap_or(Framework::All))
}

impl ReportArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            ReportCommand::Evidence(args) => args.run(context).await,
            ReportCommand::Verify(args) => args.run(),
        }
    }
}

impl EvidenceArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let asked = self.asked()?;
        let path = self.file.clone().unwrap_or_else(|| file_name(&asked));
        let cannot =
            |error: std::io::Error| CliError::local(format!("{} cannot be written", path.display()), error);
        if path.symlink_metadata().is_ok() {
            return Err(CliError::usage(format!("{} is there already", path.display()))
                .hint("name another with --file: evidence is not overwritten"));
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        // Beside its place until it is whole, with mode 600; removed on drop.
        let mut file = tempfile::Builder::new()
            .prefix(".dbaccess-evidence-")
            .tempfile_in(directory.unwrap_or(Path::new(".")))
            .map_err(cannot)?;
        let client = context.client()?;
        let spinner = output::spinner("the server reads its ledger".to_owned());
        let mut response = client.report(&asked).await?;
        let all = response.content_length();
        let mut arrived = 0;
        let broke_off = |why: String| {
            CliError::new(ErrorKind::Unreachable, "the bundle did not come whole").why(why).hint("try again")
        };
        while let Some(piece) = response.chunk().await.map_err(|error| broke_off(error.to_string()))? {
            file.write_all(&piece).map_err(cannot)?;
            arrived += piece.len() as u64;
            let of = all.map(|all| format!(" of {}", HumanBytes(all))).unwrap_or_default();
            spinner.set_message(format!("{}{of} received", HumanBytes(arrived)));
        }
        if all.is_some_and(|all| all != arrived) {
            return Err(broke_off(format!("{arrived} bytes arrived of {}", all.unwrap_or_default())));
        }
        file.as_file().sync_all().map_err(cannot)?;
        spinner.set_message("checking the bundle");
        let checked = bundle::check(file.path(), None).map_err(|error| broke_off(error.to_string()))?;
        spinner.finish_and_clear();
        file.persist_noclobber(&path).map_err(|error| cannot(error.error))?;
        output::result(&format!("{}\n", path.display()))?;
        checked.judge()?;
        let found = match checked.exceptions {
            0 => "no exceptions".to_owned(),
            1 => "1 exception".to_owned(),
            many => format!("{many} exceptions"),
        };
        output::note(&format!(
            "{found} found in {} lines of the ledger; `dbaccess report verify {}` checks it anywhere",
            checked.lines,
            path.display()
        ));
        Ok(())
    }

    fn asked(&self) -> Result<MakeReport, CliError> {
        let now = os::now();
        let moment = |index: usize| {
            let text = self.between.get(index).map_or("", String::as_str);
            moment(text, now, index == 1).ok_or_else(|| {
                CliError::usage(format!("`{text}` is not a time"))
                    .hint("write it as 2026-01-31, 2026-01-31T18:00:00Z, 90d or now")
            })
        };
        Ok(MakeReport { framework: self.framework, from: moment(0)?, until: moment(1)? })
    }
}

/// A moment in the past as auditors write it: a day is its begin, or where `end`
/// is asked for its end.
fn moment(text: &str, now: Timestamp, end: bool) -> Option<Timestamp> {
    let text = text.trim();
    if text == "now" {
        return Some(now);
    }
    if let Ok(back) = parse_duration(text) {
        return now.checked_sub(SignedDuration::try_from(back).ok()?).ok();
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let day: Date = text.parse().ok().filter(|_| !text.contains(['T', 't', ' ']))?;
    let day = if end { day.tomorrow().ok()? } else { day };
    Some(day.to_datetime(Time::midnight()).to_zoned(TimeZone::UTC).ok()?.timestamp())
}

fn file_name(asked: &MakeReport) -> PathBuf {
    let day = |at: Timestamp| at.to_zoned(TimeZone::UTC).date();
    // The last day that counts, where the end is a midnight.
    let last = asked.until.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(asked.until);
    format!("evidence-{}-{}-{}.zip", asked.framework.as_str(), day(asked.from), day(last)).into()
}

impl VerifyArgs {
    fn run(self) -> Result<(), CliError> {
        let key = self.key.as_deref().map(read_key).transpose()?;
        let spinner = output::spinner("reading the ledger in it, and making the report again".to_owned());
        let checked = bundle::check(&self.bundle, key);
        spinner.finish_and_clear();
        let checked = checked
            .map_err(|error| CliError::local(format!("{} is not a bundle", self.bundle.display()), error))?;
        print(&checked, key.is_some(), self.output.output)?;
        checked.judge()
    }
}

impl Checked {
    /// # Errors
    /// When anything in it is not as it was made: all of it, each with its place.
    fn judge(&self) -> Result<(), CliError> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let all: Vec<String> = self.problems.iter().map(ToString::to_string).collect();
        Err(CliError::new(ErrorKind::Internal, "the bundle is not as it was made")
            .why(all.join("\n"))
            .hint("keep this copy as it is: it is evidence"))
    }
}

fn print(checked: &Checked, key_given: bool, format: Format) -> Result<(), CliError> {
    let whole = checked.problems.is_empty();
    let text = |value: Option<String>| value.unwrap_or_default();
    let manifest = checked.manifest.as_ref();
    let of = |part: fn(&crate::core::evidence::Manifest) -> String| text(manifest.map(part));
    let key = text(checked.key.map(|key| key.to_string()));
    let fields = [
        ("as_made", if whole { "yes" } else { "no" }.to_owned()),
        ("framework", of(|manifest| manifest.framework.as_str().to_owned())),
        ("from", of(|manifest| manifest.period.from.to_string())),
        ("until", of(|manifest| manifest.period.until.to_string())),
        ("version", of(|manifest| manifest.version.clone())),
        ("files", of(|manifest| manifest.files.len().to_string())),
        ("lines", checked.lines.to_string()),
        ("last", of(|manifest| manifest.ledger.last.to_string())),
        ("exceptions", checked.exceptions.to_string()),
        ("key", key),
        ("problems", checked.problems.len().to_string()),
    ];
    for note in &checked.notes {
        output::note(note);
    }
    match format {
        Format::Table => {
            let lines = fields.iter().filter(|(_, value)| !value.is_empty());
            let lines: String = lines.map(|(name, value)| format!("{name:<12}{value}\n")).collect();
            output::result(&output::clean(&lines))?;
            if whole && !key_given {
                output::note(
                    "compare the key with the one that the server's operators published, or name its file with --key",
                );
            }
            Ok(())
        }
        Format::Csv => {
            output::result(&output::csv_line(fields.iter().map(|(name, _)| Some(*name))))?;
            output::result(&output::csv_line(fields.iter().map(|(_, value)| Some(value.as_str()))))
        }
        Format::Json => output::json(&serde_json::json!({
            "as_made": whole,
            "manifest": manifest,
            "lines": checked.lines,
            "exceptions": checked.exceptions,
            "key": checked.key.map(|key| key.to_string()),
            "problems": checked.problems,
            "notes": checked.notes,
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_of_whole_days_or_of_moments() {
        let now: Timestamp = "2026-11-28T12:00:00Z".parse().unwrap();
        let at = |text: &str, end| moment(text, now, end).map(|at| at.to_string());
        let table = [
            ("2026-01-01", false, Some("2026-01-01T00:00:00Z")),
            ("2026-03-31", true, Some("2026-04-01T00:00:00Z")),
            ("2026-03-31T10:00:00+02:00", true, Some("2026-03-31T08:00:00Z")),
            ("7d", false, Some("2026-11-21T12:00:00Z")),
            ("now", true, Some("2026-11-28T12:00:00Z")),
            ("March", true, None),
            ("2026-03-31T10:00", true, None),
        ];
        for (text, end, expected) in table {
            assert_eq!(at(text, end).as_deref(), expected, "{text}");
        }
        let (from, until) =
            ("2026-01-01T00:00:00Z".parse().unwrap(), "2026-04-01T00:00:00Z".parse().unwrap());
        let asked = MakeReport { framework: Framework::Soc2, from, until };
        assert_eq!(file_name(&asked), PathBuf::from("evidence-soc2-2026-01-01-2026-03-31.zip"));
    }
}
