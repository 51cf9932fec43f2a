//! Clients around one group, in any order of what may happen to them, to their connections and to
//! the broker.
//!
//! Clients behave as Kafka's do: they drop what they have when they are not known any more, give
//! everything back before they join (eager) or keep it until they are told otherwise (cooperative).
//! The leader assigns as a cooperative assignor does: nobody gets what another still has.

mod client;
mod world;

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use client::Traits;
use world::{Fate, World};

/// What happens next.
#[derive(Clone, Debug)]
enum Action {
    /// A client does what it has to do: joins, asks for its assignment, sends a heartbeat.
    Step(usize, Fate),
    /// A client starts; one that runs is killed before.
    Start(usize),
    /// A client leaves as it should, and stops.
    Stop(usize),
    /// A client stops without a word.
    Kill(usize),
    /// A client loses its connection, and the answer that it waits for.
    Disconnect(usize),
    /// A client wants something else: it joins again.
    Change(usize),
    /// An operator takes a static client out.
    TakeOut(usize),
    /// Time goes by.
    Wait(Duration),
    /// The broker starts again.
    Restart,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        20 => Just(Fate::Delivered),
        2 => Just(Fate::AnswersLost),
        1 => Just(Fate::BrokerDiesBefore),
        1 => Just(Fate::BrokerDiesAfter),
    ]
}

fn action(clients: usize) -> impl Strategy<Value = Action> {
    let client = 0..clients;
    prop_oneof![
        40 => (client.clone(), fate()).prop_map(|(client, fate)| Action::Step(client, fate)),
        6 => client.clone().prop_map(Action::Start),
        2 => client.clone().prop_map(Action::Stop),
        2 => client.clone().prop_map(Action::Kill),
        3 => client.clone().prop_map(Action::Disconnect),
        3 => client.clone().prop_map(Action::Change),
        1 => client.prop_map(Action::TakeOut),
        12 => (0u64..8_000).prop_map(|ms| Action::Wait(Duration::from_millis(ms))),
        1 => Just(Action::Restart),
    ]
}

fn traits() -> impl Strategy<Value = Traits> {
    let version = prop_oneof![Just(3), Just(5), Just(9)];
    (version, prop::option::of(0..3u8), any::<bool>(), 6u64..20, 1u64..20).prop_map(
        |(version, instance, likes_sticky, session, rebalance)| Traits {
            version,
            instance,
            likes_sticky,
            session: Duration::from_secs(session),
            rebalance: Duration::from_secs(rebalance),
        },
    )
}

fn plot() -> impl Strategy<Value = (Vec<Traits>, Vec<Action>)> {
    vec(traits(), 1..6).prop_flat_map(|clients| {
        let actions = vec(action(clients.len()), 1..120);
        (Just(clients), actions)
    })
}

fn play(world: &mut World, actions: Vec<Action>) {
    for action in actions {
        match action {
            Action::Step(client, fate) => world.step(client, fate),
            Action::Start(client) => world.start(client),
            Action::Stop(client) => world.stop(client),
            Action::Kill(client) => world.kill(client),
            Action::Disconnect(client) => world.disconnect(client),
            Action::Change(client) => world.change(client),
            Action::TakeOut(client) => world.take_out(client),
            Action::Wait(time) => world.wait(time),
            Action::Restart => world.restart(),
        }
        world.check();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_group_of_eager_clients_keeps_its_promises((clients, actions) in plot()) {
        let mut world = World::new(clients, false);
        play(&mut world, actions);
        world.settle();
    }

    #[test]
    fn a_group_of_cooperative_clients_keeps_its_promises((clients, actions) in plot()) {
        let mut world = World::new(clients, true);
        play(&mut world, actions);
        world.settle();
    }
}
