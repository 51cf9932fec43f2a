//! The samples of settings that are to be copied to `.env`, and where services listen without any.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chat::llm::Llm;
use chat::{persister, server};
use common::bus::{self, Bus};
use common::config::{Config, Finished};
use common::db::{self, Database};
use common::telemetry::Telemetry;
use tokio::net::TcpStream;

/// What the root's sample says, unless a service of docker-compose.yml says otherwise.
const SAID: [(&str, &str); 24] = [
    ("REDIS_PORT", "6379"),
    ("REDIS_HOST", "redis"),
    ("REDIS_SERVICE", "redis"),
    ("POSTGRES_DATABASE", "chat_db"),
    ("POSTGRES_USER", "postgres"),
    ("POSTGRES_PASSWORD", "change-me"),
    ("POSTGRES_HOST", "postgres"),
    ("POSTGRES_PORT", "5432"),
    ("KAFKA_HOST", "klamm"),
    ("KAFKA_PORT", "9092"),
    ("KAFKA_TOPIC", "chat_messages"),
    ("KAFKA_GROUP_ID", "chat_group"),
    ("ZOOKEEPER_PORT", "2181"),
    ("JWT_SECRET", "secret"),
    ("NGINX_ENV", "local"),
    ("NGINX_LISTEN", "127.0.0.1"),
    ("NGINX_PORT", "8080"),
    ("NGINX_HOST", "localhost"),
    ("LLM", "builtin"),
    ("LLM_PORT", "11434"),
    ("SERVER_PORT", "8080"),
    ("REDIS_MASTER", "redis:6379"),
    ("REDIS_AUX", "redis-aux:6379"),
    ("AUXILIARY", "redis-replica"),
];

/// What the chat's sample says otherwise, since it runs beside its servers and not in containers.
const CHAT_SAYS: [(&str, &str); 6] = [
    ("KAFKA_HOST", "127.0.0.1"),
    ("POSTGRES_PASSWORD", ""),
    ("SQLITE_PATH", "data/apps.sqlite"),
    ("DEV_MODE", "true"),
    ("SERVER_PORT", "8081"),
    ("SERVER_NAME", "Asia"),
];

/// Which docker-compose.yml reads, and no service.
const OF_COMPOSE: [&str; 1] = ["NGINX_LISTEN"];

/// Which the root's sample leaves to docker-compose.yml, or which mean nothing there.
const OF_CHAT: [&str; 2] = ["SERVER_NAME", "SQLITE_PATH"];

fn at_root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn text(name: &str) -> String {
    std::fs::read_to_string(at_root(name)).unwrap()
}

/// The settings of a sample; those it only proposes, in comments, as well if `all`.
fn entries(text: &str, all: bool) -> BTreeMap<String, String> {
    let lines = text.lines().map(|line| if all { line.trim_start_matches("# ") } else { line });
    let entries = lines.filter_map(|line| line.split_once('='));
    let is_name =
        |name: &str| name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_');
    let entries = entries.filter(|(name, _)| is_name(name));
    entries.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn config(file: &str, flags: &[&str]) -> Config {
    let flags = flags.iter().map(|&flag| flag.to_owned());
    let mut config = Config::from_arguments(flags).unwrap();
    config.add_dot_env(&at_root(file)).unwrap();
    config
}

/// Asks for the settings of every service.
fn read_all(config: &mut Config) {
    db::Settings::read(config);
    bus::Settings::read(config);
    server::Settings::read(config);
    persister::Settings::read(config);
    chat::llm::Settings::read(config);
    distrisocks::config::registry(config).unwrap();
    distrisocks::pod::Settings::from_config(config);
    distrisocks::auth_svc::Settings::from_config(config);
    unsent::config::stores(config).unwrap();
    unsent::producer::Settings::from_config(config);
    unsent::consumer::Settings::from_config(config);
}

#[test]
fn samples_of_both_names_are_the_same() {
    assert_eq!(text("env.sample"), text("sample.env"));
    assert_eq!(text("examples/chat/env.sample"), text("examples/chat/sample.env"));
}

#[test]
fn samples_say_what_they_are_known_to_say() {
    let owned = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let (said, mut known) = (entries(&text("env.sample"), false), owned(&SAID));
    assert_eq!(said, known);
    known.extend(owned(&CHAT_SAYS));
    let root = entries(&text("env.sample"), true);
    for (name, value) in entries(&text("examples/chat/env.sample"), false) {
        assert_eq!(Some(&value), known.get(&name), "{name} of the chat");
    }
    for name in entries(&text("examples/chat/env.sample"), true).keys() {
        assert!(root.contains_key(name) || OF_CHAT.contains(&name.as_str()), "{name} of the chat");
    }
}

#[tokio::test]
async fn every_name_of_the_samples_is_one_that_a_service_reads() {
    let compose = text("docker-compose.yml");
    for file in ["env.sample", "examples/chat/env.sample"] {
        let (mut as_it_is, mut sqlite) = (config(file, &[]), config(file, &["--database=sqlite"]));
        let mut postgres = config(file, &["--database=postgres"]);
        for config in [&mut as_it_is, &mut sqlite, &mut postgres] {
            read_all(config);
        }
        let asked = [as_it_is, sqlite, postgres].map(|config| config.describe()).concat();
        for name in entries(&text(file), true).keys() {
            let is_read = asked.lines().any(|line| line.starts_with(&format!("{name}=")));
            if OF_COMPOSE.contains(&name.as_str()) {
                assert!(compose.contains(&format!("${{{name}:")), "{name} of {file}");
                assert!(!is_read, "{name} of {file}");
            } else {
                assert!(is_read, "{name} of {file}");
            }
        }
    }
}

#[test]
fn what_the_composition_asks_for_is_in_the_sample() {
    let (compose, said) = (text("docker-compose.yml"), entries(&text("env.sample"), false));
    let names = compose.split("${").skip(1).map(|rest| rest.split([':', '}']).next().unwrap());
    let names: Vec<_> = names.collect();
    assert!(names.contains(&"NGINX_PORT"), "{names:?}");
    for name in names {
        assert!(said.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn settings_read_from_the_sample_have_its_values() {
    let mut config = config("env.sample", &["--dev-mode=true"]);
    let bus::Settings::Redis(redis) = bus::Settings::read(&mut config) else { panic!("no Redis") };
    assert_eq!(redis, "redis://redis:6379");
    let db::Settings::Postgres(postgres) = db::Settings::read(&mut config) else {
        panic!("no PostgreSQL")
    };
    assert_eq!((postgres.get_host(), postgres.get_port()), ("postgres", 5432));
    assert_eq!((postgres.get_username(), postgres.get_database()), ("postgres", Some("chat_db")));
    let server = server::Settings::read(&mut config);
    assert_eq!(server.kafka, "klamm:9092");
    assert_eq!(
        (server.kafka_topic.as_str(), server.kafka_group.as_str()),
        ("chat_messages", "chat_group")
    );
    assert_eq!(server.listen, SocketAddr::from(([127, 0, 0, 1], 8080)));
    assert_eq!(server.server_name, "Asia");
    assert_eq!(server.auth.secret, "secret");
    assert!(!server.auth.secure_cookies);
    assert_eq!(server.http.origins, ["http://localhost:8080", "http://127.0.0.1:8080"]);
    let writer = persister::Settings::read(&mut config);
    assert_eq!(
        (writer.kafka.as_str(), writer.kafka_topic.as_str(), writer.kafka_group.as_str()),
        ("klamm:9092", "chat_messages", "chat_group")
    );
    assert!(matches!(Llm::read(&mut config), Llm::Builtin));
    assert_eq!(distrisocks::pod::Settings::from_config(&mut config).kafka, "klamm:9092");
    read_all(&mut config);
    assert!(config.describe().contains("ZOOKEEPER_PORT=2181 (unused: "), "{}", config.describe());
    assert!(matches!(config.finish().unwrap(), Finished::Run));
}

#[test]
fn a_model_is_asked_at_the_port_of_the_sample() {
    let mut config = config("env.sample", &["--llm=ollama"]);
    let Llm::Ollama(remote) = Llm::read(&mut config) else { panic!("not Ollama") };
    assert_eq!(remote.url, "http://127.0.0.1:11434");
    assert_eq!((remote.model.as_str(), remote.key.as_str()), ("llama2", ""));
}

#[test]
fn the_secret_of_the_sample_is_refused_unless_in_dev_mode() {
    let mut config = config("env.sample", &[]);
    server::Settings::read(&mut config);
    let refused = config.finish().unwrap_err().to_string();
    assert!(refused.starts_with("JWT_SECRET: "), "{refused}");
}

#[test]
fn pages_in_the_world_come_by_https() {
    let mut config = config(
        "env.sample",
        &["--nginx-env=production", "--nginx-host=chat.example", "--nginx-port=443"],
    );
    let server = server::Settings::read(&mut config);
    assert!(server.auth.secure_cookies);
    assert_eq!(server.http.origins, ["https://chat.example"]);
}

#[tokio::test]
async fn services_listen_to_this_machine_alone_unless_told_otherwise() {
    let mut config = Config::from_arguments([]).unwrap();
    for listen in [
        server::Settings::read(&mut config).listen,
        distrisocks::pod::Settings::from_config(&mut config).listen,
        distrisocks::auth_svc::Settings::from_config(&mut config).listen,
        unsent::producer::Settings::from_config(&mut config).listen,
        unsent::consumer::Settings::from_config(&mut config).listen,
    ] {
        assert!(listen.ip().is_loopback(), "{listen}");
    }
}

#[tokio::test]
async fn an_instance_refuses_who_asks_for_another_address_than_it_is_bound_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::from_arguments(["--server-port=0".to_owned()]).unwrap();
    let settings = server::Settings::read(&mut config);
    let database = Database::sqlite(&folder.path().join("chat.sqlite")).await.unwrap();
    let tasks = klamm_utils::task::TaskGroup::new("samples");
    let bus = Bus::open(&bus::Settings::Memory, &tasks, &Telemetry::new()).unwrap();
    let running = server::start(settings, server::Backends { database, bus }).await.unwrap();
    let port = running.address().port();
    TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let refused = TcpStream::connect(("127.0.0.2", port)).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    running.stop().await.unwrap();
}
