//! For services that have no accounts of their own, and believe those who do.

use std::fmt;
use std::sync::Arc;

use super::token::{Keys, Purpose};
use super::{AuthError, Identity, Settings};

/// Checks tokens, without a database or a bus. Clones are handles to the same.
#[derive(Clone)]
pub struct Verifier(Arc<Keys>);

impl fmt::Debug for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Verifier")
    }
}

impl Verifier {
    /// Believes tokens that were signed with this secret.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self(Arc::new(Keys::new(settings)))
    }

    /// Who holds this access token.
    ///
    /// # Errors
    /// It is none, or not good any more.
    pub fn verify(&self, access: &str) -> Result<Identity, AuthError> {
        let claims = self.0.verify(access, Purpose::Access).ok_or(AuthError::NotLoggedIn)?;
        Ok(claims.identity())
    }

    /// Who holds this ticket. Nobody remembers that it was used: it is good until it ends.
    ///
    /// # Errors
    /// It is none, or not good any more.
    pub fn redeem(&self, ticket: &str) -> Result<Identity, AuthError> {
        let claims = self.0.verify(ticket, Purpose::Ticket).ok_or(AuthError::NotLoggedIn)?;
        Ok(claims.identity())
    }
}
