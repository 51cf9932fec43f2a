//! Our crates, as an application uses them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use klamm_client::{ClientConfig, Kafka};
use klamm_consumer::{ConsumeExt as _, Consumer, Start};
use klamm_producer::{ProduceExt as _, Producer, Record, TryEnqueueError};
use klamm_protocol::wire::Str;
use tokio::runtime::{Builder, Runtime};

use super::arrivals::Arrivals;
use super::cell::{Cell, Cpu, Measured, consumer_settings, producer_settings};

const CLOSE: Duration = Duration::from_secs(60);
/// How long nothing may come.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn produce(cell: &Cell) -> Result<Measured> {
    runtime()?.block_on(async {
        let producer = producer(cell).await?;
        let values = values(cell);
        let topic = Str::from(cell.target.topic.name.as_str());
        let partitions = u64::try_from(cell.target.topic.partitions)?;
        let (cpu, began) = (Cpu::start(), Instant::now());
        for number in 0..cell.records {
            let record = Record::to(topic.clone())
                .partition(super::partition(number, partitions))
                .value(values[number as usize % values.len()].clone());
            // What becomes of each is counted, as librdkafka's callbacks do.
            drop(producer.enqueue(record).await?);
        }
        producer.flush().await;
        let (seconds, cpu_seconds) = (began.elapsed().as_secs_f64(), cpu.seconds());
        let counted = producer.metrics();
        ensure!((counted.records, counted.errors) == (cell.records, 0), "klamm: {counted:?}");
        producer.close(CLOSE).await?;
        Ok(Measured { records: cell.records, seconds, cpu_seconds, latencies: None })
    })
}

pub(super) fn consume(cell: &Cell) -> Result<Measured> {
    runtime()?.block_on(async {
        let cpu = Cpu::start();
        let mut consumer = consumer(cell, Start::Earliest).await?;
        let (mut records, mut bytes, mut first) = (0, 0, None);
        while records < cell.records {
            let batch = tokio::time::timeout(PATIENCE, consumer.next_batch()).await??;
            first.get_or_insert_with(Instant::now);
            for record in &batch {
                bytes += record.value.as_ref().map_or(0, Bytes::len);
                records += 1;
            }
        }
        let seconds = first.map_or(f64::NAN, |first| first.elapsed().as_secs_f64());
        let cpu_seconds = cpu.seconds();
        ensure!(bytes as u64 == records * cell.size as u64, "values of other sizes came");
        consumer.close(CLOSE).await?;
        Ok(Measured { records, seconds, cpu_seconds, latencies: None })
    })
}

pub(super) fn end_to_end(cell: &Cell) -> Result<Measured> {
    let runtime = runtime()?;
    let mut consumer = runtime.block_on(consumer(cell, Start::Latest))?;
    let producer = runtime.block_on(producer(cell))?;
    let topic = Str::from(cell.target.topic.name.as_str());
    // The first record finds connections open and the end of the log known: else it lies before.
    runtime.block_on(async {
        let known = async {
            while consumer.position(&topic, 0).is_none() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(PATIENCE, known).await
    })?;
    let arrivals = Arrivals::new(cell);
    let reading = {
        let arrivals = arrivals.clone();
        runtime.spawn(async move {
            while !arrivals.are_complete() {
                let batch = tokio::time::timeout(PATIENCE, consumer.next_batch()).await??;
                for record in &batch {
                    arrivals.note(record.value.as_deref().unwrap_or_default());
                }
            }
            Ok::<_, anyhow::Error>(())
        })
    };
    let mut waiting = Vec::new();
    let measured = arrivals.send_at_rate(|value| {
        let mut record = Record::to(topic.clone()).partition(0).value(Bytes::from(value));
        loop {
            match producer.try_enqueue(record) {
                Ok(delivery) => return Ok(waiting.push(delivery)),
                Err(TryEnqueueError::Refused(refused)) => return Err(refused.error.into()),
                Err(TryEnqueueError::UnknownTopic(refused)) => {
                    let enqueued = runtime.block_on(producer.enqueue(*refused));
                    return Ok(waiting.push(enqueued?));
                }
                Err(refused) => record = refused.into_record(),
            }
        }
    })?;
    runtime.block_on(async {
        reading.await??;
        for delivery in waiting {
            delivery.await?;
        }
        producer.close(CLOSE).await?;
        Ok::<_, anyhow::Error>(())
    })?;
    Ok(Measured { latencies: Some(arrivals.latencies()), ..measured })
}

/// Gives the disk back to the next cell.
pub(super) fn delete_topic(cell: &Cell) -> Result<()> {
    runtime()?.block_on(async {
        let admin = connect(consumer_settings(cell)).await?.admin();
        for (_, deleted) in admin.delete_topics(&[cell.target.topic.name.as_str().into()]).await? {
            deleted?;
        }
        Ok(())
    })
}

fn runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

fn values(cell: &Cell) -> Vec<Bytes> {
    cell.values().into_iter().map(Bytes::from).collect()
}

async fn connect<const N: usize>(settings: [(&'static str, String); N]) -> Result<Kafka> {
    let config = ClientConfig::default();
    let config = settings.iter().fold(config, |config, (name, value)| config.set(name, value));
    Ok(Kafka::connect(config).await?)
}

async fn producer(cell: &Cell) -> Result<Producer> {
    Ok(connect(producer_settings(cell)).await?.producer().build().await?)
}

async fn consumer(cell: &Cell, start: Start) -> Result<Consumer> {
    let kafka = connect(consumer_settings(cell)).await?;
    let topic = cell.target.topic.name.as_str();
    Ok(kafka.consumer().assign_topic(topic, start).build().await?)
}
