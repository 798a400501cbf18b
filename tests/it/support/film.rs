//! A session that nobody had: its recording and its ledger, written as the
//! server writes them, with whatever is to be in them.

use dbaccess::core::ledger::{Hash, push_line, segment_name};
use dbaccess::core::model::{
    ConnectionId, GrantId, PersonRef, RecordingRecord, SessionId, StatementRecord, StatementResult,
};
use dbaccess::core::recording::{
    AuditorSecret, Connected, Entry, Header, Kind, Outcome, Sealer, Statement, encode_chunk, push_entry,
};
use jiff::{SignedDuration, Timestamp};
use std::borrow::Cow;
use std::path::{Path, PathBuf};

pub struct Film {
    session: SessionId,
    now: Timestamp,
    /// Chunks of the recording's entries, and those of the next.
    chunks: Vec<Vec<u8>>,
    entries: Vec<u8>,
    sealed_to: Option<AuditorSecret>,
    /// Bytes that the client was sent.
    sent: u64,
    ledger: Vec<u8>,
    seq: u64,
    last: Hash,
}

/// What a statement returns.
pub enum Returns<'a> {
    Rows { columns: &'a [(&'a str, u32)], rows: Vec<Vec<Option<&'a str>>> },
    Tag(&'a str),
    Error { sqlstate: &'a str, message: &'a str },
}

impl Film {
    pub fn begin() -> Self {
        let mut film = Self {
            session: SessionId::from_stored("ses-film00000000"),
            now: "2026-11-23T09:00:00Z".parse().unwrap(),
            chunks: Vec::new(),
            entries: Vec::new(),
            sealed_to: None,
            sent: 0,
            ledger: Vec::new(),
            seq: 0,
            last: Hash::ZERO,
        };
        let connected = Connected { connection: connection() };
        film.entry(Kind::Connected, &serde_json::to_vec(&connected).unwrap());
        film
    }

    /// Time goes by, in milliseconds.
    pub fn wait(&mut self, ms: i64) {
        self.now += SignedDuration::from_millis(ms);
    }

    /// What follows is in another chunk.
    pub fn cut(&mut self) {
        self.chunks.push(std::mem::take(&mut self.entries));
    }

    /// It will be sealed; gives the text of the key that opens it.
    pub fn seal(&mut self) -> String {
        let secret = AuditorSecret::from_random([7; 32]);
        let text = secret.to_text().to_string();
        self.sealed_to = Some(secret);
        text
    }

    fn entry(&mut self, kind: Kind, bytes: &[u8]) {
        push_entry(&mut self.entries, &Entry { kind, connection: 1, at: self.now, bytes });
    }

    fn line(&mut self, record: &impl serde::Serialize) -> u64 {
        self.seq += 1;
        let body = serde_json::to_string(record).unwrap();
        self.last = push_line(&mut self.ledger, self.seq, self.now, &self.last, &body);
        self.seq
    }

    fn server(&mut self, frames: &[u8]) {
        self.sent += frames.len() as u64;
        self.entry(Kind::Server, frames);
    }

    /// One statement, which takes so many milliseconds; its rows come one by one in them.
    pub fn statement(&mut self, text: &str, ms: i64, returns: &Returns<'_>) {
        let session = self.session.clone();
        let person = PersonRef { subject: "alice".to_owned(), email: "alice@example.com".to_owned() };
        let intent = self.line(&StatementRecord::Intent {
            session: Cow::Borrowed(&session),
            grant: Cow::Owned(GrantId::from_stored("gra-film00000000")),
            connection: Cow::Owned(connection()),
            person: Cow::Owned(person),
            target: Cow::Borrowed("prod-orders"),
            text: Cow::Borrowed(text),
            parameters: Cow::Borrowed(&[]),
            parameters_sha256: None,
            sealed: None,
            class: Cow::Borrowed("select"),
            facts: None,
        });
        self.entry(Kind::Client, &frame(b'Q', &[text.as_bytes(), b"\0"].concat()));
        let mark = Statement { intent, text: text.to_owned(), cut: false };
        self.entry(Kind::Statement, &serde_json::to_vec(&mark).unwrap());
        let before = self.sent;
        let (result, rows) = match returns {
            Returns::Rows { columns, rows } => {
                self.server(&row_description(columns));
                for row in rows {
                    self.now += SignedDuration::from_micros(ms * 1000 / rows.len().max(1) as i64);
                    self.server(&data_row(row));
                }
                let tag = format!("SELECT {}", rows.len());
                self.server(&frame(b'C', &[tag.as_bytes(), b"\0"].concat()));
                (StatementResult::Ok { tag }, rows.len() as u64)
            }
            Returns::Tag(tag) => {
                self.wait(ms);
                self.server(&frame(b'C', &[tag.as_bytes(), b"\0"].concat()));
                (StatementResult::Ok { tag: (*tag).to_owned() }, 0)
            }
            Returns::Error { sqlstate, message } => {
                self.wait(ms);
                self.server(&frame(b'E', format!("SERROR\0C{sqlstate}\0M{message}\0\0").as_bytes()));
                let (sqlstate, message) = ((*sqlstate).to_owned(), (*message).to_owned());
                (StatementResult::Error { sqlstate, message }, 0)
            }
        };
        let bytes = self.sent - before;
        let mark = Outcome { intent, result: result.clone(), rows, ends_at: Some(self.sent) };
        self.server(&frame(b'Z', b"I"));
        self.entry(Kind::Outcome, &serde_json::to_vec(&mark).unwrap());
        self.line(&StatementRecord::Outcome {
            intent,
            session: Cow::Borrowed(&session),
            result,
            rows,
            bytes,
            duration_us: u64::try_from(ms).unwrap() * 1000,
            shape: None,
            export: None,
            sealed: None,
        });
    }

    /// Writes `ses-….rec` and `ledger/` into the directory; gives the path of each.
    pub fn write(mut self, dir: &Path) -> (PathBuf, PathBuf) {
        self.entry(Kind::Disconnected, &[]);
        self.cut();
        let sealer = self.sealed_to.as_ref();
        let sealer = sealer.map(|secret| Sealer::new(&self.session, secret.public(), [8; 32]).unwrap());
        let plain = || Header { session: self.session.clone(), sealed: None };
        let header = sealer.as_ref().map_or_else(plain, |(_, header)| header.clone()).encode();
        let sealer = sealer.as_ref().map(|(sealer, _)| sealer);
        let session = || self.session.clone();
        let mut told = vec![RecordingRecord::Started {
            session: session(),
            sealed_to: None,
            sha256: Hash::of(&header).to_string(),
            bytes: header.len() as u64,
        }];
        let mut file = header;
        for (index, entries) in (0..).zip(&self.chunks) {
            let (chunk, hash) = encode_chunk(index, entries, sealer).unwrap();
            let (sha256, bytes) = (hash.to_string(), chunk.len() as u64);
            told.push(RecordingRecord::Chunk { session: session(), index, sha256, bytes });
            file.extend_from_slice(&chunk);
        }
        told.push(RecordingRecord::Ended {
            session: session(),
            chunks: u32::try_from(self.chunks.len()).unwrap(),
            bytes: file.len() as u64,
            sha256: Hash::of(&file).to_string(),
            recovered: None,
        });
        for record in &told {
            self.line(record);
        }
        let (path, ledger) = (dir.join(format!("{}.rec", self.session)), dir.join("ledger"));
        std::fs::write(&path, file).unwrap();
        std::fs::create_dir(&ledger).unwrap();
        std::fs::write(ledger.join(segment_name(1)), &self.ledger).unwrap();
        (path, ledger)
    }
}

fn connection() -> ConnectionId {
    ConnectionId::from_stored("con-film00000000")
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag], length.to_be_bytes().as_slice(), body].concat()
}

fn row_description(columns: &[(&str, u32)]) -> Vec<u8> {
    let mut body = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
    for (name, type_oid) in columns {
        body.extend_from_slice(name.as_bytes());
        // The table's OID, the column's number, the type, its size, its modifier, text.
        body.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0]);
        body.extend_from_slice(&type_oid.to_be_bytes());
        body.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
    }
    frame(b'T', &body)
}

fn data_row(values: &[Option<&str>]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        let length = value.map_or(-1, |value| i32::try_from(value.len()).unwrap());
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(value.unwrap_or_default().as_bytes());
    }
    frame(b'D', &body)
}
