//! Identifiers: a kind's prefix and 60 random bits in Crockford's base 32,
//! short enough to say on the telephone, never reused.

use serde::{Deserialize, Serialize};
use std::fmt;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

fn encode(prefix: &str, random: [u8; 8]) -> String {
    let bits = u64::from_be_bytes(random);
    let digits = (0..12).map(|i| {
        let index = (bits >> (5 * i)) & 31;
        ALPHABET.get(index as usize).copied().map_or('0', char::from)
    });
    prefix.chars().chain(std::iter::once('-')).chain(digits).collect()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// The kind's prefix, before the dash.
            pub const PREFIX: &'static str = $prefix;

            /// A new identifier from eight random bytes.
            pub fn from_random(random: [u8; 8]) -> Self {
                Self(encode($prefix, random))
            }

            /// An identifier read back from where one was stored.
            pub fn from_stored(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// One request for access.
    RequestId, "req"
);
id!(
    /// One grant: what an approved request allows.
    GrantId, "grt"
);
id!(
    /// One run of `dbaccess connect`.
    SessionId, "ses"
);
id!(
    /// One person's approver roles, lent to another.
    DelegationId, "dlg"
);
id!(
    /// One client connection of a session.
    ConnectionId, "con"
);
id!(
    /// The review of one break-glass grant.
    ReviewId, "rev"
);
id!(
    /// One access review campaign.
    CampaignId, "cam"
);
id!(
    /// One legal hold.
    HoldId, "hld"
);
id!(
    /// One request to read the originals of redacted statements.
    UnsealId, "uns"
);

/// What the beginning of an id says of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdKind {
    /// Of a thing that is called so.
    Of(&'static str),
    /// The kind, and nothing of the id yet.
    Bare(&'static str),
    /// It does not say.
    Unsaid,
}

impl IdKind {
    /// Of what somebody typed.
    pub fn of(typed: &str) -> Self {
        let typed = typed.trim().to_ascii_lowercase();
        let (prefix, random) = typed.split_once('-').unwrap_or((&typed, ""));
        let named = [
            (RequestId::PREFIX, "request"),
            (GrantId::PREFIX, "grant"),
            (SessionId::PREFIX, "session"),
            (DelegationId::PREFIX, "delegation"),
            (ConnectionId::PREFIX, "connection"),
            (ReviewId::PREFIX, "review"),
            (CampaignId::PREFIX, "campaign"),
            (HoldId::PREFIX, "hold"),
            (UnsealId::PREFIX, "unsealing"),
        ];
        match named.iter().find(|(known, _)| *known == prefix) {
            Some((_, name)) if random.is_empty() => Self::Bare(name),
            Some((_, name)) => Self::Of(name),
            None => Self::Unsaid,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_says_its_kind_or_nothing_more_or_not_even_that() {
        for (typed, kind) in [
            ("req-7k2m", IdKind::Of("request")),
            (" GRT-7", IdKind::Of("grant")),
            ("ses", IdKind::Bare("session")),
            ("dlg-", IdKind::Bare("delegation")),
            ("7k2m", IdKind::Unsaid),
            ("nope", IdKind::Unsaid),
            ("", IdKind::Unsaid),
        ] {
            assert_eq!(IdKind::of(typed), kind, "{typed}");
        }
    }

    #[test]
    fn an_id_names_its_kind_and_differs_by_its_bits() {
        let a = RequestId::from_random([0; 8]);
        let b = RequestId::from_random([0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(a.as_str(), "req-000000000000");
        assert_eq!(b.as_str(), "req-100000000000");
    }
}
