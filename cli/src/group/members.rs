//! `klamm group members`.

use std::collections::BTreeMap;

use klamm_client::admin::GroupMember;
use serde::Serialize;

use super::describe_all;
use crate::connect::ConnectArgs;
use crate::failure::Failure;
use crate::output::{OutputArgs, Row, or_dash};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Their names
    #[arg(required = true, value_name = "GROUP")]
    groups: Vec<String>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    connection: ConnectArgs,
}

/// A member, for people beside its group; the names of the fields are a promise to scripts.
#[derive(Debug, Serialize)]
pub(super) struct MemberRow {
    group: String,
    member: String,
    instance: Option<String>,
    client: String,
    host: String,
    /// Partitions by topic; none where the members are no consumers.
    assignment: Option<BTreeMap<String, Vec<i32>>>,
}

impl MemberRow {
    pub(super) fn new(group: &str, member: &GroupMember) -> Self {
        let assignment = member.assignment.as_ref().map(|assigned| {
            let mut topics = BTreeMap::<_, Vec<_>>::new();
            for (topic, partition) in assigned {
                topics.entry(topic.to_string()).or_default().push(*partition);
            }
            topics
        });
        Self {
            group: group.to_owned(),
            member: member.id.to_string(),
            instance: member.instance_id.as_ref().map(ToString::to_string),
            client: member.client_id.to_string(),
            host: member.host.strip_prefix('/').unwrap_or(&member.host).to_owned(),
            assignment,
        }
    }

    /// As `topic:0,1 other:2`.
    fn assigned(&self) -> String {
        let topic = |(topic, partitions): (&String, &Vec<i32>)| {
            let partitions: Vec<_> = partitions.iter().map(ToString::to_string).collect();
            format!("{topic}:{}", partitions.join(","))
        };
        let topics: Vec<_> = self.assignment.iter().flatten().map(topic).collect();
        if topics.is_empty() { "-".to_owned() } else { topics.join(" ") }
    }
}

impl Row for MemberRow {
    const HEADINGS: &'static [&'static str] =
        &["GROUP", "MEMBER", "INSTANCE", "CLIENT", "HOST", "PARTITIONS"];
    const MORE_HEADINGS: &'static [&'static str] = &["ASSIGNMENT"];

    fn cells(&self) -> Vec<String> {
        let count = |topics: &BTreeMap<_, Vec<_>>| topics.values().map(Vec::len).sum::<usize>();
        vec![
            self.group.clone(),
            self.member.clone(),
            or_dash(self.instance.as_ref()),
            self.client.clone(),
            self.host.clone(),
            or_dash(self.assignment.as_ref().map(count)),
        ]
    }

    fn more_cells(&self) -> Vec<String> {
        vec![self.assigned()]
    }
}

pub(super) async fn run(args: Args) -> anyhow::Result<()> {
    let admin = args.connection.connect().await?.admin();
    let (groups, failures) = describe_all(&admin, &args.groups).await?;
    let row = |group: &klamm_client::admin::GroupDescription| {
        let rows = group.members.iter().map(|member| MemberRow::new(&group.id, member));
        rows.collect::<Vec<_>>()
    };
    let rows: Vec<_> = groups.iter().flat_map(row).collect();
    args.output.print(&rows)?;
    Ok(Failure::unless_all(failures, args.groups.len())?)
}
