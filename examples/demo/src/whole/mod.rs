//! Everything in this process: an embedded broker, SQLite, bus and store in memory, all services,
//! and the door.

mod services;
mod stage;

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use axum::Router;
use clap::Args;
use common::service::asked_to_end;
use klamm_broker::Broker;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::cast::{Part, Role, of_role};
use crate::control::{self, Stage as _};
use crate::proxy::{Pool, Proxy, Services, listen_locally};
use crate::record::{Folder, Record};
use crate::settings::Told;
use services::Backends;
use stage::Whole;

/// The port of the original's pods.
const PODS_PORT: u16 = 3000;
/// Kafka's port, which is taken if it is free.
const KAFKA_PORT: u16 = 9092;

/// How to run in one process.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Keep the data in this folder. Without it everything is gone in the end.
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The port of the pages.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// What services are told.
    #[command(flatten)]
    pub told: Told,
    /// Open only the door, and no other port that has a fixed number.
    #[arg(long)]
    pub only_door: bool,
}

/// A demo that runs in this process.
#[derive(Debug)]
pub struct Demo {
    stage: Whole,
    proxy: Proxy,
    record: Record,
    place: Place,
}

/// Where the data is, for as long as this exists.
#[derive(Debug)]
enum Place {
    Kept { folder: Folder, _lock: File },
    Temporary { folder: Folder, _dir: TempDir },
}

impl Place {
    fn new(data: Option<PathBuf>) -> anyhow::Result<Self> {
        match data {
            Some(path) => {
                let folder = Folder::new(std::path::absolute(path)?);
                let lock = folder.lock()?;
                Ok(Self::Kept { folder, _lock: lock })
            }
            None => {
                let dir = tempfile::Builder::new().prefix("klamm-demo-").tempdir()?;
                let folder = Folder::new(dir.path().to_owned());
                Ok(Self::Temporary { folder, _dir: dir })
            }
        }
    }

    fn folder(&self) -> &Folder {
        match self {
            Self::Kept { folder, .. } | Self::Temporary { folder, .. } => folder,
        }
    }
}

/// Starts everything, and ends it when this process is asked to end.
///
/// # Errors
/// A port or the data folder is taken, or a service does not start.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let demo = Demo::start(options).await?;
    let kept = match &demo.place {
        Place::Kept { folder, .. } => Some(folder.path()),
        Place::Temporary { .. } => None,
    };
    crate::banner::print(&demo.record, kept)?;
    asked_to_end().await;
    demo.stop().await;
    Ok(())
}

impl Demo {
    /// Starts everything. It can be used when this returns.
    ///
    /// # Errors
    /// A port or the data folder is taken, or a service does not start.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let place = Place::new(options.data.clone())?;
        let folder = place.folder();
        let doors = listen_locally(options.port)
            .await
            .with_context(|| format!("port {} is taken: choose another by --port", options.port))?;
        let port = doors.first().context("nobody listens")?.local_addr()?.port();
        let broker = broker(folder, matches!(place, Place::Kept { .. }), options.only_door).await?;
        let kafka = broker.bootstrap();
        let settings = settings(folder, &kafka, port, &options.told)?;
        let backends = Backends::open(settings.clone()).await?;
        let stage = Whole::start(broker, backends).await?;

        let cast = stage.cast().await;
        let proxy = Proxy::new();
        open(&proxy, doors, &stage, &cast);
        if !options.only_door {
            open_pods_port(&proxy, &cast).await;
        }
        let instances = stage.instances().await;
        let url = format!("http://localhost:{port}");
        let (pid, control) = (std::process::id(), format!("{url}/demo/api"));
        let record = Record { pid, url, control, kafka, settings, instances };
        folder.write(&record)?;
        Ok(Self { stage, proxy, record, place })
    }

    /// The address of the pages.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.record.url
    }

    /// Ends everything: the door, the services, and at last the broker.
    pub async fn stop(self) {
        self.proxy.stop().await;
        self.stage.stop().await;
    }
}

async fn broker(folder: &Folder, kept: bool, any_port: bool) -> anyhow::Result<Broker> {
    let builder = Broker::builder().ephemeral();
    let builder = match kept {
        true => builder.data_dir(folder.path().join("klamm")).set("durability", "synced"),
        false => builder,
    };
    let is_free = TcpListener::bind((Ipv4Addr::LOCALHOST, KAFKA_PORT)).await.is_ok();
    let port = if is_free && !any_port { KAFKA_PORT } else { 0 };
    let builder = builder.listen(&format!("127.0.0.1:{port}"));
    // Nobody else will come: who begins a group need not wait for others.
    let builder = builder.set("group.initial.rebalance.delay.ms", "0");
    builder.start().await.context("the broker does not start")
}

/// What all services are told.
fn settings(
    folder: &Folder,
    kafka: &str,
    port: u16,
    told: &Told,
) -> io::Result<Vec<(String, String)>> {
    let secret = folder.keep("jwt-secret", crate::settings::new_secret)?;
    let sqlite = folder.path().join("apps.sqlite").to_string_lossy().into_owned();
    let mut settings = vec![
        ("DATABASE", "sqlite".to_owned()),
        ("SQLITE_PATH", sqlite),
        ("BUS", "memory".to_owned()),
        ("KV", "memory".to_owned()),
        ("KAFKA_HOST", kafka.to_owned()),
    ];
    settings.extend(crate::settings::common(&secret, port));
    let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value));
    Ok(settings.chain(told.settings()).collect())
}

fn open(proxy: &Proxy, doors: Vec<TcpListener>, stage: &Whole, cast: &[(Part, SocketAddr)]) {
    let pool = |role| Pool::new(of_role(cast, role));
    let services = Services {
        chat: pool(Role::Chat),
        accounts: pool(Role::Accounts),
        pods: pool(Role::Pod),
        unsent: pool(Role::UnsentProducer),
    };
    let buttons = control::routes(stage.clone(), true);
    let routes: Router =
        proxy.routes(services).nest("/demo/api", buttons).fallback_service(web::pages());
    for door in doors {
        proxy.serve(door, routes.clone());
    }
}

/// The port of the original leads to the pods, unless somebody else has it.
async fn open_pods_port(proxy: &Proxy, cast: &[(Part, SocketAddr)]) {
    match listen_locally(PODS_PORT).await {
        Ok(listeners) => {
            let pods = Pool::new(of_role(cast, Role::Pod));
            for listener in listeners {
                proxy.serve(listener, proxy.all_to(pods.clone()));
            }
        }
        Err(error) => tracing::info!(%error, "port {PODS_PORT} is left alone"),
    }
}
