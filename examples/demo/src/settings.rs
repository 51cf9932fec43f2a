//! Settings that all services of a demo have in common, by the names under which they read them.

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
pub(crate) fn no_limits() -> Vec<(&'static str, String)> {
    let names = ["SIGNUPS_PER_HOUR", "LOGINS_PER_MINUTE", "LOGINS_PER_MINUTE_OF_USER"];
    names.map(|name| (name, "0".to_owned())).to_vec()
}

/// Nobody can guess it.
pub(crate) fn new_secret() -> String {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}
