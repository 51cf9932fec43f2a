//! A request as it arrives: header and body, of any API at any version.
//!
//! The first two bytes choose the API and the version, the rest is the frame behind them.
#![no_main]

mod chosen;

use chosen::Chosen;
use klamm_protocol::api::AnyRequest;
use klamm_protocol::bytes::Bytes;
use klamm_protocol::header::RequestHeader;
use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|data: &[u8]| {
    let Some((chosen, rest)) = Chosen::split(data) else { return };
    let Chosen { key, version } = chosen;
    let start = [key.code().to_be_bytes(), version.to_be_bytes()].concat();
    let frame = Bytes::from([&start, rest].concat());
    let Ok((header, mut body)) = RequestHeader::split(frame) else { return };
    assert_eq!((header.api_key, header.api_version), (key.code(), version));
    let body = body.take(body.remaining()).expect("that many bytes remain");
    chosen::check_stable(|body| AnyRequest::decode(key, version, body)?.encode(version), body);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    chosen::mutate(data, size, max_size, seed, |dice, chosen| {
        let flexible = chosen.key.is_flexible(chosen.version);
        // Correlation id, no client id, no tagged fields.
        let mut rest = vec![0, 0, 0, 7, 0xff, 0xff];
        rest.extend(flexible.then_some(0));
        rest.extend(dice.message(AnyRequest::shape(chosen.key), chosen.version, flexible));
        rest
    })
});
