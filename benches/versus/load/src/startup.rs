//! `startup`: how long a broker takes from its start to its first good answer, and what it weighs.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args as ClapArgs;
use klamm_protocol::api::{Metadata, metadata};
use rustix::process::{Pid, Signal, kill_process};

use crate::process;
use crate::report::{Report, median};
use crate::wire::Connection;

const METADATA: i16 = 4;
/// How often a broker that does not answer yet is asked.
const PAUSE: Duration = Duration::from_micros(500);
const START_PATIENCE: Duration = Duration::from_secs(120);
const STOP_PATIENCE: Duration = Duration::from_secs(60);

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Where the broker will listen
    #[arg(long = "broker", visible_alias = "brokers", default_value = "127.0.0.1:9092")]
    address: String,
    /// How often to start it, each time after a clean stop
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Have so many clients connect and ask at once when it is up
    #[arg(long, default_value_t = 0)]
    clients: usize,
    /// Where the broker's output goes; it is thrown away otherwise
    #[arg(long)]
    log: Option<PathBuf>,
    /// The broker's command, given after `--`
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// One start.
struct Start {
    ready_ms: f64,
    rss_mib: f64,
    cpu_seconds: f64,
    /// From the first client's connection to the last one's answer.
    clients_ms: f64,
    rss_with_clients_mib: f64,
    stop_ms: f64,
}

pub(crate) fn run(args: &Args) -> Result<Report> {
    ensure!(args.runs > 0, "it takes one run");
    let starts: Vec<Start> = (0..args.runs).map(|_| start(args)).collect::<Result<_>>()?;
    let of = |figure: fn(&Start) -> f64| median(starts.iter().map(figure));
    let mut report = Report::new("startup");
    report.put("runs", args.runs);
    report.put("ready_ms_each", starts.iter().map(|start| start.ready_ms).collect::<Vec<_>>());
    report.figure("ready_ms", of(|start| start.ready_ms));
    report.figure("rss_mib", of(|start| start.rss_mib));
    report.figure("broker_cpu_s", of(|start| start.cpu_seconds));
    if args.clients > 0 {
        report.put("clients", args.clients);
        report.figure("clients_ms", of(|start| start.clients_ms));
        report.figure("rss_with_clients_mib", of(|start| start.rss_with_clients_mib));
    }
    report.figure("stop_ms", of(|start| start.stop_ms));
    Ok(report)
}

fn start(args: &Args) -> Result<Start> {
    let free = Connection::open(&args.address).is_err();
    ensure!(free, "something listens on {} already", args.address);
    let (program, rest) = args.command.split_first().context("which command?")?;
    let output = || -> Result<Stdio> {
        let Some(path) = &args.log else { return Ok(Stdio::null()) };
        Ok(File::options().create(true).append(true).open(path)?.into())
    };
    let begin = Instant::now();
    let child = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(output()?)
        .stderr(output()?)
        .spawn()
        .with_context(|| format!("{program} does not start"))?;
    let mut broker = Running(child);
    broker.wait_ready(&args.address, begin)?;
    let ready_ms = millis(begin);

    let pid = broker.0.id();
    let state = process::look(pid)?;
    let begin = Instant::now();
    let connections = connect_all(&args.address, args.clients)?;
    let clients_ms = millis(begin);
    let rss_with_clients_mib = process::look(pid)?.rss_mib;
    drop(connections);
    let begin = Instant::now();
    broker.stop()?;
    Ok(Start {
        ready_ms,
        rss_mib: state.rss_mib,
        cpu_seconds: state.user_seconds + state.system_seconds,
        clients_ms,
        rss_with_clients_mib,
        stop_ms: millis(begin),
    })
}

/// A broker that is killed if nobody stops it.
struct Running(Child);

impl Running {
    fn wait_ready(&mut self, address: &str, begin: Instant) -> Result<()> {
        while !answers(address) {
            if let Some(status) = self.0.try_wait()? {
                bail!("the broker ended before it answered: {status}");
            }
            ensure!(begin.elapsed() < START_PATIENCE, "the broker does not answer");
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn stop(&mut self) -> Result<()> {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.context("a process has an id")?, Signal::TERM)?;
        let begin = Instant::now();
        while self.0.try_wait()?.is_none() {
            ensure!(begin.elapsed() < STOP_PATIENCE, "the broker does not stop");
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }
}

/// Whether Metadata is answered and names a broker.
fn answers(address: &str) -> bool {
    Connection::with_read_buffer(address, 4096).is_ok_and(|mut connection| asks(&mut connection))
}

fn asks(connection: &mut Connection) -> bool {
    let request = metadata::Request { topics: Some(Vec::new()), ..Default::default() };
    let answer = connection.call::<Metadata>(METADATA, &request);
    answer.is_ok_and(|answer| !answer.brokers.is_empty())
}

fn connect_all(address: &str, clients: usize) -> Result<Vec<Connection>> {
    thread::scope(|scope| {
        let connecting: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(|| -> Result<Connection> {
                    let mut connection = Connection::with_read_buffer(address, 4096)?;
                    ensure!(asks(&mut connection), "a client got no good answer");
                    Ok(connection)
                })
            })
            .collect();
        connecting
            .into_iter()
            .map(|client| client.join().map_err(|_| anyhow::anyhow!("a thread panicked"))?)
            .collect()
    })
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}
