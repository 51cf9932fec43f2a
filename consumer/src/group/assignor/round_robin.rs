//! One partition after the other, to one member after the other.

use std::collections::BTreeSet;

use klamm_protocol::wire::Str;

use super::{Member, Plan, Topics, numbers};

/// Deals the partitions of all topics out in turns. Whoever does not subscribe to a topic is
/// passed over.
pub(super) fn assign(members: &[&Member], topics: &Topics) -> Plan {
    let wanted: BTreeSet<&Str> = members.iter().flat_map(|member| &member.topics).collect();
    let mut plan = Plan::new();
    let mut turns = members.iter().cycle().peekable();
    for topic in wanted {
        for partition in topics.get(topic).into_iter().flat_map(|found| numbers(found)) {
            // Somebody subscribes to the topic, so that this ends within one round.
            while turns.next_if(|member| !member.topics.contains(topic)).is_some() {}
            if let Some(member) = turns.next() {
                plan.entry(member.id.clone()).or_default().push((topic.clone(), partition));
            }
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::super::properties::{check, member};
    use klamm_client::config::Assignor::RoundRobin;

    #[test]
    fn partitions_are_dealt_in_turns() {
        check(
            RoundRobin,
            &[member("a", "t u"), member("b", "t u")],
            "t3 u3",
            "a: t0 t2 u1; b: t1 u0 u2",
        );
        // Kafka's own example of members with different topics.
        let members = [member("a", "t"), member("b", "t u"), member("c", "t u v")];
        check(RoundRobin, &members, "t1 u2 v3", "a: t0; b: u0; c: u1 v0 v1 v2");
        check(RoundRobin, &[member("a", "gone")], "t1", "a:");
    }
}
