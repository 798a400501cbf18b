use crate::cli::error::CliError;
use crate::cli::output::{self, Format, OutputArgs};
use crate::core::ledger::{BlobRef, PublicKey, Report, Verifier, order_segments};
use crate::core::model::ErrorKind;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// Check a copy of the ledger, without any server.
#[derive(Clone, Debug, clap::Args)]
pub struct LedgerArgs {
    #[command(subcommand)]
    command: LedgerCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum LedgerCommand {
    Verify(VerifyArgs),
}

/// Check that a ledger is whole: no line edited, removed, added or moved.
///
/// Lines that retention has pruned are named, with the rule and the line of the
/// ledger that says so; lines that are missing without one are a fault. What no
/// ledger shows by itself is an end that was cut off together with its
/// checkpoints: compare the last line's number with one noted elsewhere.
#[derive(Clone, Debug, clap::Args)]
struct VerifyArgs {
    /// The directory with the ledger's segments
    dir: PathBuf,
    /// The public key that must have signed it; without one, compare the key that is shown
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Longer than any line the server writes: what is larger stands beside the chain.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

impl LedgerArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        let LedgerCommand::Verify(args) = self.command;
        args.run()
    }
}

impl VerifyArgs {
    fn run(self) -> Result<(), CliError> {
        let key = self.key.as_deref().map(read_key).transpose()?;
        let checked = verify(&self.dir, key)
            .map_err(|error| CliError::local(format!("cannot read {}", self.dir.display()), error))?;
        if checked.report.segments == 0 {
            let what = format!("there is no ledger in {}", self.dir.display());
            return Err(CliError::new(ErrorKind::NotFound, what)
                .why("expected files named ledger-00000000000000000001.jsonl and so on"));
        }
        print(&checked, self.output.output)?;
        let Checked { report, bad_records } = checked;
        if let Some(broken) = report.broken {
            return Err(CliError::new(ErrorKind::Internal, "the ledger is broken")
                .why(broken.to_string())
                .hint("keep this copy as it is: it is evidence"));
        }
        if let Some(first) = bad_records.first() {
            let count = bad_records.len();
            return Err(CliError::new(
                ErrorKind::Internal,
                format!("{count} records beside the chain are not as written"),
            )
            .why(format!("the first: blobs/{first}"))
            .hint("keep this copy as it is: it is evidence"));
        }
        Ok(())
    }
}

struct Checked {
    report: Report,
    /// Hashes of records beside the chain that are missing or changed.
    bad_records: Vec<String>,
}

pub(super) fn read_key(path: &Path) -> Result<PublicKey, CliError> {
    let text = fs::read_to_string(path)
        .map_err(|error| CliError::local(format!("cannot read {}", path.display()), error))?;
    PublicKey::from_hex(&text).ok_or_else(|| {
        CliError::usage(format!("{} is not a public key", path.display()))
            .why("expected 64 lower-case hexadecimal digits, as in the server's signing.pub")
    })
}

fn verify(directory: &Path, key: Option<PublicKey>) -> io::Result<Checked> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        // A name that is not UTF-8 is no segment's.
        names.extend(entry?.file_name().into_string());
    }
    let mut verifier = Verifier::new(key);
    let mut bad_records = Vec::new();
    for name in order_segments(names) {
        verifier.segment(&name);
        let mut file = BufReader::new(File::open(directory.join(&name))?);
        let mut line = Vec::new();
        while file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? > 0 {
            if let Some(record) = verifier.line(&line)
                && !is_as_written(directory, &record)?
            {
                bad_records.push(record.sha256);
            }
            line.clear();
        }
    }
    Ok(Checked { report: verifier.finish(), bad_records })
}

fn is_as_written(directory: &Path, record: &BlobRef) -> io::Result<bool> {
    let file = match File::open(directory.join("blobs").join(&record.sha256)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(record.bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(record.matches(&bytes))
}

fn print(checked: &Checked, format: Format) -> Result<(), CliError> {
    let report = &checked.report;
    let whole = report.broken.is_none() && checked.bad_records.is_empty();
    let text = |value: Option<String>| value.unwrap_or_default();
    let broken = report.broken.as_ref();
    let gone: u64 = report.pruned.iter().map(|pruned| pruned.lines).sum();
    let fields = [
        ("whole", if whole { "yes" } else { "no" }.to_owned()),
        ("lines", report.lines.to_string()),
        ("segments", report.segments.to_string()),
        ("checkpoints", report.checkpoints.to_string()),
        ("pruned", text((gone > 0).then(|| gone.to_string()))),
        ("unsigned", report.unsigned.to_string()),
        ("last", text(report.last.map(|last| last.to_string()))),
        ("first_at", text(report.first_at.map(|at| at.to_string()))),
        ("last_at", text(report.last_at.map(|at| at.to_string()))),
        ("key", text(report.key.map(|key| key.to_string()))),
        ("broken", text(broken.map(ToString::to_string))),
    ];
    match format {
        Format::Table => {
            let lines = fields.iter().filter(|(_, value)| !value.is_empty());
            let lines: String = lines.map(|(name, value)| format!("{name:<12}{value}\n")).collect();
            let pruned: String = report.pruned.iter().map(|pruned| format!("{pruned}\n")).collect();
            output::result(&output::clean(&(lines + &pruned)))
        }
        Format::Csv => {
            output::result(&output::csv_line(fields.iter().map(|(name, _)| Some(*name))))?;
            output::result(&output::csv_line(fields.iter().map(|(_, value)| Some(value.as_str()))))
        }
        Format::Json => output::json(&serde_json::json!({
            "whole": whole,
            "lines": report.lines,
            "segments": report.segments,
            "checkpoints": report.checkpoints,
            "unsigned": report.unsigned,
            "last": report.last,
            "first_at": report.first_at,
            "last_at": report.last_at,
            "key": report.key.map(|key| key.to_string()),
            "broken": broken.map(|broken| serde_json::json!({
                "segment": broken.segment,
                "line": broken.number,
                "fault": broken.fault.to_string(),
            })),
            "bad_records": checked.bad_records,
            "pruned": report.pruned.iter().map(|pruned| serde_json::json!({
                "segment": pruned.segment,
                "from": pruned.from,
                "to": pruned.to,
                "lines": pruned.lines,
                "told": pruned.told.as_ref().map(|told| serde_json::json!({
                    "line": told.seq,
                    "at": told.at,
                    "rule": told.rule,
                })),
            })).collect::<Vec<_>>(),
        })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::ledger::{Checkpoint, Hash, push_line, segment_name};
    use ed25519_dalek::SigningKey;
    use jiff::Timestamp;

    /// A ledger of one record beside the chain, one plain one and a checkpoint.
    fn ledger(directory: &Path, key: &SigningKey) -> String {
        let record = r#"{"kind":"statement.intent","text":"select 1"}"#;
        let blob = BlobRef::to(record);
        fs::create_dir(directory.join("blobs")).unwrap();
        fs::write(directory.join("blobs").join(&blob.sha256), record).unwrap();
        let mut bytes = Vec::new();
        let at = Timestamp::UNIX_EPOCH;
        let first = push_line(&mut bytes, 1, at, &Hash::ZERO, &blob.to_body());
        let second = push_line(&mut bytes, 2, at, &first, r#"{"kind":"x"}"#);
        push_line(&mut bytes, 3, at, &second, &Checkpoint::sign(2, &second, key).to_body());
        fs::write(directory.join(segment_name(1)), bytes).unwrap();
        blob.sha256
    }

    #[test]
    fn b4_a_whole_ledger_passes_and_a_touched_one_does_not() {
        let (room, signing) = (tempfile::tempdir().unwrap(), SigningKey::from_bytes(&[7; 32]));
        let key = PublicKey::of(&signing);
        let record = ledger(room.path(), &signing);
        let whole = verify(room.path(), Some(key)).unwrap();
        assert_eq!((whole.report.lines, whole.report.broken, whole.bad_records.len()), (3, None, 0));
        let other = PublicKey::of(&SigningKey::from_bytes(&[8; 32]));
        assert!(verify(room.path(), Some(other)).unwrap().report.broken.is_some());

        let blob = room.path().join("blobs").join(&record);
        let written = fs::read(&blob).unwrap();
        fs::write(&blob, "other").unwrap();
        assert_eq!(verify(room.path(), None).unwrap().bad_records, [record.as_str()]);
        fs::remove_file(&blob).unwrap();
        assert_eq!(verify(room.path(), None).unwrap().bad_records, [record.as_str()]);
        fs::write(&blob, written).unwrap();

        let segment = room.path().join(segment_name(1));
        let text = fs::read_to_string(&segment).unwrap();
        fs::write(&segment, text.replace("\"x\"", "\"y\"")).unwrap();
        assert!(verify(room.path(), None).unwrap().report.broken.is_some());
    }
}
