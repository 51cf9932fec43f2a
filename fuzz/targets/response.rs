//! A response's body, of any API at any version, which the first two bytes choose.
#![no_main]

mod chosen;

use chosen::Chosen;
use klamm_protocol::api::AnyResponse;
use klamm_protocol::bytes::Bytes;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|data: &[u8]| {
    let Some((Chosen { key, version }, body)) = Chosen::split(data) else { return };
    let recode = |body| AnyResponse::decode(key, version, body)?.encode(version);
    chosen::check_stable(recode, Bytes::copy_from_slice(body));
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    chosen::mutate(data, size, max_size, seed, |dice, Chosen { key, version }| {
        dice.message(AnyResponse::shape(*key), *version, key.is_flexible(*version))
    })
});
