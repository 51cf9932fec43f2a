//! The broker as a process of its own, so that its memory is its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// A broker on a folder that goes with it.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    address: String,
    _folder: TempDir,
}

impl Server {
    /// Starts one that looks for something to compact every second.
    pub(crate) fn start(binary: Option<&Path>) -> Result<Self> {
        let binary = binary.map_or_else(beside_this_program, |path| Ok(path.to_owned()))?;
        let folder = tempfile::tempdir()?;
        let mut process = Command::new(&binary)
            .args(["serve", "-o", "json", "--listen", "127.0.0.1:0", "--http-listen", ""])
            .args(["-X", "log.cleaner.backoff.ms=1000"])
            .env("KLAMM_LOG", "warn")
            .arg("--data-dir")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", binary.display()))?;
        let stdout = process.stdout.take().context("its output is piped")?;
        let mut banner = String::new();
        BufReader::new(stdout).read_line(&mut banner)?;
        let banner: serde_json::Value =
            serde_json::from_str(&banner).context("the broker did not say that it is ready")?;
        let address = banner["bootstrap"].as_str().context("its banner names no address")?;
        Ok(Self { address: address.to_owned(), process, _folder: folder })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The most memory it had since it was started.
    pub(crate) fn peak_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).context("no VmHWM")?;
        Ok(kib.parse::<f64>()? / 1024.0)
    }
}

impl Drop for Server {
    /// What it holds is not looked at any more.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn beside_this_program() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("klamm");
    anyhow::ensure!(path.exists(), "{} is missing: build klamm as well", path.display());
    Ok(path)
}
