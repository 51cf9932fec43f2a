//! Settings that all services of a demo have in common, by the names under which they read them.

use clap::Args;

/// Whose tokens are good, and from which pages requests may come.
pub(crate) fn common(secret: &str, port: u16) -> Vec<(&'static str, String)> {
    vec![
        ("JWT_SECRET", secret.to_owned()),
        ("NGINX_HOST", "localhost".to_owned()),
        ("NGINX_PORT", port.to_string()),
        ("NGINX_ENV", "local".to_owned()),
        ("DEV_MODE", "true".to_owned()),
    ]
}

/// For load tests: everything may be done as often as one likes.
const NO_LIMITS: [(&str, &str); 8] = [
    ("SIGNUPS_PER_HOUR", "0"),
    ("LOGINS_PER_MINUTE", "0"),
    ("LOGINS_PER_MINUTE_OF_USER", "0"),
    ("MESSAGES_PER_SECOND", "0"),
    ("MESSAGES_BURST", "0"),
    ("SOCKETS_PER_USER", "1000000"),
    ("SOCKETS_PER_ADDRESS", "1000000"),
    ("ROOMS_PER_HOUR", "0"),
];

/// What services are told beside what the demo itself has to say.
#[derive(Clone, Debug, Args)]
pub struct Told {
    /// No limits on signups, logins, messages, rooms and sockets: for load tests.
    #[arg(long)]
    pub no_limits: bool,
    /// A setting for all services, such as SIGNUPS_PER_HOUR=100.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = named_value)]
    pub settings: Vec<(String, String)>,
}

impl Told {
    /// The settings; of two with one name the later counts.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let no_limits = if self.no_limits { &NO_LIMITS[..] } else { &[] };
        let no_limits = no_limits.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        no_limits.chain(self.settings.iter().cloned()).collect()
    }
}

fn named_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it has the form NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Nobody can guess it.
pub(crate) fn new_secret() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
