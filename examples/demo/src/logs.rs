//! `demo logs` and `demo status`.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

use crate::record::Folder;

/// How often is looked for more.
const LOOK: Duration = Duration::from_millis(200);

/// Prints the log of the service `name`, and goes on with what comes if `follow` says so.
///
/// # Errors
/// There is no such log.
pub async fn logs(data: PathBuf, name: &str, follow: bool) -> anyhow::Result<()> {
    let folder = Folder::new(data).logs();
    let mut names: Vec<_> = fs::read_dir(&folder)
        .with_context(|| format!("there are no logs in {}", folder.display()))?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".log").map(str::to_owned))
        .collect();
    names.sort();
    if !names.iter().any(|known| known == name) {
        bail!("{name} has no log; there are {}", names.join(", "));
    }
    let mut file = File::open(folder.join(format!("{name}.log")))?;
    loop {
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let mut out = io::stdout().lock();
        out.write_all(&text)?;
        out.flush()?;
        drop(out);
        if !follow {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Prints what runs.
///
/// # Errors
/// Nothing has ever run in `data`.
pub fn status(data: PathBuf) -> anyhow::Result<()> {
    let folder = Folder::new(data);
    let record = folder.record()?;
    let mut out = io::stdout().lock();
    if !folder.is_taken()? {
        writeln!(out, "nothing runs in {}", folder.path().display())?;
        return Ok(());
    }
    writeln!(out, "{} (process {})", record.url, record.pid)?;
    for instance in &record.instances {
        let place = instance.address.map(|address| address.to_string()).unwrap_or_default();
        let state = instance.pid.map_or("has ended".to_owned(), |pid| format!("process {pid}"));
        writeln!(out, "  {:<16} {:<16} {place:<22} {state}", instance.name, instance.kind)?;
    }
    Ok(())
}
