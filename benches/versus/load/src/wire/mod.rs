//! The broker as seen from a socket.

mod answer;
mod connection;

pub(crate) use answer::Answer;
pub(crate) use connection::{Connection, encoded};
