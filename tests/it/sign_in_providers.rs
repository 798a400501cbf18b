//! Sign-in against two real providers, through their own pages.

use crate::support::{pki::Pki, providers::RealProvider};
use dbaccess::tls;
use serde_json::Value;

/// The providers themselves work, before anything of ours is asked to.
#[tokio::test]
async fn the_providers_run_the_device_flow() {
    let pki = Pki::new();
    let http = tls::http_client(Some(&pki.authority())).unwrap();
    for provider in [RealProvider::oidc_provider(&pki).await, RealProvider::glewlwyd(&pki).await] {
        let discovery = format!("{}/.well-known/openid-configuration", provider.issuer);
        let metadata: Value = http.get(discovery).send().await.unwrap().json().await.unwrap();
        assert_eq!(metadata["issuer"], provider.issuer.as_str());
    }
}
