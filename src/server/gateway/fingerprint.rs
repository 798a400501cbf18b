//! The hash of an export: of the data in the server's CopyData frames, so that
//! the file a client made of it can be told from another.

use crate::core::hex::hex;
use crate::core::model::Export;
use crate::wire::postgres::frame::Header;
use sha2::{Digest as _, Sha256};

#[derive(Debug, Default)]
pub struct Fingerprint {
    sha256: Sha256,
    bytes: u64,
    /// Bytes of the frame's body that have not come.
    left: usize,
}

impl Fingerprint {
    /// A run of CopyData frames. It may begin and end within a body, but not
    /// within a header, as the scanner has it.
    pub fn add(&mut self, mut run: &[u8]) {
        loop {
            let (body, rest) = run.split_at(self.left.min(run.len()));
            self.sha256.update(body);
            self.bytes += body.len() as u64;
            self.left -= body.len();
            let Some((header, behind)) = Header::peek(rest).zip(rest.get(Header::BYTES..)) else { return };
            self.left = header.frame_len().saturating_sub(Header::BYTES);
            run = behind;
        }
    }

    pub fn finish(&self, rows: u64) -> Export {
        Export { sha256: hex(&self.sha256.clone().finalize()), bytes: self.bytes, rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_and_cuts_make_no_difference() {
        let frames = b"d\0\0\0\x08a,b\nd\0\0\0\x04d\0\0\0\x06c\n";
        let whole = hex(&Sha256::digest(b"a,b\nc\n"));
        for cut in [0, 5, 7, 9, 14, 19, 20, 21] {
            let mut print = Fingerprint::default();
            print.add(&frames[..cut]);
            print.add(&frames[cut..]);
            assert_eq!(print.finish(2), Export { sha256: whole.clone(), bytes: 6, rows: 2 }, "{cut}");
        }
    }
}
