//! Whole frames out of bytes that come in pieces.

use crate::wire::postgres::WireError;
use crate::wire::postgres::frame::Header;

/// A longer frame is passed over, and only its length is known.
const LARGEST: usize = 8 << 20;

/// One direction of one connection.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    taken: usize,
    /// Bytes still to come of a frame that is passed over.
    skipping: usize,
    /// Bytes of the stream up to the end of the last frame that was given.
    place: u64,
}

/// One frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    Whole { tag: u8, body: &'a [u8] },
    Long { tag: u8, bytes: u64 },
}

impl Frames {
    pub fn feed(&mut self, mut bytes: &[u8]) {
        if self.skipping > 0 {
            let skipped = self.skipping.min(bytes.len());
            bytes = bytes.get(skipped..).unwrap_or_default();
            self.skipping -= skipped;
        }
        self.buffer.drain(..std::mem::take(&mut self.taken));
        self.buffer.extend_from_slice(bytes);
    }

    /// Where the frame ends that was given last.
    pub fn place(&self) -> u64 {
        self.place
    }

    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, WireError> {
        let rest = self.buffer.get(self.taken..).unwrap_or_default();
        let Some(header) = Header::peek(rest) else { return Ok(None) };
        let header = header.check(u32::MAX)?;
        let (tag, length) = (header.tag, header.frame_len());
        if length > LARGEST {
            let here = length.min(rest.len());
            self.taken += here;
            self.skipping = length - here;
            self.place += length as u64;
            return Ok(Some(Frame::Long { tag, bytes: length as u64 }));
        }
        if rest.len() < length {
            return Ok(None);
        }
        let at = self.taken;
        self.taken += length;
        self.place += length as u64;
        let body = self.buffer.get(at + Header::BYTES..self.taken).unwrap_or_default();
        Ok(Some(Frame::Whole { tag, body }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_whatever_the_pieces() {
        let long = LARGEST as u32;
        let mut stream = b"Z\0\0\0\x05I".to_vec();
        stream.push(b'D');
        stream.extend_from_slice(&(long + 4).to_be_bytes());
        stream.extend(std::iter::repeat_n(7, LARGEST));
        stream.extend_from_slice(b"C\0\0\0\x06ok");
        for step in [1 << 20, 4 << 20, stream.len()] {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for piece in stream.chunks(step) {
                frames.feed(piece);
                while let Some(frame) = frames.next_frame().unwrap() {
                    seen.push(match frame {
                        Frame::Whole { tag, body } => (tag, body.len() as u64),
                        Frame::Long { tag, bytes } => (tag, bytes),
                    });
                }
            }
            assert_eq!(seen, [(b'Z', 1), (b'D', u64::from(long) + 5), (b'C', 2)], "{step}");
            assert_eq!(frames.place(), stream.len() as u64);
        }
    }
}
