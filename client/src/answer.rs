//! What a broker answers, and who that was.

use std::fmt;
use std::sync::Arc;

use klamm_protocol::declare::Api;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use crate::error::{Error, Result, Subject};

/// An answer and where it came from.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// What the broker says.
    pub body: T,
    /// Who says it.
    pub origin: Origin,
}

/// Who answered, and what it was asked: `Produce at localhost:9092`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// What was asked.
    pub api: &'static str,
    /// `host:port` of the broker.
    pub address: Arc<str>,
}

impl<T> Answer<T> {
    /// The same answer, read.
    pub fn map<U>(self, read: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { body: read(self.body), origin: self.origin }
    }
}

impl Origin {
    /// An answer to this API by the broker at this address.
    #[must_use]
    pub fn of<A: Api>(address: &Arc<str>) -> Self {
        Self { api: A::NAME, address: Arc::clone(address) }
    }

    /// What the answer says of one item, with the message beside it: an error, unless the code
    /// says that there is none.
    ///
    /// # Errors
    /// [`Error::Broker`] for every code but `NONE`.
    pub fn check(&self, code: ErrorCode, message: Option<Str>, subject: Subject) -> Result<()> {
        match code.ok() {
            Ok(()) => Ok(()),
            Err(code) => Err(self.broker_error(code, message, subject)),
        }
    }

    /// The error that the answer amounts to, though it says it in another way than by this code.
    #[must_use]
    pub fn error(&self, code: ErrorCode, subject: Subject) -> Error {
        self.broker_error(code, None, subject)
    }

    /// The answer leaves out what was asked for.
    #[must_use]
    pub fn unanswered(&self, subject: Subject) -> Error {
        let message = Some(Str::from_static("the broker says nothing about it"));
        self.broker_error(ErrorCode::UNKNOWN_SERVER_ERROR, message, subject)
    }

    fn broker_error(&self, code: ErrorCode, message: Option<Str>, subject: Subject) -> Error {
        // An error may be kept for long: it is not to hold on to the answer's bytes.
        let message = message.map(|message| message.detached());
        Error::Broker { code, message, subject, origin: self.clone() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.api, self.address)
    }
}
