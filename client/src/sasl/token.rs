//! Where the tokens of OAUTHBEARER come from.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use klamm_utils::base64;
use klamm_utils::clock::{Clock as _, SystemClock};

use super::error::AuthenticationError;
use super::jaas::LoginModule;
use crate::config::Secret;

/// Why a provider has no token.
pub type TokenError = Box<dyn std::error::Error + Send + Sync>;

/// A token for OAUTHBEARER (RFC 7628), and what is told to the broker beside it (KIP-342).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BearerToken {
    pub(super) text: Secret,
    pub(super) extensions: BTreeMap<String, String>,
}

impl BearerToken {
    /// A token as its issuer wrote it.
    #[must_use]
    pub fn new(text: impl Into<Secret>) -> Self {
        Self { text: text.into(), extensions: BTreeMap::new() }
    }

    /// The same, and something that the broker is told beside it. Names are of letters only.
    #[must_use]
    pub fn extension(mut self, name: &str, value: &str) -> Self {
        self.extensions.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// Gives a token whenever a connection must authenticate, which is when it is opened and before
/// its session ends. It should keep a token for as long as it is valid.
///
/// Closures without arguments that return a future are providers.
pub trait TokenProvider: Send + Sync + 'static {
    /// A token that is valid now and for a while. It is waited for no longer than the request
    /// timeout; where a session goes on, it is asked for again until that ends.
    ///
    /// # Cancel safety
    /// May be dropped at any await, as whoever connects may go.
    fn token(&self) -> impl Future<Output = Result<BearerToken, TokenError>> + Send;
}

impl<F, Given> TokenProvider for F
where
    F: Fn() -> Given + Send + Sync + 'static,
    Given: Future<Output = Result<BearerToken, TokenError>> + Send,
{
    fn token(&self) -> impl Future<Output = Result<BearerToken, TokenError>> + Send {
        self()
    }
}

type Given<'a> = Pin<Box<dyn Future<Output = Result<BearerToken, TokenError>> + Send + 'a>>;

trait AnyProvider: Send + Sync {
    fn give(&self) -> Given<'_>;
}

impl<P: TokenProvider> AnyProvider for P {
    fn give(&self) -> Given<'_> {
        Box::pin(self.token())
    }
}

/// A provider of any type, shared.
#[derive(Clone)]
pub(crate) struct SharedProvider(Arc<dyn AnyProvider>);

impl SharedProvider {
    pub(crate) fn new(provider: impl TokenProvider) -> Self {
        Self(Arc::new(provider))
    }
}

impl fmt::Debug for SharedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedProvider")
    }
}

/// Where tokens come from.
#[derive(Clone, Debug)]
pub(super) enum TokenSource {
    Provider(SharedProvider),
    Fixed(Secret),
    /// A file that somebody else keeps fresh.
    File(PathBuf),
    Unsecured(Claims),
}

impl TokenSource {
    /// A token, if there is one within `patience`.
    pub(super) async fn token(
        &self,
        patience: Duration,
    ) -> Result<BearerToken, AuthenticationError> {
        let token = match self {
            Self::Provider(provider) => {
                let given = tokio::time::timeout(patience, provider.0.give()).await;
                given.unwrap_or_else(|_| Err(format!("none came within {patience:?}").into()))
            }
            Self::Fixed(text) => Ok(BearerToken::new(text.clone())),
            Self::File(path) => match tokio::fs::read_to_string(path).await {
                Ok(text) => Ok(BearerToken::new(text.trim())),
                Err(error) => Err(format!("{}: {error}", path.display()).into()),
            },
            Self::Unsecured(claims) => Ok(claims.token(unix_time())),
        };
        token.map_err(|source| AuthenticationError::Token { source: source.into() })
    }
}

/// What an unsecured token claims: one without a signature, for tests alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claims {
    /// As JSON has them.
    values: BTreeMap<String, String>,
    lifetime: Duration,
    extensions: BTreeMap<String, String>,
}

impl Claims {
    /// The options of Java's `OAuthBearerLoginModule`. Nothing if it is to make no such token.
    pub(super) fn of_module(module: &LoginModule) -> Result<Option<Self>, &'static str> {
        let mut values = BTreeMap::new();
        for (name, text) in module.options_of("unsecuredLoginStringClaim_") {
            values.insert(name.to_owned(), json(text));
        }
        for (name, number) in module.options_of("unsecuredLoginNumberClaim_") {
            let number = number.parse().ok().filter(|number: &f64| number.is_finite());
            let number = number.ok_or("a number claim is no number")?;
            values.insert(name.to_owned(), number.to_string());
        }
        for (name, list) in module.options_of("unsecuredLoginListClaim_") {
            // The first character says what separates the others.
            let mut rest = list.chars();
            let values_of = rest.next().map(|separator| rest.as_str().split(separator).map(json));
            let items: Vec<_> = values_of.into_iter().flatten().collect();
            values.insert(name.to_owned(), format!("[{}]", items.join(",")));
        }
        let lifetime = module.option("unsecuredLoginLifetimeSeconds").unwrap_or("3600").parse();
        let lifetime = Duration::from_secs(lifetime.map_err(|_| "a lifetime is no number")?);
        let extensions = module.options_of("unsecuredLoginExtension_");
        let extensions = extensions.map(|(name, value)| (name.into(), value.into())).collect();
        Ok((!values.is_empty()).then_some(Self { values, lifetime, extensions }))
    }

    fn token(&self, now: Duration) -> BearerToken {
        let mut values = self.values.clone();
        values.insert("iat".into(), now.as_secs().to_string());
        values.insert("exp".into(), now.saturating_add(self.lifetime).as_secs().to_string());
        let claims: Vec<_> =
            values.iter().map(|(name, value)| format!("{}:{value}", json(name))).collect();
        let claims = format!("{{{}}}", claims.join(","));
        let header = base64::encode_url(br#"{"alg":"none"}"#);
        let text = format!("{header}.{}.", base64::encode_url(claims.as_bytes()));
        BearerToken { text: text.into(), extensions: self.extensions.clone() }
    }
}

/// Since 1970.
pub(super) fn unix_time() -> Duration {
    Duration::from_millis(SystemClock::new().now_ms().try_into().unwrap_or(0))
}

/// Text as JSON has it.
fn json(text: &str) -> String {
    let mut json = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            // Writing to a string cannot fail.
            c if c < ' ' => _ = write!(json, "\\u{:04x}", u32::from(c)),
            c => json.push(c),
        }
    }
    json + "\""
}

/// How long ago a token ended, if it is one that says so: a signed or unsecured JSON web token.
pub(super) fn expired_since(token: &str, now: Duration) -> Option<Duration> {
    let claims = base64::decode_url(token.split('.').nth(1)?)?;
    let claims = String::from_utf8(claims).ok()?;
    let (_, after) = claims.split_once("\"exp\"")?;
    let number = after.trim_start().strip_prefix(':')?.trim_start();
    let end = number.find(|c: char| !c.is_ascii_alphanumeric() && !".+-".contains(c))?;
    let seconds: f64 = number.get(..end)?.parse().ok()?;
    now.checked_sub(Duration::try_from_secs_f64(seconds).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(options: &str) -> Result<Option<Claims>, &'static str> {
        let config = format!("OAuthBearerLoginModule required {options};").into();
        Claims::of_module(&LoginModule::parse(&config).unwrap())
    }

    #[test]
    fn unsecured_tokens_claim_what_java_would_have_them() {
        let claims = claims(
            r#"unsecuredLoginStringClaim_sub="a\"nn" unsecuredLoginNumberClaim_n="7.5"
               unsecuredLoginListClaim_scope="|a|b" unsecuredLoginLifetimeSeconds="60"
               unsecuredLoginExtension_cluster="x""#,
        );
        let token = claims.unwrap().unwrap().token(Duration::from_secs(1_000));
        let text = token.text.expose();
        let parts: Vec<_> = text.split('.').collect();
        assert_eq!(base64::decode_url(parts[0]).unwrap(), br#"{"alg":"none"}"#);
        let claims = String::from_utf8(base64::decode_url(parts[1]).unwrap()).unwrap();
        let expected = r#"{"exp":1060,"iat":1000,"n":7.5,"scope":["a","b"],"sub":"a\"nn"}"#;
        assert_eq!((claims.as_str(), parts[2]), (expected, ""));
        assert_eq!(token.extensions["cluster"], "x");
        assert!(!format!("{token:?}").contains(text));
    }

    #[test]
    fn a_token_may_be_good_for_ever() {
        let options =
            format!("unsecuredLoginStringClaim_sub=a unsecuredLoginLifetimeSeconds={}", u64::MAX);
        let token = claims(&options).unwrap().unwrap().token(Duration::from_secs(1_000));
        let claims = base64::decode_url(token.text.expose().split('.').nth(1).unwrap()).unwrap();
        assert!(String::from_utf8(claims).unwrap().contains(&format!("\"exp\":{}", u64::MAX)));
    }

    #[test]
    fn what_is_no_claim_is_told() {
        assert_eq!(claims(""), Ok(None));
        for number in ["x", "NaN", "inf"] {
            assert!(claims(&format!("unsecuredLoginNumberClaim_n={number}")).is_err());
        }
        let forever = "unsecuredLoginStringClaim_sub=a unsecuredLoginLifetimeSeconds=x";
        assert!(claims(forever).is_err());
    }

    #[test]
    fn a_token_says_when_it_ended() {
        let check = |claims: &str, since: Option<u64>| {
            let token = format!("x.{}.y", base64::encode_url(claims.as_bytes()));
            let expired = expired_since(&token, Duration::from_secs(1_000));
            assert_eq!(expired, since.map(Duration::from_secs), "{claims}");
        };
        check(r#"{"exp":900}"#, Some(100));
        check(r#"{"exp" : 9.0e2, "sub":"a"}"#, Some(100));
        check(r#"{"exp":1001}"#, None);
        check(r#"{"exp":-5}"#, None);
        check(r#"{"exp":1e400}"#, None);
        check(r#"{"sub":"a"}"#, None);
        check(r#"{"exp":"#, None);
        assert_eq!(expired_since("opaque", Duration::MAX), None);
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_provider_that_says_nothing_is_not_waited_for() {
        let silent = SharedProvider::new(std::future::pending);
        let error = TokenSource::Provider(silent).token(Duration::from_millis(1)).await;
        let error = error.unwrap_err();
        assert!(error.is_retriable() && error.to_string() == "no token: none came within 1ms");
    }

    #[tokio::test]
    async fn tokens_come_from_where_the_source_says() {
        let provider = SharedProvider::new(|| async { Ok(BearerToken::new("given")) });
        let failing = SharedProvider::new(|| async { Err("the issuer is away".into()) });
        let fixed = TokenSource::Fixed("fixed".into());
        assert_eq!(fixed.token(LONG).await.unwrap(), BearerToken::new("fixed"));
        let token = TokenSource::Provider(provider).token(LONG).await.unwrap();
        assert_eq!(token, BearerToken::new("given"));
        let error = TokenSource::Provider(failing).token(LONG).await.unwrap_err();
        assert!(error.is_retriable() && error.to_string() == "no token: the issuer is away");

        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "kept\n").unwrap();
        let source = TokenSource::File(file.path().to_owned());
        assert_eq!(source.token(LONG).await.unwrap(), BearerToken::new("kept"));
        let error = TokenSource::File("/nowhere/token".into()).token(LONG).await.unwrap_err();
        assert!(error.to_string().contains("/nowhere/token"));
    }
}
