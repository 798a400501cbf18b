//! The links that notices carry. Made when a notice is sent, and kept nowhere.

use super::OutboundError;
use crate::core::link::Link;
use crate::core::model::{Notice, RequestId};
use crate::core::seal::SealKey;
use crate::server::store::Store;

/// Writes links; cheap to clone.
#[derive(Clone)]
pub struct Links {
    pub key: SealKey,
    pub public_url: String,
    pub store: Store,
}

impl Links {
    /// Where a notice leads, for one person or for whoever reads the channel:
    /// nowhere if it asks for no decision.
    pub(super) async fn of(
        &self,
        notice: &Notice,
        recipient: Option<&str>,
    ) -> Result<Option<String>, OutboundError> {
        match notice.request.as_ref().filter(|_| notice.kind.asks()) {
            Some(request) => self.to(request, recipient).await.map(Some),
            None => Ok(None),
        }
    }

    /// A link to the decision about a request.
    pub async fn to(&self, request: &RequestId, recipient: Option<&str>) -> Result<String, OutboundError> {
        let id = request.as_str().to_owned();
        let request = self.store.read(move |tx| tx.request(&id)).await?;
        let link =
            Link { request: request.id, recipient: recipient.map(str::to_owned), until: request.expires_at };
        Ok(format!("{}/decide/{}", self.public_url, link.seal(&self.key)?))
    }
}
