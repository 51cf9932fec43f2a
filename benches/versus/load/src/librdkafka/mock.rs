//! `mock`: librdkafka's mock cluster as a broker that stores nothing to speak of. What a client
//! reaches with it is the client's own ceiling.

use std::io::Read as _;

use anyhow::{Context as _, Result, anyhow};
use clap::Args as ClapArgs;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::report::Report;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// How many brokers
    #[arg(long, default_value_t = 1)]
    nodes: i32,
    /// A topic, NAME:PARTITIONS; may be repeated. The mock does not create any when it is asked to:
    /// use `--no-create` with it
    #[arg(long = "topic", value_parser = name_and_partitions)]
    topics: Vec<(String, i32)>,
}

/// Tells where the mock listens, and runs it until the standard input ends.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mock = MockCluster::<DefaultProducerContext>::new(args.nodes)?;
    for (name, partitions) in &args.topics {
        mock.create_topic(name, *partitions, 1)?;
    }
    let mut report = Report::new("mock");
    report.put("broker", mock.bootstrap_servers());
    report.put("pid", std::process::id());
    println!("{report}");
    std::io::stdin().read_to_end(&mut Vec::new()).context("the standard input failed")?;
    Ok(())
}

fn name_and_partitions(text: &str) -> Result<(String, i32)> {
    let (name, count) =
        text.split_once(':').ok_or_else(|| anyhow!("it must be NAME:PARTITIONS"))?;
    Ok((name.to_owned(), count.parse()?))
}
