use super::Context;
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, OutputArgs};
use crate::cli::recorded::{JsonLines, Playback, Screen, Text};
use crate::core::ledger::{Line, order_segments};
use crate::core::model::{ErrorKind, RecordingRecord, Recovered, SessionId};
use crate::core::recording::{AuditorSecret, Chunk, Chunks, Entries, Header, Opener, Proof, RecordingError};
use crate::os;
use jiff::Timestamp;
use reqwest::Response;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Show what was recorded of a session, and make the key that recordings are sealed to.
#[derive(Clone, Debug, clap::Args)]
pub struct RecordingArgs {
    #[command(subcommand)]
    command: RecordingCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum RecordingCommand {
    Show(ShowArgs),
    Keygen(KeygenArgs),
}

/// Show the statements of a recorded session with the rows that it saw.
///
/// Each part is compared with the ledger before it is shown; what was changed,
/// added, moved or cut off is named, and is an error. For security and auditors;
/// that you have looked is on the ledger.
#[derive(Clone, Debug, clap::Args)]
struct ShowArgs {
    /// The session, by id or unique prefix; or a recording's file
    #[arg(value_name = "SESSION|FILE")]
    what: String,
    /// The auditor's private key, where recordings are sealed
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// With a file: a copy of the ledger to compare it with
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Make a key pair: the private key to FILE, the public one to stdout.
///
/// The public key goes into the server's configuration, under [recording]
/// auditor_key. Whoever has FILE can read the recordings that are made from then
/// on; without it nobody can.
#[derive(Clone, Debug, clap::Args)]
struct KeygenArgs {
    /// Where the private key goes; it must not exist
    file: PathBuf,
}

/// Bytes of a file that are read at once.
const PIECE: usize = 256 << 10;
/// No header is longer.
const LONGEST_HEADER: usize = 4096;
/// What is in names of files alone.
const NOT_IN_AN_ID: [char; 2] = ['/', '.'];
/// Longer than any line the server writes: what is larger stands beside the chain.
const LONGEST_LINE: u64 = 16 * 1024 * 1024;

impl RecordingArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            RecordingCommand::Show(args) => args.run(context).await,
            RecordingCommand::Keygen(args) => args.run(),
        }
    }
}

impl KeygenArgs {
    fn run(self) -> Result<(), CliError> {
        let secret = AuditorSecret::from_random(os::random());
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.file)?;
            file.write_all(secret.to_text().as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::AlreadyExists => "a key that is there is never overwritten: name another file",
                io::ErrorKind::NotFound => "make the directory first: nobody but you should look into it",
                _ => "name a file where you may write, in a directory that nobody else looks into",
            };
            CliError::local(format!("cannot write {}", self.file.display()), error).hint(hint)
        })?;
        output::note(&format!(
            "the private key is in {}: keep it off the server, and a copy where it is safe",
            self.file.display()
        ));
        output::result(&format!("{}\n", secret.public()))
    }
}

/// Where a recording comes from.
enum Source {
    Server(Response),
    File(File),
}

impl Source {
    async fn next(&mut self) -> Result<Option<Vec<u8>>, CliError> {
        match self {
            Self::Server(response) => match response.chunk().await {
                Ok(piece) => Ok(piece.map(|piece| piece.to_vec())),
                Err(error) => Err(CliError::new(ErrorKind::Unreachable, "the recording did not come whole")
                    .why(error.to_string())
                    .hint("try again")),
            },
            Self::File(file) => {
                let mut piece = vec![0; PIECE];
                let read = file.read(&mut piece);
                let n = read.map_err(|error| CliError::local("the recording cannot be read", error))?;
                piece.truncate(n);
                Ok((n > 0).then_some(piece))
            }
        }
    }
}

impl ShowArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let mut screen: Box<dyn Screen> = match self.output.output {
            Format::Table => Box::new(Text::default()),
            Format::Json => Box::new(JsonLines),
            Format::Csv => {
                return Err(CliError::usage("a recording is no table").hint("--output table, or json"));
            }
        };
        let secret = self.key.as_deref().map(read_key).transpose()?;
        let path = Path::new(&self.what);
        let (source, proof) = if path.is_file() {
            let file = File::open(path)
                .map_err(|error| CliError::local(format!("cannot read {}", path.display()), error))?;
            let session = session_of(path)?;
            let proof = self.ledger.as_deref().map(|dir| from_ledger(dir, &session));
            (Source::File(file), proof.transpose()?)
        } else if self.ledger.is_some() || self.what.contains(NOT_IN_AN_ID) {
            return Err(no_file(path, self.ledger.is_some()));
        } else {
            let client = context.client()?;
            let proof = from_server(&client, &self.what).await?;
            (Source::Server(client.recording_file(&self.what).await?), Some(proof))
        };
        let checked = play(source, proof.as_ref(), secret.as_ref(), screen.as_mut()).await?;
        said(proof.as_ref(), &checked).iter().for_each(|line| output::note(line));
        Ok(())
    }
}

/// What was read of a recording.
struct Checked {
    chunks: u32,
    /// It ends within a chunk.
    torn: Option<RecordingError>,
}

/// Shows a recording as far as it is what it should be.
async fn play(
    mut source: Source,
    proof: Option<&Proof>,
    secret: Option<&AuditorSecret>,
    screen: &mut dyn Screen,
) -> Result<Checked, CliError> {
    let mut head = Vec::new();
    let (header, length) = loop {
        match Header::decode(&head).map_err(|error| broken(&error))? {
            Some(found) => break found,
            None if head.len() > LONGEST_HEADER => return Err(broken(&RecordingError::NotARecording)),
            None => match source.next().await? {
                Some(piece) => head.extend_from_slice(&piece),
                None => return Err(broken(&RecordingError::NoHeader)),
            },
        }
    };
    let rest = head.split_off(length);
    if let Some(proof) = proof {
        proof.header(&head).map_err(|error| broken(&error))?;
    }
    let opener = Opener::of(&header, secret).map_err(|error| {
        CliError::new(ErrorKind::Denied, "this recording cannot be read").why(error.to_string())
    })?;
    let (mut chunks, mut playback, mut at) = (Chunks::default(), Playback::default(), os::now());
    let mut piece = Some(rest);
    while let Some(bytes) = piece {
        chunks.feed(&bytes);
        while let Some(chunk) = chunks.next_chunk().map_err(|error| broken(&error))? {
            if let Some(proof) = proof {
                proof.chunk(&chunk).map_err(|error| broken(&error))?;
            }
            show(chunk, opener.as_ref(), &mut playback, &mut at, screen)?;
        }
        piece = source.next().await?;
    }
    playback.finish(at, screen)?;
    if let Some(proof) = proof {
        proof.end(chunks.next_index()).map_err(|error| broken(&error))?;
    }
    let torn = chunks.finish().err();
    match torn {
        // The end of one that goes on may be on its way.
        Some(error) if proof.is_some_and(Proof::is_ended) => Err(broken(&error)),
        torn => Ok(Checked { chunks: chunks.next_index(), torn }),
    }
}

fn show(
    chunk: Chunk,
    opener: Option<&Opener>,
    playback: &mut Playback,
    at: &mut Timestamp,
    screen: &mut dyn Screen,
) -> Result<(), CliError> {
    let index = chunk.index;
    let entries = chunk.open(opener).map_err(|error| broken(&error))?;
    for entry in Entries::new(index, &entries) {
        let entry = entry.map_err(|error| broken(&error))?;
        *at = entry.at;
        playback.entry(&entry, screen)?;
    }
    Ok(())
}

/// How sure it is, for stderr.
fn said(proof: Option<&Proof>, checked: &Checked) -> Vec<String> {
    let Checked { chunks, torn } = checked;
    let Some(proof) = proof else {
        let mut lines = vec!["not compared with a ledger: name a copy of it with --ledger".to_owned()];
        lines.extend(torn.as_ref().map(|torn| format!("the recording was cut off: {torn}")));
        return lines;
    };
    if !proof.is_ended() {
        let untold = proof.untold(*chunks);
        let mut lines =
            vec![format!("{} chunks are as on the ledger; the recording goes on", chunks - untold)];
        if untold > 0 {
            lines.push(format!(
                "{untold} chunks not yet on the ledger: nothing shows that these last ones are as they were \
                 written; look again when the session has ended"
            ));
        }
        return lines;
    }
    let mut lines = vec![format!("all {chunks} chunks are as on the ledger, to the end")];
    if let Some(Recovered { untold, torn_bytes, .. }) = proof.recovered() {
        lines.push(format!(
            "its server was killed: at most the last second is missing ({torn_bytes} bytes of a torn chunk were cut off)"
        ));
        if untold > 0 {
            lines.push(format!(
                "{untold} of the chunks came to the ledger only when the server was started again: what was done \
                 to the file until then, the ledger cannot show"
            ));
        }
    }
    lines
}

/// Not what was written: evidence of something.
fn broken(error: &dyn std::fmt::Display) -> CliError {
    CliError::new(ErrorKind::Internal, "the recording is broken")
        .why(error.to_string())
        .hint("what stands above is as it was written; keep the file as it is: it is evidence")
}

fn read_key(path: &Path) -> Result<AuditorSecret, CliError> {
    let cannot = |error| CliError::local(format!("cannot read {}", path.display()), error);
    let file = File::open(path).map_err(cannot)?;
    let mode = file.metadata().map_err(cannot)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(CliError::usage(format!("others can read {}", path.display()))
            .why("it opens recordings, and should be its owner's alone")
            .hint(format!("chmod 600 {}, and consider it known", path.display())));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(1024).read_to_string(&mut text).map_err(cannot)?;
    AuditorSecret::parse(&text).ok_or_else(|| {
        CliError::usage(format!("{} is not an auditor's private key", path.display()))
            .hint("`dbaccess recording keygen FILE` makes one")
    })
}

/// What the server's ledger says of a session's recording.
async fn from_server(client: &Client, session: &str) -> Result<Proof, CliError> {
    let (mut proof, mut after) = (Proof::default(), None);
    loop {
        let page = client.recording(session, after).await?;
        let Some(last) = page.records.last() else { return Ok(proof) };
        after = Some(last.seq);
        page.records.into_iter().for_each(|one| proof.add(one.record));
    }
}

fn no_file(path: &Path, with_ledger: bool) -> CliError {
    let shown = path.display();
    let what =
        if path.is_dir() { format!("{shown} is a directory") } else { format!("there is no file {shown}") };
    let error = CliError::usage(what).hint(
        "name a recording's file, or a session by its id: dbaccess sessions --all says which were recorded",
    );
    let why = "--ledger is for a recording's file; a server compares with its own ledger";
    if with_ledger { error.why(why) } else { error }
}

/// Whose recording a file is.
fn session_of(path: &Path) -> Result<SessionId, CliError> {
    let mut head = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_HEADER as u64).read_to_end(&mut head));
    read.map_err(|error| CliError::local(format!("cannot read {}", path.display()), error))?;
    let header = Header::decode(&head).and_then(|found| found.ok_or(RecordingError::NoHeader));
    header.map(|(header, _)| header.session).map_err(|error| {
        CliError::usage(format!("{} is no recording", path.display()))
            .why(error.to_string())
            .hint("a session's is shown by its id: dbaccess recording show SESSION")
    })
}

/// What a copy of the ledger says of a session's recording.
fn from_ledger(dir: &Path, session: &SessionId) -> Result<Proof, CliError> {
    let mut proof = Proof::default();
    let mut read = || {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            names.extend(entry?.file_name().into_string());
        }
        for name in order_segments(names) {
            let mut file = BufReader::new(File::open(dir.join(name))?);
            let mut line = Vec::new();
            while file.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? > 0 {
                let bytes = line.strip_suffix(b"\n").unwrap_or(&line);
                let record = Line::parse(bytes).ok().and_then(|line| serde_json::from_str(line.body).ok());
                if let Some(record) = record.filter(|record: &RecordingRecord| record.session() == session) {
                    proof.add(record);
                }
                line.clear();
            }
        }
        Ok::<_, io::Error>(())
    };
    read().map_err(|error| CliError::local(format!("cannot read {}", dir.display()), error))?;
    Ok(proof)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(told: u32, end: Option<Option<Recovered>>) -> Proof {
        let (mut proof, session) = (Proof::default(), SessionId::from_stored("ses-1"));
        for index in 0..told {
            let (session, sha256) = (session.clone(), String::new());
            proof.add(RecordingRecord::Chunk { session, index, sha256, bytes: 1 });
        }
        if let Some(recovered) = end {
            let sha256 = String::new();
            proof.add(RecordingRecord::Ended { session, chunks: told, bytes: 1, sha256, recovered });
        }
        proof
    }

    #[test]
    fn r8_4_what_the_ledger_cannot_show_is_said() {
        let checked = |chunks| Checked { chunks, torn: None };
        let of = |proof: &Proof, chunks| said(Some(proof), &checked(chunks)).join("\n");
        let going_on = of(&proof(3, None), 5);
        assert!(going_on.contains("3 chunks are as on the ledger; the recording goes on"), "{going_on}");
        assert!(going_on.contains("2 chunks not yet on the ledger"), "{going_on}");
        assert!(!of(&proof(3, None), 3).contains("not yet"));
        let recovered = |untold| Some(Some(Recovered { untold, lost: 0, torn_bytes: 6 }));
        let killed = of(&proof(3, recovered(2)), 3);
        assert!(killed.contains("6 bytes of a torn chunk"), "{killed}");
        assert!(killed.contains("2 of the chunks came to the ledger only when"), "{killed}");
        assert!(!of(&proof(3, recovered(0)), 3).contains("only when"));
        assert_eq!(of(&proof(3, Some(None)), 3), "all 3 chunks are as on the ledger, to the end");
    }
}
