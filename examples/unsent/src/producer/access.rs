//! Who may ask for what. Without a secret everybody may: the service has no accounts of its own.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use common::auth::{self, AuthError, Identity, Limiter, Verifier};
use common::config::Config;

use super::App;
use super::answers::Refusal;

/// As short as a secret may be.
const SECRET_BYTES_MIN: usize = 32;
/// Messages a second of one user, if nothing else is said.
const PER_SECOND: u32 = 30;
/// Messages of one user at once: a batch of them.
const AT_ONCE: u32 = super::BATCH_MESSAGES_MAX as u32;

/// Who is let in.
#[derive(Clone, Debug)]
pub struct Access(Option<Arc<Guard>>);

#[derive(Debug)]
struct Guard {
    /// Knows people; without one none is let in.
    verifier: Option<Verifier>,
    /// What other services say to be let in; none is if it is empty.
    service_token: String,
    /// Who writes too much. Services may write as much as they like.
    limiter: Limiter<String>,
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
        Self::with(Some(Verifier::new(settings)), service_token, PER_SECOND)
    }

    fn with(verifier: Option<Verifier>, service_token: &str, per_second: u32) -> Self {
        let limiter = Limiter::with_burst(per_second, Duration::from_secs(1), AT_ONCE);
        Self(Some(Arc::new(Guard { verifier, service_token: service_token.into(), limiter })))
    }

    /// `JWT_SECRET` and `JWT_ISSUER` of those who have the accounts, `SERVICE_TOKEN`, and
    /// `MESSAGES_PER_SECOND` of one user. With the token alone it is for services. It is open
    /// without either, and in `DEV_MODE`, where the page shows anybody's messages.
    pub fn read(config: &mut Config) -> Self {
        let secret = config.secret("JWT_SECRET", "");
        let service_token = config.secret("SERVICE_TOKEN", "");
        let settings = auth::Settings::dev(&secret);
        let issuer = config.text("JWT_ISSUER", &settings.issuer);
        let per_second = config.value("MESSAGES_PER_SECOND", PER_SECOND);
        if config.value("DEV_MODE", false) {
            return Self::open();
        }
        for (name, secret) in [("JWT_SECRET", &secret), ("SERVICE_TOKEN", &service_token)] {
            if !secret.is_empty() && secret.len() < SECRET_BYTES_MIN {
                config.refuse(format!("{name}: {SECRET_BYTES_MIN} bytes or more"));
            }
        }
        if secret.is_empty() && service_token.is_empty() {
            tracing::warn!("JWT_SECRET is not set: whoever reaches this service may read all");
            return Self::open();
        }
        let settings = auth::Settings { issuer, ..settings };
        let verifier = (!secret.is_empty()).then(|| Verifier::new(&settings));
        Self::with(verifier, &service_token, per_second)
    }

    /// Counts messages of one that is no service; fails if they are too many.
    pub(super) fn count(&self, caller: &Caller, messages: u32) -> Result<(), Refusal> {
        match (&self.0, caller) {
            (Some(guard), Caller::User(identity)) => {
                let counted = guard.limiter.check_all(&identity.username, messages);
                Ok(counted.map_err(AuthError::TooMany)?)
            }
            _ => Ok(()),
        }
    }

    /// Who holds a ticket for one stream of events.
    pub(super) fn redeem(&self, ticket: &str) -> Result<Caller, Refusal> {
        match &self.0 {
            None => Ok(Caller::Trusted),
            Some(guard) => Ok(Caller::User(guard.verifier()?.redeem(ticket)?)),
        }
    }

    fn caller(&self, authorization: Option<&str>) -> Result<Caller, Refusal> {
        let Some(guard) = &self.0 else { return Ok(Caller::Trusted) };
        let token = authorization.and_then(|value| value.strip_prefix("Bearer "));
        let token = token.ok_or(AuthError::NotLoggedIn)?;
        if !guard.service_token.is_empty() && same(token, &guard.service_token) {
            return Ok(Caller::Trusted);
        }
        Ok(Caller::User(guard.verifier()?.verify(token)?))
    }
}

impl Guard {
    fn verifier(&self) -> Result<&Verifier, AuthError> {
        self.verifier.as_ref().ok_or(AuthError::NotLoggedIn)
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
        let short = [&["JWT_SECRET=short"][..], &[&secret, "SERVICE_TOKEN=short"]];
        for flags in short.into_iter().chain([&["SERVICE_TOKEN=short"][..]]) {
            let error = read(flags).unwrap_err();
            assert!(error.contains("32 bytes or more"), "{error}");
        }
    }

    /// It was: without the secret the token was not asked for, and everybody was let in.
    #[test]
    fn with_the_token_alone_only_services_are_let_in() {
        let access = read(&[&format!("SERVICE_TOKEN={SECRET}")]).unwrap();
        assert_eq!(access.caller(Some(&format!("Bearer {SECRET}"))).unwrap(), Caller::Trusted);
        for token in [None, Some("Bearer x.y.z"), Some("Bearer ")] {
            assert!(access.caller(token).is_err(), "{token:?}");
        }
        assert!(access.redeem("x.y.z").is_err());
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
