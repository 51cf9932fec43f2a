//! Taking members out of groups, and groups away.

use klamm_protocol::api::delete_groups::{self, DeleteGroups};
use klamm_protocol::api::leave_group::{self, LeaveGroup};
use klamm_protocol::wire::Str;

use crate::admin::{Admin, Effect, Outcomes};
use crate::answer::Answer;
use crate::connection::Connection;
use crate::error::{Result, Subject};

/// Which member has to go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Departure {
    /// The one with this member id.
    Member(Str),
    /// The static member with this instance id.
    Instance(Str),
}

/// The version from which one request may be about many members.
const MANY_MEMBERS_FROM: i16 = 3;

impl Departure {
    fn to_wire(&self) -> leave_group::Member {
        let (member_id, group_instance_id) = match self {
            Self::Member(id) => (id.clone(), None),
            Self::Instance(id) => (Str::default(), Some(id.clone())),
        };
        let reason = Some(Str::from_static("removed by an administrator"));
        leave_group::Member { member_id, group_instance_id, reason }
    }
}

impl Admin {
    /// Removes groups and all that they have committed. They must have no members.
    ///
    /// # Errors
    /// No broker answers.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may be carried out nevertheless, in whole or in part.
    pub async fn delete_groups(&self, groups: &[Str]) -> Result<Outcomes<Str, ()>> {
        self.by_coordinator(groups, Effect::Changes, async |node, groups| {
            let request = delete_groups::Request { groups_names: groups };
            let Answer { body, origin } = self.kafka.call::<DeleteGroups>(node, &request).await?;
            let deleted = body.results.into_iter().map(|group| {
                let subject = Subject::Name(group.group_id.clone());
                (group.group_id, origin.check(group.error_code, None, subject))
            });
            Ok(deleted.collect())
        })
        .await
    }

    /// Takes members out of a group; the others share their partitions. One that is alive comes
    /// back by itself.
    ///
    /// # Errors
    /// No broker answers, or the group may not be changed.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may be carried out nevertheless, in whole or in part.
    pub async fn remove_members(
        &self,
        group: &Str,
        members: &[Departure],
    ) -> Result<Outcomes<Departure, ()>> {
        self.by_coordinator_of(group, Effect::Changes, async |node| {
            let connection = self.kafka.broker(node).await?;
            let version = connection.version::<LeaveGroup>(i16::MAX)?;
            if version >= MANY_MEMBERS_FROM {
                return remove_all(&connection, version, group, members).await;
            }
            let mut outcomes = Vec::with_capacity(members.len());
            for departure in members {
                let gone = remove_one(&connection, version, group, departure).await;
                outcomes.push((departure.clone(), gone));
            }
            Ok(outcomes)
        })
        .await
    }
}

async fn remove_all(
    connection: &Connection,
    version: i16,
    group: &Str,
    members: &[Departure],
) -> Result<Outcomes<Departure, ()>> {
    let request = leave_group::Request {
        group_id: group.clone(),
        members: members.iter().map(Departure::to_wire).collect(),
        ..leave_group::Request::default()
    };
    let pending = connection.submit::<LeaveGroup>(version, &request).await?;
    let Answer { body, origin } = pending.answer().await?;
    origin.check(body.error_code, None, Subject::Name(group.clone()))?;
    let gone = body.members.into_iter().map(|member| {
        let departure = match member.group_instance_id {
            Some(id) => Departure::Instance(id),
            None => Departure::Member(member.member_id),
        };
        let (Departure::Instance(name) | Departure::Member(name)) = &departure;
        let outcome = origin.check(member.error_code, None, Subject::Name(name.clone()));
        (departure, outcome)
    });
    Ok(gone.collect())
}

/// As brokers before Kafka 2.4 have it, which know static members not at all or by member id.
async fn remove_one(
    connection: &Connection,
    version: i16,
    group: &Str,
    departure: &Departure,
) -> Result<()> {
    let (Departure::Member(id) | Departure::Instance(id)) = departure;
    let request = leave_group::Request {
        group_id: group.clone(),
        member_id: id.clone(),
        ..leave_group::Request::default()
    };
    let answer = connection.submit::<LeaveGroup>(version, &request).await?.answer().await?;
    answer.origin.check(answer.body.error_code, None, Subject::Name(id.clone()))
}

#[cfg(test)]
mod tests {
    use klamm_broker::Broker;
    use klamm_protocol::error_code::ErrorCode;

    use super::*;
    use crate::{ClientConfig, Kafka};

    #[tokio::test]
    async fn old_versions_remove_one_by_one() {
        let broker = Broker::builder().ephemeral().start().await.unwrap();
        let kafka = Kafka::connect(ClientConfig::new(&broker.bootstrap())).await.unwrap();
        let group = Str::from("g");
        let nobody = Departure::Member("m".into());
        // Which also makes the coordinator known.
        let newest = kafka.admin().remove_members(&group, std::slice::from_ref(&nobody)).await;
        let newest = newest.unwrap().remove(0).1.unwrap_err();
        let connection = kafka.any_broker().await.unwrap();
        let oldest = remove_one(&connection, 0, &group, &nobody).await.unwrap_err();
        assert_eq!(newest.code(), Some(ErrorCode::UNKNOWN_MEMBER_ID));
        assert_eq!(oldest.code(), newest.code());
        broker.stop().await;
    }
}
