//! Streams and round trips over loopback.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use klamm_protocol::records::crc32c;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::sockopt;

use super::GIB;
use super::files::{FILE, FILE_MAX};
use crate::latency::Latencies;
use crate::process::thread_cpu_seconds;

/// What is sent and received at once.
const PIECE: usize = 256 * 1024;
/// What is sent at once from a file.
const FILE_PIECE: usize = 1 << 20;
/// What may be under way from a file: with more, the receiver wakes for every little piece.
const UNDER_WAY: usize = 256 * 1024;
/// What goes to and fro.
const MESSAGE: usize = 64;

/// What one thread sent and another received.
pub(super) struct Stream {
    bytes: u64,
    seconds: f64,
    send_cpu_seconds: f64,
    receive_cpu_seconds: f64,
}

impl Stream {
    pub(super) fn gb_per_second(&self) -> f64 {
        self.bytes as f64 / self.seconds / 1e9
    }

    pub(super) fn send_cpu_per_gib(&self) -> f64 {
        self.send_cpu_seconds * GIB / self.bytes as f64
    }

    pub(super) fn receive_cpu_per_gib(&self) -> f64 {
        self.receive_cpu_seconds * GIB / self.bytes as f64
    }
}

/// Bytes from memory to nowhere.
pub(super) fn stream(span: Duration) -> Result<Stream> {
    run(pair()?, span, from_memory(), |_| Ok(()))
}

/// What every broker must do with what is produced: receive it, check it, write it.
pub(super) fn receive_check_write(file: &File, span: Duration) -> Result<Stream> {
    let mut at = 0;
    run(pair()?, span, from_memory(), |piece| {
        std::hint::black_box(crc32c(piece));
        file.write_all_at(piece, at % FILE_MAX)?;
        at += piece.len() as u64;
        Ok(())
    })
}

/// Bytes from the page cache to the socket without a copy in between. Whoever waits within the call
/// is woken for every little piece that was taken; this one waits until there is room for many.
pub(super) fn sendfile(file: &File, span: Duration) -> Result<Stream> {
    let mut at = 0;
    let send = |socket: &mut TcpStream| {
        match rustix::fs::sendfile(&*socket, file, Some(&mut at), FILE_PIECE) {
            Ok(_) if at < FILE => {}
            Ok(_) => at = 0,
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(&*socket, PollFlags::OUT)], None)?;
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    };
    let (here, there) = bounded_pair()?;
    there.set_nonblocking(true)?;
    run((here, there), span, send, |_| Ok(()))
}

/// Bytes from the page cache to memory, and from there to the socket.
pub(super) fn read_and_send(file: &File, span: Duration) -> Result<Stream> {
    let mut piece = vec![0; FILE_PIECE];
    let mut at = 0;
    let send = |socket: &mut TcpStream| {
        file.read_exact_at(&mut piece, at)?;
        at = (at + FILE_PIECE as u64) % FILE;
        Ok(socket.write_all(&piece)?)
    };
    run(bounded_pair()?, span, send, |_| Ok(()))
}

/// From a request of 64 bytes to its echo: what no answer can be faster than.
pub(crate) fn round_trips(span: Duration) -> Result<Latencies> {
    let (mut here, mut there) = pair()?;
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut message = [0; MESSAGE];
            while there.read_exact(&mut message).is_ok() && there.write_all(&message).is_ok() {}
        });
        let mut latencies = Latencies::new();
        let mut message = [7; MESSAGE];
        let began = Instant::now();
        let mut before = began;
        while before - began < span {
            here.write_all(&message)?;
            here.read_exact(&mut message)?;
            let now = Instant::now();
            latencies.record(now - before);
            before = now;
        }
        here.shutdown(Shutdown::Both)?;
        Ok(latencies)
    })
}

fn from_memory() -> impl FnMut(&mut TcpStream) -> Result<()> {
    let piece = vec![7_u8; PIECE];
    move |socket| Ok(socket.write_all(&piece)?)
}

/// Has a thread `send` for so long, while this one receives and hands on what came.
fn run(
    (mut here, mut there): (TcpStream, TcpStream),
    span: Duration,
    mut send: impl FnMut(&mut TcpStream) -> Result<()> + Send,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<Stream> {
    thread::scope(|scope| {
        let began = Instant::now();
        let sending = scope.spawn(move || -> Result<f64> {
            let cpu = thread_cpu_seconds();
            while began.elapsed() < span {
                send(&mut there)?;
            }
            there.shutdown(Shutdown::Write)?;
            Ok(thread_cpu_seconds() - cpu)
        });
        let cpu = thread_cpu_seconds();
        let mut bytes = 0;
        let mut piece = vec![0; PIECE];
        loop {
            let count = read_full(&mut here, &mut piece)?;
            take(&piece[..count])?;
            bytes += count as u64;
            if count < PIECE {
                break;
            }
        }
        let receive_cpu_seconds = thread_cpu_seconds() - cpu;
        let seconds = began.elapsed().as_secs_f64();
        let send_cpu_seconds = sending.join().map_err(|_| anyhow!("the sender panicked"))??;
        Ok(Stream { bytes, seconds, send_cpu_seconds, receive_cpu_seconds })
    })
}

/// Reads until the piece is full or the stream ends.
fn read_full(socket: &mut TcpStream, piece: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < piece.len() {
        match socket.read(&mut piece[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// Two ends of one connection.
fn pair() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let here = TcpStream::connect(listener.local_addr()?)?;
    let (there, _) = listener.accept()?;
    here.set_nodelay(true)?;
    there.set_nodelay(true)?;
    Ok((here, there))
}

/// The same, with little under way from the second to the first.
fn bounded_pair() -> Result<(TcpStream, TcpStream)> {
    let (here, there) = pair()?;
    sockopt::set_socket_send_buffer_size(&there, UNDER_WAY)?;
    Ok((here, there))
}
