//! Clients around one transactional id, in any order of what may happen to them, to their answers,
//! to the disk and to the broker.
//!
//! Clients are of both generations and near the end of their epochs. They write to partitions,
//! which know of transactions what real ones do: who has one open, and the markers.

mod client;
mod history;
mod world;

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::Generation;
use world::World;

/// What happens next.
#[derive(Clone, Debug)]
enum Action {
    /// A client that waits for no answer does the next of what it has to do. The number chooses.
    Step(usize, u8),
    /// A client does not get the answer that it waits for, and asks again.
    LoseAnswer(usize),
    /// A client is killed, and starts anew.
    Kill(usize),
    /// So many of the records that are on their way are durable.
    Keep(usize),
    /// A marker is durable; the number chooses which.
    Mark(usize),
    /// Time goes by, in milliseconds.
    Wait(i64),
    /// The broker starts again; so many of the records that were on their way were kept.
    Crash(usize),
}

fn action(clients: usize) -> impl Strategy<Value = Action> {
    let client = 0..clients;
    prop_oneof![
        40 => (client.clone(), any::<u8>())
            .prop_map(|(client, choice)| Action::Step(client, choice)),
        4 => client.clone().prop_map(Action::LoseAnswer),
        1 => client.prop_map(Action::Kill),
        25 => (1usize..4).prop_map(Action::Keep),
        15 => any::<usize>().prop_map(Action::Mark),
        2 => (0i64..700).prop_map(Action::Wait),
        2 => (0usize..3).prop_map(Action::Crash),
    ]
}

fn generation() -> impl Strategy<Value = Generation> {
    prop_oneof![Just(Generation::First), Just(Generation::Second)]
}

fn plot() -> impl Strategy<Value = (Vec<Generation>, i16, Vec<Action>)> {
    let epoch = prop_oneof![Just(0), i16::MAX - 6..i16::MAX];
    (vec(generation(), 1..4), epoch).prop_flat_map(|(clients, epoch)| {
        let actions = vec(action(clients.len()), 1..200);
        (Just(clients), Just(epoch), actions)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_transactional_id_keeps_its_promises((clients, epoch, actions) in plot()) {
        let mut world = World::new(&clients, epoch);
        for action in actions {
            match action {
                Action::Step(client, choice) => world.step(client, choice),
                Action::LoseAnswer(client) => world.lose_answer(client),
                Action::Kill(client) => world.kill(client),
                Action::Keep(records) => world.keep(records),
                Action::Mark(choice) => world.mark(choice),
                Action::Wait(time_ms) => world.wait(time_ms),
                Action::Crash(kept) => world.crash(kept),
            }
        }
        world.settle();
    }
}
