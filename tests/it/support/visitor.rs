//! Somebody with a browser: cookies, forms and redirects, one step at a time.

use super::env::TestEnv;
use dbaccess::core::link::Link;
use dbaccess::core::model::RequestId;
use dbaccess::core::seal::SealKey;
use openidconnect::url::{Url, form_urlencoded};
use reqwest::header::{COOKIE, HeaderMap, LOCATION, SET_COOKIE};
use std::collections::BTreeMap;

/// A browser with cookies for the server alone.
pub struct Visitor<'e> {
    env: &'e TestEnv,
    http: reqwest::Client,
    pub cookies: BTreeMap<String, String>,
}

/// What a server answered.
#[derive(Debug)]
pub struct Page {
    pub status: u16,
    pub headers: HeaderMap,
    pub html: String,
}

impl Page {
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.html);
        self
    }

    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.html.contains(text), "no `{text}` in {}", self.html);
        self
    }

    #[track_caller]
    pub fn lacks(self, text: &str) -> Self {
        assert!(!self.html.contains(text), "`{text}` in {}", self.html);
        self
    }

    #[track_caller]
    pub fn location(&self) -> String {
        self.headers
            .get(LOCATION)
            .unwrap_or_else(|| panic!("no redirect: {self:?}"))
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// The value of the first hidden field of a name.
    pub fn hidden(&self, name: &str) -> Option<String> {
        let (_, rest) = self.html.split_once(&format!("name=\"{name}\" value=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    }
}

impl TestEnv {
    /// The server's own key of links.
    pub fn link_key(&self) -> SealKey {
        let bytes = std::fs::read(self.dir.path().join("data/link.key")).unwrap();
        SealKey::new(bytes.try_into().unwrap())
    }

    /// A link to a request as a notice has it, by its path.
    pub fn link(&self, request: &str, recipient: Option<&str>, until: &str) -> String {
        let link = Link {
            request: RequestId::from_stored(request),
            recipient: recipient.map(str::to_owned),
            until: until.parse().unwrap(),
        };
        format!("/decide/{}", link.seal(&self.link_key()).unwrap())
    }
}

impl<'e> Visitor<'e> {
    pub fn new(env: &'e TestEnv) -> Self {
        dbaccess::tls::install_provider();
        let tls = dbaccess::tls::client_config(Some(&env.ca), &[b"http/1.1"]).unwrap();
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls);
        let http = http.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Self { env, http, cookies: BTreeMap::new() }
    }

    pub async fn get(&mut self, path: &str) -> Page {
        let url = self.at(path);
        self.send(self.http.get(url)).await
    }

    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.post_from(path, fields, &[("origin", &self.env.url.clone()), ("sec-fetch-site", "same-origin")])
            .await
    }

    /// As a page of somewhere else would.
    pub async fn post_from(&mut self, path: &str, fields: &[(&str, &str)], headers: &[(&str, &str)]) -> Page {
        let mut request = self.http.post(self.at(path)).body(form(fields));
        request = request.header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request).await
    }

    /// Opens a link and signs in as somebody on the way; ends at the request's page.
    pub async fn sign_in(&mut self, link: &str, person: &str) -> Page {
        let back = self.visit_provider(link, person).await;
        let arrived = self.get(&back).await.is(303);
        self.get(&arrived.location()).await
    }

    /// As far as the address that the provider sends the browser back to.
    pub async fn visit_provider(&mut self, link: &str, person: &str) -> String {
        let off = self.get(&format!("{link}/sign-in")).await.is(303).location();
        let page = self.http.get(&off).send().await.unwrap().text().await.unwrap();
        let page = Page { status: 200, headers: HeaderMap::new(), html: page };
        let token = page.hidden("form_token").unwrap_or_else(|| panic!("{}", page.html));
        let answer = [("form_token", token.as_str()), ("person", person), ("answer", "approve")];
        let action = Url::parse(&off).unwrap().join("/authorize").unwrap();
        let answered = self.http.post(action).body(form(&answer)).send().await.unwrap();
        answered.headers()[LOCATION].to_str().unwrap().to_owned()
    }

    fn at(&self, path: &str) -> String {
        if path.starts_with('/') { format!("{}{path}", self.env.url) } else { path.to_owned() }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> Page {
        let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header(COOKIE, pairs.join("; ")).send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for cookie in headers.get_all(SET_COOKIE) {
            let (pair, attributes) = cookie.to_str().unwrap().split_once(';').unwrap();
            for needed in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
                assert!(attributes.contains(needed), "{attributes}");
            }
            assert!(pair.starts_with("__Host-") && !attributes.contains("Domain"), "{pair}");
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Page { status, headers, html: response.text().await.unwrap() }
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}
