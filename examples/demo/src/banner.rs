//! What a demo says once it is there.

use std::io::{self, Write as _};
use std::path::Path;

use crate::record::Record;

/// Prints where everything is.
pub(crate) fn print(record: &Record, folder: Option<&Path>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let url = &record.url;
    writeln!(out, "the demo is ready: {url}")?;
    for (path, what) in [
        ("/chat", "rooms, over three instances"),
        ("/dm", "direct messages, over three pods"),
        ("/unsent", "who wrote to me while I was away"),
    ] {
        writeln!(out, "  {url}{path:<9} {what}")?;
    }
    writeln!(out, "  {:<31} Kafka's protocol: kcat -L -b {0}", record.kafka)?;
    for instance in &record.instances {
        let place = instance.address.map(|address| address.to_string()).unwrap_or_default();
        let pid = instance.pid.map(|pid| format!("process {pid}")).unwrap_or_default();
        writeln!(out, "    {:<16} {:<16} {place:<22} {pid}", instance.name, instance.kind)?;
    }
    if let Some(folder) = folder {
        writeln!(out, "  data and logs in {}", folder.display())?;
    }
    writeln!(out, "Ctrl-C ends it.")?;
    out.flush()
}
