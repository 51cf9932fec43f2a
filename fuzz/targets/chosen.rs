//! What the targets for messages share: the choice of a message, and where valid ones come from.

use klamm_protocol::api::ApiKey;
use klamm_protocol::bytes::Bytes;
use klamm_protocol::wire::{Encoded, Result};
use libfuzzer_sys::fuzzer_mutate;

#[path = "../../protocol/tests/support/dice.rs"]
mod dice;

use dice::Dice;

/// How many mutations go by until a whole new valid message takes the place of one.
const FRESH_EVERY: u64 = 64;

/// An API at one of its versions.
pub(crate) struct Chosen {
    pub(crate) key: ApiKey,
    pub(crate) version: i16,
}

impl Chosen {
    /// The choice that the first two bytes make, and the other bytes.
    pub(crate) fn split(data: &[u8]) -> Option<(Self, &[u8])> {
        let ([key, version], rest) = data.split_first_chunk()?;
        let key = ApiKey::ALL[usize::from(*key) % ApiKey::ALL.len()];
        let place = usize::from(*version) % key.versions().count();
        let version = key.versions().nth(place).expect("the place is below the count");
        Some((Self { key, version }, rest))
    }
}

/// Lets `recode` read and write what may be a message. If it is one, what was written must read
/// and write as the same bytes.
pub(crate) fn check_stable(recode: impl Fn(Bytes) -> Result<Encoded>, body: Bytes) {
    if let Ok(once) = recode(body) {
        let once = once.into_bytes();
        let twice = recode(once.clone()).expect("what was written can be read").into_bytes();
        assert_eq!(once, twice);
    }
}

/// Changes `data`, now and then into a valid message of a random API and version, of which
/// `fresh` makes the bytes behind the choice.
pub(crate) fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    fresh: impl FnOnce(&mut Dice, &Chosen) -> Vec<u8>,
) -> usize {
    let mut dice = Dice::new(seed.into());
    if dice.below(FRESH_EVERY) > 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    let choice = [dice.below(256) as u8, dice.below(256) as u8];
    let Some((chosen, _)) = Chosen::split(&choice) else { return size };
    let message = [&choice[..], &fresh(&mut dice, &chosen)].concat();
    let size = message.len().min(max_size);
    data[..size].copy_from_slice(&message[..size]);
    size
}
