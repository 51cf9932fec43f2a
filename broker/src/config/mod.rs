//! Configuration as data.
pub mod key;
pub mod keys;
mod value;
pub use value::ConfigError;
