//! What can be wrong with settings.

use std::path::PathBuf;

/// What is wrong with settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No setting has this name.
    #[error("there is no setting `{name}`{}", nearest.map_or(String::new(), did_you_mean))]
    UnknownKey {
        /// The name that was given.
        name: String,
        /// The name that exists and is most like it, if one is.
        nearest: Option<&'static str>,
    },
    /// The setting has no such value.
    #[error("`{name}` cannot be {value:?}: expected {expected}")]
    BadValue {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// An escape in a properties file means nothing.
    #[error("line {line} of the properties: `\\u` is followed by the digits of no character")]
    BadEscape {
        /// Counted from 1.
        line: usize,
    },
    /// A properties file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Other clients have the setting, and this one does not do what it asks for.
    #[error("`{name}` cannot be set: {reason}")]
    Refused {
        /// The setting.
        name: String,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// Several things are wrong.
    #[error("{}", listed(errors))]
    Several {
        /// Each of them.
        errors: Vec<ConfigError>,
    },
    /// Nobody to connect to.
    #[error("`bootstrap.servers` names no broker")]
    NoBootstrap,
    /// The setting asks for something that this version cannot do.
    #[error("`{name}` = {value:?} is not built yet")]
    NotBuilt {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: String,
    },
    /// The setting asks for something that the cluster does not serve.
    #[error("the cluster does not serve `{name}` = {value:?}: {reason}")]
    NotServed {
        /// The setting.
        name: &'static str,
        /// What was given.
        value: String,
        /// What it would take.
        reason: &'static str,
    },
    /// A setting is needed and not set.
    #[error("`{name}` is needed to {purpose}")]
    Missing {
        /// The setting.
        name: &'static str,
        /// What for.
        purpose: &'static str,
    },
    /// The setting leads to something that cannot be used.
    #[error("`{name}`: {reason}")]
    Unusable {
        /// The setting.
        name: &'static str,
        /// Why not, and what to do. Nothing secret.
        reason: String,
    },
    /// A pattern is no regular expression.
    #[error("{pattern:?} is no pattern: {reason}")]
    BadPattern {
        /// What was given.
        pattern: String,
        /// Why not.
        reason: String,
    },
    /// Two settings contradict each other.
    #[error("`{name}` contradicts `{other}`: {reason}")]
    Contradiction {
        /// The one.
        name: &'static str,
        /// The other.
        other: &'static str,
        /// Why.
        reason: &'static str,
    },
}

impl ConfigError {
    /// One error of many, if there is any.
    pub(super) fn of(mut errors: Vec<Self>) -> Result<(), Self> {
        match errors.len() {
            0 => Ok(()),
            1 => Err(errors.remove(0)),
            _ => Err(Self::Several { errors }),
        }
    }
}

fn listed(errors: &[ConfigError]) -> String {
    let told: Vec<_> = errors.iter().map(ToString::to_string).collect();
    told.join("; ")
}

fn did_you_mean(name: &str) -> String {
    format!("; did you mean `{name}`?")
}
