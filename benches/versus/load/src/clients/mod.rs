//! `clients`: our crates beside librdkafka, with the same settings, records and broker, in turns.

mod arrivals;
mod cell;
mod klamm;
mod librdkafka;
mod table;

use anyhow::{Result, ensure};
use clap::{Args as ClapArgs, ValueEnum};
use rustix::process::getpid;

use crate::args::{self, Target};
use crate::topic;
use cell::{Cell, Direction, Measured};
use table::Table;

#[derive(ClapArgs)]
pub(crate) struct Args {
    #[command(flatten)]
    broker: args::Broker,
    /// Rounds; in each, each client does each cell, and the first in one is the second in the next
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Bytes of values that a cell moves, in MB
    #[arg(long, default_value_t = 500)]
    megabytes: u64,
    /// Seconds that latencies are measured for
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Bytes at which both clients send a batch without waiting
    #[arg(long, default_value_t = 65536)]
    batch_size: usize,
    /// Only cells whose name contains this, such as `consume` or `produce 100 B`
    #[arg(long, default_value = "")]
    only: String,
    /// Only this client
    #[arg(long, value_enum)]
    client: Option<Client>,
}

/// Who is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Client {
    /// klamm-producer and klamm-consumer
    Klamm,
    /// librdkafka by the crate rdkafka
    Librdkafka,
}

impl Client {
    const BOTH: [Self; 2] = [Self::Klamm, Self::Librdkafka];

    fn name(self) -> &'static str {
        match self {
            Self::Klamm => "klamm",
            Self::Librdkafka => "librdkafka",
        }
    }

    fn measure(self, cell: &Cell) -> Result<Measured> {
        match (self, cell.direction) {
            (Self::Klamm, Direction::Produce) => klamm::produce(cell),
            (Self::Klamm, Direction::Consume) => klamm::consume(cell),
            (Self::Klamm, Direction::EndToEnd) => klamm::end_to_end(cell),
            (Self::Librdkafka, Direction::Produce) => librdkafka::produce(cell),
            (Self::Librdkafka, Direction::Consume) => librdkafka::consume(cell),
            (Self::Librdkafka, Direction::EndToEnd) => librdkafka::end_to_end(cell),
        }
    }
}

/// Prints the medians of both and their ratios.
pub(crate) fn run(args: &Args) -> Result<()> {
    let cells: Vec<Cell> =
        Cell::all(args).into_iter().filter(|cell| cell.name().contains(&args.only)).collect();
    ensure!(!cells.is_empty(), "no cell's name contains {:?}", args.only);
    let mut table = Table::default();
    for round in 0..args.rounds {
        for cell in &cells {
            topic::prepare(&cell.target)?;
            fill(cell)?;
            for turn in 0..Client::BOTH.len() {
                let client = Client::BOTH[(turn + round) % Client::BOTH.len()];
                if args.client.is_some_and(|only| only != client) {
                    continue;
                }
                let measured = client.measure(cell)?;
                eprintln!("round {} {} {}: {measured}", round + 1, cell.name(), client.name());
                table.add(cell, client, measured);
            }
            klamm::delete_topic(cell)?;
        }
    }
    print!("{table}");
    Ok(())
}

/// Sees to it that there is what is to be consumed.
fn fill(cell: &Cell) -> Result<()> {
    if cell.direction != Direction::Consume {
        return Ok(());
    }
    let end: i64 = topic::offsets(&cell.target, topic::Spot::End)?.iter().sum();
    if u64::try_from(end)? < cell.records {
        klamm::produce(&Cell { direction: Direction::Produce, ..cell.clone() })?;
    }
    Ok(())
}

/// The partition of the record with this number: so many go to one before it is the next one's turn.
fn partition(number: u64, partitions: u64) -> i32 {
    const RUN: u64 = 16;
    i32::try_from(number / RUN % partitions).unwrap_or(0)
}

/// The topic of a cell: one for each process, so that nothing of an earlier run is in it.
fn target(broker: &args::Broker, cell: &str, partitions: i32) -> Target {
    let name = format!("clients-{}-{cell}", getpid().as_raw_nonzero());
    let topic = args::Topic {
        name,
        partitions,
        replication: 1,
        create_config: Vec::new(),
        no_create: false,
    };
    Target { broker: broker.clone(), topic }
}
