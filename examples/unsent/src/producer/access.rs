//! Who may ask for what. Without a secret everybody may: the service has no accounts of its own.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use common::auth::{self, AuthError, Identity, Verifier};
use common::config::Config;

use super::App;
use super::answers::Refusal;

/// As short as a secret may be.
const SECRET_BYTES_MIN: usize = 32;

/// Who is let in.
#[derive(Clone, Debug)]
pub struct Access(Option<Arc<Guard>>);

#[derive(Debug)]
struct Guard {
    verifier: Verifier,
    /// What other services say to be let in; none is if it is empty.
    service_token: String,
}

impl Access {
    /// Everybody may everything.
    #[must_use]
    pub fn open() -> Self {
        Self(None)
    }

    /// People may read what was written to them, and write in their own names; who has the token
    /// of services may do all.
    #[must_use]
    pub fn guarded(settings: &auth::Settings, service_token: &str) -> Self {
        let verifier = Verifier::new(settings);
        Self(Some(Arc::new(Guard { verifier, service_token: service_token.into() })))
    }

    /// `JWT_SECRET` and `JWT_ISSUER` of those who have the accounts, and `SERVICE_TOKEN`. It is
    /// open without the secret, and in `DEV_MODE`, where the page shows anybody's messages.
    pub fn read(config: &mut Config) -> Self {
        let secret = config.secret("JWT_SECRET", "");
        let service_token = config.secret("SERVICE_TOKEN", "");
        let settings = auth::Settings::dev(&secret);
        let issuer = config.text("JWT_ISSUER", &settings.issuer);
        if config.value("DEV_MODE", false) {
            return Self::open();
        }
        if secret.is_empty() {
            tracing::warn!("JWT_SECRET is not set: whoever reaches this service may read all");
            return Self::open();
        }
        for (name, secret) in [("JWT_SECRET", &secret), ("SERVICE_TOKEN", &service_token)] {
            if !secret.is_empty() && secret.len() < SECRET_BYTES_MIN {
                config.refuse(format!("{name}: {SECRET_BYTES_MIN} bytes or more"));
            }
        }
        Self::guarded(&auth::Settings { issuer, ..settings }, &service_token)
    }

    /// Who holds a ticket for one stream of events.
    pub(super) fn redeem(&self, ticket: &str) -> Result<Caller, Refusal> {
        match &self.0 {
            None => Ok(Caller::Trusted),
            Some(guard) => Ok(Caller::User(guard.verifier.redeem(ticket)?)),
        }
    }

    fn caller(&self, authorization: Option<&str>) -> Result<Caller, Refusal> {
        let Some(guard) = &self.0 else { return Ok(Caller::Trusted) };
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        let token = token.ok_or(AuthError::NotLoggedIn)?;
        if !guard.service_token.is_empty() && same(token, &guard.service_token) {
            return Ok(Caller::Trusted);
        }
        Ok(Caller::User(guard.verifier.verify(token)?))
    }
}

/// Takes as long wherever they differ.
fn same(one: &str, other: &str) -> bool {
    let differs = one.bytes().zip(other.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
    one.len() == other.len() && differs == 0
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A service, or anybody where all is open.
    Trusted,
    /// Somebody with an account.
    User(Identity),
}

impl Caller {
    /// Fails unless they may act as this user: read what was written to them, write in their name.
    pub(super) fn acts_as(&self, user: &str) -> Result<(), Refusal> {
        match self {
            Self::User(identity) if identity.username != user => {
                Err(Refusal::Another(user.to_owned()))
            }
            _ => Ok(()),
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let header = parts.headers.get(header::AUTHORIZATION);
        app.access.caller(header.and_then(|value| value.to_str().ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn read(flags: &[&str]) -> Result<Access, String> {
        let flags = flags.iter().map(|flag| format!("--{flag}"));
        let mut config = Config::from_arguments(flags).unwrap();
        let access = Access::read(&mut config);
        config.finish().map(|_| access).map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_closes_the_service_unless_it_is_for_developers() {
        let secret = format!("JWT_SECRET={SECRET}");
        let is_open = |flags: &[&str]| read(flags).unwrap().0.is_none();
        assert!(is_open(&[]));
        assert!(is_open(&[&secret, "DEV_MODE=true"]));
        assert!(!is_open(&[&secret]));
        for flags in [&["JWT_SECRET=short"][..], &[&secret, "SERVICE_TOKEN=short"]] {
            let error = read(flags).unwrap_err();
            assert!(error.contains("32 bytes or more"), "{error}");
        }
    }

    #[test]
    fn nobody_is_let_in_by_half_a_token_or_none() {
        let access = Access::guarded(&auth::Settings::dev(SECRET), "the token of services");
        let trusted = |token: &str| access.caller(Some(token)).is_ok();
        assert!(trusted("Bearer the token of services"));
        for token in ["Bearer the token", "Bearer ", "the token of services", "Bearer x.y.z"] {
            assert!(!trusted(token), "{token}");
        }
        assert!(access.caller(None).is_err());
        // Where services have no token, an empty one lets nobody in.
        let access = Access::guarded(&auth::Settings::dev(SECRET), "");
        assert!(access.caller(Some("Bearer ")).is_err());
    }
}
