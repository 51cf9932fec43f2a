//! Conversations with a broker: on a new connection, and again before each session ends
//! (KIP-152, KIP-368).

use std::sync::Arc;
use std::time::Duration;

use klamm_protocol::api::sasl_authenticate::{self, SaslAuthenticate};
use klamm_protocol::api::sasl_handshake::{self, SaslHandshake};
use klamm_protocol::declare::Api as _;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::random::Random;

use super::credentials::{Conversation, Credentials};
use super::error::AuthenticationError;
use crate::connection::{Alone, Connection, WeakConnection};
use crate::error::{Error, Result};

/// Authenticates a connection, and goes on doing so in time for as long as it lives.
///
/// # Cancel safety
/// Dropped before it returns, the connection is of no use.
pub(crate) async fn begin(connection: &Connection, credentials: &Credentials) -> Result<()> {
    let Some(lifetime) = authenticate(connection, credentials).await? else { return Ok(()) };
    let (weak, credentials) = (connection.downgrade(), credentials.clone());
    let stopping = connection.tasks().stopping();
    connection.tasks().spawn("authenticate", async move {
        tokio::select! {
            () = stopping => {}
            () = again(weak, credentials, lifetime) => {}
        }
    });
    Ok(())
}

/// Authenticates whenever a session has nearly ended, until the connection is gone.
async fn again(connection: WeakConnection, credentials: Credentials, mut lifetime: Duration) {
    loop {
        tokio::time::sleep(before_end(lifetime, &mut Random::new())).await;
        let Some(connection) = connection.upgrade() else { return };
        match authenticate(&connection, &credentials).await {
            Ok(Some(next)) => lifetime = next,
            Ok(None) => return,
            Err(error) => {
                connection.fail(&format!("authenticating anew failed: {error}"));
                return;
            }
        }
    }
}

/// When to begin anew: early enough for a slow broker, and not for all connections at once.
fn before_end(lifetime: Duration, random: &mut Random) -> Duration {
    lifetime.mul_f64(0.85 + 0.1 * random.fraction())
}

/// One conversation, which other requests wait for. Tells how long the session lasts, if it ends.
async fn authenticate(
    connection: &Connection,
    credentials: &Credentials,
) -> Result<Option<Duration>> {
    let failed = |source| Error::Authentication {
        address: Arc::clone(connection.address()),
        mechanism: credentials.mechanism,
        source,
    };
    if connection.versions().of(SaslHandshake::KEY).is_none() {
        return Err(failed(AuthenticationError::NotAsked));
    }
    // A token may take its time; what other callers ask need not wait for that.
    let mut conversation = credentials.converse().await.map_err(failed)?;
    let alone = connection.alone(SaslHandshake::NAME).await?;
    let mechanism = Str::from_static(credentials.mechanism.name());
    let request = sasl_handshake::Request { mechanism };
    let answer = alone.call::<SaslHandshake>(&request).await?;
    agreed(answer).map_err(failed)?;
    let mut message = conversation.first();
    loop {
        let answer = say(&alone, message).await?;
        heard(&answer, &conversation).map_err(failed)?;
        match conversation.answer(&answer.auth_bytes).map_err(failed)? {
            Some(next) => message = next,
            None => return Ok(lifetime(&answer)),
        }
    }
}

async fn say(alone: &Alone<'_>, message: Vec<u8>) -> Result<sasl_authenticate::Response> {
    let request = sasl_authenticate::Request { auth_bytes: message.into() };
    alone.call::<SaslAuthenticate>(&request).await
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
    use super::*;

    #[test]
    fn a_session_is_renewed_before_it_ends() {
        let mut random = Random::seeded(1);
        for _ in 0..100 {
            let pause = before_end(Duration::from_secs(100), &mut random);
            assert!((85..=95).contains(&pause.as_secs()), "{pause:?}");
        }
        assert!(before_end(Duration::MAX.mul_f64(0.5), &mut random) > Duration::from_secs(1));
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
