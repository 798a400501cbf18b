//! Links to a decision, as notices carry them.
//!
//! A link grants nothing: it says which request is meant, for whom it was
//! written and until when. Whoever opens it still signs in, and their own roles
//! count. It goes where notices go, so it must be worth nothing to a stranger.

use super::model::{ErrorKind, RequestId};
use super::seal::{Forged, Purpose, SealKey};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What a link leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    #[serde(rename = "r")]
    pub request: RequestId,
    /// The subject of the one person it is for; nobody in a channel that many read.
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The request's own expiry.
    #[serde(rename = "e")]
    pub until: Timestamp,
}

/// Why a link leads nowhere.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    #[error("this link was not made by this server, or a part of it is missing")]
    Forged,
    #[error("this link was good until {0}, when its request expired")]
    Expired(Timestamp),
    #[error("this link was sent to somebody else")]
    Foreign,
}

impl LinkError {
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Forged => ErrorKind::NotFound,
            Self::Expired(_) => ErrorKind::Expired,
            Self::Foreign => ErrorKind::Denied,
        }
    }
}

impl From<Forged> for LinkError {
    fn from(Forged: Forged) -> Self {
        Self::Forged
    }
}

impl Link {
    /// The link's token, fit for a path.
    pub fn seal(&self, key: &SealKey) -> Result<String, serde_json::Error> {
        key.seal(Purpose::Link, self)
    }

    pub fn open(key: &SealKey, token: &str, now: Timestamp) -> Result<Self, LinkError> {
        let link: Self = key.open(Purpose::Link, token)?;
        if link.until <= now { Err(LinkError::Expired(link.until)) } else { Ok(link) }
    }

    /// Whether this person may follow it.
    pub fn is_for(&self, subject: &str) -> Result<(), LinkError> {
        match &self.recipient {
            Some(recipient) if recipient != subject => Err(LinkError::Foreign),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_good_for_its_person_until_its_time() {
        let key = SealKey::new([1; 32]);
        let at = |second| Timestamp::from_second(second).unwrap();
        let link = Link {
            request: RequestId::from_random([0; 8]),
            recipient: Some("carol".to_owned()),
            until: at(100),
        };
        let token = link.seal(&key).unwrap();
        let opened = Link::open(&key, &token, at(99)).unwrap();
        assert_eq!(opened, link);
        assert_eq!(opened.is_for("carol"), Ok(()));
        assert_eq!(opened.is_for("dave"), Err(LinkError::Foreign));
        assert_eq!(Link::open(&key, &token, at(100)), Err(LinkError::Expired(at(100))));
        // A later expiry cannot be written into it.
        let longer = Link { until: at(1000), ..link }.seal(&SealKey::new([2; 32])).unwrap();
        assert_eq!(Link::open(&key, &longer, at(99)), Err(LinkError::Forged));
        let shared = Link { recipient: None, ..opened };
        assert_eq!(shared.is_for("anybody"), Ok(()));
    }
}
