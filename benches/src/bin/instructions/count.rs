//! Counting with valgrind: the same figure whatever else the machine does.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

/// The function within which instructions are counted: see `paths::counted`.
const COUNTED: &str = "--toggle-collect=*instructions::paths::counted*";
/// Valgrind shows programs a processor for which the C library copies with `rep movsb`, and counts
/// each byte that this copies as an instruction. Without it, copies count as what they are.
const TUNABLES: &str = "glibc.cpu.hwcaps=-ERMS,-FSRM";

/// Whether valgrind can be run.
pub(crate) fn is_possible() -> bool {
    let version = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Counts the instructions of this program when it is run with these arguments.
pub(crate) fn count(arguments: &[&str]) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    let out = folder.path().join("callgrind.out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--collect-atstart=no", COUNTED])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe()?)
        .args(arguments)
        .env("GLIBC_TUNABLES", TUNABLES)
        .stdin(Stdio::null())
        .output()
        .context("valgrind cannot be run")?;
    if !output.status.success() {
        bail!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    let total = total(&out)?;
    ensure!(total > 0, "nothing was counted: is `{COUNTED}` still the function's name?");
    Ok(total)
}

/// The sum that stands in a file of callgrind's.
fn total(out: &Path) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(out).context("callgrind has left no file")?;
    let line = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = line.context("callgrind's file has no totals")?;
    total.trim().parse().context("callgrind's totals are no number")
}
