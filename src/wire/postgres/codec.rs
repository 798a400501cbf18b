//! The one bounded reader and the one frame writer of this room.

use super::WireError;
use bytes::{BufMut, BytesMut};

/// Reads a body from its beginning; every read checks the bound.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    message: &'static str,
}

impl<'a> Reader<'a> {
    pub fn new(message: &'static str, body: &'a [u8]) -> Self {
        Self { rest: body, message }
    }

    pub fn malformed(&self, why: &'static str) -> WireError {
        WireError::Malformed { message: self.message, why }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (head, rest) =
            self.rest.split_first_chunk().ok_or_else(|| self.malformed("it ends too early"))?;
        self.rest = rest;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Result<u16, WireError> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn i16(&mut self) -> Result<i16, WireError> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, WireError> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn bytes(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (head, rest) =
            self.rest.split_at_checked(len).ok_or_else(|| self.malformed("it ends too early"))?;
        self.rest = rest;
        Ok(head)
    }

    /// A length-prefixed value; a length of -1 is NULL.
    pub fn value(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        match self.i32()? {
            -1 => Ok(None),
            len => {
                let len =
                    usize::try_from(len).map_err(|_| self.malformed("a value has a negative length"))?;
                self.bytes(len).map(Some)
            }
        }
    }

    /// A string up to its NUL, without it.
    pub fn cstr(&mut self) -> Result<&'a [u8], WireError> {
        let nul = self
            .rest
            .iter()
            .position(|&byte| byte == 0)
            .ok_or_else(|| self.malformed("a string has no terminating NUL"))?;
        let string = self.bytes(nul)?;
        self.u8()?;
        Ok(string)
    }

    pub fn text(&mut self) -> Result<&'a str, WireError> {
        let bytes = self.cstr()?;
        std::str::from_utf8(bytes).map_err(|_| self.malformed("a string is not UTF-8"))
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    pub fn end(&self) -> Result<(), WireError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.malformed("bytes follow its end")) }
    }
}

/// Appends one frame; `body` writes what stands behind the length field.
pub(super) fn frame(out: &mut BytesMut, tag: u8, body: impl FnOnce(&mut BytesMut)) {
    out.put_u8(tag);
    untagged(out, body);
}

/// Appends one frame of the startup phase, which has no tag.
pub(super) fn untagged(out: &mut BytesMut, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    body(out);
    let len = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(field) = out.get_mut(start..start + 4) {
        field.copy_from_slice(&len.to_be_bytes());
    }
}

/// Appends a string and its NUL. A NUL within it would end it early and let
/// what follows be read as another field, so it is left out.
pub(super) fn put_cstr(out: &mut BytesMut, string: impl AsRef<[u8]>) {
    out.extend(string.as_ref().iter().copied().filter(|&byte| byte != 0));
    out.put_u8(0);
}
