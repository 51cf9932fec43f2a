//! One small batch, byte by byte.

use bytes::Bytes;

use super::{Attributes, BatchHeader, Header, Record};

/// Two records at offsets 40 and 41 by producer 4001: `k` = `v1` with the header `h` = `x1`, and
/// ten milliseconds later one with neither key nor value.
#[rustfmt::skip]
const BYTES: [u8; 83] = [
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x28, // base offset 40
    0x00, 0x00, 0x00, 0x47,                         // batch length 71 = 83 - 12
    0x00, 0x00, 0x00, 0x05,                         // leader epoch 5
    0x02,                                           // magic 2
    0xd3, 0x59, 0x94, 0x72,                         // CRC-32C of all that follows
    0x00, 0x00,                                     // attributes: none
    0x00, 0x00, 0x00, 0x01,                         // last offset delta 1
    0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x00, // base timestamp 1,700,000,000,000
    0x00, 0x00, 0x01, 0x8b, 0xcf, 0xe5, 0x68, 0x0a, // max timestamp 1,700,000,000,010
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x0f, 0xa1, // producer id 4001
    0x00, 0x03,                                     // producer epoch 3
    0x00, 0x00, 0x00, 0x07,                         // base sequence 7
    0x00, 0x00, 0x00, 0x02,                         // two records

    0x1c,                                           // length 14, as a zigzag varint
    0x00,                                           // attributes: none are defined
    0x00,                                           // timestamp delta 0
    0x00,                                           // offset delta 0
    0x02, b'k',                                     // key of one byte
    0x04, b'v', b'1',                               // value of two bytes
    0x02,                                           // one header
    0x02, b'h',                                     // its key
    0x04, b'x', b'1',                               // its value

    0x0c,                                           // length 6
    0x00,                                           // attributes
    0x14,                                           // timestamp delta 10
    0x02,                                           // offset delta 1
    0x01,                                           // key length -1: null
    0x01,                                           // value length -1: null
    0x00,                                           // no headers
];

/// The batch as bytes.
pub(super) fn bytes() -> Bytes {
    Bytes::from_static(&BYTES)
}

/// The header that the batch has.
pub(super) fn header() -> BatchHeader {
    BatchHeader {
        base_offset: 40,
        batch_length: 71,
        leader_epoch: 5,
        magic: 2,
        crc: 0xd359_9472,
        attributes: Attributes::default(),
        last_offset_delta: 1,
        base_timestamp: 1_700_000_000_000,
        max_timestamp: 1_700_000_000_010,
        producer_id: 4001,
        producer_epoch: 3,
        base_sequence: 7,
        record_count: 2,
    }
}

/// The records that the batch has.
pub(super) fn records() -> Vec<Record> {
    let header = Header { key: Bytes::from_static(b"h"), value: Some(Bytes::from_static(b"x1")) };
    vec![
        Record {
            offset: 40,
            timestamp: 1_700_000_000_000,
            key: Some(Bytes::from_static(b"k")),
            value: Some(Bytes::from_static(b"v1")),
            headers: vec![header],
        },
        Record { offset: 41, timestamp: 1_700_000_000_010, ..Record::default() },
    ]
}
