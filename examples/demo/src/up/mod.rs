//! `demo up`: each service a process of its own, on PostgreSQL, two of Redis, and nginx.

mod nginx;
mod ports;
mod process;
mod programs;
mod servers;
mod stage;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use common::service::asked_to_end;

use crate::cast::{CAST, Part, Role, of_role};
use crate::control::{self, Stage as _};
use crate::proxy::Proxy;
use crate::record::{Folder, Record};
use crate::settings::Told;
use nginx::{Upstreams, nginx};
use ports::Ports;
use process::{LOOK, Ready, Spec};
use servers::{POSTGRES_DATABASE, POSTGRES_USER, postgres, redis, redis_replica};
use stage::Processes;

/// How to run as processes.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Where everything keeps its data.
    #[arg(long, value_name = "DIR", default_value = "demo-data")]
    pub data: PathBuf,
    /// The port of the pages.
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// The port of one service, such as postgres=5432. Others take any that is free.
    #[arg(long = "at", value_name = "NAME=PORT", value_parser = named_port)]
    pub ports: Vec<(String, u16)>,
    /// Start a service again when it ends by itself.
    #[arg(long)]
    pub restart: bool,
    /// What services are told.
    #[command(flatten)]
    pub told: Told,
    /// What the auxiliary Redis is: a replica of the master, or one by itself.
    #[arg(long, default_value = "redis-replica", value_parser = ["redis-replica", "separate"])]
    pub auxiliary: String,
}

fn named_port(text: &str) -> Result<(String, u16), String> {
    let (name, port) = text.split_once('=').ok_or("it has the form NAME=PORT")?;
    let port = port.parse().map_err(|error| format!("{port}: {error}"))?;
    Ok((name.to_owned(), port))
}

/// Starts everything, and ends it when this process is asked to end.
///
/// # Errors
/// A program is missing, a service does not start, or the data folder is in use.
pub async fn up(options: Options) -> anyhow::Result<()> {
    let folder = Folder::new(std::path::absolute(&options.data)?);
    let _lock = folder.lock()?;
    let play = Play::new(folder, options)?;
    let processes = Processes::new(play.folder.logs());
    let proxy = Proxy::new();
    let work = async {
        play.start(&processes, &proxy).await?;
        play.look_after(&processes).await
    };
    let ran = tokio::select! {
        failed = work => failed.map(|never| match never {}),
        () = asked_to_end() => Ok(()),
    };
    tracing::info!("everything ends");
    processes.stop().await;
    proxy.stop().await;
    ran
}

/// Everything that is known before the first process starts.
#[derive(Debug)]
struct Play {
    folder: Folder,
    options: Options,
    ports: Ports,
    /// Signs tokens.
    secret: String,
    /// Of the database.
    password: String,
}

impl Play {
    fn new(folder: Folder, options: Options) -> anyhow::Result<Self> {
        let secret = folder.keep("jwt-secret", crate::settings::new_secret)?;
        let password = folder.keep("postgres-password", crate::settings::new_secret)?;
        let pages = ("nginx".to_owned(), options.port);
        let ports = Ports::new(options.ports.iter().cloned().chain([pages]));
        Ok(Self { folder, options, ports, secret, password })
    }

    async fn start(&self, processes: &Processes, proxy: &Proxy) -> anyhow::Result<()> {
        let own = programs::own()?;
        let path = self.folder.path();
        let (database, master) = (self.ports.place("postgres")?, self.ports.place("redis")?);
        let (auxiliary, kafka) = (self.ports.place("redis-aux")?, self.ports.place("klamm")?);
        let replica = self.options.auxiliary == "redis-replica";
        let klamm = Spec::new("klamm", "broker", own.join("klamm"))
            .arguments(["serve", "--listen", &kafka.to_string(), "--http-listen", "127.0.0.1:0"])
            .arguments(["--data-dir".into(), path.join("klamm").into_os_string()])
            // Groups are small: who comes first waits for nobody.
            .arguments(["-X", "group.initial.rebalance.delay.ms=0"])
            .at(kafka, Ready::Listens);
        processes.add(postgres(&path.join("postgres"), database, &self.password)?).await?;
        processes.add(redis("redis", master)?).await?;
        processes
            .add(match replica {
                true => redis_replica("redis-aux", auxiliary, master)?,
                false => redis("redis-aux", auxiliary)?,
            })
            .await?;
        processes.add(klamm).await?;

        let settings = self.settings(database, (master, auxiliary), kafka);
        let mut cast: Vec<(Part, SocketAddr)> = Vec::new();
        for part in CAST {
            let place = self.ports.place(part.name)?;
            let spec = Spec::new(part.name, part.role.kind(), own.join(part.role.program()))
                .environment(settings.iter().cloned())
                .environment(part.settings(place));
            processes.add(spec.at(place, Ready::Says)).await?;
            cast.push((part, place));
        }
        let buttons = self.buttons(processes, proxy).await?;
        let upstreams = Upstreams {
            chat: of_role(&cast, Role::Chat),
            accounts: of_role(&cast, Role::Accounts),
            pods: of_role(&cast, Role::Pod),
            unsent: of_role(&cast, Role::UnsentProducer),
            demo: buttons,
        };
        processes.add(nginx(&path.join("nginx"), self.options.port, &upstreams)?).await?;
        processes.ready(self.options.restart).await?;
        self.tell(processes, settings, (kafka, buttons)).await
    }

    /// The buttons of the demo, which this process serves itself.
    async fn buttons(&self, processes: &Processes, proxy: &Proxy) -> anyhow::Result<SocketAddr> {
        let listener = tokio::net::TcpListener::bind(self.ports.place("demo")?).await?;
        let address = listener.local_addr()?;
        let buttons = control::routes(processes.clone(), true);
        proxy.serve(listener, axum::Router::new().nest("/demo/api", buttons));
        Ok(address)
    }

    /// What all services are told.
    fn settings(
        &self,
        database: SocketAddr,
        (master, auxiliary): (SocketAddr, SocketAddr),
        kafka: SocketAddr,
    ) -> Vec<(String, String)> {
        let mut settings = vec![
            ("DATABASE", "postgres".to_owned()),
            ("POSTGRES_HOST", database.ip().to_string()),
            ("POSTGRES_PORT", database.port().to_string()),
            ("POSTGRES_DATABASE", POSTGRES_DATABASE.to_owned()),
            ("POSTGRES_USER", POSTGRES_USER.to_owned()),
            ("POSTGRES_PASSWORD", self.password.clone()),
            ("BUS", "redis".to_owned()),
            ("REDIS_HOST", master.ip().to_string()),
            ("REDIS_SERVICE", master.ip().to_string()),
            ("REDIS_PORT", master.port().to_string()),
            ("KV", "redis".to_owned()),
            ("REDIS_MASTER", master.to_string()),
            ("REDIS_AUX", auxiliary.to_string()),
            ("AUXILIARY", self.options.auxiliary.clone()),
            ("KAFKA_HOST", kafka.to_string()),
        ];
        settings.extend(crate::settings::common(&self.secret, self.options.port));
        let settings = settings.into_iter().map(|(name, value)| (name.to_owned(), value));
        settings.chain(self.options.told.settings()).collect()
    }

    async fn tell(
        &self,
        processes: &Processes,
        settings: Vec<(String, String)>,
        (kafka, buttons): (SocketAddr, SocketAddr),
    ) -> anyhow::Result<()> {
        let url = format!("http://localhost:{}", self.options.port);
        let instances = processes.instances().await;
        let (pid, kafka) = (std::process::id(), kafka.to_string());
        let control = format!("http://{buttons}/demo/api");
        let record = Record { pid, url, control, kafka, settings, instances };
        self.folder.write(&record)?;
        crate::banner::print(&record, Some(self.folder.path()))?;
        Ok(())
    }

    /// Looks after the processes, and tells of them, for as long as that works.
    async fn look_after(&self, processes: &Processes) -> anyhow::Result<Infallible> {
        let mut looks = tokio::time::interval(LOOK);
        let mut shown = processes.instances().await;
        loop {
            looks.tick().await;
            processes.look(self.options.restart).await?;
            let instances = processes.instances().await;
            if instances != shown {
                let record = Record { instances: instances.clone(), ..self.folder.record()? };
                self.folder.write(&record)?;
                shown = instances;
            }
        }
    }
}

/// Ends the demo that runs in `data`, and waits until it has.
///
/// # Errors
/// None runs, it is still starting, or it cannot be reached.
pub async fn down(data: PathBuf) -> anyhow::Result<()> {
    use rustix::process::{Pid, Signal, kill_process};
    let folder = Folder::new(data);
    anyhow::ensure!(folder.is_taken()?, "no demo runs in {}", folder.path().display());
    let pid = i32::try_from(folder.record()?.pid).ok().and_then(Pid::from_raw);
    kill_process(pid.context("the record names no process")?, Signal::TERM)?;
    while folder.is_taken()? {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}
