//! Where frames begin and end in a stream that arrives in pieces.
//!
//! The contract of [`Scanner`], for both directions:
//!
//! - The caller owns the buffer. It appends what it reads, and calls
//!   [`Scanner::next`] with the bytes not yet covered until it returns `None`.
//! - Each [`Piece`] covers a run of bytes directly behind the piece before;
//!   together they cover the stream without a gap. To relay, the caller writes
//!   the covered bytes as they are, as many pieces with one write as it likes.
//!   To replace a frame, it writes what came before, then the other bytes, and
//!   goes on behind the piece (and behind the [`What::Rest`] pieces that follow
//!   a [`What::Head`]).
//! - After `None`, the bytes not covered stay at the front of the buffer and
//!   the caller reads more behind them. They are never more than one frame
//!   that is delivered whole, so the buffer is bounded by [`Limits`].
//! - Rows and COPY data pass in runs: 500 rows in a buffer are one piece. Their
//!   headers are looked at, their bodies are not, and a row longer than the
//!   buffer passes in several pieces.
//!
//! ```
//! use dbaccess::wire::postgres::frame::{Limits, Scanner, What};
//! let buffer = b"D\0\0\0\x06\0\0D\0\0\0\x06\0\0Z\0\0\0\x05I";
//! let mut scanner = Scanner::backend(Limits::default());
//! let mut at = 0;
//! while let Some(piece) = scanner.next(&buffer[at..])? {
//!     match piece.what {
//!         What::Bulk { frames, .. } => assert_eq!((frames, piece.bytes.len()), (2, 14)),
//!         What::Frame { tag, body } => assert_eq!((tag, body), (b'Z', &b"I"[..])),
//!         What::Head { .. } | What::Rest { .. } => {}
//!     }
//!     at += piece.bytes.len();
//! }
//! assert_eq!(at, buffer.len());
//! # Ok::<(), dbaccess::wire::postgres::WireError>(())
//! ```

use super::{Tag, WireError, backend, frontend};

/// The five bytes in front of every body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub tag: u8,
    /// The length field: the body and the field itself, not the tag.
    pub len: u32,
}

impl Header {
    pub const BYTES: usize = 5;

    /// The header at the front of `bytes`, or `None` while it is incomplete.
    /// `len` is as the peer wrote it: see [`Header::check`].
    pub fn peek(bytes: &[u8]) -> Option<Self> {
        let ([tag, len @ ..], _) = bytes.split_first_chunk::<{ Self::BYTES }>()?;
        Some(Self { tag: *tag, len: u32::from_be_bytes(*len) })
    }

    /// Refuses a length below the field's own four bytes or above `max`.
    pub fn check(self, max: u32) -> Result<Self, WireError> {
        if (4..=max).contains(&self.len) {
            Ok(self)
        } else {
            Err(WireError::Length { tag: Tag(self.tag), len: self.len, max })
        }
    }

    /// Bytes of the whole frame, tag included.
    pub fn frame_len(self) -> usize {
        (self.len as usize).saturating_add(1)
    }
}

/// How much of a frame is held in memory, in bytes of its length field.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Any frame. PostgreSQL itself sends and accepts up to 1 GiB.
    pub frame: u32,
    /// A frame that must be known whole: longer is an error, but for Query and
    /// Parse, which are delivered as [`What::Head`] then, to be refused.
    pub whole: u32,
    /// A frame of which the beginning is enough (Bind, ErrorResponse, …): of a
    /// longer one this much is delivered, the rest passes.
    pub head: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { frame: 0x4000_0000, whole: 16 << 20, head: 256 << 10 }
    }
}

/// How much more of rows and COPY data may pass, in frames and in bytes of
/// whole frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    pub frames: u64,
    pub bytes: u64,
}

impl Bounds {
    pub const NONE: Self = Self { frames: u64::MAX, bytes: u64::MAX };

    /// Whether nothing at all may pass.
    pub fn is_none(self) -> bool {
        self.frames == 0 || self.bytes == 0
    }
}

/// A run of bytes of the stream and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    pub bytes: &'a [u8],
    pub what: What<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// One complete frame.
    Frame { tag: u8, body: &'a [u8] },
    /// The beginning of a frame that is longer than [`Limits::head`]; the rest
    /// of it follows as [`What::Rest`].
    Head { tag: u8, body: &'a [u8] },
    /// More of the frame whose head was delivered; `last` ends it.
    Rest { tag: u8, last: bool },
    /// Bytes of DataRow or CopyData frames. `frames` counts those that begin
    /// here, so that a row is counted before its first byte is passed on.
    Bulk { tag: u8, frames: u64 },
}

/// Walks the frames of one direction. It holds a few bytes of state and no
/// data. After an error the stream has no meaning any more: close it.
#[derive(Clone, Debug)]
pub struct Scanner {
    treatment: fn(u8) -> Option<Treatment>,
    expected: &'static str,
    limits: Limits,
    /// The tag and the bytes still to come of a frame that passes in pieces.
    passing: Option<(u8, usize)>,
}

/// What is done with the frames of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    Bulk,
    Whole,
    /// Whole, or if it is too long for that, its head.
    Text,
    Head,
}

impl Scanner {
    /// For what a server sends.
    pub fn backend(limits: Limits) -> Self {
        Self { treatment: backend::treatment, expected: "a message of a server", limits, passing: None }
    }

    /// For what a client sends after its startup message.
    pub fn frontend(limits: Limits) -> Self {
        Self { treatment: frontend::treatment, expected: "a message of a client", limits, passing: None }
    }

    /// Whether the last piece ended a frame, so that a frame of our own can be
    /// put between.
    pub fn at_boundary(&self) -> bool {
        self.passing.is_none()
    }

    /// Bytes still to come of the frame that passes in pieces; 0 between frames.
    pub fn left(&self) -> usize {
        self.passing.map_or(0, |(_, left)| left)
    }

    /// The next piece at the front of `bytes`, or `None` when more is needed.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Piece<'a>>, WireError> {
        self.next_within(bytes, Bounds::NONE)
    }

    /// As [`Scanner::next`], but a run of rows ends before the one that is out
    /// of bounds, for a limit that must be met exactly: a row counts with its
    /// whole length when it begins. The rest of a begun row always passes, and a
    /// row that must not begin gives `None`: see [`Scanner::held_back`].
    pub fn next_within<'a>(
        &mut self,
        bytes: &'a [u8],
        bounds: Bounds,
    ) -> Result<Option<Piece<'a>>, WireError> {
        if bytes.is_empty() {
            return Ok(None);
        }
        if let Some((tag, left)) = self.passing {
            return self.pass(bytes, tag, left, bounds);
        }
        let Some(header) = Header::peek(bytes) else {
            // A tag that nobody knows is refused at once, not after a length.
            return bytes.first().map_or(Ok(None), |&tag| self.known(tag).map(|_| None));
        };
        let treatment = self.known(header.tag)?;
        match treatment {
            Treatment::Bulk => self.run(bytes, 0, header.tag, bounds),
            Treatment::Whole => self.whole(bytes, header.check(self.limits.whole)?),
            Treatment::Text if header.len > self.limits.whole => {
                // Always less than the frame, so that it cannot pass for a whole one.
                let held = self.limits.head.min(self.limits.whole.saturating_sub(8));
                self.head(bytes, header.check(self.limits.frame)?, held)
            }
            Treatment::Head if header.len > self.limits.head => {
                self.head(bytes, header.check(self.limits.frame)?, self.limits.head)
            }
            Treatment::Text | Treatment::Head => self.whole(bytes, header.check(self.limits.frame)?),
        }
    }

    /// After `None`: the row at the front of `bytes` that the bounds keep back.
    /// Otherwise a row never waits for more than its header.
    pub fn held_back(&self, bytes: &[u8]) -> Option<Header> {
        let is_bulk = |header: &Header| (self.treatment)(header.tag) == Some(Treatment::Bulk);
        Header::peek(bytes).filter(|header| self.at_boundary() && is_bulk(header))
    }

    fn known(&self, tag: u8) -> Result<Treatment, WireError> {
        (self.treatment)(tag).ok_or(WireError::Unexpected { expected: self.expected, got: Tag(tag) })
    }

    fn whole<'a>(&self, bytes: &'a [u8], header: Header) -> Result<Option<Piece<'a>>, WireError> {
        Ok(bytes.split_at_checked(header.frame_len()).map(|(bytes, _)| {
            let body = bytes.get(Header::BYTES..).unwrap_or_default();
            Piece { bytes, what: What::Frame { tag: header.tag, body } }
        }))
    }

    fn head<'a>(
        &mut self,
        bytes: &'a [u8],
        header: Header,
        held: u32,
    ) -> Result<Option<Piece<'a>>, WireError> {
        let held = Header::BYTES + held as usize;
        // The length field counts itself, so a frame just above the limit can
        // be shorter than what is held.
        let held = held.min(header.frame_len());
        let Some((bytes, _)) = bytes.split_at_checked(held) else { return Ok(None) };
        let body = bytes.get(Header::BYTES..).unwrap_or_default();
        let left = header.frame_len() - held;
        if left == 0 {
            return Ok(Some(Piece { bytes, what: What::Frame { tag: header.tag, body } }));
        }
        self.passing = Some((header.tag, left));
        Ok(Some(Piece { bytes, what: What::Head { tag: header.tag, body } }))
    }

    fn pass<'a>(
        &mut self,
        bytes: &'a [u8],
        tag: u8,
        left: usize,
        bounds: Bounds,
    ) -> Result<Option<Piece<'a>>, WireError> {
        let taken = left.min(bytes.len());
        self.passing = (taken < left).then_some((tag, left - taken));
        if self.known(tag)? == Treatment::Bulk {
            return self.run(bytes, taken, tag, bounds);
        }
        let bytes = bytes.get(..taken).unwrap_or_default();
        Ok(Some(Piece { bytes, what: What::Rest { tag, last: self.passing.is_none() } }))
    }

    /// The hot loop: from `at`, one step for each header of the same tag.
    fn run<'a>(
        &mut self,
        bytes: &'a [u8],
        mut at: usize,
        tag: u8,
        mut bounds: Bounds,
    ) -> Result<Option<Piece<'a>>, WireError> {
        let mut frames = 0;
        while frames < bounds.frames {
            let Some(header) = bytes.get(at..).and_then(Header::peek) else { break };
            if header.tag != tag {
                break;
            }
            match header.check(self.limits.frame) {
                Ok(_) => {}
                // First what is sound; the next call begins at the bad header.
                Err(_) if at > 0 => break,
                Err(error) => return Err(error),
            }
            let Some(room) = bounds.bytes.checked_sub(header.frame_len() as u64) else { break };
            bounds.bytes = room;
            frames += 1;
            at += header.frame_len();
            if let Some(left) = at.checked_sub(bytes.len()).filter(|&left| left > 0) {
                self.passing = Some((tag, left));
                at = bytes.len();
                break;
            }
        }
        Ok(bytes
            .get(..at)
            .filter(|bytes| !bytes.is_empty())
            .map(|bytes| Piece { bytes, what: What::Bulk { tag, frames } }))
    }
}

#[cfg(test)]
mod tests;
