//! What is planned, and what is refused: codes and texts are those of Kafka 4.3.

use std::collections::BTreeMap;

use klamm_protocol::error_code::ErrorCode;
use proptest::prelude::*;

use super::{id, plan, topic, with_configs};
use crate::catalog::snapshot::{self, Moment};
use crate::catalog::{ConfigChange, ConfigOperation, Image, NewTopic, Planner, Refusal, Resource};

/// A cluster with topic `dup`, of three partitions, and topic `a.b`.
fn cluster() -> Image {
    let made = plan(&Image::default(), |planner| {
        planner.create_topic(&NewTopic { partitions: 3, ..topic("dup") }, id(1)).map(drop)?;
        planner.create_topic(&topic("a.b"), id(2)).map(drop)
    });
    assert_eq!(made.0, Ok(()));
    made.1
}

fn check_refused(
    change: impl FnOnce(&mut Planner<'_>) -> Result<(), Refusal>,
    code: ErrorCode,
    message: &str,
) {
    let before = cluster();
    let (result, after, records) = plan(&before, change);
    assert_eq!(result, Err(Refusal::new(code, message)));
    assert_eq!((after, records.len()), (before, 0), "a refusal plans nothing");
}

fn refuse_topic(new: NewTopic, code: ErrorCode, message: &str) {
    check_refused(|planner| planner.create_topic(&new, id(3)).map(drop), code, message);
}

#[test]
fn topics_that_cannot_be_made() {
    let invalid = ErrorCode::INVALID_TOPIC_EXCEPTION;
    refuse_topic(topic("dup"), ErrorCode::TOPIC_ALREADY_EXISTS, "Topic 'dup' already exists.");
    refuse_topic(topic("a_b"), invalid, "Topic 'a_b' collides with existing topic: a.b");
    refuse_topic(topic("."), invalid, "Topic name is invalid: '.' is not allowed");
    let message = "Creation of internal topic __cluster_metadata is prohibited.";
    refuse_topic(topic("__cluster_metadata"), ErrorCode::INVALID_REQUEST, message);
    for partitions in [0, -2] {
        let message = "Number of partitions was set to an invalid non-positive value.";
        let new = NewTopic { partitions, ..topic("p") };
        refuse_topic(new, ErrorCode::INVALID_PARTITIONS, message);
    }
    let replicas = |replication_factor| NewTopic { replication_factor, ..topic("p") };
    let code = ErrorCode::INVALID_REPLICATION_FACTOR;
    for count in [0, -3] {
        let message = "Replication factor must be larger than 0, or -1 to use the default value.";
        refuse_topic(replicas(count), code, message);
    }
    let message = "Unable to replicate the partition 2 time(s): The target replication factor of \
                   2 cannot be reached because only 1 broker(s) are registered or some brokers \
                   have all their log directories cordoned.";
    refuse_topic(replicas(2), code, message);
    let many = NewTopic { partitions: 20_000, ..topic("many") };
    let message = "Excessively large number of partitions per request.";
    refuse_topic(many, ErrorCode::POLICY_VIOLATION, message);
}

#[test]
fn settings_that_no_topic_can_have() {
    let code = ErrorCode::INVALID_CONFIG;
    let refuse = |configs: &[(&str, &str)], message| {
        refuse_topic(with_configs("c", configs), code, message);
    };
    refuse(&[("foo", "1")], "Unknown topic config name: foo");
    let message = "Invalid value -5 for configuration segment.bytes: \
                   Value must be at least 1048576";
    refuse(&[("segment.bytes", "-5")], message);
    let null = NewTopic { configs: vec![("segment.ms".into(), None)], ..topic("c") };
    refuse_topic(null, code, "Null value not supported for topic configs: segment.ms");
}

#[test]
fn assignments_that_cannot_be() {
    let refuse = |assignments: &[(i32, &[i32])], message| {
        let owned = assignments.iter().map(|(index, replicas)| (*index, replicas.to_vec()));
        let new = NewTopic { assignments: owned.collect(), ..topic("m") };
        refuse_topic(new, ErrorCode::INVALID_REPLICA_ASSIGNMENT, message);
    };
    let unknown =
        "The manual partition assignment includes broker 2, but no such broker is registered.";
    refuse(&[(0, &[2])], unknown);
    refuse(&[(0, &[1]), (1, &[1, 2])], unknown);
    refuse(
        &[(0, &[1, 1])],
        "The manual partition assignment includes the broker 1 more than once.",
    );
    refuse(&[(0, &[])], "The manual partition assignment includes an empty replica list.");
    refuse(&[(1, &[1])], "partitions should be a consecutive 0-based integer sequence");
    let twice = "Found multiple manual partition assignments for partition 0";
    refuse(&[(0, &[1]), (0, &[1])], twice);
    let counted = NewTopic { partitions: 1, assignments: vec![(0, vec![1])], ..topic("m") };
    let message =
        "A manual partition assignment was specified, but numPartitions was not set to -1.";
    refuse_topic(counted, ErrorCode::INVALID_REQUEST, message);
}

#[test]
fn partitions_that_cannot_be_added() {
    let refuse = |count, assignments: Option<&[Vec<i32>]>, code, message: &str| {
        check_refused(
            |planner| planner.create_partitions("dup", count, assignments),
            code,
            message,
        );
    };
    let code = ErrorCode::INVALID_PARTITIONS;
    for count in [2, 0, -1] {
        let message = format!(
            "The topic dup currently has 3 partition(s); {count} would not be an increase."
        );
        refuse(count, None, code, &message);
    }
    refuse(3, None, code, "Topic already has 3 partition(s).");
    let code = ErrorCode::INVALID_REPLICA_ASSIGNMENT;
    let message =
        "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.";
    refuse(5, Some(&[vec![1]]), code, message);
    let message =
        "The manual partition assignment includes broker 7, but no such broker is registered.";
    refuse(4, Some(&[vec![7]]), code, message);
    check_refused(
        |planner| planner.create_partitions("nope", 2, None),
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        "This server does not host this topic-partition.",
    );
}

fn alter(operation: ConfigOperation, name: &str, value: Option<&str>) -> ConfigChange {
    ConfigChange { name: name.into(), operation, value: value.map(Into::into) }
}

#[test]
fn settings_that_cannot_be_changed() {
    use ConfigOperation::{Append, Set, Subtract};
    let refuse = |resource: &Resource, changes: &[ConfigChange], code, message: &str| {
        check_refused(|planner| planner.alter_configs(resource, changes), code, message);
    };
    let (dup, invalid) = (&Resource::Topic("dup".into()), ErrorCode::INVALID_CONFIG);
    let unlisted = "key retention.ms because its type is not LIST.";
    for (operation, word) in [(Append, "APPEND"), (Subtract, "SUBTRACT")] {
        let changes = [alter(operation, "retention.ms", Some("1"))];
        refuse(dup, &changes, invalid, &format!("Can't {word} to {unlisted}"));
    }
    let changes = [alter(Set, "foo", Some("1"))];
    refuse(dup, &changes, invalid, "Unknown topic config name: foo");
    let code = ErrorCode::INVALID_REQUEST;
    let changes = [alter(Set, "segment.bytes", None)];
    refuse(dup, &changes, code, "Null value not supported for : segment.bytes");
    let twice = [alter(Set, "retention.ms", Some("1")), alter(Set, "retention.ms", Some("2"))];
    refuse(dup, &twice, code, "Error due to duplicate config keys");
    let message = "The topic 'nope' does not exist.";
    refuse(&Resource::Topic("nope".into()), &[], ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message);
}

#[test]
fn settings_of_brokers_that_cannot_be_changed() {
    let refuse = |broker: Option<i32>, name: &str, value: &str, message: &str| {
        let changes = [alter(ConfigOperation::Set, name, Some(value))];
        let change =
            |planner: &mut Planner<'_>| planner.alter_configs(&Resource::Broker(broker), &changes);
        check_refused(change, ErrorCode::INVALID_REQUEST, message);
    };
    let message = "Cannot update these configs dynamically: [num.partitions]";
    refuse(Some(1), "num.partitions", "2", message);
    let message = "Cannot update these configs at default cluster level, broker id must be \
                   specified: [cordoned.log.dirs]";
    refuse(None, "cordoned.log.dirs", "/x", message);
    let message = "Invalid value abc for configuration num.io.threads: Not a number of type INT";
    refuse(None, "num.io.threads", "abc", message);
    let message = "These security configs can be dynamically updated only per-listener using the \
                   listener prefix: [ssl.keystore.location]";
    refuse(Some(1), "ssl.keystore.location", "/x", message);
}

#[test]
fn settings_change_as_asked() {
    use ConfigOperation::{Append, Delete, Set, Subtract};
    let mut image = cluster();
    let mut check = |operation, name: &str, value: Option<&str>, after: Option<&str>| {
        let changes = [alter(operation, name, value)];
        let change = |planner: &mut Planner<'_>| {
            planner.alter_configs(&Resource::Topic("dup".into()), &changes)
        };
        let (result, changed, _) = plan(&image, change);
        assert_eq!(result, Ok(()));
        assert_eq!(changed.topic("dup").unwrap().overrides.get(name), after);
        image = changed;
    };
    check(Set, "retention.ms", Some("100"), Some("100"));
    check(Delete, "retention.ms", None, None);
    check(Delete, "foo", None, None);
    check(Append, "cleanup.policy", Some("compact"), Some("delete,compact"));
    check(Append, "cleanup.policy", Some("compact"), Some("delete,compact"));
    check(Append, "cleanup.policy", Some(" delete , compact"), Some("delete,compact"));
    check(Subtract, "cleanup.policy", Some("delete"), Some("compact"));
    check(Subtract, "cleanup.policy", Some("compact"), Some(""));
    check(Append, "cleanup.policy", Some(""), Some(""));
}

#[test]
fn settings_of_every_resource_are_in_a_snapshot_and_leave_no_trace_when_taken_back() {
    let resources = [
        (Resource::Topic("dup".into()), "segment.ms", "7000"),
        (Resource::Broker(None), "log.retention.ms", "8000"),
        (Resource::Broker(Some(1)), "max.connections", "500"),
        (Resource::ClientMetrics("m".into()), "interval.ms", "9000"),
        (Resource::Group("g".into()), "consumer.session.timeout.ms", "50000"),
    ];
    let change_all = |image: Image, operation, text: fn(&'static str) -> Option<&'static str>| {
        resources.iter().fold(image, |image, (resource, name, value)| {
            let changes = [alter(operation, name, text(value))];
            let (result, changed, _) =
                plan(&image, |planner| planner.alter_configs(resource, &changes));
            assert_eq!(result, Ok(()), "{resource:?}");
            changed
        })
    };
    let set = change_all(cluster(), ConfigOperation::Set, Some);
    for (resource, name, value) in &resources {
        assert_eq!(set.settings(resource).get(*name).map(String::as_str), Some(*value));
    }
    let mut copied = Image::default();
    for record in set.to_records() {
        copied.apply(&record).unwrap();
    }
    assert_eq!(copied, set);
    assert_eq!(change_all(set, ConfigOperation::Delete, |_| None), cluster());
}

#[test]
fn the_older_form_replaces_all_settings() {
    let image = cluster();
    let replace = |image: &Image, pairs: &[(&str, &str)]| {
        let configs: Vec<_> =
            pairs.iter().map(|(name, value)| ((*name).into(), Some((*value).into()))).collect();
        let resource = Resource::Topic("dup".into());
        plan(image, |planner| planner.replace_configs(&resource, &configs)).1
    };
    let image = replace(&image, &[("retention.ms", "1"), ("segment.ms", "2")]);
    let image = replace(&image, &[("segment.ms", "3")]);
    let overrides = &image.topic("dup").unwrap().overrides;
    assert_eq!(overrides.iter().collect::<Vec<_>>(), [("segment.ms", "3")]);
}

#[test]
fn ten_thousand_partitions_are_one_change() {
    let new = NewTopic { partitions: 10_000, ..topic("wide") };
    let (made, image, records) = plan(&Image::default(), |planner| {
        planner.create_topic(&new, id(1)).map(|topic| topic.partitions.len())
    });
    assert_eq!((made, records.len()), (Ok(10_000), 10_001));
    assert_eq!(image.topic("wide").unwrap().partitions.len(), 10_000);
}

#[test]
fn partitions_that_are_refused_do_not_count() {
    let (made, image, _) = plan(&cluster(), |planner| {
        let refused = planner.create_partitions("a.b", 6_001, Some(&vec![vec![7]; 6_000]));
        assert_eq!(refused.unwrap_err().code, ErrorCode::INVALID_REPLICA_ASSIGNMENT);
        planner.create_partitions("dup", 10_003, None)
    });
    assert_eq!(made, Ok(()));
    assert_eq!(image.topic("dup").unwrap().partitions.len(), 10_003);
}

/// One thing to ask of a catalog with few names, so that things meet.
#[derive(Clone, Debug)]
enum Ask {
    Create(u8, i32),
    Delete(u8),
    Grow(u8, i32),
    Set(u8, i64),
    Unset(u8),
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let name = 0..4u8;
    let ask = prop_oneof![
        (name.clone(), 1..4i32).prop_map(|(name, count)| Ask::Create(name, count)),
        name.clone().prop_map(Ask::Delete),
        (name.clone(), 1..6i32).prop_map(|(name, count)| Ask::Grow(name, count)),
        (name.clone(), 1..9i64).prop_map(|(name, value)| Ask::Set(name, value)),
        name.prop_map(Ask::Unset),
    ];
    proptest::collection::vec(ask, 0..40)
}

/// Topics by name: how many partitions, and what `retention.ms` is set to.
type Model = BTreeMap<String, (i32, Option<String>)>;

fn ask(planner: &mut Planner<'_>, model: &mut Model, ask: &Ask, seed: u8) {
    let name = |name: &u8| format!("t{name}");
    let set = |name: &str, operation, value: Option<&str>, planner: &mut Planner<'_>| {
        let changes = [alter(operation, "retention.ms", value)];
        planner.alter_configs(&Resource::Topic(name.into()), &changes).is_ok()
    };
    match ask {
        Ask::Create(topic_name, partitions) => {
            let name = name(topic_name);
            let new = NewTopic { partitions: *partitions, ..topic(&name) };
            let made = planner.create_topic(&new, id(seed)).is_ok();
            assert_eq!(made, !model.contains_key(&name));
            model.entry(name).or_insert((*partitions, None));
        }
        Ask::Delete(topic_name) => {
            let name = name(topic_name);
            assert_eq!(planner.delete_topic(&name).is_ok(), model.remove(&name).is_some());
        }
        Ask::Grow(topic_name, count) => {
            let name = name(topic_name);
            let grown = planner.create_partitions(&name, *count, None).is_ok();
            let known = model.get_mut(&name).filter(|known| known.0 < *count);
            assert_eq!(grown, known.is_some());
            known.into_iter().for_each(|known| known.0 = *count);
        }
        Ask::Set(topic_name, value) => {
            let (name, value) = (name(topic_name), value.to_string());
            let known = model.get_mut(&name);
            let is_set = set(&name, ConfigOperation::Set, Some(&value), planner);
            assert_eq!(is_set, known.is_some());
            known.into_iter().for_each(|known| known.1 = Some(value.clone()));
        }
        Ask::Unset(topic_name) => {
            let name = name(topic_name);
            let known = model.get_mut(&name);
            assert_eq!(set(&name, ConfigOperation::Delete, None, planner), known.is_some());
            known.into_iter().for_each(|known| known.1 = None);
        }
    }
}

fn model_of(image: &Image) -> Model {
    let topics = image.topics().map(|topic| {
        let partitions = i32::try_from(topic.partitions.len()).unwrap();
        let retention = topic.overrides.get("retention.ms").map(str::to_owned);
        (topic.name.to_string(), (partitions, retention))
    });
    topics.collect()
}

proptest! {
    #[test]
    fn records_and_snapshots_make_the_image_that_was_planned(asks in asks()) {
        let mut model = Model::new();
        let (_, planned, records) = plan(&Image::default(), |planner| {
            for (seed, one) in (1..).zip(&asks) {
                ask(planner, &mut model, one, seed);
            }
        });
        prop_assert_eq!(model_of(&planned), model);

        let mut replayed = Image::default();
        if !records.is_empty() {
            snapshot::apply(&mut replayed, &snapshot::batch(&records, 1).unwrap()).unwrap();
        }
        prop_assert_eq!(&replayed, &planned);

        let pieces = snapshot::encode(&planned, Moment { now_ms: 1, leader_epoch: 1 }).unwrap();
        prop_assert_eq!(&snapshot::decode(pieces.concat().into()).unwrap(), &planned);
    }
}
