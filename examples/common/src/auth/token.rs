//! Tokens that every instance can check by itself.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use klamm_utils::clock::{Clock as _, SystemClock};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Settings, User};

/// How long a ticket is good for.
pub const TICKET_LIFETIME: Duration = Duration::from_secs(30);

/// Who somebody is, as long as the session lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub user_id: Uuid,
    /// Its name.
    pub username: String,
    /// The session, which may be ended before the token does.
    pub session: Uuid,
    /// Seconds since 1970 at which the access token ends.
    pub expires_at: u64,
}

/// What a token may be used for: its audience.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Access,
    Ticket,
}

impl Purpose {
    fn audience(self) -> &'static str {
        match self {
            Self::Access => "klamm-examples",
            Self::Ticket => "klamm-examples-ws",
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    #[serde(rename = "userID")]
    pub user_id: Uuid,
    pub username: String,
    pub iss: String,
    pub aud: String,
    pub nbf: u64,
    pub exp: u64,
    pub jti: String,
    /// The session.
    #[serde(default)]
    pub sid: Uuid,
    /// Of a ticket: when the access token ends that it was given for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_exp: Option<u64>,
}

impl Claims {
    pub(super) fn identity(self) -> Identity {
        let expires_at = self.session_exp.unwrap_or(self.exp);
        let Self { user_id, username, sid: session, .. } = self;
        Identity { user_id, username, session, expires_at }
    }
}

/// Signs and checks.
pub(super) struct Keys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    issuer: String,
    access_lifetime: Duration,
}

impl Keys {
    pub(super) fn new(settings: &Settings) -> Self {
        let secret = settings.secret.as_bytes();
        Self {
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            issuer: settings.issuer.clone(),
            access_lifetime: settings.access_lifetime,
        }
    }

    pub(super) fn access(&self, user: &User, session: Uuid) -> String {
        let exp = now() + self.access_lifetime.as_secs();
        let username = user.username.clone();
        let identity = Identity { user_id: user.user_id, username, session, expires_at: exp };
        self.sign(Purpose::Access, &identity, exp)
    }

    pub(super) fn ticket(&self, identity: &Identity) -> String {
        self.sign(Purpose::Ticket, identity, now() + TICKET_LIFETIME.as_secs())
    }

    fn sign(&self, purpose: Purpose, identity: &Identity, exp: u64) -> String {
        let claims = Claims {
            user_id: identity.user_id,
            username: identity.username.clone(),
            iss: self.issuer.clone(),
            aud: purpose.audience().to_owned(),
            nbf: now(),
            exp,
            jti: Uuid::now_v7().to_string(),
            sid: identity.session,
            session_exp: (purpose == Purpose::Ticket).then_some(identity.expires_at),
        };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .expect("the claims are JSON and the key is one of HS256")
    }

    /// The claims, if the token is ours, for this purpose, and good now. The algorithm is pinned:
    /// what the token says of it counts for nothing.
    pub(super) fn verify(&self, token: &str, purpose: Purpose) -> Option<Claims> {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.leeway = 0;
        validation.validate_nbf = false;
        validation.set_audience(&[purpose.audience()]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss"]);
        let claims: Claims = jsonwebtoken::decode(token, &self.decoding, &validation).ok()?.claims;
        let now = now();
        // Clocks of instances may be a little apart.
        (claims.nbf <= now + 5 && now < claims.exp).then_some(claims)
    }
}

fn now() -> u64 {
    u64::try_from(SystemClock::new().now_ms() / 1000).unwrap_or(0)
}
