//! The group against a model: clients that come, go, lose answers, and see the broker die.

mod client;
mod world;

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use self::client::{Reads, Traits};
use self::world::{Fate, World};

/// Something that happens; numbers say to which client.
#[derive(Clone, Debug)]
enum Action {
    /// A client starts, or starts again.
    Start(usize),
    /// A client sends a heartbeat that says everything, or only what it has to.
    Beat { client: usize, says_all: bool, fate: Fate },
    /// A client comes to what it was told.
    Adopt(usize),
    /// A client leaves; a static one may do so for a while.
    Leave { client: usize, for_a_while: bool },
    /// A client ends without a word.
    Kill(usize),
    /// A client reads something else.
    Read { client: usize, reads: Reads },
    /// A topic has so many partitions now; none if it is deleted.
    Topic { topic: usize, partitions: i32 },
    /// Time goes by.
    Wait(Duration),
    /// The broker starts again; what it reads may have been compacted.
    Restart { compacted: bool },
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        12 => Just(Fate::Delivered),
        2 => Just(Fate::AnswerLost),
        1 => Just(Fate::BrokerDiesBefore),
        1 => Just(Fate::BrokerDiesAfter),
    ]
}

fn reads() -> impl Strategy<Value = Reads> {
    prop_oneof![
        4 => prop::array::uniform3(any::<bool>()).prop_map(Reads::Names),
        1 => prop::sample::select(vec!["t.*", "[tu]", "."]).prop_map(Reads::Pattern),
    ]
}

fn action(clients: usize) -> impl Strategy<Value = Action> {
    let client = 0..clients;
    let beat = (client.clone(), any::<bool>(), fate());
    prop_oneof![
        24 => beat.prop_map(|(client, says_all, fate)| Action::Beat { client, says_all, fate }),
        12 => client.clone().prop_map(Action::Adopt),
        4 => client.clone().prop_map(Action::Start),
        1 => (client.clone(), any::<bool>())
            .prop_map(|(client, for_a_while)| Action::Leave { client, for_a_while }),
        1 => client.clone().prop_map(Action::Kill),
        2 => (client, reads()).prop_map(|(client, reads)| Action::Read { client, reads }),
        1 => (0..3usize, 0..6i32)
            .prop_map(|(topic, partitions)| Action::Topic { topic, partitions }),
        4 => (0u64..20_000).prop_map(|ms| Action::Wait(Duration::from_millis(ms))),
        1 => any::<bool>().prop_map(|compacted| Action::Restart { compacted }),
    ]
}

fn traits() -> impl Strategy<Value = Traits> {
    let assignor = prop::option::of(prop::sample::select(vec!["uniform", "range"]));
    let is_classic = prop::bool::weighted(0.3);
    (any::<bool>(), is_classic, reads(), 5u64..40, assignor).prop_map(
        |(is_static, is_classic, reads, rebalance, assignor)| Traits {
            is_static,
            is_classic,
            reads,
            rebalance: Duration::from_secs(rebalance),
            assignor,
        },
    )
}

fn plot() -> impl Strategy<Value = (Vec<Traits>, Vec<Action>)> {
    vec(traits(), 1..6).prop_flat_map(|clients| {
        let actions = vec(action(clients.len()), 1..150);
        (Just(clients), actions)
    })
}

fn play(world: &mut World, actions: Vec<Action>) {
    for action in actions {
        match action {
            Action::Start(client) => world.start(client),
            Action::Beat { client, says_all, fate } => world.beat(client, says_all, fate),
            Action::Adopt(client) => world.adopt(client),
            Action::Leave { client, for_a_while } => world.leave(client, for_a_while),
            Action::Kill(client) => world.kill(client),
            Action::Read { client, reads } => world.read(client, reads),
            Action::Topic { topic, partitions } => world.set_topic(topic, partitions),
            Action::Wait(time) => world.wait(time),
            Action::Restart { compacted } => world.restart(compacted),
        }
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_group_keeps_its_promises((clients, actions) in plot(), interval in 0u64..2) {
        let mut world = World::new(clients, Duration::from_secs(interval));
        play(&mut world, actions);
        world.settle();
    }
}
