//! Where the programs are: servers of the system, and our own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

/// A server that must be installed: its program, and the package that has it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    program: &'static str,
    package: &'static str,
}

pub(super) const POSTGRES: Server = Server { program: "postgres", package: "postgresql" };
pub(super) const INITDB: Server = Server { program: "initdb", package: "postgresql" };
pub(super) const REDIS: Server = Server { program: "redis-server", package: "redis-server" };
pub(super) const NGINX: Server = Server { program: "nginx", package: "nginx" };

/// The packages of our own programs, and the programs.
const OWN: [(&str, &[&str]); 4] = [
    ("klamm", &["klamm"]),
    ("chat", &["chat-server", "kafka-consumer", "llm-worker"]),
    ("distrisocks", &["auth-svc", "websock-svc"]),
    ("unsent", &["unsent-producer", "unsent-consumer"]),
];

impl Server {
    /// Looks in the folders of `PATH`, in those that are for administrators, and where Debian keeps
    /// PostgreSQL, the newest version first.
    pub(super) fn find(self) -> anyhow::Result<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .collect();
        versions.sort();
        let folders = versions
            .into_iter()
            .rev()
            .chain(std::env::split_paths(&path))
            .chain(["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"].map(PathBuf::from));
        let found =
            folders.map(|folder| folder.join(self.program)).find(|program| program.is_file());
        found.with_context(|| {
            let Self { program, package } = self;
            format!(
                "{program} is not installed. On Debian and Ubuntu: apt-get install {package}. \
                 `demo` alone needs no server at all."
            )
        })
    }
}

/// The folder of our own programs: that of this one. What is missing there is built.
pub(super) fn own() -> anyhow::Result<PathBuf> {
    let this = std::env::current_exe().context("where this program is cannot be found out")?;
    let folder = this.parent().context("this program is in no folder")?.to_owned();
    let missing: Vec<_> = OWN
        .iter()
        .filter(|(_, programs)| programs.iter().any(|program| !folder.join(program).is_file()))
        .map(|(package, _)| *package)
        .collect();
    if !missing.is_empty() {
        build(&folder, &missing)?;
    }
    Ok(folder)
}

/// Has cargo build `packages` into the folder from which this program runs.
fn build(folder: &Path, packages: &[&str]) -> anyhow::Result<()> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (Some(target), true) = (folder.parent(), sources.join("Cargo.toml").is_file()) else {
        bail!("the programs of {} are not beside this one", packages.join(", "));
    };
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let mut cargo = Command::new("cargo");
    cargo.current_dir(sources).args(["build", "--bins", "--profile", profile, "--target-dir"]);
    cargo.arg(target);
    for package in packages {
        cargo.args(["-p", package]);
    }
    tracing::info!(?packages, "are built");
    let status = cargo.status().context("cargo, which is to build the programs, is not there")?;
    ensure!(status.success(), "the programs could not be built");
    Ok(())
}
