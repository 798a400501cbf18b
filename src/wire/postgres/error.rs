use std::fmt;

/// What a peer did that the protocol does not allow.
///
/// The texts name what was expected and what came. They hold no bytes of a
/// body, so they can be logged; of [`WireError::AuthenticationFailed`] a peer
/// must not learn more than its text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    #[error("message {tag} says it is {len} bytes long, but only 4 to {max} are accepted")]
    Length { tag: Tag, len: u32, max: u32 },
    #[error("expected {expected}, but message {got} came")]
    Unexpected { expected: &'static str, got: Tag },
    #[error("malformed {message}: {why}")]
    Malformed { message: &'static str, why: &'static str },
    #[error("protocol version {major}.{minor} is not supported, only 3.0 to 3.2")]
    Version { major: u16, minor: u16 },
    #[error("password authentication failed")]
    AuthenticationFailed,
    #[error("the server did not prove that it knows the password's verifier")]
    ServerNotAuthentic,
    #[error("the server holds another password: its salt or iteration count is not the one of our verifier")]
    OtherPassword,
    #[error("{max} messages await their replies already")]
    TooManyPending { max: usize },
    #[error(
        "messages were sent past a COPY that failed, and it cannot be known which of them the server runs"
    )]
    Ambiguous,
}

impl WireError {
    /// SQLSTATE to send to the peer (PostgreSQL manual, appendix A).
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::Length { .. } | Self::TooManyPending { .. } => "54000",
            Self::Unexpected { .. } | Self::Malformed { .. } | Self::Ambiguous => "08P01",
            Self::Version { .. } => "0A000",
            Self::AuthenticationFailed => "28P01",
            Self::ServerNotAuthentic | Self::OtherPassword => "08001",
        }
    }
}

/// The first byte of a frame, printed as a person would name it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tag(pub u8);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("of the startup phase"),
            byte if byte.is_ascii_graphic() => write!(f, "'{}'", char::from(byte)),
            byte => write!(f, "0x{byte:02x}"),
        }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
