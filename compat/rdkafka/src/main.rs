//! Runs every feature with the `rdkafka` crate and prints, one line each,
//! `feature TAB ok|FAIL TAB detail`. Arguments: address, address through the proxy, topic prefix.

mod clients;
mod features;

use anyhow::{Context, Result};
use clients::Clients;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = |name| args.next().with_context(|| format!("{name} is missing"));
    let direct = Clients::new(&next("the broker's address")?);
    let proxied = Clients::new(&next("the proxy's address")?);
    let prefix = next("the prefix of the topics")?;

    report("topics made, described, deleted", features::topics(&direct, &prefix));
    report("a topic made by asking for it", features::auto_create(&direct, &prefix));
    report("an unknown topic is an error", features::unknown_topic(&direct));
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let outcome = features::compression(&direct, &prefix, codec);
        report(&format!("produce and consume, {codec}"), outcome);
    }
    report("keys, headers, nulls, timestamps", features::record_fields(&direct, &prefix));
    report("seek by offset", features::seek_by_offset(&direct, &prefix));
    report("seek by time", features::seek_by_time(&direct, &prefix));
    report("earliest and latest", features::earliest_latest(&direct, &prefix));
    report("a message near the limit", features::big(&direct, &prefix));
    report("a message over the limit", features::too_large(&direct, &prefix));
    report("idempotent retry through cuts", features::through_cuts(&direct, &proxied, &prefix));
    Ok(())
}

fn report(name: &str, outcome: Result<()>) {
    match outcome {
        Ok(()) => println!("{name}\tok\t"),
        Err(error) => println!("{name}\tFAIL\t{}", format!("{error:#}").replace(['\n', '\t'], " ")),
    }
}
