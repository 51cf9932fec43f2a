//! What those call who look after a cluster: transactions, replicas, the quorum, access, users,
//! quotas and tokens. What a cluster does not serve is said, and not tested.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "a test may fail")]

mod cluster;

use klamm_client::admin::{
    Acl, AclFilter, AclOperation, AclPattern, AclPermission, AclResource, Election, FeatureChange,
    HangingTransaction, NewDelegationToken, QuotaChange, QuotaFilter, QuotaMatch, ScramChange,
    ScramMechanism, TransactionFilter,
};
use klamm_client::{Error, Kafka};
use klamm_protocol::api::add_partitions_to_txn::{self, AddPartitionsToTxn};
use klamm_protocol::api::init_producer_id::{self, InitProducerId};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::{Str, Uuid};

use cluster::{Cluster, can, code, create, eventually, topic};

const ACLS: i16 = 29;
const ELECT_LEADERS: i16 = 43;
const REASSIGN: i16 = 45;
const ALTER_QUOTAS: i16 = 49;
const ALTER_SCRAM: i16 = 51;
const QUORUM: i16 = 55;
const UPDATE_FEATURES: i16 = 57;
const PRODUCERS: i16 = 61;
const UNREGISTER: i16 = 64;
const TRANSACTIONS: i16 = 65;
const TOKENS: i16 = 38;
const ADD_VOTER: i16 = 80;

async fn start() -> (Cluster, Kafka) {
    let cluster = Cluster::start().await;
    let kafka = cluster.connect().await;
    (cluster, kafka)
}

/// A producer with an open transaction in this partition; its id and epoch.
async fn open_transaction(kafka: &Kafka, id: &Str, topic: &Str) -> (i64, i16) {
    let kind = klamm_client::CoordinatorKind::Transaction;
    let found = std::sync::Mutex::new(None);
    eventually(async || {
        let Ok(node) = kafka.coordinator(kind, id).await else { return false };
        let request = init_producer_id::Request {
            transactional_id: Some(id.clone()),
            transaction_timeout_ms: 60_000,
            ..Default::default()
        };
        let producer = kafka.call::<InitProducerId>(node, &request).await.unwrap().body;
        *found.lock().unwrap() = Some((node, producer.producer_id, producer.producer_epoch));
        producer.error_code.is_none()
    })
    .await;
    let (node, producer_id, producer_epoch) = found.into_inner().unwrap().unwrap();
    let request = add_partitions_to_txn::Request {
        v3_and_below_transactional_id: id.clone(),
        v3_and_below_producer_id: producer_id,
        v3_and_below_producer_epoch: producer_epoch,
        v3_and_below_topics: vec![add_partitions_to_txn::Topic {
            name: topic.clone(),
            partitions: vec![0],
        }],
        ..Default::default()
    };
    let connection = kafka.broker(node).await.unwrap();
    let version = connection.version::<AddPartitionsToTxn>(3).unwrap();
    eventually(async || {
        let pending = connection.submit::<AddPartitionsToTxn>(version, &request).await.unwrap();
        let answer = pending.answer().await.unwrap().body;
        let told = &answer.results_by_topic_v3_and_below[0].results_by_partition[0];
        told.partition_error_code.is_none()
    })
    .await;
    (producer_id, producer_epoch)
}

#[tokio::test]
async fn transactions_are_listed_described_and_fenced() {
    let (cluster, kafka) = start().await;
    let admin = kafka.admin();
    if !can(&kafka, TRANSACTIONS, 0, "transactions").await {
        return cluster.stop().await;
    }
    let (id, name) = (Str::from(cluster.name("tx")), Str::from(cluster.name("t")));
    create(&kafka, topic(&kafka, &name, 1)).await;
    let (producer_id, epoch) = open_transaction(&kafka, &id, &name).await;

    let nobody = Str::from(cluster.name("nobody"));
    let described = admin.describe_transactions(&[id.clone(), nobody.clone()]).await.unwrap();
    let description = described[0].1.as_ref().unwrap();
    assert_eq!((description.state.as_str(), description.producer_id), ("Ongoing", producer_id));
    assert_eq!(description.partitions, [(name.clone(), 0)]);
    assert!(description.started_ms.is_some() && description.timeout_ms == 60_000);
    assert_eq!(code(&described[1].1), Some(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND));

    let filter = TransactionFilter { producers: vec![producer_id], ..Default::default() };
    let listed = admin.list_transactions(&filter).await.unwrap();
    let listed: Vec<_> = listed.into_iter().flat_map(|(_, told)| told.unwrap()).collect();
    assert_eq!((listed.len(), &listed[0].id, listed[0].state.as_str()), (1, &id, "Ongoing"));
    assert_eq!(listed[0].coordinator, description.coordinator);

    let fenced = admin.fence_producers(std::slice::from_ref(&id)).await.unwrap();
    assert!(fenced[0].1.is_ok(), "{fenced:?}");
    eventually(async || {
        let described = admin.describe_transactions(std::slice::from_ref(&id)).await.unwrap();
        described[0].1.as_ref().is_ok_and(|told| {
            // Kafka 3 goes on telling when the last one began.
            let is_over = told.state == "Empty" || told.started_ms.is_none();
            is_over && told.partitions.is_empty() && told.producer_epoch > epoch
        })
    })
    .await;
    cluster.stop().await;
}

#[tokio::test]
async fn producers_are_told_and_hanging_transactions_are_named_in_vain() {
    let (cluster, kafka) = start().await;
    let admin = kafka.admin();
    if !can(&kafka, PRODUCERS, 0, "producers of partitions").await {
        return cluster.stop().await;
    }
    let (name, nobody) = (Str::from(cluster.name("t")), Str::from(cluster.name("nobody")));
    create(&kafka, topic(&kafka, &name, 2)).await;
    let places = [(name.clone(), 1), (nobody.clone(), 0), (name.clone(), 0)];
    let told = admin.producers(&places).await.unwrap();
    assert!(told.iter().map(|(place, _)| place).eq(&places));
    assert_eq!(told[0].1.as_ref().unwrap(), &[]);
    assert_eq!(code(&told[1].1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));

    let hanging = HangingTransaction {
        topic: nobody,
        partition: 0,
        producer_id: 1,
        producer_epoch: 0,
        coordinator_epoch: 0,
    };
    let aborted = admin.abort_transactions(&[hanging]).await.unwrap();
    assert_eq!(code(&aborted[0].1), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
    cluster.stop().await;
}

#[tokio::test]
async fn replicas_are_moved_and_leaders_chosen() {
    let (cluster, kafka) = start().await;
    let admin = kafka.admin();
    let name = Str::from(cluster.name("t"));
    create(&kafka, topic(&kafka, &name, 1)).await;
    if can(&kafka, ELECT_LEADERS, 0, "elections").await {
        let place = [(name.clone(), 0)];
        let elected = admin.elect_leaders(Election::Preferred, &place).await.unwrap();
        // It leads already.
        assert!(matches!(code(&elected[0].1), None | Some(ErrorCode::ELECTION_NOT_NEEDED)));
    }
    if can(&kafka, REASSIGN, 0, "reassignments").await {
        let everywhere: Vec<i32> = kafka.metadata().brokers.keys().copied().collect();
        let wanted = [(name.clone(), 0, Some(everywhere)), (name.clone(), 9, Some(vec![1]))];
        let moved = admin.reassign_partitions(&wanted).await.unwrap();
        let of = |index| &moved.iter().find(|(place, _)| place.1 == index).unwrap().1;
        assert!(of(0).is_ok(), "{moved:?}");
        assert_eq!(code(of(9)), Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        eventually(async || admin.reassignments(&[(name.clone(), 0)]).await.unwrap().is_empty())
            .await;
    }
    let broker = *kafka.metadata().brokers.keys().next().unwrap();
    let nowhere = [(name.clone(), 0, Str::from("/nowhere"))];
    match admin.move_logs(broker, &nowhere).await {
        Ok(moved) => assert!(moved[0].1.is_err(), "{moved:?}"),
        Err(error) => assert!(matches!(error, Error::Unsupported { .. }), "{error}"),
    }
    cluster.stop().await;
}

#[tokio::test]
async fn the_quorum_and_the_features_are_told() {
    let (cluster, kafka) = start().await;
    let admin = kafka.admin();
    if can(&kafka, QUORUM, 0, "the quorum").await {
        let quorum = admin.describe_quorum().await.unwrap();
        assert!(quorum.voters.iter().any(|voter| voter.node == quorum.leader), "{quorum:?}");
    }
    let features = admin.features().await.unwrap();
    assert!(features.is_sorted());
    if can(&kafka, UPDATE_FEATURES, 1, "levels of features").await
        && let Some((name, level)) = features.iter().find(|(name, _)| name == "metadata.version")
    {
        let higher = [(name.clone(), FeatureChange::Upgrade(level + 1000))];
        let refused = admin.update_features(&higher, true).await;
        assert!(refused.is_err() || refused.unwrap()[0].1.is_err());
    }
    if can(&kafka, UNREGISTER, 0, "members that leave").await {
        assert!(admin.unregister_broker(9999).await.is_err());
    }
    if can(&kafka, ADD_VOTER, 0, "voters").await {
        assert!(admin.remove_voter(9999, Uuid([1; 16])).await.is_err());
    }
    cluster.stop().await;
}

#[tokio::test]
async fn access_is_granted_found_and_taken_back() {
    let (cluster, kafka) = start().await;
    let admin = kafka.admin();
    if !can(&kafka, ACLS, 0, "access control lists").await {
        return cluster.stop().await;
    }
    let acl = Acl {
        resource: AclResource::Topic,
        name: cluster.name("t").into(),
        pattern: AclPattern::Prefixed,
        principal: "User:alice".into(),
        host: "*".into(),
        operation: AclOperation::Read,
        permission: AclPermission::Allow,
    };
    let filter = AclFilter { name: Some(acl.name.clone()), ..AclFilter::default() };
    let found = admin.acls(&filter).await;
    if code(&found) == Some(ErrorCode::SECURITY_DISABLED) {
        println!("n.a.: access control lists are switched off");
        return cluster.stop().await;
    }
    assert_eq!(found.unwrap(), []);
    let wrong = Acl { principal: "alice".into(), ..acl.clone() };
    let created = admin.create_acls(&[acl.clone(), wrong]).await.unwrap();
    assert!(created[0].1.is_ok() && created[1].1.is_err(), "{created:?}");
    eventually(async || admin.acls(&filter).await.unwrap() == [acl.clone()]).await;
    let deleted = admin.delete_acls(std::slice::from_ref(&filter)).await.unwrap();
    let gone = deleted[0].1.as_ref().unwrap();
    assert!(gone.len() == 1 && gone[0].0 == acl && gone[0].1.is_ok());
    eventually(async || admin.acls(&filter).await.unwrap().is_empty()).await;
    cluster.stop().await;
}

#[tokio::test]
async fn users_are_let_in_and_out() {
    let (cluster, kafka) = start().await;
    let admin = kafka.admin();
    if !can(&kafka, ALTER_SCRAM, 0, "users of SCRAM").await {
        return cluster.stop().await;
    }
    let user = Str::from(cluster.name("alice"));
    let set = ScramChange::Set {
        user: user.clone(),
        mechanism: ScramMechanism::Sha512,
        iterations: 4096,
        password: "secret".into(),
    };
    assert!(!format!("{set:?}").contains("secret"));
    let altered = admin.alter_scram_users(&[set]).await.unwrap();
    assert!(altered[0].1.is_ok(), "{altered:?}");
    let users = std::slice::from_ref(&user);
    eventually(async || {
        let told = admin.scram_users(users).await.unwrap();
        told[0].1.as_ref().is_ok_and(|credentials| {
            credentials[0].mechanism == ScramMechanism::Sha512 && credentials[0].iterations == 4096
        })
    })
    .await;
    let delete = ScramChange::Delete { user: user.clone(), mechanism: ScramMechanism::Sha512 };
    assert!(admin.alter_scram_users(&[delete]).await.unwrap()[0].1.is_ok());
    eventually(async || {
        let told = admin.scram_users(users).await.unwrap();
        code(&told[0].1) == Some(ErrorCode::RESOURCE_NOT_FOUND)
    })
    .await;
    cluster.stop().await;
}

#[tokio::test]
async fn quotas_are_set_and_removed() {
    let (cluster, kafka) = start().await;
    let admin = kafka.admin();
    if !can(&kafka, ALTER_QUOTAS, 0, "quotas").await {
        return cluster.stop().await;
    }
    let name = Str::from(cluster.name("client"));
    let (kind, key) = (Str::from("client-id"), Str::from("producer_byte_rate"));
    let entity = vec![(kind.clone(), Some(name.clone()))];
    let change = |limit| QuotaChange { entity: entity.clone(), limits: vec![(key.clone(), limit)] };
    let filter = QuotaFilter { parts: vec![(kind, QuotaMatch::Name(name))], strict: true };
    assert!(admin.alter_quotas(&[change(Some(1e6))]).await.unwrap()[0].1.is_ok());
    eventually(async || {
        let quotas = admin.quotas(&filter).await.unwrap();
        quotas.len() == 1 && quotas[0].limits == [(key.clone(), 1e6)]
    })
    .await;
    assert!(admin.alter_quotas(&[change(None)]).await.unwrap()[0].1.is_ok());
    eventually(async || admin.quotas(&filter).await.unwrap().is_empty()).await;
    cluster.stop().await;
}

#[tokio::test]
async fn tokens_are_not_for_those_who_have_not_said_who_they_are() {
    let (cluster, kafka) = start().await;
    let admin = kafka.admin();
    if !can(&kafka, TOKENS, 1, "delegation tokens").await {
        return cluster.stop().await;
    }
    let made = admin.create_delegation_token(&NewDelegationToken::default()).await;
    let seen = admin.delegation_tokens(&[]).await;
    let renewed = admin.renew_delegation_token(&"x".into(), std::time::Duration::ZERO).await;
    let expired = admin.expire_delegation_token(&"x".into(), None).await;
    for code in [code(&made), code(&seen.map(drop)), code(&renewed), code(&expired)] {
        let expected = [
            ErrorCode::DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
            ErrorCode::DELEGATION_TOKEN_AUTH_DISABLED,
        ];
        assert!(code.is_some_and(|code| expected.contains(&code)), "{code:?}");
    }
    cluster.stop().await;
}
