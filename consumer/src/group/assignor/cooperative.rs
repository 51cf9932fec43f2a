//! The sticky assignor for groups that go on reading while they rebalance (KIP-429).

use std::collections::HashMap;

use super::sticky::{self, Claim};
use super::{Member, Plan, Topics, user_data};
use crate::assignment::Place;

/// Assigns as [`sticky`] does, but gives nobody what another member has not given up yet: that
/// one gives it up when it sees its assignment, and joins again.
pub(super) fn assign(members: &[&Member], topics: &Topics) -> Plan {
    let claim = |member: &&Member| {
        let generation = match member.generation {
            -1 => user_data::cooperative_generation(member),
            generation => generation,
        };
        Claim { places: member.owned.clone(), generation }
    };
    let claims: Vec<_> = members.iter().map(claim).collect();
    let mut plan = sticky::assign(members, topics, &claims);
    let mut holders = HashMap::<&Place, Vec<&Member>>::new();
    for member in members {
        for place in &member.owned {
            holders.entry(place).or_default().push(member);
        }
    }
    for (id, places) in &mut plan {
        places.retain(|place| match holders.get(place) {
            Some(holders) => holders.iter().any(|holder| holder.id == *id),
            None => true,
        });
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::super::properties::{check, member, owns};
    use klamm_client::config::Assignor::CooperativeSticky;

    #[test]
    fn what_is_not_given_up_is_not_given_away() {
        let members = [owns(member("a", "t"), 1, "t0 t1 t2"), member("b", "t")];
        check(CooperativeSticky, &members, "t4", "a: t0 t1; b: t3");
        let members = [owns(member("a", "t"), 2, "t0 t1"), owns(member("b", "t"), 2, "t3")];
        check(CooperativeSticky, &members, "t4", "a: t0 t1; b: t2 t3");
    }

    #[test]
    fn a_stale_claim_delays_but_does_not_win() {
        let members = [owns(member("a", "t"), 3, "t0"), owns(member("b", "t"), 4, "t0 t1")];
        check(CooperativeSticky, &members, "t2", "a:; b: t0");
    }
}
