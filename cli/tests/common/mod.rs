//! The real binary, and a broker that it serves.
#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "all of it is tests")]

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, WaitOptions, waitpid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::Value;
use tempfile::TempDir;

/// A command that sees nothing of the environment of the tests.
pub(crate) fn klamm(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_klamm"));
    command.args(args).env_clear().stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a command that has ended has left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code(), stdout: output.stdout, stderr }
    }

    /// The output, after a check of the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap()
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Standard output as one JSON document a line.
    #[track_caller]
    pub(crate) fn jsonl(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The one JSON object on standard error.
    #[track_caller]
    pub(crate) fn error(&self) -> Value {
        let error: Value = serde_json::from_str(&self.stderr).unwrap();
        error["error"].clone()
    }
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str]) -> Ran {
    Ran::of(klamm(args).output().unwrap())
}

/// Runs a command to its end, with this standard input.
pub(crate) fn run_with(args: &[&str], input: &[u8]) -> Ran {
    let mut child = klamm(args).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input));
        Ran::of(child.wait_with_output().unwrap())
    })
}

/// `klamm serve` on free ports. Killed when it is dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) banner: Value,
    folder: TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(args: &[&str]) -> Self {
        Self::start_by(klamm(&[]), args)
    }

    /// Under such limits as `ulimit` takes.
    pub(crate) fn start_under(limits: &str) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit {limits} && exec \"$0\" \"$@\"")]);
        shell.arg(env!("CARGO_BIN_EXE_klamm")).env_clear().stdout(Stdio::piped());
        Self::start_by(shell, &[])
    }

    fn start_by(mut command: Command, args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        command.args(["serve", "-o", "json", "--listen", "localhost:0"]);
        command.args(["--http-listen", "127.0.0.1:0", "--data-dir"]).arg(folder.path()).args(args);
        let mut child = command.stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let banner = serde_json::from_str(&line).unwrap();
        Self { child, banner, folder }
    }

    pub(crate) fn data_dir(&self) -> &Path {
        self.folder.path()
    }

    /// The system's number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn bootstrap(&self) -> &str {
        self.banner["bootstrap"].as_str().unwrap()
    }

    /// What its HTTP address answers, with the head.
    pub(crate) fn get(&self, path: &str) -> String {
        let address = self.banner["http"].as_str().unwrap().strip_prefix("http://").unwrap();
        let mut http = TcpStream::connect(address).unwrap();
        write!(http, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        http.read_to_string(&mut text).unwrap();
        text
    }

    /// The arguments, and where this broker is.
    pub(crate) fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        [args, &["-b", self.bootstrap()]].concat()
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        run(&self.args(args))
    }

    pub(crate) fn run_with(&self, args: &[&str], input: &[u8]) -> Ran {
        run_with(&self.args(args), input)
    }

    /// Has it answer nothing: it keeps its connections, and the system takes more in its name.
    pub(crate) fn pause(&self) {
        send("-STOP", &self.child);
        // Whoever has sent the signal may be ahead of it.
        waitpid(Some(Pid::from_child(&self.child)), WaitOptions::UNTRACED).unwrap();
    }

    /// Has it go on after a pause.
    pub(crate) fn resume(&self) {
        send("-CONT", &self.child);
    }

    /// Ends it well, and leaves the folder.
    pub(crate) fn stop(mut self) -> TempDir {
        assert!(self.end("-TERM").success());
        std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap())
    }

    pub(crate) fn end(&mut self, signal: &str) -> ExitStatus {
        send(signal, &self.child);
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal.
pub(crate) fn send(signal: &str, child: &Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
}

/// Reads one line of what a running command prints.
pub(crate) fn line(child: &mut Child) -> String {
    line_of(child.stdout.as_mut().unwrap())
}

/// Reads one line of what a running command tells on standard error.
pub(crate) fn told(child: &mut Child) -> String {
    line_of(child.stderr.as_mut().unwrap())
}

fn line_of(stream: &mut impl Read) -> String {
    let mut line = Vec::new();
    let mut byte = [0];
    while stream.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
        line.extend(byte);
    }
    String::from_utf8(line).unwrap()
}

/// A `klamm consume` whose reader has read the first of many lines, and reads no more.
pub(crate) fn unread(server: &Server, args: &[&str]) -> Child {
    let lines: String = (0..200_000).map(|number| format!("{number}\n")).collect();
    server.run_with(&["produce", "numbers"], lines.as_bytes()).exits(0);
    let args = [&["consume", "numbers"], args].concat();
    let mut child = klamm(&server.args(&args)).spawn().unwrap();
    assert_eq!(line(&mut child), "0");
    child
}

/// Signals until it ends. Signals that come before the first was heard are one.
pub(crate) fn signal_to_the_end(signal: &str, child: &mut Child) {
    while child.try_wait().unwrap().is_none() {
        send(signal, child);
    }
}

/// A file on a disk that is full.
pub(crate) fn full_disk() -> File {
    OpenOptions::new().write(true).open("/dev/full").unwrap()
}

/// A terminal: what a user would see and type, and what a command takes for its own.
pub(crate) fn terminal() -> (File, File) {
    let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&user).unwrap();
    unlockpt(&user).unwrap();
    let name = ptsname(&user, Vec::new()).unwrap().into_string().unwrap();
    let command = OpenOptions::new().read(true).write(true).open(name).unwrap();
    (user.into(), command)
}
