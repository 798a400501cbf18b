//! People at a page of ours: signing in there, and what their browser holds.
//!
//! A sign-in that is under way is kept by the browser itself, sealed, so that
//! strangers who begin many cost nothing. What it gets in the end is a token as
//! the command line's, but short-lived, not renewable, and good for pages alone.

use super::sign_in::{IdTokenUse, Proof};
use super::{Access, AccessError, Caller};
use crate::core::link::{Link, LinkError};
use crate::core::model::{ErrorKind, Secret, Via};
use crate::core::seal::Purpose;
use crate::server::identity::{BrowserConfig, Departure};
use crate::server::store::TokenRow;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// How long signing in may take, and how long it lasts.
const UNDER_WAY: SignedDuration = SignedDuration::from_mins(10);
const SESSION: SignedDuration = SignedDuration::from_mins(15);
/// No provider's code is longer.
const LONGEST_CODE: usize = 4096;

/// A browser's token, as its cookie holds it.
pub struct BrowserSession(pub Secret);

/// A sign-in on its way to the provider and back.
#[derive(Serialize, Deserialize)]
struct UnderWay {
    departure: Departure,
    /// The link that is to be opened afterwards.
    link: String,
    until: Timestamp,
}

/// A form that was shown.
#[derive(Serialize, Deserialize)]
struct Form {
    session: [u8; 32],
    link: String,
}

impl BrowserSession {
    /// Not the hash of the same token at the API: neither is good for the other.
    fn hash(&self) -> [u8; 32] {
        Sha256::new().chain_update("browser ").chain_update(self.0.expose()).finalize().into()
    }
}

impl Access {
    pub fn browsers_sign_in(&self) -> bool {
        self.provider.browser().is_some()
    }

    /// Whether an answer that names its issuer (RFC 9207) is from ours.
    pub fn is_issuer(&self, named: Option<&str>) -> bool {
        named.is_none_or(|issuer| issuer == self.config.identity.issuer)
    }

    /// How people reach this server.
    pub fn public_url(&self) -> &str {
        &self.config.server.public_url
    }

    /// What a link's token means, now.
    pub fn open_link(&self, token: &str) -> Result<Link, LinkError> {
        Link::open(&self.links.key, token, crate::os::now())
    }

    /// Where the browser goes to sign in, and what it keeps meanwhile.
    pub async fn begin_browser_sign_in(&self, link: String) -> Result<(String, String), AccessError> {
        let now = crate::os::now();
        let departure = Departure::from_random(crate::os::random(), crate::os::random(), crate::os::random());
        let url = self.provider.departure(self.browser_config()?, &departure, now).await?;
        let under_way = UnderWay { departure, link, until: now + UNDER_WAY };
        Ok((url, self.seal(Purpose::SignIn, &under_way)?))
    }

    /// The browser is back with a code: who it is, and the link that it came for.
    pub async fn finish_browser_sign_in(
        &self,
        kept: &str,
        state: &str,
        code: String,
    ) -> Result<(BrowserSession, String), AccessError> {
        let now = crate::os::now();
        let again = |why: &str| AccessError::not_signed_in(why).hint("open the link of the notice once more");
        let under_way: UnderWay = self
            .links
            .key
            .open(Purpose::SignIn, kept)
            .map_err(|_| again("this browser has begun no sign-in here"))?;
        if Secret::new(state) != Secret::new(under_way.departure.state.as_str()) {
            return Err(again("this is the end of another sign-in than this browser began"));
        }
        if under_way.until <= now || code.len() > LONGEST_CODE {
            return Err(again("the sign-in took too long"));
        }
        let config = self.browser_config()?;
        let arrival = self.provider.arrival(config, &under_way.departure, &Secret::new(code), now).await;
        let (identity, id_token) = arrival?;
        let used = IdTokenUse::of(id_token.expose(), self.config.identity.leeway)?;
        let session = BrowserSession(Secret::from_random(crate::os::random()));
        let expires_at = now + SESSION;
        let row = TokenRow {
            hash: session.hash(),
            subject: identity.subject.clone(),
            expires_at,
            renewable_until: expires_at,
        };
        self.enter(identity, Proof::IdToken(used), row, now).await?;
        Ok((session, under_way.link))
    }

    /// Who a browser's session belongs to.
    pub async fn at_browser(&self, session: &BrowserSession) -> Result<Caller, AccessError> {
        self.caller(session.hash(), Via::Web).await
    }

    /// Goes into a form and comes back with it: no other site's page knows it.
    pub fn form_token(&self, session: &BrowserSession, link: &str) -> Result<String, AccessError> {
        self.seal(Purpose::Form, &Form { session: session.hash(), link: link.to_owned() })
    }

    pub fn check_form(&self, session: &BrowserSession, link: &str, token: &str) -> Result<(), AccessError> {
        let shown = self.links.key.open::<Form>(Purpose::Form, token);
        if shown.is_ok_and(|form| form.session == session.hash() && form.link == link) {
            return Ok(());
        }
        let message = "this form was not shown to this browser in this sign-in: nothing was decided";
        Err(AccessError::new(ErrorKind::Denied, message).hint("open the link of the notice once more"))
    }

    fn browser_config(&self) -> Result<&BrowserConfig, AccessError> {
        let none = || AccessError::not_found("nobody signs in at pages here: web_sign_in is not set");
        self.provider.browser().ok_or_else(none)
    }

    fn seal<T: Serialize>(&self, purpose: Purpose, value: &T) -> Result<String, AccessError> {
        self.links.key.seal(purpose, value).map_err(|error| AccessError::internal(error.to_string()))
    }
}
