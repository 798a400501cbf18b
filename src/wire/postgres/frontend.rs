//! What a client says after its startup message (PostgreSQL manual 55.7).
//!
//! Names, texts and values are bytes as they came: PostgreSQL decides about
//! encodings, not we.
//!
//! ```
//! use dbaccess::wire::postgres::frontend::{Message, Query};
//! let message = Message::decode(b'Q', b"SELECT 1\0")?;
//! assert_eq!(message, Message::Query(Query { text: b"SELECT 1" }));
//! # Ok::<(), dbaccess::wire::postgres::WireError>(())
//! ```

use super::codec::{Reader, frame, put_cstr};
use super::frame::Treatment;
use super::{Tag, WireError};
use bytes::{BufMut, BytesMut};

/// The first bytes of a client's frames.
pub mod tag {
    pub const BIND: u8 = b'B';
    pub const CLOSE: u8 = b'C';
    pub const COPY_DATA: u8 = b'd';
    pub const COPY_DONE: u8 = b'c';
    pub const COPY_FAIL: u8 = b'f';
    pub const DESCRIBE: u8 = b'D';
    pub const EXECUTE: u8 = b'E';
    pub const FLUSH: u8 = b'H';
    pub const FUNCTION_CALL: u8 = b'F';
    pub const PARSE: u8 = b'P';
    /// PasswordMessage, SASLInitialResponse, SASLResponse and GSSResponse.
    pub const PASSWORD: u8 = b'p';
    pub const QUERY: u8 = b'Q';
    pub const SYNC: u8 = b'S';
    pub const TERMINATE: u8 = b'X';
}

pub(super) fn treatment(tag: u8) -> Option<Treatment> {
    Some(match tag {
        tag::COPY_DATA => Treatment::Bulk,
        tag::BIND | tag::FUNCTION_CALL | tag::COPY_FAIL => Treatment::Head,
        tag::QUERY | tag::PARSE => Treatment::Text,
        tag::EXECUTE | tag::DESCRIBE | tag::CLOSE | tag::SYNC | tag::FLUSH => Treatment::Whole,
        tag::COPY_DONE | tag::PASSWORD | tag::TERMINATE => Treatment::Whole,
        _ => return None,
    })
}

/// A complete frame of a client. Nothing is copied; values are read when asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Query(Query<'a>),
    Parse(Parse<'a>),
    Bind(Bind<'a>),
    Execute(Execute<'a>),
    Describe(Named<'a>),
    Close(Named<'a>),
    Sync,
    Flush,
    FunctionCall(FunctionCall<'a>),
    CopyData(&'a [u8]),
    CopyDone,
    CopyFail(&'a [u8]),
    Terminate,
    /// Its meaning depends on the authentication that is under way.
    Password(&'a [u8]),
}

impl<'a> Message<'a> {
    pub fn decode(tag: u8, body: &'a [u8]) -> Result<Self, WireError> {
        Ok(match tag {
            tag::QUERY => Self::Query(Query::decode(body)?),
            tag::PARSE => Self::Parse(Parse::decode(body)?),
            tag::BIND => Self::Bind(Bind::decode(body)?),
            tag::EXECUTE => Self::Execute(Execute::decode(body)?),
            tag::DESCRIBE => Self::Describe(Named::decode("Describe", body)?),
            tag::CLOSE => Self::Close(Named::decode("Close", body)?),
            tag::SYNC => Reader::new("Sync", body).end().map(|()| Self::Sync)?,
            tag::FLUSH => Reader::new("Flush", body).end().map(|()| Self::Flush)?,
            tag::FUNCTION_CALL => Self::FunctionCall(FunctionCall::decode(body)?),
            tag::COPY_DATA => Self::CopyData(body),
            // PostgreSQL ignores a body of CopyDone and of Terminate.
            tag::COPY_DONE => Self::CopyDone,
            tag::COPY_FAIL => Self::CopyFail(Reader::new("CopyFail", body).cstr()?),
            tag::TERMINATE => Self::Terminate,
            tag::PASSWORD => Self::Password(body),
            other => {
                return Err(WireError::Unexpected { expected: "a message of a client", got: Tag(other) });
            }
        })
    }
}

/// One or several statements, of which each gives its own result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    pub text: &'a [u8],
}

impl<'a> Query<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Query", body);
        let text = reader.cstr()?;
        reader.end()?;
        Ok(Self { text })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Empty for the unnamed statement.
    pub name: &'a [u8],
    pub text: &'a [u8],
    oids: &'a [u8],
}

impl<'a> Parse<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Parse", body);
        let (name, text, count) = (reader.cstr()?, reader.cstr()?, reader.u16()?);
        let oids = reader.bytes(usize::from(count) * 4)?;
        reader.end()?;
        Ok(Self { name, text, oids })
    }

    /// The name out of the beginning of a Parse that is too long to be taken.
    pub fn name(head: &'a [u8]) -> Result<&'a [u8], WireError> {
        Reader::new("Parse", head).cstr()
    }

    /// The types given for the first parameters; 0 leaves one to the server.
    pub fn parameter_oids(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.oids.as_chunks().0.iter().map(|oid| u32::from_be_bytes(*oid))
    }
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Binary,
    /// PostgreSQL will refuse it.
    Other(i16),
}

impl From<i16> for Format {
    fn from(code: i16) -> Self {
        match code {
            0 => Self::Text,
            1 => Self::Binary,
            other => Self::Other(other),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bind<'a> {
    /// Empty for the unnamed portal.
    pub portal: &'a [u8],
    /// Empty for the unnamed statement.
    pub statement: &'a [u8],
    formats: &'a [u8],
    count: u16,
    values: &'a [u8],
    result_formats: &'a [u8],
}

/// A value bound to a parameter; `None` is NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter<'a> {
    pub format: Format,
    pub value: Option<&'a [u8]>,
}

impl<'a> Bind<'a> {
    /// Walks the whole body once, so that the iterators below cannot fail.
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Bind", body);
        let (portal, statement) = (reader.cstr()?, reader.cstr()?);
        let (formats, count, values) = arguments(&mut reader)?;
        let result_count = reader.u16()?;
        let result_formats = reader.bytes(usize::from(result_count) * 2)?;
        reader.end()?;
        Ok(Self { portal, statement, formats, count, values, result_formats })
    }

    /// Portal and statement out of the beginning of a long Bind, of which the
    /// values pass by unread.
    pub fn names(head: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), WireError> {
        let mut reader = Reader::new("Bind", head);
        Ok((reader.cstr()?, reader.cstr()?))
    }

    pub fn parameters(&self) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
        parameters("Bind", self.formats, self.count, self.values)
    }

    /// None given means text; one given is for all columns.
    pub fn result_formats(&self) -> impl Iterator<Item = Format> + use<'a> {
        self.result_formats.as_chunks().0.iter().map(|code| i16::from_be_bytes(*code).into())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execute<'a> {
    pub portal: &'a [u8],
    /// 0 (or less, as PostgreSQL reads it) means all rows.
    pub max_rows: i32,
}

impl<'a> Execute<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Execute", body);
        let message = Self { portal: reader.cstr()?, max_rows: reader.i32()? };
        reader.end()?;
        Ok(message)
    }
}

/// What Describe and Close speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Statement,
    Portal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    pub kind: Kind,
    pub name: &'a [u8],
}

impl<'a> Named<'a> {
    /// Of a Describe or Close; `message` names it in an error.
    pub fn decode(message: &'static str, body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(message, body);
        let kind = match reader.u8()? {
            b'S' => Kind::Statement,
            b'P' => Kind::Portal,
            _ => return Err(reader.malformed("it names neither a statement nor a portal")),
        };
        let name = reader.cstr()?;
        reader.end()?;
        Ok(Self { kind, name })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionCall<'a> {
    pub oid: u32,
    formats: &'a [u8],
    count: u16,
    values: &'a [u8],
    pub result_format: Format,
}

impl<'a> FunctionCall<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("FunctionCall", body);
        let oid = reader.u32()?;
        let (formats, count, values) = arguments(&mut reader)?;
        let result_format = reader.i16()?.into();
        reader.end()?;
        Ok(Self { oid, formats, count, values, result_format })
    }

    pub fn arguments(&self) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
        parameters("FunctionCall", self.formats, self.count, self.values)
    }
}

/// Format codes, the count of values, and the values, all within bounds.
fn arguments<'a>(reader: &mut Reader<'a>) -> Result<(&'a [u8], u16, &'a [u8]), WireError> {
    let format_count = reader.u16()?;
    let formats = reader.bytes(usize::from(format_count) * 2)?;
    let count = reader.u16()?;
    if format_count > 1 && format_count != count {
        return Err(reader.malformed("it has neither one format code nor one for each value"));
    }
    let mut ahead = reader.clone();
    let mut len = 0;
    for _ in 0..count {
        len += 4 + ahead.value()?.map_or(0, <[u8]>::len);
    }
    Ok((formats, count, reader.bytes(len)?))
}

fn parameters<'a>(
    message: &'static str,
    formats: &'a [u8],
    count: u16,
    values: &'a [u8],
) -> impl Iterator<Item = Parameter<'a>> + use<'a> {
    let mut reader = Reader::new(message, values);
    let formats = formats.as_chunks().0;
    (0..usize::from(count)).map_while(move |index| {
        let code = if formats.len() == 1 { formats.first() } else { formats.get(index) };
        let format = code.map_or(Format::Text, |code| i16::from_be_bytes(*code).into());
        Some(Parameter { format, value: reader.value().ok()? })
    })
}

/// The first answer of a client to the offer of SASL mechanisms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaslInitial<'a> {
    pub mechanism: &'a str,
    pub data: &'a [u8],
}

impl<'a> SaslInitial<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("SASLInitialResponse", body);
        let message = Self { mechanism: reader.text()?, data: reader.value()?.unwrap_or_default() };
        reader.end()?;
        Ok(message)
    }
}

/// NUL bytes cannot be part of a text and are left out.
pub fn query(out: &mut BytesMut, text: impl AsRef<[u8]>) {
    frame(out, tag::QUERY, |out| put_cstr(out, text));
}

pub fn parse(
    out: &mut BytesMut,
    name: impl AsRef<[u8]>,
    text: impl AsRef<[u8]>,
    oids: impl IntoIterator<Item = u32>,
) {
    frame(out, tag::PARSE, |out| {
        put_cstr(out, name);
        put_cstr(out, text);
        let at = out.len();
        out.put_u16(0);
        let mut count: u16 = 0;
        // The count has 16 bits: more types than that cannot be given.
        for oid in oids.into_iter().take(usize::from(u16::MAX)) {
            out.put_u32(oid);
            count += 1;
        }
        if let Some(field) = out.get_mut(at..at + 2) {
            field.copy_from_slice(&count.to_be_bytes());
        }
    });
}

/// A Bind of the unnamed portal, without values.
pub fn bind(out: &mut BytesMut, statement: impl AsRef<[u8]>) {
    frame(out, tag::BIND, |out| {
        put_cstr(out, "");
        put_cstr(out, statement);
        out.put_bytes(0, 6);
    });
}

pub fn describe_portal(out: &mut BytesMut, portal: impl AsRef<[u8]>) {
    frame(out, tag::DESCRIBE, |out| {
        out.put_u8(b'P');
        put_cstr(out, portal);
    });
}

pub fn execute(out: &mut BytesMut, portal: impl AsRef<[u8]>, max_rows: i32) {
    frame(out, tag::EXECUTE, |out| {
        put_cstr(out, portal);
        out.put_i32(max_rows);
    });
}

pub fn sync(out: &mut BytesMut) {
    frame(out, tag::SYNC, |_| {});
}

pub fn flush(out: &mut BytesMut) {
    frame(out, tag::FLUSH, |_| {});
}

pub fn terminate(out: &mut BytesMut) {
    frame(out, tag::TERMINATE, |_| {});
}

pub fn copy_fail(out: &mut BytesMut, reason: &str) {
    frame(out, tag::COPY_FAIL, |out| put_cstr(out, reason));
}

pub fn password(out: &mut BytesMut, password: impl AsRef<[u8]>) {
    frame(out, tag::PASSWORD, |out| put_cstr(out, password));
}

pub fn sasl_initial(out: &mut BytesMut, mechanism: &str, data: &[u8]) {
    frame(out, tag::PASSWORD, |out| {
        put_cstr(out, mechanism);
        out.put_u32(u32::try_from(data.len()).unwrap_or(u32::MAX));
        out.put_slice(data);
    });
}

pub fn sasl_response(out: &mut BytesMut, data: &[u8]) {
    frame(out, tag::PASSWORD, |out| out.put_slice(data));
}

#[cfg(test)]
mod tests;
