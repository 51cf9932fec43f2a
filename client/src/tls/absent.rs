//! What stands in for TLS where it is not built in.

use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;

use crate::config::{ClientConfig, ConfigError, keys};
use crate::error::Result;

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

/// What the system says.
pub(crate) fn why_io(error: &io::Error) -> String {
    error.to_string()
}
