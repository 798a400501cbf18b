//! Answers the verification page as a person with a browser would: opens the
//! link, reads the form, sends it. For the demo and the tests.

use crate::tls;
use anyhow::{Context as _, Result, bail};
use openidconnect::url::{Url, form_urlencoded};
use std::path::Path;

/// What to answer.
#[derive(Clone, Copy, Debug)]
pub enum Answer<'a> {
    /// As the person of this subject.
    ApproveAs(&'a str),
    Deny,
}

/// Opens `link` (the complete verification address, which holds the user code)
/// at a development identity provider that `ca` vouches for, and answers.
pub async fn answer_without_browser(ca: &Path, link: &str, answer: Answer<'_>) -> Result<()> {
    let http = tls::http_client(Some(ca))?;
    let page = http.get(link).send().await.with_context(|| format!("cannot open {link}"))?;
    let status = page.status();
    let html = page.text().await?;
    if !status.is_success() {
        bail!("the verification page said {status}: the code is wrong, used or too old");
    }
    let hidden = |name: &str| {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) = html.split_once(&start)?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let mut form = form_urlencoded::Serializer::new(String::new());
    for name in ["user_code", "form_token"] {
        let value = hidden(name).with_context(|| format!("no field `{name}` on the verification page"))?;
        form.append_pair(name, &value);
    }
    match answer {
        Answer::ApproveAs(subject) => form.append_pair("person", subject).append_pair("answer", "approve"),
        Answer::Deny => form.append_pair("answer", "deny"),
    };
    let action = Url::parse(link)?.join("/device")?;
    let sent = http
        .post(action)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form.finish())
        .send()
        .await?;
    if !sent.status().is_success() {
        bail!("the verification page did not take the answer: {}", sent.status());
    }
    Ok(())
}
