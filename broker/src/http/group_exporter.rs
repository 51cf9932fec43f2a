//! What is read off the groups when somebody asks, under the names of `kafka_exporter`.

use super::exporter::{Gauge, escape};
use crate::group::shard::command::{Command, Overview};
use crate::node::Node;

/// Partitions of groups that are listed one by one; beyond that, only the sums.
const PARTITIONS_MAX: usize = 20_000;

/// A group with a longer name is left out: each of its lines would bear it.
const NAME_LEN_MAX: usize = 1024;

struct Gauges {
    members: Gauge,
    offset: Gauge,
    lag: Gauge,
    lag_sum: Gauge,
}

/// Asks all groups. Those that cannot tell now are left out.
pub(super) async fn text(node: &Node) -> String {
    let mut groups = Vec::new();
    for asked in node.groups.shards.ask_all(Command::Overview).await {
        groups.extend(asked.answer().await.unwrap_or_default());
    }
    groups.retain(|group| group.group.len() <= NAME_LEN_MAX);
    groups.sort_unstable_by(|one, other| one.group.as_str().cmp(&other.group));
    let counts = groups.iter().flat_map(|group| group.offsets.values()).map(|it| it.len());
    let lists_partitions = counts.sum::<usize>() <= PARTITIONS_MAX;
    let mut gauges = Gauges {
        members: Gauge::new("kafka_consumergroup_members", "Members of a group"),
        offset: Gauge::new("kafka_consumergroup_current_offset", "What a group has committed"),
        lag: Gauge::new("kafka_consumergroup_lag", "Records that a group has yet to read"),
        lag_sum: Gauge::new("kafka_consumergroup_lag_sum", "The same for a whole topic"),
    };
    for group in &groups {
        gauges.add(node, group, lists_partitions);
    }
    let Gauges { members, offset, lag, lag_sum } = gauges;
    [members, offset, lag, lag_sum].map(|gauge| gauge.text).concat()
}

impl Gauges {
    fn add(&mut self, node: &Node, group: &Overview, lists_partitions: bool) {
        let name = escape(&group.group);
        self.members.line(&format!("{{consumergroup=\"{name}\"}}"), group.members);
        for (topic, partitions) in &group.offsets {
            let Some(found) = node.topics.by_name(topic) else { continue };
            let labels = format!("consumergroup=\"{name}\",topic=\"{}\"", escape(topic));
            let mut lag_sum = 0i64;
            for (index, committed) in partitions {
                let Some(partition) = found.partition(*index) else { continue };
                let end = partition.offsets().high_watermark.get();
                let lag = end.saturating_sub(committed.offset).max(0);
                lag_sum = lag_sum.saturating_add(lag);
                if lists_partitions {
                    let labels = format!("{{{labels},partition=\"{index}\"}}");
                    self.offset.line(&labels, committed.offset);
                    self.lag.line(&labels, lag);
                }
            }
            self.lag_sum.line(&format!("{{{labels}}}"), lag_sum);
        }
    }
}
