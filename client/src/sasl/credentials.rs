//! Who a client is, and the conversation in which it proves that.

use std::path::PathBuf;
use std::time::Duration;

use klamm_protocol::error_code::ErrorCode;

use super::bearer::Bearer;
use super::error::AuthenticationError;
use super::jaas::LoginModule;
use super::scram::{Hash, Scram};
use super::token::{Claims, TokenSource};
use crate::config::{ClientConfig, ConfigError, SaslMechanism, Secret, keys};

/// Who a client is, and by what it proves that.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(super) mechanism: SaslMechanism,
    proof: Proof,
}

#[derive(Clone, Debug)]
enum Proof {
    Password { username: String, password: Secret, is_token: bool },
    Token(TokenSource),
}

impl Credentials {
    /// Those that the settings name.
    pub(crate) fn of(config: &ClientConfig) -> Result<Self, ConfigError> {
        let mechanism = config.get(&keys::SASL_MECHANISM).ok_or(ConfigError::Missing {
            name: keys::SASL_MECHANISM.name(),
            purpose: "authenticate, as `security.protocol` says",
        })?;
        let module = config.get(&keys::SASL_JAAS_CONFIG).map(|text| LoginModule::parse(&text));
        let module = module.transpose().map_err(|reason| ConfigError::Unusable {
            name: keys::SASL_JAAS_CONFIG.name(),
            reason: format!("it cannot be read: {reason}"),
        })?;
        if let Some(module) = &module
            && module.name != module_of(mechanism)
        {
            return Err(ConfigError::Contradiction {
                name: keys::SASL_JAAS_CONFIG.name(),
                other: keys::SASL_MECHANISM.name(),
                reason: "its login module is for another mechanism",
            });
        }
        let proof = match mechanism {
            SaslMechanism::OauthBearer => Proof::Token(token_source(config, module.as_ref())?),
            _ => password(config, module.as_ref())?,
        };
        Ok(Self { mechanism, proof })
    }

    /// A new conversation. Its token, if it has one, may take as long as `patience` to come.
    pub(super) async fn converse(
        &self,
        patience: Duration,
    ) -> Result<Conversation, AuthenticationError> {
        Ok(match (&self.proof, self.mechanism) {
            (Proof::Token(source), _) => {
                Conversation::Bearer(Bearer::new(source.token(patience).await?)?)
            }
            (Proof::Password { username, password, is_token }, SaslMechanism::ScramSha256) => {
                Conversation::Scram(Scram::new(Hash::Sha256, username, password, *is_token))
            }
            (Proof::Password { username, password, is_token }, SaslMechanism::ScramSha512) => {
                Conversation::Scram(Scram::new(Hash::Sha512, username, password, *is_token))
            }
            (Proof::Password { username, password, .. }, _) => {
                Conversation::Plain(plain(username, password)?)
            }
        })
    }
}

/// The login module that Java clients use for a mechanism.
fn module_of(mechanism: SaslMechanism) -> &'static str {
    match mechanism {
        SaslMechanism::Plain => "PlainLoginModule",
        SaslMechanism::ScramSha256 | SaslMechanism::ScramSha512 => "ScramLoginModule",
        SaslMechanism::OauthBearer => "OAuthBearerLoginModule",
    }
}

/// User and password: the settings of their own come before Java's.
fn password(config: &ClientConfig, module: Option<&LoginModule>) -> Result<Proof, ConfigError> {
    let option = |name| module.and_then(|module| module.option(name));
    let missing = |name, purpose| ConfigError::Missing { name, purpose };
    let username = config.get(&keys::SASL_USERNAME).or_else(|| option("username").map(Into::into));
    let username = username.ok_or(missing(
        keys::SASL_USERNAME.name(),
        "authenticate with PLAIN or SCRAM (or `sasl.jaas.config`)",
    ))?;
    let password = config.get(&keys::SASL_PASSWORD).or_else(|| option("password").map(Into::into));
    let password = password.ok_or(missing(
        keys::SASL_PASSWORD.name(),
        "authenticate with PLAIN or SCRAM (or `sasl.jaas.config`)",
    ))?;
    let is_token = option("tokenauth").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let is_token = is_token || config.get(&keys::SASL_DELEGATION_TOKEN);
    Ok(Proof::Password { username, password, is_token })
}

fn token_source(
    config: &ClientConfig,
    module: Option<&LoginModule>,
) -> Result<TokenSource, ConfigError> {
    if let Some(provider) = config.provider() {
        return Ok(TokenSource::Provider(provider.clone()));
    }
    if let Some(token) = config.get(&keys::SASL_OAUTHBEARER_TOKEN) {
        return Ok(TokenSource::Fixed(token));
    }
    if let Some(url) = config.get(&keys::SASL_OAUTHBEARER_TOKEN_ENDPOINT) {
        let name = keys::SASL_OAUTHBEARER_TOKEN_ENDPOINT.name();
        return file_of(&url).map(TokenSource::File).ok_or(ConfigError::Unusable {
            name,
            reason: format!(
                "{url:?} is no `file:///...`, and this client fetches no tokens over HTTP: have \
                 one written to a file, or give `ClientConfig::token_provider` what fetches it"
            ),
        });
    }
    let claims = module.map(Claims::of_module).transpose();
    let claims = claims.map_err(|reason| ConfigError::Unusable {
        name: keys::SASL_JAAS_CONFIG.name(),
        reason: reason.to_owned(),
    })?;
    claims.flatten().map(TokenSource::Unsecured).ok_or(ConfigError::Missing {
        name: keys::SASL_OAUTHBEARER_TOKEN.name(),
        purpose: "authenticate with OAUTHBEARER (or a token provider, or a `file:` URL in \
                  `sasl.oauthbearer.token.endpoint.url`)",
    })
}

fn file_of(url: &str) -> Option<PathBuf> {
    let path = url.strip_prefix("file:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    path.starts_with('/').then(|| path.into())
}

/// The one message of PLAIN (RFC 4616).
fn plain(username: &str, password: &Secret) -> Result<Vec<u8>, AuthenticationError> {
    let unsayable = |text: &str| text.is_empty() || text.contains('\0');
    if unsayable(username) {
        return Err(AuthenticationError::Unsayable("user's name"));
    }
    if unsayable(password.expose()) {
        return Err(AuthenticationError::Unsayable("password"));
    }
    Ok(format!("\0{username}\0{}", password.expose()).into_bytes())
}

/// The client's side of one conversation, in any mechanism.
pub(super) enum Conversation {
    Plain(Vec<u8>),
    Scram(Scram),
    Bearer(Bearer),
}

impl Conversation {
    /// What the client says first.
    pub(super) fn first(&self) -> Vec<u8> {
        match self {
            Self::Plain(message) => message.clone(),
            Self::Scram(scram) => scram.first(),
            Self::Bearer(bearer) => bearer.first(),
        }
    }

    /// What the client says next; nothing when both sides are content.
    pub(super) fn answer(&mut self, heard: &[u8]) -> Result<Option<Vec<u8>>, AuthenticationError> {
        match self {
            Self::Plain(_) => Ok(None),
            Self::Scram(scram) => scram.answer(heard),
            Self::Bearer(bearer) => bearer.answer(heard),
        }
    }

    /// What may be the reason for a refusal.
    pub(super) fn explain(&self, code: ErrorCode) -> Option<String> {
        match self {
            Self::Bearer(bearer) => bearer.explain(code),
            Self::Plain(_) | Self::Scram(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::BearerToken;

    fn config(settings: &[(&str, &str)]) -> ClientConfig {
        settings
            .iter()
            .fold(ClientConfig::new("a:1"), |config, (name, value)| config.set(name, value))
    }

    async fn first(config: &ClientConfig) -> String {
        let conversation = Credentials::of(config).unwrap().converse(Duration::MAX).await.unwrap();
        String::from_utf8(conversation.first()).unwrap()
    }

    const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule required \
                         username=\"ann\" password=\"secret\";";

    #[tokio::test]
    async fn users_are_named_in_either_way() {
        let own = config(&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", PLAIN)]);
        assert_eq!(first(&own).await, "\0ann\0secret");
        let other = own.set("sasl.username", "bob").set("sasl.password", "other");
        assert_eq!(first(&other).await, "\0bob\0other");
        for (mechanism, module) in [("SCRAM-SHA-256", "Scram"), ("SCRAM-SHA-512", "Scram")] {
            let jaas = PLAIN.replace("Plain", module);
            let named = config(&[("sasl.mechanism", mechanism), ("sasl.jaas.config", &jaas)]);
            assert!(first(&named).await.starts_with("n,,n=ann,r="));
        }
    }

    #[tokio::test]
    async fn delegation_tokens_are_said_to_be_such() {
        let jaas = PLAIN.replace("Plain", "Scram");
        let user = config(&[("sasl.mechanism", "SCRAM-SHA-256"), ("sasl.jaas.config", &jaas)]);
        let ended = |config| async move { first(&config).await.ends_with(",tokenauth=true") };
        assert!(!ended(user.clone()).await);
        assert!(ended(user.clone().set("sasl.delegation.token", "true")).await);
        for (value, is_token) in [("true", true), ("TRUE", true), ("false", false)] {
            let jaas = jaas.replace(';', &format!(" tokenauth=\"{value}\";"));
            assert_eq!(ended(user.clone().set("sasl.jaas.config", &jaas)).await, is_token);
        }
    }

    #[tokio::test]
    async fn tokens_are_named_in_any_way() {
        let bearer = config(&[("sasl.mechanism", "OAUTHBEARER")]);
        let fixed = bearer.clone().set("sasl.oauthbearer.token", "fixed");
        assert_eq!(first(&fixed).await, "n,,\x01auth=Bearer fixed\x01\x01");
        let provided = fixed.token_provider(|| async { Ok(BearerToken::new("given")) });
        assert_eq!(first(&provided).await, "n,,\x01auth=Bearer given\x01\x01");
        let module = "OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"ann\";";
        let unsecured = bearer.set("sasl.jaas.config", module);
        assert!(first(&unsecured).await.starts_with("n,,\x01auth=Bearer eyJhbGciOiJub25lIn0."));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let check = |settings: &[(&str, &str)], told: &str| {
            let error = Credentials::of(&config(settings)).unwrap_err().to_string();
            assert!(error.contains(told) && !error.contains("secret"), "{error}");
        };
        check(&[], "`sasl.mechanism` is needed");
        check(&[("sasl.mechanism", "PLAIN")], "`sasl.username` is needed");
        let user = ("sasl.username", "ann");
        check(&[("sasl.mechanism", "PLAIN"), user], "`sasl.password` is needed");
        let bearer = ("sasl.mechanism", "OAUTHBEARER");
        check(&[bearer], "`sasl.oauthbearer.token` is needed");
        check(&[bearer, ("sasl.jaas.config", PLAIN)], "for another mechanism");
        let broken = ("sasl.jaas.config", "PlainLoginModule required password=\"secret");
        check(&[("sasl.mechanism", "PLAIN"), broken], "a quote is not closed");
        let http = ("sasl.oauthbearer.token.endpoint.url", "https://issuer/token");
        check(&[bearer, http], "no tokens over HTTP");
    }

    #[test]
    fn a_file_is_named_by_its_url() {
        assert_eq!(file_of("file:///run/token"), Some("/run/token".into()));
        assert_eq!(file_of("file:/run/token"), Some("/run/token".into()));
        assert_eq!(file_of("http://run/token"), None);
        assert_eq!(file_of("file://token"), None);
    }

    #[test]
    fn plain_has_no_room_for_its_separator() {
        assert_eq!(plain("ann", &"p".into()).unwrap(), b"\0ann\0p");
        assert!(plain("a\0b", &"p".into()).is_err() && plain("", &"p".into()).is_err());
        assert!(plain("ann", &"p\0".into()).is_err() && plain("ann", &"".into()).is_err());
    }
}
