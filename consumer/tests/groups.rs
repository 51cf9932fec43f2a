//! Consumers in groups, against a real broker.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../../client/tests/cluster/mod.rs"]
mod cluster;
mod support;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream as _;
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{
    Assignor, ConsumeExt as _, Consumer, ConsumerBuilder, ConsumerEvent, Error, GroupProtocol,
    OffsetReset, Position,
};
use klamm_producer::ProduceExt as _;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;
use klamm_utils::clock;

use cluster::{eventually, somewhere_can};
use support::{SOON, World, assigning, event, member, next, protocols, read, settle};

const JOIN_GROUP: i16 = 11;
const TXN_OFFSET_COMMIT: i16 = 28;

/// Takes the records at these offsets from a stream.
async fn stream(consumer: &mut Consumer, offsets: std::ops::Range<i64>) {
    let mut stream = consumer.stream();
    for offset in offsets {
        let record = poll_fn(|context| Pin::new(&mut stream).poll_next(context));
        let record = tokio::time::timeout(SOON, record).await.unwrap().unwrap().unwrap();
        assert_eq!(record.offset, offset);
    }
}

#[tokio::test]
async fn a_group_goes_on_where_it_has_committed() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut first = world.member().auto_commit(false).build().await.unwrap();
        for _ in 0..3 {
            next(&mut first).await;
        }
        let batch = next(&mut first).await;
        first.commit(batch.end().with_metadata("so far")).await.unwrap();
        next(&mut first).await;
        first.close(SOON).await.unwrap();

        let mut second = world.member().build().await.unwrap();
        let batch = next(&mut second).await;
        assert_eq!(batch.records()[0].offset, 40);
        let committed = second.committed(&[world.place(0), world.place(7)]).await.unwrap();
        let position = committed[0].1.as_ref().unwrap().clone().unwrap();
        assert_eq!((position.offset, &*position.metadata), (40, "so far"));
        assert!(position.leader_epoch.is_some());
        assert_eq!(committed[1].1.as_ref().unwrap(), &None);
        world.stop().await;
    }
}

#[tokio::test]
async fn what_a_member_has_read_is_committed_with_a_transaction() {
    if !somewhere_can(TXN_OFFSET_COMMIT, 3, "members in transactions").await {
        return;
    }
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut consumer = world.member().auto_commit(false).build().await.unwrap();
        let read = next(&mut consumer).await;
        let id = format!("copier of {}", world.topic);
        let producer = world.kafka.producer().transactional_id(&id);
        let producer = producer.build_transactional().await.unwrap();
        for commits in [false, true] {
            let tx = producer.begin().await.unwrap();
            let group = consumer.group_metadata().unwrap();
            tx.send_offsets(&group, [read.end()]).await.unwrap();
            if commits {
                tx.commit().await.unwrap();
            } else {
                tx.abort().await.unwrap();
            }
            let found = consumer.committed(&[world.place(0)]).await.unwrap();
            let offset = found[0].1.as_ref().unwrap().as_ref().map(|position| position.offset);
            assert_eq!(offset, commits.then(|| read.end_offset()));
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn what_was_worked_on_is_committed_and_nothing_else() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let committed = async || {
            let reader = world.kafka.consumer().group(&world.group).build().await.unwrap();
            let found = reader.committed(&[world.place(0)]).await.unwrap();
            found[0].1.as_ref().unwrap().as_ref().map(|position| position.offset)
        };
        // What is in hand when a consumer is dropped may not have been worked on.
        let interval = world.member().set("auto.commit.interval.ms", "10");
        let mut consumer = interval.build().await.unwrap();
        read(&mut consumer, 30).await;
        while committed().await != Some(20) {
            tokio::task::yield_now().await;
        }
        drop(consumer);
        // Who closes has worked on everything.
        let mut consumer = world.member().build().await.unwrap();
        assert_eq!(next(&mut consumer).await.records()[0].offset, 20);
        consumer.close(SOON).await.unwrap();
        assert_eq!(committed().await, Some(30));
        // And a stream has worked on what it has given.
        let mut consumer = world.member().build().await.unwrap();
        stream(&mut consumer, 30..45).await;
        consumer.close(SOON).await.unwrap();
        assert_eq!(committed().await, Some(45));
        // Also if that was all of a batch, whether it is closed or dropped.
        let mut consumer = world.member().build().await.unwrap();
        stream(&mut consumer, 45..50).await;
        consumer.close(SOON).await.unwrap();
        assert_eq!(committed().await, Some(50));
        let mut consumer = world.member().build().await.unwrap();
        stream(&mut consumer, 50..70).await;
        drop(consumer);
        while committed().await != Some(70) {
            tokio::task::yield_now().await;
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn what_a_stream_has_left_counts_only_where_it_was_left() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut consumer = world.member().auto_commit(false).build().await.unwrap();
        let committed = async |consumer: &Consumer| {
            consumer.commit_delivered().await.unwrap();
            let found = consumer.committed(&[world.place(0)]).await.unwrap();
            found[0].1.as_ref().unwrap().as_ref().map(|position| position.offset)
        };
        stream(&mut consumer, 0..5).await;
        assert_eq!(committed(&consumer).await, Some(5));
        consumer.seek(&world.topic, 0, klamm_consumer::Start::Offset(50)).unwrap();
        assert_eq!(committed(&consumer).await, Some(50));
        world.stop().await;
    }
}

#[tokio::test]
async fn who_is_dropped_during_a_rebalance_commits_nevertheless() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        for tenths in 0..60 {
            let group = format!("{}-{tenths}", world.group);
            let build = async || {
                let builder =
                    member(&world.kafka, &group, protocol).subscribe([world.topic.clone()]);
                assigning(builder, protocol, Assignor::CooperativeSticky).build().await.unwrap()
            };
            let mut first = build().await;
            read(&mut first, 30).await;
            first.subscribe([world.topic.clone(), "another".into()]).unwrap();
            // Whatever the rebalance has come to by then.
            let by_then = clock::now() + Duration::from_micros(100 * tenths);
            while clock::now() < by_then {
                tokio::task::yield_now().await;
            }
            drop(first);
            let batch = next(&mut build().await).await;
            assert_eq!(batch.records()[0].offset, 20, "dropped after {tenths} tenths of a ms");
        }
        world.stop().await;
    }
}

#[tokio::test]
async fn members_share_and_hand_over() {
    use GroupProtocol as P;
    const CLASSIC: &str = "partition.assignment.strategy";
    const REMOTE: &str = "group.remote.assignor";
    let spoken = protocols().await;
    for (protocol, key, assignor) in [
        (P::Classic, CLASSIC, "range"),
        (P::Classic, CLASSIC, "roundrobin"),
        (P::Classic, CLASSIC, "sticky"),
        (P::Classic, CLASSIC, "cooperative-sticky"),
        (P::Consumer, REMOTE, "uniform"),
        (P::Consumer, REMOTE, "range"),
    ] {
        if !spoken.contains(&protocol) {
            continue;
        }
        let world = World::speaking(protocol, 6).await;
        let build = async || world.member().set(key, assignor).build().await.unwrap();
        let mut first = build().await;
        settle(&mut first, 6).await;
        let mut second = build().await;
        tokio::join!(settle(&mut first, 3), settle(&mut second, 3));
        let mut third = build().await;
        tokio::join!(settle(&mut first, 2), settle(&mut second, 2), settle(&mut third, 2));
        let mut all = [first.assignment(), second.assignment(), third.assignment()].concat();
        all.sort();
        assert_eq!(all, (0..6).map(|partition| world.place(partition)).collect::<Vec<_>>());
        third.close(SOON).await.unwrap();
        tokio::join!(settle(&mut first, 3), settle(&mut second, 3));
        drop(second);
        settle(&mut first, 6).await;
        world.stop().await;
    }
}

#[tokio::test]
async fn a_cooperative_member_reads_on_while_others_come() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 4).await;
        let build = async || {
            let builder = assigning(world.member(), protocol, Assignor::CooperativeSticky);
            builder.auto_commit(false).build().await.unwrap()
        };
        let mut first = build().await;
        read(&mut first, 400).await;
        let mut events = first.events();
        let Some(ConsumerEvent::Assigned(all)) = event(&mut events).await else {
            panic!("not assigned")
        };
        assert_eq!(all.len(), 4);

        let mut second = build().await;
        let Some(ConsumerEvent::Revoking(revocation)) = event(&mut events).await else {
            panic!("nothing revoked")
        };
        assert_eq!(revocation.partitions().len(), 2, "the others are kept");
        let kept = all.iter().find(|place| !revocation.partitions().contains(place)).unwrap();
        // While these are given up, the others are read.
        world.produce(kept.1, 10).await;
        let batch = next(&mut first).await;
        assert_eq!((batch.partition(), batch.records()[0].offset), (kept.1, 100));
        // What is given up can still be committed.
        let given: Vec<_> = revocation.partitions().to_vec();
        let position = Position::new(world.topic.clone(), given[0].1, 100);
        first.commit(position.clone()).await.unwrap();
        first.commit(Position::new(world.topic.clone(), given[1].1, 90)).await.unwrap();
        assert!(second.assignment().is_empty());
        drop(revocation);
        let batch = next(&mut second).await;
        assert_eq!((batch.partition(), batch.records()[0].offset), (given[1].1, 90));
        assert_eq!(second.assignment(), given);
        // And then no longer.
        let late = first.commit(position).await.unwrap_err();
        assert!(matches!(late, Error::NotAssigned { .. }), "{late}");
        world.stop().await;
    }
}

#[tokio::test]
async fn no_automatic_commit_undoes_an_explicit_one() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut consumer = world.member().build().await.unwrap();
        let batch = next(&mut consumer).await;
        consumer.commit(batch.end()).await.unwrap();
        // It commits a last time, with the batch still in hand, and leaves.
        drop(consumer);
        let mut other = world.member().build().await.unwrap();
        assert_eq!(next(&mut other).await.records()[0].offset, batch.end_offset());
        world.stop().await;
    }
}

#[tokio::test]
async fn a_rebalance_waits_for_work_in_hand() {
    let world = World::start(2).await;
    let build = async || world.member().assignors([Assignor::Range]).build().await.unwrap();
    let mut first = build().await;
    let in_hand = next(&mut first).await;
    let mut events = first.events();
    let mut second = build().await;
    loop {
        match event(&mut events).await.unwrap() {
            ConsumerEvent::Assigned(_) => {}
            ConsumerEvent::Revoking(_) => break,
            other => panic!("{other:?}"),
        }
    }
    // The application works on a batch; nobody else gets it before it asks for more.
    first.commit(in_hand.end()).await.unwrap();
    let waiting = tokio::time::timeout(Duration::from_millis(300), second.next_batch()).await;
    assert!(waiting.is_err(), "{waiting:?}");
    let (_, _) = tokio::join!(settle(&mut first, 1), settle(&mut second, 1));
    world.stop().await;
}

#[tokio::test]
async fn a_static_member_comes_back_without_a_rebalance() {
    if !somewhere_can(JOIN_GROUP, 5, "static members").await {
        return;
    }
    for protocol in protocols().await {
        for leads in [false, true] {
            let world = World::speaking(protocol, 4).await;
            let build =
                async || world.stranger().await.group_instance_id("one").build().await.unwrap();
            // Who comes first, leads.
            let (mut other, mut one);
            if leads {
                one = build().await;
                settle(&mut one, 4).await;
                other = world.member().build().await.unwrap();
            } else {
                other = world.member().build().await.unwrap();
                settle(&mut other, 4).await;
                one = build().await;
            }
            tokio::join!(settle(&mut other, 2), settle(&mut one, 2));
            let had = one.assignment();
            let mut events = other.events();
            assert!(matches!(event(&mut events).await, Some(ConsumerEvent::Assigned(_))));

            one.close(SOON).await.unwrap();
            let mut one = build().await;
            settle(&mut one, 2).await;
            assert_eq!(one.assignment(), had);
            // The other member has noticed nothing: its events end with itself.
            drop(other);
            assert!(event(&mut events).await.is_none());
            world.stop().await;
        }
    }
}

#[tokio::test]
async fn a_static_member_is_fenced_by_its_double() {
    if !somewhere_can(JOIN_GROUP, 5, "static members").await {
        return;
    }
    let world = World::start(1).await;
    let build = async || world.member().group_instance_id("one").build().await.unwrap();
    let mut first = build().await;
    settle(&mut first, 1).await;
    let mut second = build().await;
    settle(&mut second, 1).await;
    let fenced = async {
        loop {
            if let Err(error) = first.next_batch().await {
                break error;
            }
        }
    };
    let error = tokio::time::timeout(SOON, fenced).await.unwrap();
    assert_eq!(error.code(), Some(ErrorCode::FENCED_INSTANCE_ID));
    assert!(first.next_batch().await.is_err_and(|error| error.is_fatal()));
    assert!(first.assignment().is_empty());
    world.stop().await;
}

#[tokio::test]
async fn who_takes_too_long_is_told_and_may_come_back() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut slow = world.member().set("max.poll.interval.ms", "700").build().await.unwrap();
        let mut events = slow.events();
        next(&mut slow).await;
        let batch = next(&mut slow).await;
        let (mut lost, mut exceeded) = (false, false);
        while !exceeded {
            match event(&mut events).await.unwrap() {
                ConsumerEvent::Lost(places) => lost = places == [world.place(0)],
                ConsumerEvent::PollIntervalExceeded => exceeded = true,
                _ => {}
            }
        }
        assert!(lost && slow.assignment().is_empty());
        let late = slow.commit(batch.end()).await.unwrap_err();
        assert!(matches!(late, Error::NotAssigned { .. }), "{late}");
        let told = slow.next_batch().await.unwrap_err();
        assert!(matches!(told, Error::PollInterval { .. }), "{told}");
        let batch = next(&mut slow).await;
        assert!(batch.records()[0].offset <= 10, "what was in hand comes again");
        world.stop().await;
    }
}

#[tokio::test]
async fn who_was_late_comes_back_by_asking_once() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let mut slow = world.member().set("max.poll.interval.ms", "700").build().await.unwrap();
        next(&mut slow).await;
        let mut events = slow.events();
        let mut was_late = false;
        let came_back = async {
            loop {
                match event(&mut events).await.unwrap() {
                    ConsumerEvent::Assigned(_) if was_late => break,
                    ConsumerEvent::PollIntervalExceeded => {
                        was_late = true;
                        let told = slow.next_batch().await.unwrap_err();
                        assert!(matches!(told, Error::PollInterval { .. }), "{told}");
                        // Dropped before anything else has run.
                        let mut asking = std::pin::pin!(slow.next_batch());
                        poll_fn(|context| {
                            assert!(asking.as_mut().poll(context).is_pending());
                            Poll::Ready(())
                        })
                        .await;
                    }
                    _ => {}
                }
            }
        };
        tokio::time::timeout(SOON, came_back).await.unwrap();
        world.stop().await;
    }
}

#[tokio::test]
async fn who_subscribes_to_what_cannot_be_is_told_once() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let builder = member(&world.kafka, &world.group, protocol);
        let bad: Str = "no/topic".into();
        let builder = builder.subscribe([world.topic.clone(), bad.clone()]);
        let mut consumer = builder.set("retry.backoff.max.ms", "10").build().await.unwrap();
        let (mut told, mut records) = (Vec::new(), 0);
        while told.is_empty() || records < 100 {
            match tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap() {
                Ok(batch) => records += batch.records().len(),
                Err(error) => told.push(error),
            }
        }
        assert_eq!(told[0].code(), Some(ErrorCode::INVALID_TOPIC_EXCEPTION));
        let silent = tokio::time::timeout(Duration::from_millis(100), consumer.next_batch()).await;
        assert!(silent.is_err() && told.len() == 1, "{silent:?} after {told:?}");
        consumer.subscribe([bad]).unwrap();
        let told = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap().unwrap_err();
        assert_eq!(told.code(), Some(ErrorCode::INVALID_TOPIC_EXCEPTION));
        world.stop().await;
    }
}

#[tokio::test]
async fn a_close_that_cannot_commit_says_so_and_leaves_in_time() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        // It does not learn that its topic is gone, nor makes it anew: it tries again.
        let config = ClientConfig::new(&world.address).set("allow.auto.create.topics", "false");
        let kafka = Kafka::connect(config).await.unwrap();
        let builder = member(&kafka, &world.group, protocol).subscribe([world.topic.clone()]);
        let mut consumer = builder.build().await.unwrap();
        read(&mut consumer, 30).await;
        let admin = world.kafka.admin();
        let deleted = admin.delete_topics(std::slice::from_ref(&world.topic)).await.unwrap();
        deleted[0].1.as_ref().unwrap();
        eventually(async || {
            let names = std::slice::from_ref(&world.topic);
            admin.describe_topics(names).await.unwrap()[0].1.is_err()
        })
        .await;
        let failed = consumer.close(Duration::from_secs(2)).await.unwrap_err();
        assert!(matches!(failed, Error::LastCommit { .. }), "{failed}");
        let described = admin.describe_groups(&[world.group.as_str().into()]).await.unwrap();
        let members = described[0].1.as_ref().map_or(0, |group| group.members.len());
        assert_eq!(members, 0, "it has left");
        world.stop().await;
    }
}

#[tokio::test]
async fn a_group_is_described_whichever_protocol_it_speaks() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 2).await;
        let mut consumer = world.member().build().await.unwrap();
        read(&mut consumer, 200).await;
        let names = [world.group.as_str().into()];
        let described = world.kafka.admin().describe_groups(&names).await.unwrap().remove(0);
        let group = described.1.unwrap();
        let speaks_it = protocol == GroupProtocol::Consumer;
        assert_eq!((group.protocol_type.as_str(), group.epoch.is_some()), ("consumer", speaks_it));
        let [member] = &*group.members else { panic!("{group:?}") };
        let both = Some(vec![world.place(0), world.place(1)]);
        assert_eq!(member.assignment, both);
        assert_eq!(member.target, both.filter(|_| speaks_it));
        consumer.close(SOON).await.unwrap();
        world.stop().await;
    }
}

#[tokio::test]
async fn topics_and_partitions_that_come_later_are_found() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let pattern = format!("re:{}\\..*", world.topic);
        let build = async || {
            let builder = member(&world.kafka, &world.group, protocol);
            let builder = builder.subscribe([world.topic.to_string(), pattern.clone()]);
            assigning(builder, protocol, Assignor::Sticky).build().await.unwrap()
        };
        let (mut first, mut second) = (build().await, build().await);
        let later: Str = format!("{}.later", world.topic).into();
        world.create(&later, 3).await;
        tokio::join!(settle(&mut first, 2), settle(&mut second, 2));
        world.kafka.admin().create_partitions(&[(later.clone(), 5)]).await.unwrap();
        tokio::join!(settle(&mut first, 3), settle(&mut second, 3));
        // And the application may want something else.
        first.subscribe([later.clone()]).unwrap();
        second.subscribe([later.clone()]).unwrap();
        let elsewhere = async |consumer: &mut Consumer| {
            while consumer.assignment().is_empty()
                || consumer.assignment().iter().any(|(topic, _)| *topic != later)
            {
                let a_moment = Duration::from_millis(20);
                let _ = tokio::time::timeout(a_moment, consumer.next_batch()).await;
            }
        };
        tokio::join!(elsewhere(&mut first), elsewhere(&mut second));
        world.stop().await;
    }
}

#[tokio::test]
async fn nowhere_to_begin_is_an_error_if_the_policy_says_so() {
    for protocol in protocols().await {
        let world = World::speaking(protocol, 1).await;
        let builder = world.member().auto_offset_reset(OffsetReset::None);
        let mut consumer = builder.build().await.unwrap();
        let told = tokio::time::timeout(SOON, consumer.next_batch()).await.unwrap();
        assert!(matches!(told, Err(Error::NoOffset { .. })), "{told:?}");
        consumer.seek(&world.topic, 0, klamm_consumer::Start::Offset(50)).unwrap();
        assert_eq!(next(&mut consumer).await.records()[0].offset, 50);
        world.stop().await;
    }
}

#[tokio::test]
async fn a_group_that_makes_no_sense_is_refused_when_it_is_built() {
    let world = World::start(1).await;
    let build = async |builder: ConsumerBuilder| builder.build().await.unwrap_err().to_string();
    let without = build(world.kafka.consumer().subscribe(["t"])).await;
    assert_eq!(without, "`group.id` is needed to subscribe");
    let both = world.member().assign("t", 0, klamm_consumer::Start::Committed);
    assert!(build(both).await.starts_with("`subscribe` contradicts `assign`"));
    assert!(build(world.member().subscribe(["re:["])).await.contains("is no pattern"));
    for builder in [
        world.member().remote_assignor("uniform"),
        world.member().group_protocol(GroupProtocol::Consumer),
    ] {
        assert!(build(builder).await.contains("contradicts `group.protocol`"));
    }
    let long = world.member().set("heartbeat.interval.ms", "6000");
    assert!(build(long).await.contains("contradicts"));
    world.stop().await;
}

#[tokio::test]
async fn a_stream_goes_on_where_the_consumer_was_moved_to() {
    let world = World::start(1).await;
    let mut consumer = world.member().build().await.unwrap();
    stream(&mut consumer, 0..3).await;
    consumer.seek(&world.topic, 0, klamm_consumer::Start::Offset(70)).unwrap();
    stream(&mut consumer, 70..75).await;
    world.stop().await;
}
