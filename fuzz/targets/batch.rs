//! Record batches, one after the other, as a broker and a client look at them.
#![no_main]

use klamm_protocol::bytes::Bytes;
use klamm_protocol::records::{
    Batch, BatchBuilder, BatchOptions, Compression, EndTransaction, Header, batches,
};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

/// What decompressed records may take.
const RECORDS_LEN_MAX: usize = 1 << 20;
/// How many mutations go by until a whole new valid batch takes the place of one.
const FRESH_EVERY: u32 = 64;

fuzz_target!(|data: &[u8]| {
    for batch in batches(Bytes::copy_from_slice(data)).map_while(Result::ok) {
        assert_eq!(batch.bytes().len(), batch.header().size());
        read(&batch);
        // Makes the checksum right, so that the checks behind it are reached.
        let stamped = batch.with_log_append_time(1_700_000_000_000);
        assert_eq!(stamped.verify_crc(), Ok(()));
        if stamped.check_produced().is_ok() {
            assert_eq!(stamped.check(), Ok(()));
            assert!(stamped.header().record_count > 0);
            assert!(stamped.header().last_sequence() >= -1);
        }
    }
});

/// Reads every record, whatever the checksum says.
fn read(batch: &Batch) {
    let Ok(records) = batch.records(RECORDS_LEN_MAX) else { return };
    let mut slices_len = 0;
    for record in records.map_while(Result::ok) {
        let parts = [&record.key, &record.value].into_iter().flatten();
        slices_len += parts.map(Bytes::len).sum::<usize>();
        if batch.header().attributes.is_control() {
            let _ = EndTransaction::parse(&record);
        }
    }
    assert!(slices_len <= RECORDS_LEN_MAX.max(batch.bytes().len()));
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if !seed.is_multiple_of(FRESH_EVERY) {
        return fuzzer_mutate(data, size, max_size);
    }
    let batch = fresh((seed / FRESH_EVERY) as usize);
    let size = batch.len().min(max_size);
    data[..size].copy_from_slice(&batch[..size]);
    size
});

/// A valid batch; the seed chooses its compression and the number of its records.
fn fresh(seed: usize) -> Bytes {
    let compression = Compression::ALL[seed % Compression::ALL.len()];
    let mut builder = BatchBuilder::new(BatchOptions { compression, ..BatchOptions::default() });
    let headers = [Header { key: Bytes::from_static(b"trace"), value: None }];
    for index in 0..1 + (seed / 8 % 8) as i64 {
        let key = (index % 2 == 0).then_some(&b"key"[..]);
        let timestamp = 1_700_000_000_000 + index * 7;
        builder.push(timestamp, key, Some(&[b'v'; 40]), &headers).expect("the batch is small");
    }
    builder.build(0).expect("the batch is small and has records").bytes().clone()
}
