//! `SuperChat`: answers whoever begins a message with `@superchat`.
//!
//! Workers are one group, so that a question is answered once, however many servers there are. The
//! answer streams over the bus while it is made, and is a message of the log when it is complete:
//! its id follows from the question's, so that a second one would be dropped everywhere.

mod builtin;
mod progress;
mod remote;
mod service;
mod worker;

use std::pin::Pin;

use common::config::Config;
use futures_util::Stream;

pub use service::{Settings, start, start_with};

/// The channel on which an answer is stopped; the payload is its id.
pub(crate) const STOP: &str = "llm-stop";

/// Who answers.
#[derive(Clone)]
pub enum Llm {
    /// Nobody far away: a few fixed skills, always the same answer.
    Builtin,
    /// An Ollama server.
    Ollama(Remote),
    /// Any server with OpenAI's interface.
    OpenAi(Remote),
}

/// A server of models.
#[derive(Clone)]
pub struct Remote {
    /// Such as `http://localhost:11434`.
    pub url: String,
    /// Which of its models.
    pub model: String,
    /// Sent as `Authorization: Bearer`, unless it is empty.
    pub key: String,
}

impl std::fmt::Debug for Llm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Builtin => write!(formatter, "builtin"),
            Self::Ollama(remote) => write!(formatter, "ollama {} {}", remote.url, remote.model),
            Self::OpenAi(remote) => write!(formatter, "openai {} {}", remote.url, remote.model),
        }
    }
}

impl Llm {
    /// `LLM=builtin`, `ollama` or `openai`, with `LLM_URL` (by default the original's `LLM_PORT` of
    /// this machine), `LLM_MODEL` and `LLM_API_KEY`.
    pub fn read(config: &mut Config) -> Self {
        let kind = config.text("LLM", "builtin");
        let port: u16 = config.value("LLM_PORT", 11434);
        let url = config.text("LLM_URL", &format!("http://127.0.0.1:{port}"));
        let remote = Remote {
            url: url.trim_end_matches('/').to_owned(),
            model: config.text("LLM_MODEL", "llama2"),
            key: config.secret("LLM_API_KEY", ""),
        };
        match kind.as_str() {
            "builtin" => Self::Builtin,
            "ollama" => Self::Ollama(remote),
            "openai" => Self::OpenAi(remote),
            other => {
                config.refuse(format!("LLM={other}: neither builtin, ollama nor openai"));
                Self::Builtin
            }
        }
    }

    /// The answer, piece by piece.
    pub(crate) fn answer(&self, prompt: Prompt) -> Answer {
        match self {
            Self::Builtin => Box::pin(builtin::answer(&prompt)),
            Self::Ollama(remote) => remote::ollama(remote.clone(), prompt),
            Self::OpenAi(remote) => remote::openai(remote.clone(), prompt),
        }
    }
}

/// What was said in the room before, and the question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prompt {
    pub(crate) room: String,
    pub(crate) context: Vec<Said>,
    pub(crate) question: String,
    pub(crate) tokens_max: u32,
}

/// What somebody said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) by_bot: bool,
}

/// Why there is no answer, or no more of it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LlmError {
    #[error("the model cannot be reached: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the model's answer cannot be understood: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the model's answer has a line that does not end")]
    Line,
}

pub(crate) type Answer = Pin<Box<dyn Stream<Item = Result<String, LlmError>> + Send>>;
