//! How a client proves who it is: PLAIN, SCRAM and OAUTHBEARER, and when it must do so again.
//!
//! Conversations are pure: what the broker says goes in, what is to be said comes out. One module
//! has them with a broker.

mod bearer;
mod credentials;
mod error;
pub(crate) mod exchange;
mod jaas;
mod scram;
mod token;

pub(crate) use credentials::Credentials;
pub use error::AuthenticationError;
pub(crate) use scram::Hash;
pub(crate) use token::SharedProvider;
pub use token::{BearerToken, TokenError, TokenProvider};
