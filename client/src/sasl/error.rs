//! Why client and broker do not believe each other.

use std::fmt;
use std::sync::Arc;

use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::config::SaslMechanism;

/// Why a client could not prove who it is, or the broker could not.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthenticationError {
    /// The broker knows no such mechanism, or does not want it on this port.
    #[error("it offers {}; set `sasl.mechanism` to what your account has", list(offered))]
    MechanismNotOffered {
        /// What it offers.
        offered: Vec<Str>,
    },
    /// The broker asks for no authentication on this port.
    #[error(
        "this port asks for no authentication; set `security.protocol` to PLAINTEXT, or to SSL \
         where TLS is spoken"
    )]
    NotAsked,
    /// The broker does not believe it.
    #[error("{}{}", refusal(*code, message), note(hint.as_deref()))]
    Refused {
        /// How it says so.
        code: ErrorCode,
        /// What it says besides.
        message: Option<Str>,
        /// What may be the reason.
        hint: Option<Arc<str>>,
    },
    /// What the broker says is not what the mechanism has it say.
    #[error("its {message} makes no sense: {reason}")]
    Malformed {
        /// Which message.
        message: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The broker has the password hashed in a way that is easily broken, or takes for ever.
    #[error("its iteration count {given} is not between {least} and {most}")]
    Iterations {
        /// What it says.
        given: u64,
        /// The least that is secure.
        least: u32,
        /// The most that is reasonable.
        most: u32,
    },
    /// The broker does not know the password: whoever it is, it is not the broker that is meant.
    #[error("it could not prove that it knows the password: it may be an impostor")]
    Impostor,
    /// Who is to be authenticated cannot be said.
    #[error("the {0} holds a character that the mechanism cannot say")]
    Unsayable(&'static str),
    /// There is no token.
    #[error("no token: {source}")]
    Token {
        /// What the provider says.
        source: Arc<dyn std::error::Error + Send + Sync>,
    },
}

impl AuthenticationError {
    /// The broker's error code, where it gave one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::MechanismNotOffered { .. } => Some(ErrorCode::UNSUPPORTED_SASL_MECHANISM),
            Self::NotAsked => Some(ErrorCode::ILLEGAL_SASL_STATE),
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Whether it may be believed later.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        match self {
            Self::Token { .. } => true,
            Self::Refused { code, .. } => code.is_retriable(),
            _ => false,
        }
    }
}

/// The broker's own words, which name the error themselves.
fn refusal(code: ErrorCode, message: &Option<Str>) -> String {
    match message.as_ref().filter(|message| !message.is_empty()) {
        Some(message) => format!("it says {message:?}"),
        None => code.to_string(),
    }
}

fn note(hint: Option<&str>) -> String {
    hint.map(|hint| format!("; {hint}")).unwrap_or_default()
}

fn list(offered: &[Str]) -> String {
    if offered.is_empty() { "none".into() } else { offered.join(", ") }
}

impl fmt::Display for SaslMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
