//! What stands in for TLS where it is not built in.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::config::{ClientConfig, ConfigError, keys};
use crate::error::Result;
use crate::tls::TlsError;

/// There is none.
#[derive(Clone, Debug)]
pub(crate) enum Tls {}

/// Likewise; the type of what there would be.
pub(crate) type Stream = TcpStream;

impl Tls {
    pub(crate) fn of(_: &ClientConfig) -> std::result::Result<Self, ConfigError> {
        Err(ConfigError::Unusable {
            name: keys::SECURITY_PROTOCOL.name(),
            reason: "this program has no TLS: build it with the feature `tls` of klamm-client"
                .to_owned(),
        })
    }

    pub(crate) async fn connect(&self, _: TcpStream, _: &Arc<str>) -> Result<Stream> {
        match *self {}
    }
}

/// Nothing fails for it.
pub(crate) fn of_io(_: &io::Error) -> Option<TlsError> {
    None
}
