//! Where a recording comes from, and whether it is what the ledger says.

use super::ledger_copy::each_line;
use super::{Playback, Screen};
use crate::cli::client::Client;
use crate::cli::error::CliError;
use crate::core::model::{ErrorKind, RecordingRecord, Recovered, SessionId};
use crate::core::recording::{
    AuditorSecret, Chunk, Chunks, Entries, Header, Mismatch, Opener, Proof, RecordingError,
};
use jiff::Timestamp;
use reqwest::Response;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Bytes of a file that are read at once.
const PIECE: usize = 256 << 10;
/// What is in names of files alone.
const NOT_IN_AN_ID: [char; 2] = ['/', '.'];
/// No header is longer.
const LONGEST_HEADER: usize = 4096;

/// A recording that is open, and what there is to compare it with.
pub struct Recorded {
    source: Source,
    proof: Option<Proof>,
}

impl Recorded {
    /// A session's, of the server; that it was asked for is on the ledger then.
    pub async fn of_server(client: &Client, session: &str) -> Result<Self, CliError> {
        let proof = from_server(client, session).await?;
        let source = Source::Server(client.recording_file(session).await?);
        Ok(Self { source, proof: Some(proof) })
    }

    /// A file, compared with a copy of the ledger where there is one.
    pub fn of_file(path: &Path, ledger: Option<&Path>) -> Result<Self, CliError> {
        let file = File::open(path)
            .map_err(|error| CliError::local(format!("cannot read {}", path.display()), error))?;
        let session = session_of(path)?;
        let proof = ledger.map(|dir| from_ledger(dir, &session)).transpose()?;
        Ok(Self { source: Source::File(file), proof })
    }

    /// Shows it as far as it is what it should be.
    pub async fn show(
        self,
        secret: Option<&AuditorSecret>,
        screen: &mut dyn Screen,
    ) -> Result<Played, CliError> {
        let Self { source, proof } = self;
        let proof = proof.as_ref();
        let (mut playback, mut at) = (Playback::default(), None);
        let played = match play(source, proof, secret, &mut playback, &mut at, screen).await {
            Ok(checked) => Played { said: said(proof, &checked), at, broken: None },
            // Nobody knows what else would have been there to compare.
            Err(Stop::Broken(why)) => Played {
                said: proof.is_none().then(|| NOT_COMPARED.to_owned()).into_iter().collect(),
                at,
                broken: Some(CliError::new(ErrorKind::Internal, "the recording is broken").why(why)),
            },
            Err(Stop::Other(error)) => return Err(error),
        };
        // Where nothing was played, nothing is left to be shown.
        playback.finish(at.unwrap_or_default(), screen)?;
        Ok(played)
    }
}

/// How a recording was played.
#[derive(Debug)]
pub struct Played {
    /// How sure it is: a sentence each.
    pub said: Vec<String>,
    /// When the last happened that was played.
    pub at: Option<Timestamp>,
    /// It is not what was written: played is what stands before that.
    pub broken: Option<CliError>,
}

const NOT_COMPARED: &str = "not compared with a ledger: name a copy of it with --ledger";

/// Why no more of it is played.
enum Stop {
    /// It is not what was written: evidence of something.
    Broken(String),
    Other(CliError),
}

impl From<CliError> for Stop {
    fn from(error: CliError) -> Self {
        Self::Other(error)
    }
}

impl From<RecordingError> for Stop {
    fn from(error: RecordingError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl From<Mismatch> for Stop {
    fn from(error: Mismatch) -> Self {
        Self::Broken(error.to_string())
    }
}

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

/// What was read of a recording.
struct Checked {
    chunks: u32,
    /// It ends within a chunk.
    torn: Option<RecordingError>,
}

async fn play(
    mut source: Source,
    proof: Option<&Proof>,
    secret: Option<&AuditorSecret>,
    playback: &mut Playback,
    at: &mut Option<Timestamp>,
    screen: &mut dyn Screen,
) -> Result<Checked, Stop> {
    let mut head = Vec::new();
    let (header, length) = loop {
        match Header::decode(&head)? {
            Some(found) => break found,
            None if head.len() > LONGEST_HEADER => return Err(RecordingError::NotARecording.into()),
            None => match source.next().await? {
                Some(piece) => head.extend_from_slice(&piece),
                None => return Err(RecordingError::NoHeader.into()),
            },
        }
    };
    let rest = head.split_off(length);
    if let Some(proof) = proof {
        proof.header(&head)?;
    }
    let opener = Opener::of(&header, secret).map_err(|error| {
        CliError::new(ErrorKind::Denied, "this recording cannot be read").why(error.to_string())
    })?;
    let mut chunks = Chunks::default();
    let mut piece = Some(rest);
    while let Some(bytes) = piece {
        chunks.feed(&bytes);
        while let Some(chunk) = chunks.next_chunk()? {
            if let Some(proof) = proof {
                proof.chunk(&chunk)?;
            }
            show(chunk, opener.as_ref(), playback, at, screen)?;
        }
        piece = source.next().await?;
    }
    if let Some(proof) = proof {
        proof.end(chunks.next_index())?;
    }
    let torn = chunks.finish().err();
    match torn {
        // The end of one that goes on may be on its way.
        Some(error) if proof.is_some_and(Proof::is_ended) => Err(error.into()),
        torn => Ok(Checked { chunks: chunks.next_index(), torn }),
    }
}

fn show(
    chunk: Chunk,
    opener: Option<&Opener>,
    playback: &mut Playback,
    at: &mut Option<Timestamp>,
    screen: &mut dyn Screen,
) -> Result<(), Stop> {
    let index = chunk.index;
    let entries = chunk.open(opener)?;
    for entry in Entries::new(index, &entries) {
        let entry = entry?;
        *at = Some(entry.at);
        playback.entry(&entry, screen)?;
    }
    Ok(())
}

/// How sure it is: a sentence each.
fn said(proof: Option<&Proof>, checked: &Checked) -> Vec<String> {
    let Checked { chunks, torn } = checked;
    let Some(proof) = proof else {
        let mut lines = vec![NOT_COMPARED.to_owned()];
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

/// Whether it can only be meant as a file.
pub fn is_no_id(what: &str) -> bool {
    what.contains(NOT_IN_AN_ID)
}

/// An auditor's private key, which must be its owner's alone.
pub fn read_key(path: &Path) -> Result<AuditorSecret, CliError> {
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

/// Whose recording a file is.
pub fn session_of(path: &Path) -> Result<SessionId, CliError> {
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
    each_line(dir, |line| {
        let record = serde_json::from_str(line.body).ok();
        if let Some(record) = record.filter(|record: &RecordingRecord| record.session() == session) {
            proof.add(record);
        }
        Ok(())
    })?;
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
