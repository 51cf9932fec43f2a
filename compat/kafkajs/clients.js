// Producer, consumer and admin client of kafkajs against one address.
"use strict";

const { Kafka, logLevel, Partitioners } = require("kafkajs");

const TIMEOUT_MS = 60_000;

class Clients {
  constructor(address) {
    const retry = { initialRetryTime: 20, maxRetryTime: 200, retries: 20 };
    this.kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING, retry });
    this.admin = this.kafka.admin({ retry: { retries: 3 } });
  }

  async create(topic, numPartitions = 1, configs = {}) {
    const configEntries = Object.entries(configs).map(([name, value]) => ({ name, value }));
    const topics = [{ topic, numPartitions, replicationFactor: 1, configEntries }];
    if (!(await this.admin.createTopics({ topics }))) throw new Error(`${topic} is there already`);
    return topic;
  }

  async producer(options = {}) {
    const createPartitioner = Partitioners.DefaultPartitioner;
    const producer = this.kafka.producer({ createPartitioner, ...options });
    await producer.connect();
    return producer;
  }

  async produce(topic, messages, options = {}) {
    const producer = await this.producer();
    try {
      await producer.send({ topic, messages, ...options });
    } finally {
      await producer.disconnect();
    }
  }

  /** Everything in partition 0 from `start` to its end, read by a group of one. */
  async consume(topic, start) {
    const [{ high }] = await this.admin.fetchTopicOffsets(topic);
    const end = Number(high);
    const consumer = this.kafka.consumer({ groupId: `${topic}-reader`, maxWaitTimeInMs: 100 });
    const messages = [];
    await consumer.connect();
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    try {
      await within(TIMEOUT_MS, async (resolve) => {
        const eachMessage = async ({ message }) => {
          const offset = Number(message.offset);
          if (offset >= start) messages.push(message);
          if (offset === end - 1) resolve();
        };
        await consumer.run({ autoCommit: false, eachMessage });
        consumer.seek({ topic, partition: 0, offset: String(start) });
      });
    } finally {
      await consumer.disconnect();
    }
    return messages.slice(messages.findIndex(({ offset }) => Number(offset) === start));
  }

  /** A consumer that has joined a group. */
  async member(groupId, topic) {
    const consumer = this.kafka.consumer({ groupId, maxWaitTimeInMs: 100 });
    await consumer.connect();
    await consumer.subscribe({ topics: [topic] });
    await within(TIMEOUT_MS, async (resolve) => {
      consumer.on(consumer.events.GROUP_JOIN, resolve);
      await consumer.run({ eachMessage: async () => {} });
    });
    return consumer;
  }
}

/** Runs `start`, which must call what it is given before the time is over. */
function within(limitMs, start) {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`not within ${limitMs} ms`)), limitMs);
    const done = () => {
      clearTimeout(limit);
      resolve();
    };
    start(done).catch(reject);
  });
}

module.exports = { Clients };
