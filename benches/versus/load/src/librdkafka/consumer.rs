//! A consumer of librdkafka that takes messages in batches.
#![allow(
    unsafe_code,
    reason = "the crate gives messages one by one, at more than it costs to fetch"
)]

use std::ptr;
use std::time::Duration;

use anyhow::Result;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka_sys as sys;

use super::Settings;
use crate::args::Target;

/// Messages that are taken at once.
const BATCH: usize = 1000;

/// A consumer of some partitions, without a group.
pub(crate) struct Consumer {
    inner: BaseConsumer,
}

/// What came of a poll.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Polled {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    /// Messages that were errors.
    pub(crate) errors: u64,
}

impl Polled {
    /// Adds what came of another poll.
    pub(crate) fn add(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.errors += other.errors;
    }
}

impl Consumer {
    pub(crate) fn open(
        target: &Target,
        settings: &Settings,
        partitions: impl Iterator<Item = i32>,
        from: Offset,
    ) -> Result<Self> {
        let mut config: ClientConfig = settings.client(&target.broker);
        config.set("group.id", "klamm-load").set("enable.auto.commit", "false");
        settings.finish(&mut config);
        let inner: BaseConsumer = config.create()?;
        let mut assigned = TopicPartitionList::new();
        for partition in partitions {
            assigned.add_partition_offset(&target.topic.name, partition, from)?;
        }
        inner.assign(&assigned)?;
        Ok(Self { inner })
    }

    /// Waits for one message and takes all that are there then. `each` sees every value.
    pub(crate) fn poll(&self, wait: Duration, mut each: impl FnMut(&[u8])) -> Polled {
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        let client = self.inner.client().native_ptr();
        let mut polled = Polled::default();
        // SAFETY: the client lives as long as `self`.
        let first = unsafe { sys::rd_kafka_consumer_poll(client, wait_ms) };
        if first.is_null() {
            return polled;
        }
        // SAFETY: the message is not null and ours.
        unsafe { take(first, &mut each, &mut polled) };
        let mut more = [ptr::null_mut(); BATCH];
        // SAFETY: the client lives as long as `self`. The queue is a reference of our own, given
        // back at once; the array has room for as many messages as are asked for.
        let count = unsafe {
            let queue = sys::rd_kafka_queue_get_consumer(client);
            let count = sys::rd_kafka_consume_batch_queue(queue, 0, more.as_mut_ptr(), more.len());
            sys::rd_kafka_queue_destroy(queue);
            count
        };
        for &message in more.iter().take(usize::try_from(count).unwrap_or(0)) {
            // SAFETY: so many messages were written, none of them null, and all are ours.
            unsafe { take(message, &mut each, &mut polled) };
        }
        polled
    }
}

/// Looks at a message and gives it back.
///
/// # Safety
/// The message comes from librdkafka and has not been given back.
unsafe fn take(
    message: *mut sys::rd_kafka_message_t,
    each: &mut impl FnMut(&[u8]),
    polled: &mut Polled,
) {
    // SAFETY: as the caller says; it is given back below, after the last look.
    let seen = unsafe { &*message };
    if seen.err != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        polled.errors += 1;
    } else {
        let value: &[u8] = if seen.payload.is_null() {
            &[]
        } else {
            // SAFETY: the payload of a message holds `len` bytes as long as the message is ours.
            unsafe { std::slice::from_raw_parts(seen.payload.cast(), seen.len) }
        };
        polled.records += 1;
        polled.bytes += value.len() as u64;
        each(value);
    }
    // SAFETY: the message is ours and is not looked at again.
    unsafe { sys::rd_kafka_message_destroy(message) };
}
