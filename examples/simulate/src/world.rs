//! The demo that is put under load: where everything is, and how to be let in.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use common::auth::{Auth, Identity, Settings};
use common::bus::Bus;
use common::config::Config;
use common::db::{self, Database};
use demo::control::Instance;
use demo::record::{Folder, Record};
use klamm_utils::clock::{Clock as _, SystemClock};
use uuid::Uuid;

use crate::account::Account;
use crate::http::Client;

/// A running demo.
pub(crate) struct World {
    record: Record,
    auth: Auth,
    pub(crate) http: Client,
}

impl World {
    /// The demo that runs with its data in `folder`.
    pub(crate) async fn open(folder: PathBuf) -> anyhow::Result<Self> {
        let folder = Folder::new(folder);
        ensure!(folder.is_taken()?, "no demo runs in {}", folder.path().display());
        Self::new(folder.record()?).await
    }

    async fn new(record: Record) -> anyhow::Result<Self> {
        let mut config = config(&record)?;
        // Only to sign tickets: nothing is asked of the database or the bus.
        let auth =
            Auth::new(Settings::read(&mut config), Database::in_memory().await?, Bus::memory());
        Ok(Self { record, auth, http: Client::new() })
    }

    /// One of which only the pages are known.
    #[cfg(test)]
    pub(crate) async fn of_tests(place: SocketAddr) -> Self {
        let url = format!("http://{place}");
        let settings = vec![("JWT_SECRET".to_owned(), "s".repeat(32))];
        let (control, kafka, instances) = (url.clone(), place.to_string(), Vec::new());
        Self::new(Record { pid: 0, url, control, kafka, settings, instances }).await.unwrap()
    }

    /// The addresses of the instances of this kind that run.
    pub(crate) fn places(&self, kind: &str) -> anyhow::Result<Vec<SocketAddr>> {
        let instances = self.record.instances.iter();
        let places: Vec<_> = instances
            .filter(|instance| instance.kind == kind && instance.alive)
            .filter_map(|instance| instance.address)
            .collect();
        ensure!(!places.is_empty(), "no instance of {kind} runs");
        Ok(places)
    }

    /// The address of the proxy.
    pub(crate) fn door(&self) -> anyhow::Result<SocketAddr> {
        let url: axum::http::Uri = self.record.url.parse()?;
        let (host, port) = (url.host().unwrap_or_default(), url.port_u16().unwrap_or(80));
        let mut found = (host, port).to_socket_addrs()?;
        found.next().with_context(|| format!("{host} has no address"))
    }

    /// The name of the instance at `address`.
    pub(crate) fn name_of(&self, address: SocketAddr) -> anyhow::Result<&str> {
        let found = self.record.instances.iter().find(|found| found.address == Some(address));
        Ok(&found.context("no instance is there")?.name)
    }

    /// The names of all that runs.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.record.instances.iter().map(|instance| &*instance.name)
    }

    /// What the services are told by this name; of several the last counts.
    pub(crate) fn setting(&self, name: &str) -> Option<&str> {
        let mut settings = self.record.settings.iter().rev();
        settings.find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The address of the broker.
    pub(crate) fn kafka(&self) -> &str {
        &self.record.kafka
    }

    /// Presses a button of the demo: `kill` or `start`.
    pub(crate) async fn press(&self, button: &str, name: &str) -> anyhow::Result<()> {
        let url = format!("{}/instances/{name}/{button}", self.record.control);
        let (status, text) = self.http.post(&url, "").await?;
        ensure!(status.is_success(), "{button} {name}: {status} {text}");
        Ok(())
    }

    /// How many instances do not run.
    pub(crate) async fn ended(&self) -> anyhow::Result<u64> {
        let (status, text) = self.http.get(&format!("{}/instances", self.record.control)).await?;
        ensure!(status.is_success(), "instances: {status} {text}");
        let instances: Vec<Instance> = serde_json::from_str(&text)?;
        Ok(instances.iter().filter(|instance| !instance.alive).count() as u64)
    }

    /// The database of the demo.
    pub(crate) async fn database(&self) -> anyhow::Result<Database> {
        let settings = db::Settings::read(&mut config(&self.record)?);
        Ok(Database::open(&settings).await?)
    }

    /// Somebody who signs up and logs in, through the proxy.
    pub(crate) async fn sign_up(&self, username: &str) -> anyhow::Result<Account> {
        Account::sign_up(self.http.clone(), &self.record.url, username).await
    }

    /// Gives each of these people an account that nobody can log in to: messages are taken only for
    /// who has one.
    pub(crate) async fn enrol(&self, names: &[String]) -> anyhow::Result<()> {
        let database = self.database().await?;
        prepared(&database).await?;
        let _turn = database.turn().await;
        common::on!(&database, pool => {
            let mut transaction = pool.begin_with(database.begin()).await?;
            for name in names {
                let sql = "INSERT INTO users(user_id, username, username_key, name, password_hash, \
                     created_at) VALUES ($1, $2, $3, $2, '', 0) ON CONFLICT DO NOTHING";
                sqlx::query(sql)
                    .bind(user_id(name))
                    .bind(name)
                    .bind(common::auth::normal(name))
                    .execute(&mut *transaction)
                    .await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// A ticket for a socket, signed with the demo's own secret: signups and logins are limited.
    pub(crate) fn ticket(&self, username: &str) -> String {
        let now = u64::try_from(SystemClock::new().now_ms() / 1000).unwrap_or(0);
        let hour = Duration::from_secs(3600).as_secs();
        let (user_id, username) = (user_id(username), username.to_owned());
        let session = Uuid::nil();
        self.auth.sign_ticket(&Identity { user_id, username, session, expires_at: now + hour })
    }
}

/// Waits for the table of accounts: a demo that says that it is ready may be making it still.
async fn prepared(database: &Database) -> anyhow::Result<()> {
    let mut tries = 0;
    loop {
        let found = common::on!(database, pool => {
            sqlx::query("SELECT username FROM users LIMIT 1").execute(pool).await.map(drop)
        });
        match found {
            Ok(()) => return Ok(()),
            Err(error) if tries == 100 => return Err(error.into()),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        tries += 1;
    }
}

fn user_id(username: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, username.as_bytes())
}

fn config(record: &Record) -> anyhow::Result<Config> {
    let flags = record.settings.iter().map(|(name, value)| format!("--{name}={value}"));
    Config::from_arguments(flags)
}
