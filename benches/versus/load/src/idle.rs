//! `idle`: what connections cost that do next to nothing.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args as ClapArgs;
use klamm_protocol::api::{ApiVersions, Metadata, api_versions, metadata};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::args::Broker;
use crate::measure::{Meter, sleep_until};
use crate::process;
use crate::report::Report;
use crate::wire::Connection;

const API_VERSIONS: i16 = 0;
const METADATA: i16 = 4;
/// How often a client asks for metadata, where it is to ask.
const POLL: Duration = Duration::from_secs(30);
/// Answers are small; there are many connections.
const READ_BUFFER: usize = 512;
/// Files that this process has open besides.
const FILES_SPARE: u64 = 64;

#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    broker: Broker,
    /// How many
    #[arg(long, default_value_t = 1000)]
    connections: usize,
    /// How many seconds to hold them
    #[arg(long, default_value_t = 10.0)]
    hold: f64,
    /// Have each of them ask for metadata every 30 s
    #[arg(long)]
    poll: bool,
}

/// Says on the standard error when all are open, so that other load can be started beside.
pub(crate) fn run(args: &Args) -> Result<Report> {
    let pid = args.broker.pid.context("it takes --broker-pid to see what connections cost")?;
    ensure!(args.connections > 0, "it takes one connection");
    allow_files(args.connections as u64 + FILES_SPARE)?;
    // One before the count, so that what the first one of all costs is not counted.
    let _first = open(&args.broker.address)?;
    let before = process::look(pid)?;
    let began = Instant::now();
    let mut connections: Vec<Connection> =
        (0..args.connections).map(|_| open(&args.broker.address)).collect::<Result<_>>()?;
    let open_seconds = began.elapsed().as_secs_f64();
    let opened = process::look(pid)?;
    eprintln!("klamm-load: {} connections are open", args.connections);

    let meter = Meter::begin(Some(pid))?;
    let until = Instant::now() + Duration::try_from_secs_f64(args.hold)?;
    let polls = if args.poll { poll(&mut connections, until)? } else { 0 };
    sleep_until(until);
    let usage = meter.end()?;
    let after = process::look(pid)?;

    let each_kib = |rss_mib: f64| (rss_mib - before.rss_mib) * 1024.0 / args.connections as f64;
    let mut report = Report::new("idle");
    report.put("connections", args.connections);
    report.figure("opened_per_s", args.connections as f64 / open_seconds);
    report.put("metadata_requests", polls);
    report.figure("broker_rss_before_mib", before.rss_mib);
    report.figure("broker_rss_opened_mib", opened.rss_mib);
    report.figure("broker_kib_per_connection", each_kib(opened.rss_mib));
    report.figure("broker_kib_per_connection_after", each_kib(after.rss_mib));
    report.usage(0, 0, &usage);
    if let Some(broker) = usage.broker {
        let cpu = broker.user_seconds + broker.system_seconds;
        report.figure("broker_cpu_s_per_s", cpu / usage.seconds);
    }
    Ok(report)
}

/// A connection that has asked what it may ask, as every client does.
fn open(address: &str) -> Result<Connection> {
    let mut connection = Connection::with_read_buffer(address, READ_BUFFER)?;
    let answer = connection.call::<ApiVersions>(API_VERSIONS, &api_versions::Request::default())?;
    ensure!(answer.error_code.is_none(), "ApiVersions is answered {}", answer.error_code.name());
    Ok(connection)
}

/// Has one after the other ask for metadata, evenly over the time. Returns how often it was asked.
fn poll(connections: &mut [Connection], until: Instant) -> Result<u64> {
    let pause = POLL / u32::try_from(connections.len())?;
    let request = metadata::Request { topics: Some(Vec::new()), ..Default::default() };
    let mut due = Instant::now();
    let mut asked = 0;
    loop {
        for connection in &mut *connections {
            due += pause;
            if due > until {
                return Ok(asked);
            }
            thread::sleep(due.saturating_duration_since(Instant::now()));
            connection.call::<Metadata>(METADATA, &request)?;
            asked += 1;
        }
    }
}

/// Raises the limit of open files, if need be and as far as it may be.
fn allow_files(count: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= count) {
        return Ok(());
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(count), maximum: limit.maximum })
        .with_context(|| format!("{count} files cannot be open at once: see ulimit -Hn"))
}
