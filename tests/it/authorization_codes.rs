//! The development identity provider's authorization code flow: strict enough
//! that what works with it works with a good provider.

use crate::support::env::TestEnv;
use openidconnect::url::{Url, form_urlencoded};
use serde_json::Value;

/// A code verifier and its S256 challenge (RFC 7636, appendix B).
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct Client<'e> {
    env: &'e TestEnv,
    http: reqwest::Client,
    callback: String,
}

impl<'e> Client<'e> {
    fn of(env: &'e TestEnv) -> Self {
        dbaccess::tls::install_provider();
        let tls = dbaccess::tls::client_config(Some(&env.ca), &[b"http/1.1"]).unwrap();
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls);
        let http = http.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { env, http, callback: format!("{}{}", env.url, dbaccess::server::web::CALLBACK) }
    }

    /// The authorization page, with these parameters in place of good ones.
    async fn authorize(&self, changes: &[(&str, &str)]) -> (u16, String) {
        let mut url = Url::parse(&format!("{}/authorize", self.env.idp.issuer())).unwrap();
        let good = [
            ("response_type", "code"),
            ("client_id", "dbaccess"),
            ("redirect_uri", &self.callback),
            ("scope", "openid email"),
            ("state", "st-1"),
            ("nonce", "n-1"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
        ];
        for (name, value) in good {
            let value =
                changes.iter().find(|(changed, _)| *changed == name).map_or(value, |(_, value)| value);
            url.query_pairs_mut().append_pair(name, value);
        }
        let answer = self.http.get(url).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// A code for alice.
    async fn code(&self) -> String {
        let (_, page) = self.authorize(&[]).await;
        let (_, rest) = page.split_once("name=\"form_token\" value=\"").unwrap();
        let token = rest.split_once('"').unwrap().0;
        let form = [("form_token", token), ("person", "alice"), ("answer", "approve")];
        let answer = self.post("/authorize", &form).await;
        let back = Url::parse(answer.headers()["location"].to_str().unwrap()).unwrap();
        assert!(back.as_str().starts_with(&format!("{}?", self.callback)), "{back}");
        let of = |name: &str| back.query_pairs().find(|(found, _)| found == name).unwrap().1.into_owned();
        assert_eq!((of("state"), of("iss").as_str()), ("st-1".to_owned(), self.env.idp.issuer()));
        // The page was answered.
        assert_eq!(self.post("/authorize", &form).await.status(), 400);
        of("code")
    }

    async fn redeem(&self, code: &str, redirect_uri: &str, verifier: &str) -> (u16, Value) {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", "dbaccess"),
            ("code", code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        let answer = self.post("/token", &form).await;
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn post(&self, path: &str, form: &[(&str, &str)]) -> reqwest::Response {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let post = self.http.post(format!("{}{path}", self.env.idp.issuer())).body(body);
        post.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_for_whoever_asked_for_it_once_and_soon() {
    let env = TestEnv::start().await;
    let client = Client::of(&env);
    let elsewhere = format!("{}/", client.callback);
    for changes in [
        ("client_id", "another"),
        ("redirect_uri", "https://evil.example/oidc/callback"),
        ("redirect_uri", elsewhere.as_str()),
        ("response_type", "token"),
        ("scope", "email"),
        ("code_challenge_method", "plain"),
        ("code_challenge", ""),
    ] {
        let (status, page) = client.authorize(&[changes]).await;
        assert_eq!(status, 400, "{changes:?}: {page}");
    }
    let refused =
        |(status, body): (u16, Value)| assert_eq!((status, &body["error"]), (400, &"invalid_grant".into()));
    // A verifier that is another's uses the code up, too.
    let code = client.code().await;
    refused(client.redeem(&code, &client.callback, "another").await);
    refused(client.redeem(&code, &client.callback, VERIFIER).await);
    let code = client.code().await;
    refused(client.redeem(&code, &elsewhere, VERIFIER).await);
    let code = client.code().await;
    env.idp.advance(std::time::Duration::from_secs(61));
    refused(client.redeem(&code, &client.callback, VERIFIER).await);

    let code = client.code().await;
    let (status, tokens) = client.redeem(&code, &client.callback, VERIFIER).await;
    assert_eq!(status, 200, "{tokens}");
    let userinfo = async || {
        let get = client.http.get(format!("{}/userinfo", env.idp.issuer()));
        get.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(userinfo().await, 200);
    // Stolen and redeemed again: what it was good for ends.
    refused(client.redeem(&code, &client.callback, VERIFIER).await);
    assert_eq!(userinfo().await, 401);
}
