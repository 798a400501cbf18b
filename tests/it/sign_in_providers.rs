//! Sign-in at two real OpenID providers that differ where providers do, with a
//! browser at their own pages: from the device code to a checked identity, its
//! renewal, and its end.

use crate::support::{pki::Pki, providers::RealProvider};
use dbaccess::cli::device_login::{Prompt, SignInError, Tokens, Ui, sign_in};
use dbaccess::core::model::{Identity, Secret};
use dbaccess::os;
use dbaccess::proto::LoginConfig;
use dbaccess::server::identity::{IdentityConfig, IdentityError, Provider, Rejected, Revoked};
use std::time::Duration;

#[tokio::test]
async fn somebody_signs_in_at_oidc_provider_and_stays_renewed_until_revoked() {
    let pki = Pki::new();
    let real = RealProvider::oidc_provider(&pki).await;
    let server = server(&real, &pki);
    let mut alice = Visitor::of(&real, Does::Approve("alice"));
    let tokens = alice.sign_in(&pki).await.unwrap();
    let identity = verify(&server, &tokens).await;
    assert_eq!(
        (identity.subject.as_str(), identity.email.as_str(), identity.name.as_deref()),
        ("alice", "alice@example.com", Some("Alice Ng"))
    );
    assert_eq!(groups(&identity), ["developers", "payments"]);

    let first = tokens.refresh_token.unwrap();
    let renewed = server.renew(&first, "alice", os::now()).await.unwrap();
    assert_eq!(renewed.identity, identity);
    let second = renewed.refresh_token.expect("this provider rotates");

    let revoked = server.revoke(&second, os::now()).await.unwrap();
    assert_eq!(revoked, Revoked::Yes);
    assert_not_renewed(&server, &second, "alice").await;
}

#[tokio::test]
async fn a_stolen_refresh_token_that_is_used_twice_ends_the_sign_in() {
    let pki = Pki::new();
    let real = RealProvider::oidc_provider(&pki).await;
    let server = server(&real, &pki);
    let tokens = Visitor::of(&real, Does::Approve("bob")).sign_in(&pki).await.unwrap();
    let first = tokens.refresh_token.unwrap();
    let second = server.renew(&first, "bob", os::now()).await.unwrap().refresh_token.unwrap();
    assert_not_renewed(&server, &first, "bob").await;
    assert_not_renewed(&server, &second, "bob").await;
}

#[tokio::test]
async fn somebody_signs_in_at_glewlwyd_and_is_renewed_without_an_id_token() {
    let pki = Pki::new();
    let real = RealProvider::glewlwyd(&pki).await;
    let server = server(&real, &pki);
    let mut alice = Visitor::of(&real, Does::Approve("alice"));
    let tokens = alice.sign_in(&pki).await.unwrap();
    assert_eq!(alice.waits.first(), Some(&Duration::from_secs(5)), "the interval that it asks for");
    let identity = verify(&server, &tokens).await;
    assert_eq!((identity.email.as_str(), identity.name.as_deref()), ("alice@example.com", Some("Alice Ng")));
    assert_eq!(groups(&identity), ["developers", "payments"]);

    let refresh_token = tokens.refresh_token.unwrap();
    let renewed = server.renew(&refresh_token, &identity.subject, os::now()).await.unwrap();
    assert_eq!(renewed.identity, identity);
    let somebody_else = server.renew(&refresh_token, "another subject", os::now()).await;
    assert!(matches!(somebody_else, Err(IdentityError::OtherSubject)), "{somebody_else:?}");

    // It takes tokens back from clients that have a secret only: said, not hidden.
    let revoked = server.revoke(&refresh_token, os::now()).await;
    assert!(matches!(revoked, Err(IdentityError::NotRevoked(_))), "{revoked:?}");
    assert_not_renewed(&server, &Secret::new("not a token"), &identity.subject).await;
}

#[tokio::test]
async fn asking_too_fast_slows_down_and_still_signs_in() {
    let pki = Pki::new();
    let real = RealProvider::glewlwyd(&pki).await;
    let mut bob = Visitor::of(&real, Does::Approve("bob"));
    // The first two questions come at once: the second is answered `slow_down`.
    bob.hasty_waits = 2;
    let tokens = bob.sign_in(&pki).await.unwrap();
    assert_eq!(bob.waits, [5, 5, 10].map(Duration::from_secs));
    assert_eq!(verify(&server(&real, &pki), &tokens).await.email, "bob@example.com");
}

#[tokio::test]
async fn a_code_typed_by_hand_signs_in_too() {
    let pki = Pki::new();
    for real in [RealProvider::oidc_provider(&pki).await, RealProvider::glewlwyd(&pki).await] {
        let mut carol = Visitor::of(&real, Does::ApproveByTyping("carol"));
        let tokens = carol.sign_in(&pki).await.unwrap();
        let identity = verify(&server(&real, &pki), &tokens).await;
        assert_eq!((identity.email.as_str(), groups(&identity)), ("carol@example.com", vec!["security"]));
    }
}

#[tokio::test]
async fn a_sign_in_denied_in_the_browser_is_denied() {
    let pki = Pki::new();
    let real = RealProvider::oidc_provider(&pki).await;
    let denied = Visitor::of(&real, Does::Deny).sign_in(&pki).await;
    assert!(matches!(denied, Err(SignInError::Denied)), "{denied:?}");
}

#[tokio::test]
async fn a_token_of_one_provider_is_nothing_at_another() {
    let pki = Pki::new();
    let (real, other) = (RealProvider::oidc_provider(&pki).await, RealProvider::glewlwyd(&pki).await);
    let tokens = Visitor::of(&real, Does::Approve("alice")).sign_in(&pki).await.unwrap();
    let verified = server(&other, &pki).verify(tokens.id_token.expose(), None, os::now()).await;
    assert!(matches!(verified, Err(IdentityError::Rejected(Rejected::Issuer { .. }))), "{verified:?}");
    // Nor after its time.
    let late = os::now() + jiff::SignedDuration::from_hours(2);
    let verified = server(&real, &pki).verify(tokens.id_token.expose(), None, late).await;
    assert!(matches!(verified, Err(IdentityError::Rejected(Rejected::Expired { .. }))), "{verified:?}");
}

#[tokio::test]
async fn a_provider_with_a_certificate_of_an_unknown_authority_is_not_spoken_to() {
    let (pki, other) = (Pki::new(), Pki::new());
    let real = RealProvider::oidc_provider(&pki).await;
    let refused = Visitor::of(&real, Does::Approve("alice")).sign_in(&other).await;
    assert!(matches!(refused, Err(SignInError::Provider(_))), "{refused:?}");
}

/// The person who signs in: at the command line and, once asked to wait, in the browser.
struct Visitor<'a> {
    real: &'a RealProvider,
    does: Does,
    prompt: Option<Prompt>,
    /// What the command line wanted to wait, each time.
    waits: Vec<Duration>,
    /// How many of the first waits do not happen.
    hasty_waits: usize,
}

#[derive(Clone, Copy)]
enum Does {
    Approve(&'static str),
    ApproveByTyping(&'static str),
    Deny,
}

impl<'a> Visitor<'a> {
    fn of(real: &'a RealProvider, does: Does) -> Self {
        Self { real, does, prompt: None, waits: Vec::new(), hasty_waits: 0 }
    }

    async fn sign_in(&mut self, pki: &Pki) -> Result<Tokens, SignInError> {
        let IdentityConfig { issuer, client_id, scopes, .. } = config(self.real, pki);
        sign_in(&LoginConfig { issuer, client_id, scopes }, Some(&pki.authority()), self).await
    }

    async fn browse(&self, prompt: &Prompt) {
        let complete = prompt.complete_address.as_deref().expect("both providers offer it");
        match self.does {
            Does::Approve(person) => self.real.approve(person, complete).await,
            Does::ApproveByTyping(person) => {
                self.real.approve_code(person, &prompt.address, &prompt.user_code).await;
            }
            Does::Deny => self.real.deny(complete).await,
        }
    }
}

impl Ui for Visitor<'_> {
    fn show(&mut self, prompt: &Prompt) {
        self.prompt = Some(prompt.clone());
    }

    fn trouble(&mut self, text: &str) {
        panic!("trouble: {text}");
    }

    async fn wait(&mut self, length: Duration) {
        self.waits.push(length);
        if self.waits.len() <= self.hasty_waits {
            return;
        }
        let asked_at = tokio::time::Instant::now();
        if let Some(prompt) = self.prompt.take() {
            self.browse(&prompt).await;
        }
        if self.real.slows_down {
            tokio::time::sleep_until(asked_at + length).await;
        }
    }
}

fn config(real: &RealProvider, pki: &Pki) -> IdentityConfig {
    IdentityConfig { ca: Some(pki.authority()), ..IdentityConfig::new(&real.issuer, "dbaccess") }
}

fn server(real: &RealProvider, pki: &Pki) -> Provider {
    Provider::new(config(real, pki)).unwrap()
}

async fn verify(server: &Provider, tokens: &Tokens) -> Identity {
    server.verify(tokens.id_token.expose(), Some(&tokens.access_token), os::now()).await.unwrap()
}

fn groups(identity: &Identity) -> Vec<&str> {
    identity.groups.iter().map(String::as_str).collect()
}

async fn assert_not_renewed(server: &Provider, refresh_token: &Secret, subject: &str) {
    let renewed = server.renew(refresh_token, subject, os::now()).await;
    assert!(matches!(renewed, Err(IdentityError::NotRenewed(_))), "{renewed:?}");
}
