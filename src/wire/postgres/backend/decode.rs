use super::super::WireError;
use super::super::codec::Reader;
use std::borrow::Cow;

/// What ReadyForQuery says of the transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransactionStatus {
    #[default]
    Idle,
    Open,
    /// Everything but its end is refused.
    Failed,
}

impl TransactionStatus {
    pub fn decode(body: &[u8]) -> Result<Self, WireError> {
        match body {
            b"I" => Ok(Self::Idle),
            b"T" => Ok(Self::Open),
            b"E" => Ok(Self::Failed),
            _ => Err(WireError::Malformed { message: "ReadyForQuery", why: "its status is not I, T or E" }),
        }
    }

    pub fn byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::Open => b'T',
            Self::Failed => b'E',
        }
    }
}

/// The tag of a CommandComplete, such as `INSERT 0 5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandTag<'a>(pub &'a str);

impl<'a> CommandTag<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("CommandComplete", body);
        let text = reader.text()?;
        reader.end()?;
        Ok(Self(text))
    }

    /// Rows inserted, changed, returned or copied, where the tag tells them.
    /// The number is the last word (before it, INSERT has an OID that is 0).
    pub fn rows(self) -> Option<u64> {
        let (verb, rest) = self.0.split_once(' ')?;
        matches!(verb, "SELECT" | "INSERT" | "UPDATE" | "DELETE" | "MERGE" | "COPY" | "FETCH" | "MOVE")
            .then(|| rest.rsplit(' ').next()?.parse().ok())
            .flatten()
    }
}

/// The fields of an ErrorResponse or NoticeResponse (PostgreSQL manual 55.8).
/// Lenient: of a message that was cut, the fields before the cut are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields<'a> {
    body: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(body: &'a [u8]) -> Self {
        Self { body }
    }

    pub fn iter(self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut reader = Reader::new("ErrorResponse", self.body);
        std::iter::from_fn(move || {
            let code = reader.u8().ok().filter(|&code| code != 0)?;
            Some((code, reader.cstr().ok()?))
        })
    }

    pub fn field(self, code: u8) -> Option<Cow<'a, str>> {
        self.iter().find(|(found, _)| *found == code).map(|(_, text)| String::from_utf8_lossy(text))
    }

    /// Not translated, from PostgreSQL 9.6 on.
    pub fn severity(self) -> Option<Cow<'a, str>> {
        self.field(b'V').or_else(|| self.field(b'S'))
    }

    /// Whether the server closes the connection after it.
    pub fn is_fatal(self) -> bool {
        matches!(self.severity().as_deref(), Some("FATAL" | "PANIC"))
    }

    pub fn sqlstate(self) -> Option<Cow<'a, str>> {
        self.field(b'C')
    }

    pub fn message(self) -> Option<Cow<'a, str>> {
        self.field(b'M')
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParameterStatus<'a> {
    pub name: &'a str,
    pub value: &'a str,
}

impl<'a> ParameterStatus<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("ParameterStatus", body);
        let message = Self { name: reader.text()?, value: reader.text()? };
        reader.end()?;
        Ok(message)
    }
}

/// Process id and cancel key of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct KeyData<'a> {
    pub process_id: u32,
    pub key: &'a [u8],
}

impl<'a> KeyData<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("BackendKeyData", body);
        let (process_id, key) = (reader.u32()?, reader.rest());
        if !(4..=256).contains(&key.len()) {
            return Err(reader.malformed("a cancel key has 4 to 256 bytes"));
        }
        Ok(Self { process_id, key })
    }
}

impl std::fmt::Debug for KeyData<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyData {{ process_id: {}, key: <secret> }}", self.process_id)
    }
}

/// What a server wants to know before it lets us in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication<'a> {
    Ok,
    CleartextPassword,
    Md5Password {
        salt: [u8; 4],
    },
    /// The mechanisms it offers, best first.
    Sasl(Vec<&'a str>),
    SaslContinue(&'a [u8]),
    SaslFinal(&'a [u8]),
    /// Kerberos, GSSAPI, SSPI, OAuth: not spoken here.
    Other(u32),
}

impl<'a> Authentication<'a> {
    pub fn decode(body: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("Authentication", body);
        let message = match reader.u32()? {
            0 => Self::Ok,
            3 => Self::CleartextPassword,
            5 => Self::Md5Password { salt: reader.u32()?.to_be_bytes() },
            10 => {
                let mut mechanisms = Vec::new();
                loop {
                    let mechanism = reader.text()?;
                    if mechanism.is_empty() {
                        break Self::Sasl(mechanisms);
                    }
                    mechanisms.push(mechanism);
                }
            }
            11 => Self::SaslContinue(reader.rest()),
            12 => Self::SaslFinal(reader.rest()),
            other => {
                reader.rest();
                Self::Other(other)
            }
        };
        reader.end()?;
        Ok(message)
    }
}
