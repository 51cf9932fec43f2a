//! Accounts, and who somebody is.
//!
//! A password is exchanged for a session: an access token that is checked without asking anybody
//! and lives for minutes, and a refresh token that lives for weeks, is known to the database by
//! its hash alone, and is good for one use. If two hold one, the session ends.

mod account;
mod endings;
mod limits;
mod password;
mod refresh;
mod routes;
mod token;
mod verifier;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

pub use account::{NewUser, User, UserKey, normal};
pub use endings::Endings;
pub use limits::{Limiter, Quotas};
pub use routes::{AuthRejection, refresh_cookie, routes};
pub use token::{Identity, TICKET_LIFETIME};
pub use verifier::Verifier;

use self::token::Purpose;
use crate::bus::Bus;
use crate::config::Config;
use crate::db::{Database, Migration};

/// How long the database may take to tell whether a session goes on.
const SESSION_WITHIN: Duration = Duration::from_secs(2);

/// The secret of the samples: refused unless in dev mode.
pub const SAMPLE_SECRET: &str = "secret";

/// How tokens are made.
#[derive(Clone)]
pub struct Settings {
    /// Signs tokens; at least 32 bytes outside dev mode.
    pub secret: String,
    /// `iss` of the tokens.
    pub issuer: String,
    /// How long an access token is good for.
    pub access_lifetime: Duration,
    /// How long a refresh token is good for.
    pub refresh_lifetime: Duration,
    /// For how long the second use of a refresh token is taken for that of another tab: it is
    /// refused, and nothing else happens.
    pub refresh_leeway: Duration,
    /// Whether cookies go over https only.
    pub secure_cookies: bool,
    /// How often something may be tried.
    pub quotas: Quotas,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Settings")
            .field("secret", &"(hidden)")
            .field("issuer", &self.issuer)
            .field("access_lifetime", &self.access_lifetime)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// For a demonstration or a test.
    #[must_use]
    pub fn dev(secret: &str) -> Self {
        Self {
            secret: secret.to_owned(),
            issuer: "klamm-examples".into(),
            access_lifetime: Duration::from_secs(15 * 60),
            refresh_lifetime: Duration::from_secs(30 * 24 * 3600),
            refresh_leeway: Duration::from_secs(2),
            secure_cookies: false,
            quotas: Quotas::default(),
        }
    }

    /// `JWT_SECRET`, `JWT_ISSUER`, `JWT_EXPIRATION` in seconds (the original's day is 86400), and
    /// `DEV_MODE`, without which the sample's secret is refused.
    pub fn read(config: &mut Config) -> Self {
        let dev = config.value("DEV_MODE", false);
        let secret = config.secret("JWT_SECRET", SAMPLE_SECRET);
        if !dev && secret.len() < 32 {
            config.refuse("JWT_SECRET: 32 bytes or more, unless DEV_MODE=true");
        }
        let defaults = Self::dev(&secret);
        Self {
            issuer: config.text("JWT_ISSUER", &defaults.issuer),
            access_lifetime: Duration::from_secs(config.value("JWT_EXPIRATION", 15 * 60)),
            refresh_leeway: Duration::from_millis(config.value("REFRESH_LEEWAY_MS", 2_000)),
            secure_cookies: config.text("NGINX_ENV", "local") != "local",
            quotas: Quotas::read(config),
            ..defaults
        }
    }
}

/// Why somebody was not let in.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// No such user, or another password: nobody is told which.
    #[error("Wrong username or password")]
    WrongPassword,
    /// Somebody else is called so.
    #[error("Username is already taken")]
    Taken,
    /// Somebody else has this address.
    #[error("E-mail address is already in use")]
    EmailTaken,
    /// A name or password that is not possible.
    #[error("{0}")]
    Invalid(&'static str),
    /// No token, or one that is not good any more.
    #[error("Not logged in")]
    NotLoggedIn,
    /// Two hold a refresh token of this session; it has ended.
    #[error("Logged out: this session was used from elsewhere")]
    Replayed,
    /// Another request uses the refresh token at the same time: it got the new one.
    #[error("Already refreshed")]
    Refreshing,
    /// Too often; try again later.
    #[error("Too many attempts, try again in {} s", .0.as_secs().max(1))]
    TooMany(Duration),
    /// The database did not answer.
    #[error("Try again later")]
    Database(#[from] sqlx::Error),
}

/// What a login gives.
#[derive(Clone, Debug)]
pub struct Session {
    /// Whose it is.
    pub user: User,
    /// Good for [`Settings::access_lifetime`].
    pub access: String,
    /// Seconds until `access` ends.
    pub expires_in: u64,
    /// Good for one use.
    pub refresh: String,
}

/// Accounts and tokens; clones are handles to the same.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    settings: Settings,
    database: Database,
    bus: Bus,
    keys: token::Keys,
    passwords: password::Passwords,
    limits: limits::Limits,
    ended: endings::Ended,
}

impl Auth {
    /// The tables that it needs.
    pub const MIGRATIONS: &[Migration] = &[account::TABLE, refresh::TABLE, refresh::SESSIONS];

    /// Knows the accounts of `database`, which must have [`Auth::MIGRATIONS`] when it is used.
    #[must_use]
    pub fn new(settings: Settings, database: Database, bus: Bus) -> Self {
        let keys = token::Keys::new(&settings);
        let limits = limits::Limits::new(settings.quotas, bus.clone());
        let passwords = password::Passwords::new();
        let ended = endings::Ended::new(settings.access_lifetime);
        Self(Arc::new(Inner { settings, database, bus, keys, passwords, limits, ended }))
    }

    /// Makes an account for somebody at this address, which may make so many an hour.
    pub async fn signup_from(&self, from: IpAddr, new: NewUser) -> Result<User, AuthError> {
        self.0.limits.signup(from).await?;
        let made = self.signup(new).await;
        if made.is_err() {
            self.0.limits.no_signup(from).await;
        }
        made
    }

    /// Makes an account.
    pub async fn signup(&self, new: NewUser) -> Result<User, AuthError> {
        let new = new.checked()?;
        // Before the password takes its time.
        if self.user(UserKey::Username(&new.username)).await?.is_some() {
            return Err(AuthError::Taken);
        }
        let hash = self.0.passwords.hash(&new.password).await?;
        account::insert(&self.0.database, &new, &hash).await
    }

    /// Begins a session for somebody at this address, if that was not tried too often.
    pub async fn login_from(
        &self,
        from: IpAddr,
        username: &str,
        password: &str,
    ) -> Result<Session, AuthError> {
        self.0.limits.login(from, username).await?;
        self.login(username, password).await
    }

    /// Begins a session. Takes as long for a user that does not exist.
    pub async fn login(&self, username: &str, password: &str) -> Result<Session, AuthError> {
        let found = account::credentials(&self.0.database, username).await?;
        let hash = found.as_ref().map(|(_, hash)| hash.as_str());
        let right = self.0.passwords.verify(password, hash).await?;
        match found {
            Some((user, _)) if right => {
                let begun = refresh::begin(self.inner(), user.user_id).await?;
                Ok(self.session(user, begun))
            }
            _ => Err(AuthError::WrongPassword),
        }
    }

    /// Goes on with a session: the old refresh token is used up.
    pub async fn refresh(&self, refresh: &str) -> Result<Session, AuthError> {
        let next = match refresh::rotate(self.inner(), refresh).await? {
            refresh::Rotated::Next(next) => next,
            refresh::Rotated::Replayed(session) => {
                endings::tell(self, &[session]).await;
                return Err(AuthError::Replayed);
            }
        };
        let user = self.user(UserKey::Id(next.user_id)).await?.ok_or(AuthError::NotLoggedIn)?;
        Ok(self.session(user, next))
    }

    /// Ends the session of this refresh token, if there is one, on every instance.
    pub async fn logout(&self, refresh: &str) -> Result<(), AuthError> {
        let ended = refresh::end_of(&self.0.database, refresh).await?;
        endings::tell(self, ended.as_slice()).await;
        Ok(())
    }

    /// Ends all sessions of a user, on every instance.
    pub async fn logout_everywhere(&self, user_id: Uuid) -> Result<(), AuthError> {
        let ended = refresh::end_all(&self.0.database, user_id).await?;
        endings::tell(self, &ended).await;
        Ok(())
    }

    /// Hears of sessions that end from now on.
    #[must_use]
    pub fn endings(&self) -> Endings {
        Endings::new(self.clone())
    }

    /// Who holds this access token. One of a session that is known to have ended is refused; a
    /// service that hears of [`endings`](Self::endings) knows that within seconds.
    pub fn verify(&self, access: &str) -> Result<Identity, AuthError> {
        self.holder(access, Purpose::Access).map(|(_, identity)| identity)
    }

    /// Who holds this access token, if it is of the same session as `known`, and that goes on.
    pub async fn renew(&self, known: &Identity, access: &str) -> Result<Identity, AuthError> {
        let identity = self.verify(access)?;
        if (identity.user_id, identity.session) != (known.user_id, known.session) {
            return Err(AuthError::NotLoggedIn);
        }
        self.goes_on(&identity).await?;
        Ok(identity)
    }

    /// A ticket for one socket, which may be opened at any instance within 30 s, if the session
    /// goes on.
    pub async fn ticket(&self, identity: &Identity) -> Result<String, AuthError> {
        self.goes_on(identity).await?;
        Ok(self.sign_ticket(identity))
    }

    /// A ticket of which nobody asks whether the session goes on.
    #[must_use]
    pub fn sign_ticket(&self, identity: &Identity) -> String {
        self.0.keys.ticket(identity)
    }

    /// Fails if the session was ended: to be asked before something is opened that lasts. Without
    /// the database it is taken to go on: pages come back then as well, and [`Endings`] ends them
    /// when the database does.
    pub async fn goes_on(&self, identity: &Identity) -> Result<(), AuthError> {
        let asked = refresh::goes_on(&self.0.database, identity.session);
        match tokio::time::timeout(SESSION_WITHIN, asked).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Err(AuthError::NotLoggedIn),
            Ok(Err(error)) => tracing::warn!(%error, "a session is taken to go on"),
            Err(_) => tracing::warn!("a session is taken to go on: the database does not answer"),
        }
        Ok(())
    }

    /// Who holds this ticket. It is good once, as far as the bus can tell.
    pub async fn redeem(&self, ticket: &str) -> Result<Identity, AuthError> {
        let (jti, identity) = self.holder(ticket, Purpose::Ticket)?;
        let name = format!("ticket:{jti}");
        match self.0.bus.claim(&name, token::TICKET_LIFETIME).await {
            Ok(true) => {}
            Ok(false) => return Err(AuthError::NotLoggedIn),
            Err(error) => {
                tracing::warn!(%error, "a ticket is taken although its use cannot be remembered");
            }
        }
        Ok(identity)
    }

    /// The name of a token, and who holds it.
    fn holder(&self, token: &str, purpose: Purpose) -> Result<(String, Identity), AuthError> {
        let claims = self.0.keys.verify(token, purpose).ok_or(AuthError::NotLoggedIn)?;
        if self.0.ended.has(claims.sid) {
            return Err(AuthError::NotLoggedIn);
        }
        Ok((claims.jti.clone(), claims.identity()))
    }

    /// The user with this id, name or address.
    pub async fn user(&self, key: UserKey<'_>) -> Result<Option<User>, AuthError> {
        Ok(account::find(&self.0.database, key).await?)
    }

    /// All users, by name: at most `limit`, after the name `after`.
    pub async fn users(&self, after: &str, limit: u32) -> Result<Vec<User>, AuthError> {
        Ok(account::list(&self.0.database, after, limit).await?)
    }

    fn inner(&self) -> (&Settings, &Database) {
        (&self.0.settings, &self.0.database)
    }

    fn session(&self, user: User, next: refresh::Next) -> Session {
        let access = self.0.keys.access(&user, next.family);
        let expires_in = self.0.settings.access_lifetime.as_secs();
        Session { user, access, expires_in, refresh: next.token }
    }
}

impl std::fmt::Debug for Auth {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Auth").field(&self.0.settings).finish()
    }
}

#[cfg(test)]
mod tests;
