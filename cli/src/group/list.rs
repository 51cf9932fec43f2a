//! `klamm group list`.

use klamm_client::admin::ListedGroup;
use klamm_protocol::wire::Str;
use serde::Serialize;

use crate::connect::ConnectArgs;
use crate::failure::Failure;
use crate::output::{OutputArgs, Row};

/// What a group may be doing, as brokers name it.
const STATES: [&str; 8] = [
    "PreparingRebalance",
    "CompletingRebalance",
    "Stable",
    "Empty",
    "Dead",
    "Assigning",
    "Reconciling",
    "NotReady",
];
/// What kinds of groups there are, as brokers name them.
const TYPES: [&str; 4] = ["Classic", "Consumer", "Share", "Streams"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only groups in these states, such as stable or empty
    #[arg(long = "state", value_name = "STATE,...", value_delimiter = ',')]
    #[arg(value_parser = |text: &str| name(text, &STATES))]
    states: Vec<Str>,
    /// Only groups of these types: classic, consumer, share, streams
    #[arg(long = "type", value_name = "TYPE,...", value_delimiter = ',')]
    #[arg(value_parser = |text: &str| name(text, &TYPES))]
    kinds: Vec<Str>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

#[derive(Debug, Serialize)]
struct Listed {
    group: String,
    state: Option<String>,
    r#type: Option<String>,
    protocol_type: String,
    coordinator: i32,
}

impl Listed {
    fn new(group: ListedGroup) -> Self {
        let told = |text: String| (!text.is_empty()).then_some(text);
        Self {
            group: group.id.to_string(),
            state: told(group.state.to_string()),
            r#type: told(group.kind.to_string()),
            protocol_type: group.protocol_type.to_string(),
            coordinator: group.coordinator,
        }
    }
}

impl Row for Listed {
    const HEADINGS: &'static [&'static str] = &["GROUP", "STATE", "PROTOCOL"];
    const MORE_HEADINGS: &'static [&'static str] = &["TYPE", "COORDINATOR"];

    fn cells(&self) -> Vec<String> {
        let or_dash = |text: Option<&String>| text.map_or("-", String::as_str).to_owned();
        let protocol = Some(&self.protocol_type).filter(|text| !text.is_empty());
        vec![self.group.clone(), or_dash(self.state.as_ref()), or_dash(protocol)]
    }

    fn more_cells(&self) -> Vec<String> {
        vec![self.r#type.clone().unwrap_or_else(|| "-".into()), self.coordinator.to_string()]
    }
}

/// One of these names, in letters of any case. Brokers list nothing for any other, and old ones
/// compare by case.
fn name(text: &str, names: &[&'static str]) -> Result<Str, String> {
    let name = names.iter().find(|name| name.eq_ignore_ascii_case(text));
    name.map(|name| Str::from_static(name)).ok_or_else(|| format!("expected {}", names.join(", ")))
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = args.connection.connect().await?.admin();
    let outcomes = admin.list_groups(&args.states, &args.kinds).await?;
    let (mut groups, mut failures, of) = (Vec::new(), Vec::new(), outcomes.len());
    for (broker, outcome) in outcomes {
        match outcome {
            Ok(listed) => groups.extend(listed),
            Err(error) => failures.push((format!("broker {broker}"), error)),
        }
    }
    groups.sort_by(|one, other| one.id.cmp(&other.id));
    let rows: Vec<_> = groups.into_iter().map(Listed::new).collect();
    args.output.print(&rows)?;
    Ok(Failure::unless_all(failures, of)?)
}
