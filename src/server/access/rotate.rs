//! New keys for the tokens of a target.

use super::{Access, AccessError, Caller};
use crate::core::model::{Event, PersonRef};
use crate::proto::{RotateTokens, TokensRotated};
use std::sync::Arc;

impl Access {
    /// Gives the tokens of one domain, or of all, new keys: those seen until
    /// now lead nowhere.
    ///
    /// Cancel-safety: once begun it goes on by itself, so that no key is new
    /// without a record of who wanted it.
    pub async fn rotate_tokens(
        self: &Arc<Self>,
        caller: &Caller,
        target: String,
        body: RotateTokens,
    ) -> Result<TokensRotated, AccessError> {
        self.target(&target)?;
        if !caller.has_role("security") && !caller.has_role("admin") {
            return Err(AccessError::denied("new keys for tokens are for security and admins to make"));
        }
        let (access, by) = (Arc::clone(self), caller.person.to_ref());
        let rotating = tokio::spawn(async move { access.rotate(target, by, body.domain).await });
        rotating.await.map_err(|_| AccessError::internal("renewing the keys broke off"))?
    }

    async fn rotate(
        &self,
        target: String,
        by: PersonRef,
        domain: Option<String>,
    ) -> Result<TokensRotated, AccessError> {
        let keys = self.target(&target)?.database.rotate_tokens(domain.as_deref()).await?;
        let keys = u32::try_from(keys).unwrap_or_default();
        if let (0, Some(domain)) = (keys, &domain) {
            return Err(AccessError::not_found(format!(
                "no token of domain {domain} was ever shown in {target}"
            ))
            .hint(format!("`dbaccess target rotate-tokens {target}` renews every key there is")));
        }
        let event = Event::TokensRotated { target: target.clone(), by, domain: domain.clone(), keys };
        self.store.write(move |tx| tx.record(crate::os::now(), &event).map_err(AccessError::from)).await?;
        self.wake();
        Ok(TokensRotated { target, domain, keys })
    }
}
