//! Consumer groups over loopback: what a heartbeat and a commit take, and a whole rebalance of 50
//! members, from the first join to the last assignment, beside one round trip of a plain socket.
//! `cargo bench -p klamm-benches --bench group`

use criterion::{Criterion, criterion_group, criterion_main};
use klamm_benches::echo;
use klamm_benches::wire::Wire;
use klamm_broker::Broker;
use klamm_client::{ClientConfig, Connection, Kafka};
use klamm_protocol::api::{
    FindCoordinator, Heartbeat, JoinGroup, OffsetCommit, SyncGroup, find_coordinator, heartbeat,
    join_group, offset_commit, sync_group,
};
use klamm_protocol::declare::Api;
use klamm_protocol::wire::Str;
use tokio::runtime::Runtime;

const TOPIC: &str = "bench";
const GROUP: &str = "bench";
const MEMBERS: usize = 50;
/// Bytes of a heartbeat and of its answer, about.
const HEARTBEAT_LEN: usize = 90;
const HEARTBEAT_ANSWER_LEN: usize = 14;
/// Partitions that a commit is about.
const PARTITIONS: i32 = 10;
/// What a consumer of a few topics sends, and what it is given.
const METADATA: &[u8] = &[7; 100];
const ASSIGNMENT: &[u8] = &[7; 60];

/// A broker, and a group of members that share a connection: their requests do not wait for each
/// other's answers.
struct Group {
    connection: Connection,
    generation: i32,
    ids: Vec<Str>,
}

async fn start() -> (Broker, Kafka, Group) {
    let broker = Broker::builder()
        .ephemeral()
        .set("num.partitions", PARTITIONS.to_string())
        .set("group.initial.rebalance.delay.ms", "500")
        .start()
        .await
        .expect("an ephemeral broker starts");
    let config = ClientConfig::new(&broker.bootstrap());
    let config = config.set("max.in.flight.requests.per.connection", &MEMBERS.to_string());
    let kafka = Kafka::connect(config).await;
    let kafka = kafka.expect("the broker answers");
    kafka.topic(&TOPIC.into()).await.expect("the topic is made by asking for it");
    let connection = kafka.any_broker().await.expect("the broker answers");
    let request =
        find_coordinator::Request { coordinator_keys: vec![GROUP.into()], ..Default::default() };
    let found = calls::<FindCoordinator>(&connection, 4, &[request]).await;
    assert!(found[0].coordinators[0].error_code.is_none(), "{found:?}");
    let mut group = Group { connection, generation: 0, ids: vec![Str::default(); MEMBERS] };
    group.rebalance().await;
    (broker, kafka, group)
}

/// Sends all requests, then reads all answers.
async fn calls<A: Api>(
    connection: &Connection,
    version: i16,
    requests: &[A::Request],
) -> Vec<A::Response> {
    let mut pending = Vec::with_capacity(requests.len());
    for request in requests {
        let submitted = connection.submit::<A>(version, request).await;
        pending.push(submitted.expect("the broker is there"));
    }
    let mut answers = Vec::with_capacity(requests.len());
    for pending in pending {
        answers.push(pending.answer().await.expect("the broker answers").body);
    }
    answers
}

impl Group {
    /// All members join, and ask for what the leader gives them.
    async fn rebalance(&mut self) {
        let join = |member_id: &Str| join_group::Request {
            group_id: GROUP.into(),
            session_timeout_ms: 60_000,
            rebalance_timeout_ms: 60_000,
            member_id: member_id.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![join_group::Protocol {
                name: "range".into(),
                metadata: METADATA.into(),
            }],
            ..Default::default()
        };
        let joins: Vec<_> = self.ids.iter().map(join).collect();
        // The last version in which a new member need not ask twice.
        let joined = calls::<JoinGroup>(&self.connection, 3, &joins).await;
        assert!(joined.iter().all(|answer| answer.error_code.is_none()), "{joined:?}");
        self.generation = joined[0].generation_id;
        // The leader stays the first, so that its join begins the next rebalance.
        self.ids = joined.iter().map(|answer| answer.member_id.clone()).collect();
        let leader = self.ids.iter().position(|id| *id == joined[0].leader);
        self.ids.swap(0, leader.expect("the leader is one of the members"));
        let syncs: Vec<_> = self.ids.iter().map(|id| self.sync(id)).collect();
        let synced = calls::<SyncGroup>(&self.connection, 3, &syncs).await;
        assert!(synced.iter().all(|answer| answer.assignment == ASSIGNMENT), "{synced:?}");
    }

    fn sync(&self, member_id: &Str) -> sync_group::Request {
        let assignment = |id: &Str| sync_group::Assignment {
            member_id: id.clone(),
            assignment: ASSIGNMENT.into(),
        };
        let leads = *member_id == self.ids[0];
        let assignments = self.ids.iter().filter(|_| leads).map(assignment);
        sync_group::Request {
            group_id: GROUP.into(),
            generation_id: self.generation,
            member_id: member_id.clone(),
            assignments: assignments.collect(),
            ..Default::default()
        }
    }

    async fn heartbeat(&self) {
        let request = heartbeat::Request {
            group_id: GROUP.into(),
            generation_id: self.generation,
            member_id: self.ids[0].clone(),
            ..Default::default()
        };
        let answers = calls::<Heartbeat>(&self.connection, 3, &[request]).await;
        assert!(answers[0].error_code.is_none(), "{answers:?}");
    }

    async fn commit(&self, offset: i64) {
        let partition = |partition_index| offset_commit::Partition {
            partition_index,
            committed_offset: offset,
            committed_metadata: Some(Str::default()),
            ..Default::default()
        };
        let request = offset_commit::Request {
            group_id: GROUP.into(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.ids[0].clone(),
            topics: vec![offset_commit::Topic {
                name: TOPIC.into(),
                partitions: (0..PARTITIONS).map(partition).collect(),
                ..Default::default()
            }],
            ..Default::default()
        };
        let answers = calls::<OffsetCommit>(&self.connection, 7, &[request]).await;
        let mut partitions = answers[0].topics.iter().flat_map(|topic| &topic.partitions);
        assert!(partitions.all(|partition| partition.error_code.is_none()), "{answers:?}");
    }
}

fn groups(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let (broker, kafka, mut group) = runtime.block_on(start());
    let mut benches = criterion.benchmark_group("group");
    benches.bench_function("heartbeat", |bencher| {
        bencher.iter(|| runtime.block_on(group.heartbeat()));
    });
    benches.bench_function("commit", |bencher| {
        let mut offset = 0;
        bencher.iter(|| {
            offset += 1;
            runtime.block_on(group.commit(offset));
        });
    });
    benches.bench_function("rebalance of 50", |bencher| {
        bencher.iter(|| runtime.block_on(group.rebalance()));
    });
    benches.bench_function("floor", |bencher| {
        let start = async {
            let address = echo::start().await?;
            Wire::connect(&address).await
        };
        let mut plain = runtime.block_on(start).expect("there is a loopback");
        let frame = echo::frame(HEARTBEAT_LEN, HEARTBEAT_ANSWER_LEN);
        bencher.iter(|| runtime.block_on(plain.exchange(&frame)).map(<[u8]>::len));
    });
    benches.finish();
    drop((group, kafka));
    runtime.block_on(broker.stop());
}

criterion_group!(benches, groups);
criterion_main!(benches);
