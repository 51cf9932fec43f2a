//! Connections that nobody else can read (TLS, by rustls).

mod error;
#[cfg(feature = "tls")]
mod explain;
#[cfg(feature = "tls")]
mod pem;
#[cfg(feature = "tls")]
mod setup;
#[cfg(feature = "tls")]
mod verifier;

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(not(feature = "tls"))]
use absent as setup;

pub use error::TlsError;
pub(crate) use setup::{Stream, Tls, of_io};
