//! Settings by name, and where each came from.
//!
//! A setting such as `KAFKA_HOST` is looked for as the flag `--kafka-host`, in the environment, in
//! the file `.env` (or the one that `--env-file` names), in the JSON or TOML file that `--config`
//! names, and has a default otherwise.
//!
//! ```
//! use common::config::{Config, Finished};
//!
//! # fn main() -> anyhow::Result<()> {
//! let mut config = Config::from_arguments(["--kafka-port=9192".to_owned()])?;
//! let host = config.text("KAFKA_HOST", "127.0.0.1");
//! let port: u16 = config.value("KAFKA_PORT", 9092);
//! assert_eq!((host.as_str(), port), ("127.0.0.1", 9192));
//! // Tells of every flag that nothing asked for, and of every value that could not be read.
//! assert!(matches!(config.finish()?, Finished::Run));
//! # Ok(())
//! # }
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::fmt::{Display, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, anyhow, bail};

/// What settings are read from, and what was asked for so far.
#[derive(Debug)]
pub struct Config {
    layers: Vec<(Origin, HashMap<String, String>)>,
    asked: BTreeMap<String, Asked>,
    problems: Vec<String>,
    /// Variables of the environment whose values are no text.
    unreadable: HashSet<String>,
}

/// Where a value came from; the first that has one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// `--name value` or `--name=value`.
    Flag,
    /// The environment of the process.
    Environment,
    /// The file `.env`.
    DotEnv,
    /// The file that `--config` names.
    File,
    /// Nothing says otherwise.
    Default,
}

/// What is to be done when all settings were read.
#[derive(Debug)]
pub enum Finished {
    /// Run.
    Run,
    /// Print this and end: `--print-config` or `--help` was given.
    Print(String),
}

#[derive(Debug)]
struct Asked {
    shown: String,
    origin: Origin,
}

/// Flags that have no value.
const SWITCHES: [&str; 2] = ["PRINT_CONFIG", "HELP"];

/// Settings that say where other settings are.
const FILES: [&str; 2] = ["CONFIG", "ENV_FILE"];

impl Config {
    /// Settings of this process.
    pub fn load() -> anyhow::Result<Self> {
        let arguments = std::env::args_os().skip(1).map(readable);
        let mut config = Self::from_arguments(arguments.collect::<Result<Vec<_>, _>>()?)?;
        config.add_environment(std::env::vars_os());
        match config.lookup("ENV_FILE").map(|(path, _)| PathBuf::from(path)) {
            Some(path) => config.add_dot_env(&path)?,
            None if Path::new(".env").exists() => config.add_dot_env(Path::new(".env"))?,
            None => {}
        }
        if let Some((path, _)) = config.lookup("CONFIG") {
            let path = PathBuf::from(path);
            config.add_file(&path)?;
        }
        Ok(config)
    }

    /// Settings of these flags only, for tests.
    pub fn from_arguments(arguments: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let mut flags = HashMap::new();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let Some(flag) = argument.strip_prefix("--") else {
                bail!("`{argument}` is not a flag: flags begin with --");
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (canonical(name), value.to_owned()),
                None if SWITCHES.contains(&canonical(flag).as_str()) => {
                    (canonical(flag), "true".to_owned())
                }
                None => {
                    let value =
                        arguments.next().with_context(|| format!("--{flag} has no value"))?;
                    (canonical(flag), value)
                }
            };
            flags.insert(name, value);
        }
        let layers = vec![(Origin::Flag, flags)];
        let (asked, problems, unreadable) = (BTreeMap::new(), Vec::new(), HashSet::new());
        Ok(Self { layers, asked, problems, unreadable })
    }

    /// Takes the environment of a process, in which others may have put what is no text: that
    /// matters only if it is asked for.
    fn add_environment(&mut self, variables: impl Iterator<Item = (OsString, OsString)>) {
        let mut environment = HashMap::new();
        let named = variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        for (name, value) in named {
            match value.into_string() {
                Ok(value) => drop(environment.insert(canonical(&name), value)),
                Err(_) => drop(self.unreadable.insert(canonical(&name))),
            }
        }
        self.layers.push((Origin::Environment, environment));
    }

    /// Takes lines of the form `NAME=value` from this file, after what was added before.
    pub fn add_dot_env(&mut self, path: &Path) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        self.layers.push((Origin::DotEnv, dot_env(&text)));
        Ok(())
    }

    /// Takes the entries of a JSON file, or of a TOML file if its name ends so.
    pub fn add_file(&mut self, path: &Path) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let entries = if path.extension().is_some_and(|extension| extension == "toml") {
            toml::from_str::<serde_json::Map<String, serde_json::Value>>(&text)
                .with_context(|| format!("{} is not TOML", path.display()))?
        } else {
            serde_json::from_str(&text)
                .with_context(|| format!("{} is not a JSON object", path.display()))?
        };
        let entries = entries.into_iter().map(|(name, value)| {
            let value = match value {
                serde_json::Value::String(text) => text,
                other => other.to_string(),
            };
            (canonical(&name), value)
        });
        self.layers.push((Origin::File, entries.collect()));
        Ok(())
    }

    /// The text of a setting.
    pub fn text(&mut self, name: &str, default: &str) -> String {
        let (value, origin) = self.find(name, default);
        self.remember(name, value.clone(), origin);
        value
    }

    /// The same, never shown.
    pub fn secret(&mut self, name: &str, default: &str) -> String {
        let (value, origin) = self.find(name, default);
        let shown = if value.is_empty() { "(empty)" } else { "(hidden)" };
        self.remember(name, shown.to_owned(), origin);
        value
    }

    /// The value of a setting; one that cannot be read is told of by [`Config::finish`].
    pub fn value<T: FromStr<Err: Display> + Display>(&mut self, name: &str, default: T) -> T {
        let (text, origin) = self.find(name, &default.to_string());
        let value = text.parse::<T>().unwrap_or_else(|error| {
            self.problems.push(format!("{name}={text}: {error}"));
            default
        });
        self.remember(name, text, origin);
        value
    }

    /// The entries of a setting that is a list with commas.
    pub fn list(&mut self, name: &str, default: &str) -> Vec<String> {
        let text = self.text(name, default);
        text.split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
            .map(str::to_owned)
            .collect()
    }

    /// Takes note of a setting that is accepted for the sake of old files and does nothing.
    pub fn unused(&mut self, name: &str, why: &str) {
        if let Some((value, origin)) = self.lookup(name) {
            let shown = format!("{value} (unused: {why})");
            self.remember(name, shown, origin);
        }
    }

    /// Refuses a combination of settings: [`Config::finish`] tells of it.
    pub fn refuse(&mut self, problem: impl Into<String>) {
        self.problems.push(problem.into());
    }

    /// Ends reading: fails if a value could not be read or a flag is not known.
    pub fn finish(mut self) -> anyhow::Result<Finished> {
        for name in FILES {
            if let Some((path, origin)) = self.lookup(name) {
                self.remember(name, path, origin);
            }
        }
        if SWITCHES.iter().any(|name| self.lookup(name).is_some()) {
            return Ok(Finished::Print(self.describe()));
        }
        let flags = self.layers.iter().filter(|(origin, _)| *origin == Origin::Flag);
        for name in flags.flat_map(|(_, entries)| entries.keys()) {
            if !self.asked.contains_key(name) {
                self.problems.push(format!("--{} is not a flag of this program", kebab(name)));
            }
        }
        for name in &self.unreadable {
            let is_asked = match self.asked.get(name) {
                Some(asked) => asked.origin != Origin::Flag,
                None => FILES.contains(&name.as_str()),
            };
            if is_asked {
                self.problems.push(format!("{name} in the environment is not UTF-8"));
            }
        }
        if !self.problems.is_empty() {
            bail!("{}", self.problems.join("\n"));
        }
        Ok(Finished::Run)
    }

    /// Every setting that was asked for, its value unless it is secret, and its origin.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for (name, Asked { shown, origin }) in &self.asked {
            let origin = match origin {
                Origin::Flag => format!("flag --{}", kebab(name)),
                Origin::Environment => "environment".to_owned(),
                Origin::DotEnv => ".env".to_owned(),
                Origin::File => "file".to_owned(),
                Origin::Default => "default".to_owned(),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{name}={shown}  # {origin}");
        }
        text
    }

    fn find(&self, name: &str, default: &str) -> (String, Origin) {
        self.lookup(name).unwrap_or_else(|| (default.to_owned(), Origin::Default))
    }

    fn lookup(&self, name: &str) -> Option<(String, Origin)> {
        let name = canonical(name);
        self.layers
            .iter()
            .find_map(|(origin, entries)| entries.get(&name).map(|value| (value.clone(), *origin)))
    }

    fn remember(&mut self, name: &str, shown: String, origin: Origin) {
        self.asked.insert(canonical(name), Asked { shown, origin });
    }
}

/// Where the broker listens: `KAFKA_HOST` and `KAFKA_PORT`, or several in `KAFKA_HOST` with ports.
pub fn kafka(config: &mut Config) -> String {
    let host = config.text("KAFKA_HOST", "127.0.0.1");
    let port: u16 = config.value("KAFKA_PORT", 9092);
    config.unused("ZOOKEEPER_PORT", "the broker needs no ZooKeeper");
    let hosts = host.split(',').map(str::trim);
    let hosts = hosts.map(|host| match host.contains(':') {
        true => host.to_owned(),
        false => format!("{host}:{port}"),
    });
    hosts.collect::<Vec<_>>().join(",")
}

fn readable(argument: OsString) -> anyhow::Result<String> {
    argument.into_string().map_err(|argument| anyhow!("`{}` is not UTF-8", argument.display()))
}

fn canonical(name: &str) -> String {
    name.replace('-', "_").to_uppercase()
}

fn kebab(name: &str) -> String {
    name.replace('_', "-").to_lowercase()
}

fn dot_env(text: &str) -> HashMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let entries =
        lines.filter_map(|line| line.strip_prefix("export ").unwrap_or(line).split_once('='));
    entries.map(|(name, value)| (canonical(name.trim()), unquote(value.trim()))).collect()
}

/// A value without its quotes, or without the comment behind it.
fn unquote(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value.strip_prefix(quote).and_then(|rest| rest.split_once(quote))
        {
            return inside.to_owned();
        }
    }
    value.split(" #").next().unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(flags: &[&str]) -> Config {
        Config::from_arguments(flags.iter().map(|&flag| flag.to_owned())).unwrap()
    }

    #[test]
    fn flags_go_before_the_environment_before_files_before_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let (env, json, toml) = (
            folder.path().join(".env"),
            folder.path().join("a.json"),
            folder.path().join("b.toml"),
        );
        std::fs::write(&env, "# sample\nREDIS_HOST=redis\nexport KAFKA_HOST='k' # x\nA=env\n")
            .unwrap();
        std::fs::write(&json, r#"{"port": 3000, "a": "json", "worker_count": 10}"#).unwrap();
        std::fs::write(&toml, "port = 3001\ntopic = \"t\"\n").unwrap();
        let mut config = arguments(&["--a", "flag"]);
        config.add_dot_env(&env).unwrap();
        config.add_file(&json).unwrap();
        config.add_file(&toml).unwrap();
        assert_eq!(config.text("A", ""), "flag");
        assert_eq!(config.text("REDIS_HOST", "127.0.0.1"), "redis");
        assert_eq!(config.text("KAFKA_HOST", ""), "k");
        assert_eq!(config.value("PORT", 1_u16), 3000);
        assert_eq!(config.value("worker_count", 1_usize), 10);
        assert_eq!(config.text("topic", ""), "t");
        assert_eq!(config.text("OTHER", "default"), "default");
        assert!(matches!(config.finish().unwrap(), Finished::Run));
    }

    #[test]
    fn what_is_printed_has_origins_and_no_secrets() {
        let mut config = arguments(&["--print-config", "--jwt-secret=abc"]);
        assert_eq!(config.secret("JWT_SECRET", ""), "abc");
        config.text("KAFKA_TOPIC", "chat_messages");
        let Finished::Print(text) = config.finish().unwrap() else { panic!("not printed") };
        assert_eq!(
            text,
            "JWT_SECRET=(hidden)  # flag --jwt-secret\nKAFKA_TOPIC=chat_messages  # default\n"
        );
    }

    #[test]
    fn unknown_flags_and_bad_values_are_refused_together() {
        let mut config = arguments(&["--port", "many", "--colour=red"]);
        assert_eq!(config.value("PORT", 7_u16), 7);
        let error = config.finish().unwrap_err().to_string();
        assert!(error.contains("PORT=many: invalid digit"), "{error}");
        assert!(error.contains("--colour is not a flag"), "{error}");
    }

    /// It was: a service did not start, with a panic, whatever the variable was for.
    #[test]
    fn what_is_no_text_matters_only_if_it_is_asked_for() {
        use std::os::unix::ffi::OsStringExt as _;
        let rubbish = || OsString::from_vec(vec![0xff]);
        let config = || {
            let mut config = arguments(&["--topic=t"]);
            let names = ["OTHER".into(), rubbish(), "TOPIC".into(), "port".into()];
            config.add_environment(names.into_iter().map(|name| (name, rubbish())));
            config
        };
        let mut fine = config();
        assert_eq!(fine.text("TOPIC", ""), "t");
        fine.finish().unwrap();
        let mut asked = config();
        assert_eq!((asked.text("TOPIC", ""), asked.value("PORT", 7)), ("t".into(), 7_u16));
        let error = asked.finish().unwrap_err().to_string();
        assert_eq!(error, "PORT in the environment is not UTF-8");
        assert!(readable(rubbish()).is_err());
    }

    #[test]
    fn brokers_take_the_port_unless_they_have_one() {
        let mut config = arguments(&["--kafka-host=a,b:9093", "--zookeeper-port=2181"]);
        assert_eq!(kafka(&mut config), "a:9092,b:9093");
        assert!(config.describe().contains("ZOOKEEPER_PORT=2181 (unused:"));
        config.finish().unwrap();
    }
}
