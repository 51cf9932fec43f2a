//! Delegation tokens (KIP-48): what lets a client in for a while on behalf of a user.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::api::create_delegation_token::{self, CreateDelegationToken};
use klamm_protocol::api::describe_delegation_token::{self, DescribeDelegationToken};
use klamm_protocol::api::expire_delegation_token::{self, ExpireDelegationToken};
use klamm_protocol::api::renew_delegation_token::{self, RenewDelegationToken};
use klamm_protocol::wire::Str;

use crate::admin::{Admin, Effect};
use crate::answer::Answer;
use crate::error::{Result, Subject};

/// Somebody, such as `User` and `alice`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principal {
    /// The kind; `User` for users.
    pub kind: Str,
    /// The name.
    pub name: Str,
}

/// A token to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewDelegationToken {
    /// For whom, if not for who asks.
    pub owner: Option<Principal>,
    /// Who may renew it besides its owner.
    pub renewers: Vec<Principal>,
    /// How long it may be renewed; as long as the cluster allows if not set.
    pub max_lifetime: Option<Duration>,
}

/// A token.
#[derive(Clone, PartialEq, Eq)]
pub struct DelegationToken {
    /// What it goes by: the user name of SCRAM.
    pub id: Str,
    /// What proves it, not printed: as base64 it is the password of SCRAM.
    pub hmac: Bytes,
    /// For whom it stands.
    pub owner: Principal,
    /// Who may renew it.
    pub renewers: Vec<Principal>,
    /// When it was made, in milliseconds since 1970.
    pub issued_ms: i64,
    /// When it expires unless it is renewed.
    pub expires_ms: i64,
    /// When it expires for good.
    pub expires_at_last_ms: i64,
}

impl fmt::Debug for DelegationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelegationToken")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("renewers", &self.renewers)
            .field("expires_ms", &self.expires_ms)
            .finish_non_exhaustive()
    }
}

impl Admin {
    /// Makes a token. The connection must have proved who it is.
    ///
    /// # Errors
    /// No broker answers, or it makes no tokens, or not for this client.
    pub async fn create_delegation_token(
        &self,
        wanted: &NewDelegationToken,
    ) -> Result<DelegationToken> {
        let renewer = |principal: &Principal| create_delegation_token::Renewer {
            principal_type: principal.kind.clone(),
            principal_name: principal.name.clone(),
        };
        let request = create_delegation_token::Request {
            owner_principal_type: wanted.owner.as_ref().map(|owner| owner.kind.clone()),
            owner_principal_name: wanted.owner.as_ref().map(|owner| owner.name.clone()),
            renewers: wanted.renewers.iter().map(renewer).collect(),
            max_lifetime_ms: wanted.max_lifetime.map_or(-1, milliseconds),
        };
        let made = self
            .retry(Effect::Changes, async || {
                let connection = self.controller().await?;
                let answer = connection.call::<CreateDelegationToken>(&request).await?;
                answer.origin.check(answer.body.error_code, None, Subject::Cluster)?;
                Ok(answer.body)
            })
            .await?;
        Ok(DelegationToken {
            id: made.token_id,
            hmac: made.hmac,
            owner: Principal { kind: made.principal_type, name: made.principal_name },
            renewers: wanted.renewers.clone(),
            issued_ms: made.issue_timestamp_ms,
            expires_ms: made.expiry_timestamp_ms,
            expires_at_last_ms: made.max_timestamp_ms,
        })
    }

    /// Lets the token with this proof live on for so long, and tells until when, in milliseconds
    /// since 1970.
    ///
    /// # Errors
    /// No broker answers, or the token is not there, or not this client's to renew.
    pub async fn renew_delegation_token(&self, hmac: &Bytes, by: Duration) -> Result<i64> {
        let request = renew_delegation_token::Request {
            hmac: hmac.clone(),
            renew_period_ms: milliseconds(by),
        };
        self.retry(Effect::Changes, async || {
            let Answer { body, origin } =
                self.controller().await?.call::<RenewDelegationToken>(&request).await?;
            origin.check(body.error_code, None, Subject::Cluster)?;
            Ok(body.expiry_timestamp_ms)
        })
        .await
    }

    /// Lets the token with this proof live for so long and no longer; at once without a time.
    ///
    /// # Errors
    /// As [`renew_delegation_token`](Self::renew_delegation_token).
    pub async fn expire_delegation_token(
        &self,
        hmac: &Bytes,
        after: Option<Duration>,
    ) -> Result<i64> {
        let request = expire_delegation_token::Request {
            hmac: hmac.clone(),
            expiry_time_period_ms: after.map_or(-1, milliseconds),
        };
        self.retry(Effect::Changes, async || {
            let Answer { body, origin } =
                self.controller().await?.call::<ExpireDelegationToken>(&request).await?;
            origin.check(body.error_code, None, Subject::Cluster)?;
            Ok(body.expiry_timestamp_ms)
        })
        .await
    }

    /// The tokens of these owners, or all that may be seen where none is named.
    ///
    /// # Errors
    /// No broker answers, or it has no tokens.
    pub async fn delegation_tokens(&self, owners: &[Principal]) -> Result<Vec<DelegationToken>> {
        let owner = |principal: &Principal| describe_delegation_token::Owner {
            principal_type: principal.kind.clone(),
            principal_name: principal.name.clone(),
        };
        let request = describe_delegation_token::Request {
            owners: (!owners.is_empty()).then(|| owners.iter().map(owner).collect()),
        };
        let answer = self
            .retry(Effect::Reads, async || {
                let connection = self.controller().await?;
                let answer = connection.call::<DescribeDelegationToken>(&request).await?;
                answer.origin.check(answer.body.error_code, None, Subject::Cluster)?;
                Ok(answer.body)
            })
            .await?;
        let renewer = |told: describe_delegation_token::Renewer| Principal {
            kind: told.principal_type,
            name: told.principal_name,
        };
        let token = |told: describe_delegation_token::Token| DelegationToken {
            id: told.token_id,
            hmac: told.hmac,
            owner: Principal { kind: told.principal_type, name: told.principal_name },
            renewers: told.renewers.into_iter().map(renewer).collect(),
            issued_ms: told.issue_timestamp,
            expires_ms: told.expiry_timestamp,
            expires_at_last_ms: told.max_timestamp,
        };
        Ok(answer.tokens.into_iter().map(token).collect())
    }
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
