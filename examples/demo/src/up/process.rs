//! One process: how it is started, and how it is ended.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::readiness::until_ready;

/// How often is looked whether a process has come or gone.
pub(super) const LOOK: Duration = Duration::from_millis(50);
/// Who has not ended by then after being asked to is killed.
const PATIENCE: Duration = Duration::from_secs(15);

/// How to start a process.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// Beside what this process has itself, except for what programs would take as their settings.
    pub(super) environment: Vec<(String, String)>,
    /// Where it listens, and what shows there that it is ready.
    pub(super) place: Option<(SocketAddr, Ready)>,
    /// What asks it to end.
    pub(super) farewell: Signal,
    /// Whether it refuses to run as root.
    pub(super) humble: bool,
}

/// What shows that a process can be used.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ready {
    /// Somebody listens.
    Listens,
    /// Its `/readyz` says so.
    Says,
}

impl Ready {
    /// Waits until this shows of the process `name`, which is to be at `address`.
    pub(super) async fn shows(self, name: &str, address: SocketAddr) {
        match self {
            Self::Listens => {
                while TcpStream::connect(address).await.is_err() {
                    tokio::time::sleep(LOOK).await;
                }
            }
            Self::Says => until_ready(name, address).await,
        }
    }
}

/// Who a program runs as that must not be root: nobody.
pub(super) const NOBODY: u32 = 65534;

/// Whether programs can be asked to run as somebody else.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Spec {
    /// A process of ours: it is asked to end by SIGTERM.
    pub(super) fn new(name: &str, kind: &'static str, program: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            program,
            arguments: Vec::new(),
            environment: Vec::new(),
            place: None,
            farewell: Signal::TERM,
            humble: false,
        }
    }

    pub(super) fn arguments<A: Into<OsString>>(
        mut self,
        more: impl IntoIterator<Item = A>,
    ) -> Self {
        self.arguments.extend(more.into_iter().map(Into::into));
        self
    }

    pub(super) fn environment<N: Into<String>, V: Into<String>>(
        mut self,
        more: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        self.environment.extend(more.into_iter().map(|(name, value)| (name.into(), value.into())));
        self
    }

    pub(super) fn at(mut self, address: SocketAddr, ready: Ready) -> Self {
        self.place = Some((address, ready));
        self
    }

    /// Starts it in a process group of its own, so that Ctrl-C does not reach it, and so that what
    /// it starts can be killed with it. It is killed when this process ends, however it does.
    pub(super) fn start(&self, logs: &Path) -> anyhow::Result<Process> {
        let path = logs.join(format!("{}.log", self.name));
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("cannot write {}", path.display()))?;
        let child = self
            .command()
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        Ok(Process { child, farewell: self.farewell })
    }

    /// The command, through `setpriv` where there is one (Linux): it has the kernel end the process
    /// with its parent, and it can take another user.
    pub(super) fn command(&self) -> Command {
        let mut command = if cfg!(target_os = "linux") {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL"]);
            if self.humble && is_root() {
                command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}")]);
                command.arg("--clear-groups");
            }
            command.arg(&self.program);
            command
        } else {
            Command::new(&self.program)
        };
        for (name, _) in std::env::vars_os() {
            let setting = name.to_str().is_some_and(|name| name.starts_with("KAFKA_"));
            if setting {
                command.env_remove(name);
            }
        }
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        command
    }
}

/// A process that was started.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    farewell: Signal,
}

impl Process {
    /// Its id, unless it has ended.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<std::process::ExitStatus>> {
        self.child.try_wait()
    }

    /// Kills it and all that it has started.
    pub(super) async fn kill(&mut self) -> io::Result<()> {
        self.signal(Signal::KILL)?;
        self.child.wait().await.map(drop)
    }

    /// Asks it to end, and kills it if it does not.
    pub(super) async fn stop(mut self, name: &str) -> io::Result<()> {
        self.signal(self.farewell)?;
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(ended) => ended.map(drop),
            Err(_) => {
                tracing::warn!(%name, "did not end in {PATIENCE:?} and is killed");
                self.kill().await
            }
        }
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        match pid.map(|pid| kill_process_group(pid, signal)) {
            // It has ended by itself.
            None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
            Some(Err(error)) => Err(error.into()),
        }
    }
}
