//! The beginning of a recording: whose it is, and to whom it is sealed.

use super::{AuditorKey, RecordingError};
use crate::core::model::SessionId;

const MAGIC: &[u8; 15] = b"dbaccess-rec-1\n";

/// What stands before the chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    pub session: SessionId,
    /// The file's own public key and the auditor's, where it is sealed.
    pub sealed: Option<([u8; 32], AuditorKey)>,
}

impl Header {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(u8::from(self.sealed.is_some()));
        if let Some((ephemeral, auditor)) = &self.sealed {
            bytes.extend_from_slice(ephemeral);
            bytes.extend_from_slice(auditor.bytes());
        }
        let session = self.session.as_str().as_bytes();
        bytes.extend_from_slice(&u16::try_from(session.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(session);
        bytes
    }

    /// The header at the front of `bytes` and its length, or `None` while it is
    /// incomplete.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, RecordingError> {
        let known = bytes.len().min(MAGIC.len());
        if bytes.get(..known) != MAGIC.get(..known) {
            return Err(RecordingError::NotARecording);
        }
        let mut rest = bytes.get(MAGIC.len()..).unwrap_or_default();
        let Some((sealed, tail)) = rest.split_first() else { return Ok(None) };
        rest = tail;
        let sealed = match sealed {
            0 => None,
            1 => {
                let Some((ephemeral, tail)) = rest.split_first_chunk::<32>() else { return Ok(None) };
                let Some((auditor, tail)) = tail.split_first_chunk::<32>() else { return Ok(None) };
                rest = tail;
                Some((*ephemeral, AuditorKey::from_bytes(*auditor)))
            }
            _ => return Err(RecordingError::NotARecording),
        };
        let Some((length, tail)) = rest.split_first_chunk::<2>() else { return Ok(None) };
        let Some((session, tail)) = tail.split_at_checked(u16::from_be_bytes(*length).into()) else {
            return Ok(None);
        };
        // It is shown and becomes the name of a file: nothing but an id may pass.
        let session = std::str::from_utf8(session).ok().filter(|id| is_id(id));
        let session = session.ok_or(RecordingError::NotARecording)?;
        let header = Self { session: SessionId::from_stored(session), sealed };
        Ok(Some((header, bytes.len() - tail.len())))
    }
}

fn is_id(text: &str) -> bool {
    let of_an_id = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !text.is_empty() && text.bytes().all(of_an_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r8_4_what_is_no_id_of_a_session_is_no_recording() {
        let read = |id: &str| {
            let bytes = Header { session: SessionId::from_stored(id), sealed: None }.encode();
            Header::decode(&bytes).map(|found| found.unwrap().0.session)
        };
        assert_eq!(read("ses-0123456789ab"), Ok(SessionId::from_stored("ses-0123456789ab")));
        for bad in ["", "ses-\x1b]0;pwned\x07", "ses-A", "ses/../x", "ses-\u{202e}", "ses 1", "<b>"] {
            assert_eq!(read(bad), Err(RecordingError::NotARecording), "{bad:?}");
        }
    }
}
