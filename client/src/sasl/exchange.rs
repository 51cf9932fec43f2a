//! Conversations with a broker: on a new connection, and again before each session ends
//! (KIP-152, KIP-368).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::api::sasl_authenticate::{self, SaslAuthenticate};
use klamm_protocol::api::sasl_handshake::{self, SaslHandshake};
use klamm_protocol::declare::Api as _;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::backoff::Backoff;
use klamm_utils::random::Random;

use tokio::time::Instant;

use super::credentials::{Conversation, Credentials};
use super::error::AuthenticationError;
use crate::connection::{Alone, Connection, WeakConnection};
use crate::error::{Error, Result};

/// Authenticates a connection, and goes on doing so in time for as long as it lives.
///
/// # Cancel safety
/// Dropped before it returns, the connection is of no use.
pub(crate) async fn begin(connection: &Connection, credentials: &Credentials) -> Result<()> {
    let patience = connection.timeout();
    let failed = |source| failed(connection.address(), credentials, source);
    if connection.versions().of(SaslHandshake::KEY).is_none() {
        return Err(failed(AuthenticationError::NotAsked));
    }
    let conversation = credentials.converse(patience).await.map_err(failed)?;
    let session = authenticate(connection, credentials, conversation).await?;
    let Some(session) = session else { return Ok(()) };
    let (weak, credentials) = (connection.downgrade(), credentials.clone());
    let stopping = connection.tasks().stopping();
    connection.tasks().spawn("authenticate", async move {
        tokio::select! {
            () = stopping => {}
            () = again(weak, credentials, session, patience) => {}
        }
    });
    Ok(())
}

/// A time in which a broker believes who the client is.
#[derive(Clone, Copy, Debug)]
struct Session {
    began: Instant,
    lifetime: Duration,
}

impl Session {
    /// How long to wait before the next one is begun: it is early enough for a slow broker, and not
    /// at once for all connections. Kafka takes no two within one second.
    fn before_next(&self, random: &mut Random) -> Duration {
        self.lifetime.mul_f64(0.85 + 0.1 * random.fraction()).max(Duration::from_secs(1))
    }

    fn left(&self) -> Duration {
        self.lifetime.saturating_sub(self.began.elapsed())
    }
}

/// Authenticates whenever a session has nearly ended, until the connection is gone.
async fn again(
    connection: WeakConnection,
    credentials: Credentials,
    mut session: Session,
    patience: Duration,
) {
    loop {
        tokio::time::sleep(session.before_next(&mut Random::new())).await;
        // A token may take its time; the connection is not kept open for that, and what callers ask
        // need not wait for it.
        let conversation = converse(&credentials, &session, patience).await;
        let Some(connection) = connection.upgrade() else { return };
        let next = match conversation {
            Ok(conversation) => authenticate(&connection, &credentials, conversation).await,
            Err(source) => Err(failed(connection.address(), &credentials, source)),
        };
        match next {
            Ok(Some(next)) => session = next,
            Ok(None) => return,
            Err(error) => {
                connection.fail(&format!("authenticating anew failed: {error}"));
                return;
            }
        }
    }
}

/// A new conversation. A token that does not come is asked for again until the session ends.
async fn converse(
    credentials: &Credentials,
    session: &Session,
    patience: Duration,
) -> std::result::Result<Conversation, AuthenticationError> {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(10));
    loop {
        let wanted = credentials.converse(patience.min(session.left())).await;
        let pause = backoff.next_pause();
        match wanted {
            Err(error) if error.is_retriable() && pause < session.left() => {
                tracing::warn!(%error, ?pause, "no token for the next session; asking again");
                tokio::time::sleep(pause).await;
            }
            wanted => return wanted,
        }
    }
}

fn failed(address: &Arc<str>, credentials: &Credentials, source: AuthenticationError) -> Error {
    let (address, mechanism) = (Arc::clone(address), credentials.mechanism);
    Error::Authentication { address, mechanism, source }
}

/// One conversation, which other requests wait for. Tells of the session, if it ends.
async fn authenticate(
    connection: &Connection,
    credentials: &Credentials,
    mut conversation: Conversation,
) -> Result<Option<Session>> {
    let failed = |source| failed(connection.address(), credentials, source);
    let alone = connection.alone(SaslHandshake::NAME).await?;
    let mechanism = Str::from_static(credentials.mechanism.name());
    let request = sasl_handshake::Request { mechanism };
    let answer = alone.call::<SaslHandshake>(&request).await?;
    agreed(answer.body).map_err(failed)?;
    let mut message = conversation.first();
    loop {
        let began = Instant::now();
        let answer = say(&alone, message).await?;
        heard(&answer, &conversation).map_err(failed)?;
        let next;
        (conversation, next) = reply(conversation, answer.auth_bytes.clone()).await?;
        match next.map_err(failed)? {
            Some(next) => message = next,
            None => return Ok(lifetime(&answer).map(|lifetime| Session { began, lifetime })),
        }
    }
}

/// What the client says next. A proof by SCRAM takes as long as the broker wants it to: it is made
/// where it holds up nobody else.
async fn reply(
    mut conversation: Conversation,
    heard: Bytes,
) -> Result<(Conversation, std::result::Result<Option<Vec<u8>>, AuthenticationError>)> {
    let work = move || {
        let next = conversation.answer(&heard);
        (conversation, next)
    };
    // It fails only if the runtime ends before it begins.
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)
}

async fn say(alone: &Alone<'_>, message: Vec<u8>) -> Result<sasl_authenticate::Response> {
    let request = sasl_authenticate::Request { auth_bytes: message.into() };
    Ok(alone.call::<SaslAuthenticate>(&request).await?.body)
}

fn agreed(answer: sasl_handshake::Response) -> std::result::Result<(), AuthenticationError> {
    match answer.error_code {
        ErrorCode::NONE => Ok(()),
        ErrorCode::UNSUPPORTED_SASL_MECHANISM => {
            Err(AuthenticationError::MechanismNotOffered { offered: answer.mechanisms })
        }
        ErrorCode::ILLEGAL_SASL_STATE => Err(AuthenticationError::NotAsked),
        code => Err(AuthenticationError::Refused { code, message: None, hint: None }),
    }
}

fn heard(
    answer: &sasl_authenticate::Response,
    conversation: &Conversation,
) -> std::result::Result<(), AuthenticationError> {
    answer.error_code.ok().map_err(|code| AuthenticationError::Refused {
        code,
        message: answer.error_message.clone(),
        hint: conversation.explain(code).map(Into::into),
    })
}

fn lifetime(answer: &sasl_authenticate::Response) -> Option<Duration> {
    let ms = u64::try_from(answer.session_lifetime_ms).ok().filter(|ms| *ms > 0)?;
    Some(Duration::from_millis(ms))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::config::ClientConfig;
    use crate::sasl::BearerToken;

    fn session(lifetime: Duration) -> Session {
        Session { began: Instant::now(), lifetime }
    }

    #[test]
    fn a_session_is_renewed_before_it_ends() {
        let mut random = Random::seeded(1);
        let mut before = |lifetime| session(lifetime).before_next(&mut random);
        for _ in 0..100 {
            let pause = before(Duration::from_secs(100));
            assert!((85..=95).contains(&pause.as_secs()), "{pause:?}");
        }
        assert!(before(Duration::MAX.mul_f64(0.5)) > Duration::from_secs(1));
        assert_eq!(before(Duration::from_millis(1)), Duration::from_secs(1));
    }

    #[tokio::test]
    async fn a_token_is_asked_for_again_as_long_as_the_session_lasts() {
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        let provider = move || {
            let given = match counted.fetch_add(1, Ordering::Relaxed) {
                0 | 1 => Err("the issuer is away".into()),
                _ => Ok(BearerToken::new("good")),
            };
            std::future::ready(given)
        };
        let config = ClientConfig::new("a:1").set("sasl.mechanism", "OAUTHBEARER");
        let credentials = Credentials::of(&config.token_provider(provider)).unwrap();
        let (long, over) = (Duration::from_secs(3_600), session(Duration::ZERO));
        let error = converse(&credentials, &over, long).await.err().unwrap();
        assert!(error.to_string().contains("the issuer is away"), "{error}");
        converse(&credentials, &session(long), long).await.map(drop).unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn a_session_without_end_needs_no_renewal() {
        let answer = |session_lifetime_ms| sasl_authenticate::Response {
            session_lifetime_ms,
            ..sasl_authenticate::Response::default()
        };
        assert_eq!(lifetime(&answer(0)), None);
        assert_eq!(lifetime(&answer(-1)), None);
        assert_eq!(lifetime(&answer(3_000)), Some(Duration::from_secs(3)));
    }
}
