use super::super::codec::{frame, put_cstr};
use super::{Fields, TransactionStatus, tag};
use bytes::{BufMut, BytesMut};

pub fn authentication_ok(out: &mut BytesMut) {
    frame(out, tag::AUTHENTICATION, |out| out.put_u32(0));
}

pub fn sasl_mechanisms(out: &mut BytesMut, mechanisms: &[&str]) {
    frame(out, tag::AUTHENTICATION, |out| {
        out.put_u32(10);
        mechanisms.iter().for_each(|mechanism| put_cstr(out, mechanism));
        out.put_u8(0);
    });
}

pub fn sasl_continue(out: &mut BytesMut, data: &[u8]) {
    frame(out, tag::AUTHENTICATION, |out| {
        out.put_u32(11);
        out.put_slice(data);
    });
}

pub fn sasl_final(out: &mut BytesMut, data: &[u8]) {
    frame(out, tag::AUTHENTICATION, |out| {
        out.put_u32(12);
        out.put_slice(data);
    });
}

/// The version is sent whole (major and minor), as PostgreSQL does and libpq
/// reads it; the manual's "minor version" is not what is on the wire.
pub fn negotiate_protocol_version<'a>(
    out: &mut BytesMut,
    minor: u16,
    not_understood: impl ExactSizeIterator<Item = &'a str>,
) {
    frame(out, tag::NEGOTIATE_VERSION, |out| {
        out.put_u32(3 << 16 | u32::from(minor));
        out.put_u32(u32::try_from(not_understood.len()).unwrap_or(u32::MAX));
        not_understood.for_each(|option| put_cstr(out, option));
    });
}

pub fn parameter_status(out: &mut BytesMut, name: &str, value: &str) {
    frame(out, tag::PARAMETER_STATUS, |out| {
        put_cstr(out, name);
        put_cstr(out, value);
    });
}

/// The key has 4 bytes, and up to 256 from protocol 3.2 on.
pub fn key_data(out: &mut BytesMut, process_id: u32, key: &[u8]) {
    frame(out, tag::KEY_DATA, |out| {
        out.put_u32(process_id);
        out.put_slice(key);
    });
}

pub fn ready_for_query(out: &mut BytesMut, status: TransactionStatus) {
    frame(out, tag::READY, |out| out.put_u8(status.byte()));
}

/// The same ErrorResponse with another place, in characters of the statement
/// from 1, and with a hint where it has none.
pub fn error_with(out: &mut BytesMut, error: Fields<'_>, position: Option<usize>, hint: Option<&str>) {
    frame(out, tag::ERROR, |out| {
        for (code, text) in error.iter() {
            out.put_u8(code);
            match position.filter(|_| code == b'P') {
                Some(position) => put_cstr(out, position.to_string()),
                None => put_cstr(out, text),
            }
        }
        if let Some(hint) = hint.filter(|_| error.field(b'H').is_none()) {
            out.put_u8(b'H');
            put_cstr(out, hint);
        }
        out.put_u8(0);
    });
}

/// An ErrorResponse or NoticeResponse in our own words.
///
/// ```
/// use dbaccess::wire::postgres::backend::Report;
/// let mut out = bytes::BytesMut::new();
/// Report::error("42501", "permission denied for table users")
///     .hint("Ask for it: dbaccess request --table users")
///     .encode(&mut out);
/// assert!(out.starts_with(b"E"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Report<'a> {
    tag: u8,
    severity: &'static str,
    sqlstate: &'a str,
    message: &'a str,
    detail: Option<&'a str>,
    hint: Option<&'a str>,
    position: Option<usize>,
}

impl<'a> Report<'a> {
    /// The statement fails, the connection lives on.
    pub fn error(sqlstate: &'a str, message: &'a str) -> Self {
        Self {
            tag: tag::ERROR,
            severity: "ERROR",
            sqlstate,
            message,
            detail: None,
            hint: None,
            position: None,
        }
    }

    /// The connection ends.
    pub fn fatal(sqlstate: &'a str, message: &'a str) -> Self {
        Self { severity: "FATAL", ..Self::error(sqlstate, message) }
    }

    pub fn notice(sqlstate: &'a str, message: &'a str) -> Self {
        Self { tag: tag::NOTICE, severity: "NOTICE", ..Self::error(sqlstate, message) }
    }

    pub fn warning(sqlstate: &'a str, message: &'a str) -> Self {
        Self { severity: "WARNING", ..Self::notice(sqlstate, message) }
    }

    pub fn detail(self, detail: &'a str) -> Self {
        Self { detail: Some(detail), ..self }
    }

    pub fn hint(self, hint: &'a str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    /// Where in the statement, in characters from 1.
    pub fn position(self, position: usize) -> Self {
        Self { position: Some(position), ..self }
    }

    pub fn encode(&self, out: &mut BytesMut) {
        let position = self.position.map(|position| position.to_string());
        let fields = [
            (b'S', Some(self.severity)),
            (b'V', Some(self.severity)),
            (b'C', Some(self.sqlstate)),
            (b'M', Some(self.message)),
            (b'D', self.detail),
            (b'H', self.hint),
            (b'P', position.as_deref()),
        ];
        frame(out, self.tag, |out| {
            for (code, text) in fields {
                if let Some(text) = text {
                    out.put_u8(code);
                    put_cstr(out, text);
                }
            }
            out.put_u8(0);
        });
    }
}
