//! Messages that another process hands on, one at a time: what no broker can be faster than.

use std::env;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};

use crate::latency::Latencies;
use crate::pace::Pace;

const MESSAGE: usize = 100;
/// When it was sent.
const STAMP: usize = 8;

/// The process in the middle: says where it listens, takes one who sends and one who receives, and
/// hands on what comes until it ends.
pub(crate) fn relay() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    let (mut from, _) = listener.accept()?;
    let (mut to, _) = listener.accept()?;
    to.set_nodelay(true)?;
    let mut message = [0; MESSAGE];
    while from.read_exact(&mut message).is_ok() {
        to.write_all(&message)?;
    }
    Ok(())
}

/// Times messages from the call that sends them to the receiver's hands, so many a second: each
/// has found both processes asleep if that is few.
pub(super) fn relayed(per_second: f64, span: Duration) -> Result<Latencies> {
    let (mut relay, address) = Relay::start()?;
    let mut there = TcpStream::connect(&address)?;
    there.set_nodelay(true)?;
    let mut here = TcpStream::connect(&address)?;
    let epoch = Instant::now();
    let latencies = thread::scope(|scope| {
        let receiving = scope.spawn(move || {
            let mut latencies = Latencies::new();
            let mut message = [0; MESSAGE];
            while here.read_exact(&mut message).is_ok() {
                let stamp = message.first_chunk::<STAMP>().copied().unwrap_or_default();
                let sent = Duration::from_nanos(u64::from_le_bytes(stamp));
                latencies.record(epoch.elapsed().saturating_sub(sent));
            }
            latencies
        });
        let mut pace = Pace::start(per_second)?;
        let mut message = [7; MESSAGE];
        while epoch.elapsed() < span {
            pace.sleep();
            let nanos = u64::try_from((pace.next() - epoch).as_nanos())?;
            message[..STAMP].copy_from_slice(&nanos.to_le_bytes());
            there.write_all(&message)?;
        }
        there.shutdown(Shutdown::Both)?;
        receiving.join().map_err(|_| anyhow!("the receiver panicked"))
    })?;
    relay.0.wait()?;
    Ok(latencies)
}

/// The other process, which is ended if it does not end by itself.
struct Relay(Child);

impl Relay {
    /// Starts it; says where it listens.
    fn start() -> Result<(Self, String)> {
        let this = env::current_exe().context("this program is not found")?;
        let child = Command::new(this).arg("relay").stdout(Stdio::piped()).spawn()?;
        let mut relay = Self(child);
        let told = relay.0.stdout.take().context("its output is piped")?;
        let mut address = String::new();
        BufReader::new(told).read_line(&mut address)?;
        Ok((relay, address.trim_end().to_owned()))
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if matches!(self.0.try_wait(), Ok(None)) {
            self.0.kill().ok();
            self.0.wait().ok();
        }
    }
}
