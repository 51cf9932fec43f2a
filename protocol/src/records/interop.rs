//! Batches exchanged with other implementations.

use bytes::{Bytes, BytesMut};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as other;
use proptest::prelude::*;

use super::*;

// What `MemoryRecords.withRecords` of Kafka 4.3.1 makes of `java_records`: base offset 40, leader
// epoch 5, producer 4001 of epoch 3 at sequence 7, codecs at their default levels.

/// Not compressed.
const JAVA_NONE: &str = "\
    0000000000000028000000ce000000050216b41a5c0000000000020000018bcfe568000000018bcfe5681400\
    00000000000fa1000300000007000000031c000000026b0476310202680478310c0014020101008a02002804\
    00f0016b6c616d6d206b6c616d6d206b6c616d6d206b6c616d6d206b6c616d6d206b6c616d6d206b6c616d6d\
    206b6c616d6d206b6c616d6d206b6c616d6d206b6c616d6d206b6c616d6d206b6c616d6d206b6c616d6d206b\
    6c616d6d206b6c616d6d206b6c616d6d206b6c616d6d206b6c616d6d206b6c616d6d2002086e756c6c01";

/// By `java.util.zip`.
const JAVA_GZIP: &str = "\
    0000000000000028000000720000000502840c02320001000000020000018bcfe568000000018bcfe5681400\
    00000000000fa1000300000007000000031f8b08000000000000ff9361606060ca6629336462ca60a930e461\
    1061626464e86262d06061f8c0989d93989bab407f928923af34278711004762875f9d000000";

/// By snappy-java.
const JAVA_SNAPPY: &str = "\
    00000000000000280000007b0000000502fd8a1b380002000000020000018bcfe568000000018bcfe5681400\
    00000000000fa10003000000070000000382534e41505059000000000100000001000000369d01901c000000\
    026b0476310202680478310c0014020101008a0200280400f0016b6c616d6d206bfe0600c206001802086e75\
    6c6c01";

/// By lz4-java.
const JAVA_LZ4: &str = "\
    000000000000002800000071000000050282fac75e0003000000020000018bcfe568000000018bcfe5681400\
    00000000000fa10003000000070000000304224d1860408231000000ff151c000000026b0476310202680478\
    310c0014020101008a0200280400f0016b6c616d6d2006005f7002086e756c6c0100000000";

/// By zstd-jni, which does not state the content size.
const JAVA_ZSTD: &str = "\
    0000000000000028000000700000000502b7c7086a0004000000020000018bcfe568000000018bcfe5681400\
    00000000000fa10003000000070000000328b52ffd00589c0100b4021c000000026b0476310202680478310c\
    0014020101008a0200280400f0016b6c616d6d2002086e756c6c0101007c49cb13010000";

/// What `MemoryRecords.withEndTransactionMarker` makes: a commit at coordinator epoch 77.
const JAVA_COMMIT: &str = "\
    000000000000000000000042ffffffff02291f4ce80030000000000000018bcfe568000000018bcfe5680000\
    00000000000fa10003ffffffff000000012000000008000000010c00000000004d00";

fn unhex(text: &str) -> Bytes {
    let digits: Vec<u8> = text.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn java_records() -> Vec<Record> {
    let mut records = golden::records();
    let header = Header { key: Bytes::from_static(b"null"), value: None };
    records.push(Record {
        offset: 42,
        timestamp: 1_700_000_000_020,
        key: Some(Bytes::new()),
        value: Some(Bytes::from("klamm ".repeat(20))),
        headers: vec![header],
    });
    records
}

fn build(options: BatchOptions, producer: BatchProducer, records: &[Record]) -> Batch {
    let mut builder = BatchBuilder::new(options);
    builder.set_producer(producer);
    for record in records {
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        builder.push(record.timestamp, key, value, &record.headers).unwrap();
    }
    builder.build(records[0].offset).unwrap()
}

#[test]
fn java_is_read() {
    let vectors = [JAVA_NONE, JAVA_GZIP, JAVA_SNAPPY, JAVA_LZ4, JAVA_ZSTD];
    for (codec, vector) in Compression::ALL.into_iter().zip(vectors) {
        let batch = Batch::parse(unhex(vector)).unwrap();
        assert_eq!(batch.check_produced(), Ok(()));
        assert_eq!(batch.header().attributes.compression(), Ok(codec));
        assert_eq!((batch.header().base_offset, batch.header().leader_epoch), (40, 5));
        let records: Result<Vec<_>, _> = batch.records(157).unwrap().collect();
        assert_eq!(records, Ok(java_records()), "{codec:?}");
        let too_little = CompressionError::TooLarge { codec, limit: 156 };
        let refused = batch.records(156).err();
        let expected = (codec != Compression::None).then_some(too_little.into());
        assert_eq!(refused, expected);
    }
}

#[test]
fn java_and_we_write_the_same() {
    let producer = BatchProducer { id: 4001, epoch: 3, base_sequence: 7 };
    for (compression, vector) in [
        (Compression::None, JAVA_NONE),
        (Compression::Lz4, JAVA_LZ4),
        (Compression::Snappy, JAVA_SNAPPY),
    ] {
        let options = BatchOptions { compression, ..BatchOptions::default() };
        let batch = build(options, producer, &java_records());
        assert_eq!(batch.bytes()[16..], unhex(vector)[16..], "{compression:?}");
    }
}

#[test]
fn java_ends_transactions_alike() {
    let marker = EndTransaction { outcome: Outcome::Commit, coordinator_epoch: 77 };
    let batch = marker.batch(4001, 3, 1_700_000_000_000).unwrap();
    assert_eq!(batch.bytes(), &unhex(JAVA_COMMIT));
}

/// Codecs that the other crate has without a second C library.
const SHARED: [(Compression, other::Compression); 3] = [
    (Compression::None, other::Compression::None),
    (Compression::Gzip, other::Compression::Gzip),
    (Compression::Snappy, other::Compression::Snappy),
];

/// The record as the other crate has it, where each record repeats what is its batch's.
fn to_other(record: &Record, producer: BatchProducer, base_offset: i64) -> other::Record {
    let name = |key: &Bytes| StrBytes::try_from(key.clone()).unwrap();
    other::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        timestamp_type: other::TimestampType::Creation,
        offset: record.offset,
        sequence: producer.base_sequence + (record.offset - base_offset) as i32,
        timestamp: record.timestamp,
        key: record.key.clone(),
        value: record.value.clone(),
        headers: record.headers.iter().map(|h| (name(&h.key), h.value.clone())).collect(),
    }
}

/// A record with what the other crate has no room for left out: headers have distinct names.
fn record() -> impl Strategy<Value = Record> {
    let bytes = || prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from);
    let headers = prop::collection::btree_map("[a-zé]{0,6}", prop::option::of(bytes()), 0..4);
    (0..1i64 << 45, prop::option::of(bytes()), prop::option::of(bytes()), headers).prop_map(
        |(timestamp, key, value, headers)| {
            let headers = headers.into_iter().map(|(key, value)| Header { key: key.into(), value });
            Record { offset: 0, timestamp, key, value, headers: headers.collect() }
        },
    )
}

proptest! {
    #[test]
    fn the_other_crate_reads_and_writes_the_same_records(
        mut records in prop::collection::vec(record(), 1..30),
        base_offset in 0..i64::MAX - 30,
        id in 0..i64::MAX,
        epoch in 0..i16::MAX,
        base_sequence in 0..i32::MAX - 30,
    ) {
        for (offset, record) in (base_offset..).zip(&mut records) {
            record.offset = offset;
        }
        let producer = BatchProducer { id, epoch, base_sequence };
        let theirs: Vec<_> =
            records.iter().map(|record| to_other(record, producer, base_offset)).collect();
        for (ours, compression) in SHARED {
            let options = BatchOptions { compression: ours, ..BatchOptions::default() };
            let mut bytes = build(options, producer, &records).bytes().clone();
            let read = other::RecordBatchDecoder::decode(&mut bytes).unwrap();
            prop_assert_eq!(read.compression, compression);
            prop_assert_eq!(&read.records, &theirs);

            let mut bytes = BytesMut::new();
            let options = other::RecordEncodeOptions { version: 2, compression };
            other::RecordBatchEncoder::encode(&mut bytes, &theirs, &options).unwrap();
            let batch = Batch::parse(bytes.freeze()).unwrap();
            prop_assert_eq!(batch.check_produced(), Ok(()));
            let read: Result<Vec<_>, _> = batch.records(1 << 20).unwrap().collect();
            prop_assert_eq!(read.as_ref(), Ok(&records));
        }
    }
}
