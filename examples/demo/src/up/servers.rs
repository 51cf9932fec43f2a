//! The servers of others, in the data folder: PostgreSQL, two of Redis.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use rustix::process::Signal;

use super::process::{NOBODY, Ready, Spec, is_root};
use super::programs::{INITDB, POSTGRES, REDIS};

/// The database's superuser, and the database.
pub(super) const POSTGRES_USER: &str = "postgres";
pub(super) const POSTGRES_DATABASE: &str = "chat_db";

/// PostgreSQL with its data in `folder`, which is prepared if it is empty. It refuses to run as
/// root, and runs as nobody then.
pub(super) fn postgres(folder: &Path, at: SocketAddr, password: &str) -> anyhow::Result<Spec> {
    let mut spec = Spec::new("postgres", "database", POSTGRES.find()?)
        .arguments(["-D".into(), folder.as_os_str().to_owned()])
        .arguments(["-h", "127.0.0.1", "-p", &at.port().to_string()])
        .arguments(["-c", "unix_socket_directories=", "-c", "max_connections=200"])
        .at(at, Ready::Listens);
    // To end without waiting for the clients to do so.
    spec.farewell = Signal::INT;
    spec.humble = true;
    if !folder.join("PG_VERSION").is_file() {
        prepare(&spec, folder, password)?;
    }
    Ok(spec)
}

fn prepare(postgres: &Spec, folder: &Path, password: &str) -> anyhow::Result<()> {
    tracing::info!("the database is prepared");
    fs::create_dir_all(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    if is_root() {
        chown(folder, Some(NOBODY), Some(NOBODY))?;
    }
    let like = |program: &Path| Spec {
        program: program.to_owned(),
        arguments: Vec::new(),
        ..postgres.clone()
    };
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(password.as_bytes())?;
    if is_root() {
        chown(file.path(), Some(NOBODY), Some(NOBODY))?;
    }
    let password = format!("--pwfile={}", file.path().display());
    let initdb = like(&INITDB.find()?).arguments([
        "--username=postgres",
        "--auth=scram-sha-256",
        &password,
        "--encoding=UTF8",
        "--locale=C",
        "--no-sync",
        "-D",
    ]);
    feed(&initdb.arguments([folder]), "").with_context(|| {
        format!("initdb failed in {}; others must be able to enter its parents", folder.display())
    })?;
    let single = like(&postgres.program).arguments(["--single", "-D"]).arguments([folder]);
    let create = format!("CREATE DATABASE {POSTGRES_DATABASE};\n");
    feed(&single.arguments([POSTGRES_USER]), &create).context("the database was not created")
}

/// Runs a program to its end, with `input` as all that it reads.
fn feed(spec: &Spec, input: &str) -> anyhow::Result<()> {
    let mut command: Command = spec.command().into_std();
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().context("the program has no input")?;
    match stdin.write_all(input.as_bytes()) {
        // What it had to say of it comes on its standard error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => drop(stdin),
    }
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{} failed: {said}", spec.program.display());
    Ok(())
}

/// Redis that keeps nothing on disk: what is in it can be computed anew from the log.
pub(super) fn redis(name: &str, at: SocketAddr) -> anyhow::Result<Spec> {
    let spec = Spec::new(name, "redis", REDIS.find()?);
    Ok(spec.arguments(redis_arguments(at)).at(at, Ready::Listens))
}

/// The auxiliary of `master`: its replica, to which can be written as well.
pub(super) fn redis_replica(name: &str, at: SocketAddr, of: SocketAddr) -> anyhow::Result<Spec> {
    let master = format!("{} {}", of.ip(), of.port());
    let spec = redis(name, at)?;
    Ok(spec.arguments(["--replicaof", &master, "--replica-read-only", "no"]))
}

fn redis_arguments(at: SocketAddr) -> Vec<String> {
    let port = at.port().to_string();
    let arguments = [
        "--port",
        &port,
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--appendonly",
        "no",
        "--dir",
        "/tmp",
    ];
    arguments.map(str::to_owned).to_vec()
}
