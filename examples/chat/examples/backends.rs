//! What the applications ask of PostgreSQL and Redis, on real ones: `compat/apps/backends` starts
//! them. `backends --postgres-host 127.0.0.1 --postgres-port 5432 --redis-host 127.0.0.1 …`
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "a program prints")]

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use chat::persister;
use common::auth::{Auth, AuthError, NewUser, Settings};
use common::bus::{self, Bus};
use common::config::Config;
use common::db::{self, Database};
use common::kv::{self, Kv};
use common::registry::{self, Mode, Registry};
use common::telemetry::Telemetry;
use futures_util::FutureExt as _;
use klamm_broker::Broker;
use klamm_client::{ClientConfig, Kafka};
use klamm_producer::{ProduceExt as _, Record};
use klamm_utils::task::TaskGroup;
use serde_json::json;
use uuid::Uuid;

/// A check that takes longer has failed.
const WITHIN: Duration = Duration::from_secs(60);

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut config = Config::load()?;
    let (database, bus) = (db::Settings::read(&mut config), bus::Settings::read(&mut config));
    config.finish()?;
    let bus::Settings::Redis(redis) = bus.clone() else { anyhow::bail!("REDIS_HOST is missing") };
    let db::Settings::Postgres(_) = &database else { anyhow::bail!("POSTGRES_HOST is missing") };
    let database = Database::open(&database).await?;
    let tasks = TaskGroup::new("backends");
    let open = || Bus::open(&bus, &tasks, &Telemetry::new());
    let (here, there) = (open()?, open()?);
    let mut tally = Tally::default();
    let on = database.clone();
    tally.run("PostgreSQL: database", async move { db::conformance::check(&on).await }).await;
    tally.run("PostgreSQL: sessions", sessions(database.clone(), here.clone())).await;
    tally.run("PostgreSQL: database writer", writer(database)).await;
    tally.run("Redis: bus", async move { bus::conformance::check(&here, &there).await }).await;
    let store = Kv::redis(&redis)?;
    let prefix = Uuid::now_v7().to_string();
    let (on, name) = (store.clone(), prefix.clone());
    tally
        .run("Redis: store", async move {
            kv::suite::conforms(&on, &name).await;
            Ok(())
        })
        .await;
    let (on, name) = (store.clone(), prefix.clone());
    tally
        .run("Redis: store forgets", async move {
            kv::suite::forgets(&on, &name).await;
            Ok(())
        })
        .await;
    for (mode, name) in [(Mode::Single, "single"), (Mode::Multi, "multi")] {
        let (registry, prefix) = (Registry::new(store.clone(), mode), format!("{prefix}-{name}"));
        let check = async move {
            registry::suite::conforms(&registry, &prefix).await;
            Ok(())
        };
        tally.run(&format!("Redis: registry, {name}"), check).await;
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    ensure!(tally.failed == 0, "not everything passed");
    Ok(())
}

#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
}

impl Tally {
    /// Runs a check, which may panic.
    async fn run(&mut self, name: &str, check: impl Future<Output = anyhow::Result<()>>) {
        let check = AssertUnwindSafe(tokio::time::timeout(WITHIN, check));
        let outcome = match check.catch_unwind().await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(anyhow::anyhow!("it takes too long")),
            Err(_) => Err(anyhow::anyhow!("it panicked, as said above")),
        };
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("{name:<32} passed");
            }
            Err(error) => {
                self.failed += 1;
                println!("{name:<32} FAILED: {error:#}");
            }
        }
    }
}

/// A session that begins, goes on twice, and ends because two hold it.
async fn sessions(database: Database, bus: Bus) -> anyhow::Result<()> {
    database.migrate(Auth::MIGRATIONS).await?;
    let settings = Settings { refresh_leeway: Duration::ZERO, ..Settings::dev("secret") };
    let auth = Auth::new(settings, database, bus);
    let (username, password) =
        (format!("u{}", Uuid::now_v7().simple()), "correct horse".to_owned());
    let username: String = username.chars().take(32).collect();
    let new = NewUser { username: username.clone(), password, ..NewUser::default() };
    auth.signup(new).await?;
    let first = auth.login(&username, "correct horse").await?;
    let lost = auth.refresh(&first.refresh).await?;
    let second = auth.refresh(&first.refresh).await?;
    let identity = auth.verify(&second.access)?;
    auth.ticket(&identity).await?;
    let replayed = auth.refresh(&lost.refresh).await;
    ensure!(matches!(replayed, Err(AuthError::Replayed)), "{replayed:?}");
    let refused = auth.ticket(&identity).await;
    ensure!(matches!(refused, Err(AuthError::NotLoggedIn)), "{refused:?}");
    Ok(())
}

/// What the database refuses, by a constraint (SQLSTATE 23) or a value (22), holds nothing up.
async fn writer(database: Database) -> anyhow::Result<()> {
    let Database::Postgres(pool) = &database else { anyhow::bail!("it is no PostgreSQL") };
    let broker = Broker::builder().ephemeral().set("group.initial.rebalance.delay.ms", "0");
    let broker = broker.start().await?;
    let settings = persister::Settings::dev(&broker.bootstrap());
    let running = persister::start(settings.clone(), database.clone()).await?;
    let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await?;
    while kafka.topic(&"chat_messages".into()).await.is_err() {
        tokio::task::yield_now().await;
    }
    wait_for(pool, "SELECT COUNT(*) FROM topics", 1).await;
    running.stop().await?;
    for constraint in ["content <> 'poison'", "10 / (length(content) - 2) IS NOT NULL"] {
        let add = format!("ALTER TABLE messages ADD CHECK ({constraint})");
        sqlx::query(sqlx::AssertSqlSafe(add)).execute(pool).await?;
    }
    let producer = kafka.producer().build().await?;
    for content in ["one", "poison", "tw", "four", "five"] {
        let message = json!({
            "id": Uuid::now_v7(), "room": "a", "sender": Uuid::nil(), "senderName": "alice",
            "content": content, "server": "Asia", "created_at": 7,
        });
        let record = Record::to("chat_messages").key("a").value(message.to_string()).partition(0);
        producer.send(record).await.context("a message is sent")?;
    }
    let running = persister::start(settings, database.clone()).await?;
    wait_for(pool, "SELECT COUNT(*) FROM messages", 3).await;
    wait_for(pool, "SELECT next_off FROM consumer_offsets WHERE part = 0", 5).await;
    running.stop().await?;
    broker.stop().await;
    Ok(())
}

async fn wait_for(pool: &sqlx::PgPool, select: &'static str, wanted: i64) {
    while sqlx::query_scalar::<_, i64>(select).fetch_one(pool).await.ok() != Some(wanted) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
