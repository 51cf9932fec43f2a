//! Every call of the administrator can be put into a task of its own. The compiler checks it: a
//! future that it cannot tell to be `Send` does not pass.

use std::time::Duration;

use bytes::Bytes;
use klamm_client::admin::*;
use klamm_protocol::wire::Str;
use klamm_utils::uuid::Uuid;

/// Takes a call with what it is given, as `tokio::spawn` would take its future.
fn spawned<A, F: Future + Send + 'static>(_call: impl FnOnce(Admin, A) -> F) {}

/// Says of each call, by name and type of its arguments, that it can be spawned.
macro_rules! spawned {
    ($($call:ident($($name:ident: $kind:ty),*);)*) => {$(
        spawned(|admin: Admin, ($($name,)*): ($($kind,)*)| async move {
            admin.$call($(&$name),*).await
        });
    )*};
}

#[test]
fn every_call_of_the_administrator_can_be_spawned() {
    type Places = Vec<(Str, i32)>;
    spawned! {
        list_topics();
        validate_topics(topics: Vec<NewTopic>);
        create_topics(topics: Vec<NewTopic>);
        delete_topics(names: Vec<Str>);
        create_partitions(counts: Places);
        describe_topics(names: Vec<Str>);
        list_offsets(wanted: Vec<(Str, i32, OffsetSpec)>);
        delete_records(below: Vec<(Str, i32, i64)>);
        incremental_alter_configs(changes: Vec<(Resource, Vec<Change>)>);
        validate_configs(changes: Vec<(Resource, Vec<Change>)>);
        alter_configs(settings: Vec<(Resource, Vec<(Str, Str)>)>);
        list_config_resources(kinds: Vec<ResourceKind>);
        describe_configs(resources: Vec<Resource>);
        explain_configs(resources: Vec<Resource>);
        list_groups(states: Vec<Str>, kinds: Vec<Str>);
        describe_groups(groups: Vec<Str>);
        describe_share_groups(groups: Vec<Str>);
        describe_streams_groups(groups: Vec<Str>);
        delete_groups(groups: Vec<Str>);
        remove_members(group: Str, members: Vec<Departure>);
        group_lag(group: GroupDescription);
        group_offsets(groups: Vec<Str>);
        group_offsets_of(group: Str, partitions: Places);
        alter_group_offsets(group: Str, offsets: Vec<(Str, i32, CommittedOffset)>);
        delete_group_offsets(group: Str, partitions: Places);
        share_group_offsets(groups: Vec<Str>);
        list_transactions(filter: TransactionFilter);
        describe_transactions(ids: Vec<Str>);
        producers(partitions: Places);
        abort_transactions(hanging: Vec<HangingTransaction>);
        fence_producers(ids: Vec<Str>);
        describe_cluster();
        api_versions();
        log_dirs(brokers: Vec<i32>);
        reassign_partitions(wanted: Vec<(Str, i32, Option<Vec<i32>>)>);
        reassignments(partitions: Places);
        describe_quorum();
        add_voter(voter: NewVoter);
        features();
        acls(filter: AclFilter);
        create_acls(acls: Vec<Acl>);
        delete_acls(filters: Vec<AclFilter>);
        create_delegation_token(wanted: NewDelegationToken);
        delegation_tokens(owners: Vec<Principal>);
        scram_users(users: Vec<Str>);
        alter_scram_users(changes: Vec<ScramChange>);
        quotas(filter: QuotaFilter);
        alter_quotas(changes: Vec<QuotaChange>);
    }
    // Those that take an argument by value.
    spawned(|admin, (which, partitions): (Election, Places)| async move {
        admin.elect_leaders(which, &partitions).await
    });
    spawned(|admin, wanted: Vec<(Str, i32, Str)>| async move { admin.move_logs(0, &wanted).await });
    spawned(|admin, directory: Uuid| async move { admin.remove_voter(0, directory).await });
    spawned(|admin, node: i32| async move { admin.unregister_broker(node).await });
    spawned(|admin, changes: Vec<(Str, FeatureChange)>| async move {
        admin.update_features(&changes, false).await
    });
    spawned(|admin, (hmac, by): (Bytes, Duration)| async move {
        admin.renew_delegation_token(&hmac, by).await
    });
    spawned(|admin, (hmac, after): (Bytes, Option<Duration>)| async move {
        admin.expire_delegation_token(&hmac, after).await
    });
}
