// Runs every feature with kafkajs and prints, one line each, `feature TAB ok|FAIL|n.a. TAB detail`.
// Arguments: address, address through the proxy, topic prefix.
"use strict";

const assert = require("node:assert/strict");
const kafkajs = require("kafkajs");
const snappy = require("kafkajs-snappy");
const { Clients } = require("./clients.js");

const { CompressionTypes, ConfigResourceTypes } = kafkajs;
kafkajs.CompressionCodecs[CompressionTypes.Snappy] = snappy;

const COUNT = 500;
const START_MS = 1_795_000_000_000;
const [address, proxied, prefix] = process.argv.slice(2);
const clients = new Clients(address);
const { admin } = clients;

function numbered(count = COUNT) {
  const value = (n) => `value ${n} and words that compress well well`;
  return Array.from({ length: count }, (_, n) => ({ value: value(n), partition: 0 }));
}

async function holds(topic, start, wanted) {
  const got = await clients.consume(topic, start);
  assert.deepEqual(
    got.map(({ value }) => String(value)),
    wanted.map(({ value }) => value),
  );
}

const fails = (type, action) => assert.rejects(action, (error) => found(error).type === type);

/** Errors of single groups and topics are wrapped in one of the call, or of its last try. */
function found(error) {
  const [inner] = error.errors ?? error.groups ?? [];
  return inner?.error ?? inner ?? error.cause ?? error;
}

const compression = (name) => async () => {
  const topic = await clients.create(`${prefix}${name.toLowerCase()}`);
  await clients.produce(topic, numbered(), { compression: CompressionTypes[name] });
  await holds(topic, 0, numbered());
};

async function topics() {
  const topic = await clients.create(`${prefix}topics`, 3, { "retention.ms": "3600000" });
  assert.equal(await admin.createTopics({ topics: [{ topic, numPartitions: 3 }] }), false);
  await admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] });
  const described = await admin.fetchTopicMetadata({ topics: [topic] });
  assert.equal(described.topics[0].partitions.length, 5);
  await admin.deleteTopics({ topics: [topic] });
  assert.ok(!(await admin.listTopics()).includes(topic));
}

async function autoCreate() {
  await clients.produce(`${prefix}auto`, numbered(1));
  await holds(`${prefix}auto`, 0, numbered(1));
}

async function unknownTopic() {
  const topics = [`${prefix}nowhere`];
  await fails("UNKNOWN_TOPIC_OR_PARTITION", () => admin.fetchTopicMetadata({ topics }));
  await fails("UNKNOWN_TOPIC_OR_PARTITION", () => admin.deleteTopics({ topics }));
}

async function recordFields() {
  const topic = await clients.create(`${prefix}fields`);
  const sent = [
    { key: "k", value: "v", timestamp: String(START_MS + 3), headers: { h: "1", i: "2" } },
    { key: null, value: "v2", timestamp: String(START_MS), headers: {} },
    { key: "l", value: null, timestamp: String(START_MS + 9), headers: { "": "" } },
  ];
  await clients.produce(topic, sent.map((record) => ({ ...record, partition: 0 })));
  const text = (raw) => raw && String(raw);
  const got = (await clients.consume(topic, 0)).map(({ key, value, timestamp, headers }) => ({
    key: text(key),
    value: text(value),
    timestamp,
    headers: Object.fromEntries(Object.entries(headers).map(([k, v]) => [k, text(v)])),
  }));
  assert.deepEqual(got, sent);
}

async function seekByOffset() {
  const topic = await clients.create(`${prefix}seek`);
  await clients.produce(topic, numbered(), { compression: CompressionTypes.GZIP });
  await holds(topic, 321, numbered().slice(321));
}

async function seekByTime() {
  const topic = await clients.create(`${prefix}time`);
  const stamped = numbered().map((each, n) => ({ ...each, timestamp: String(START_MS + 10 * n) }));
  await clients.produce(topic, stamped);
  // Behind the last record, this client answers with the end.
  const wanted = [[START_MS, 0], [START_MS + 11, 2], [START_MS + 10 ** 7, COUNT]];
  for (const [stamp, offset] of wanted) {
    const [at] = await admin.fetchTopicOffsetsByTimestamp(topic, stamp);
    assert.equal(Number(at.offset), offset);
  }
}

async function earliestLatest() {
  const topic = await clients.create(`${prefix}ends`);
  await clients.produce(topic, numbered(10));
  const [{ low, high }] = await admin.fetchTopicOffsets(topic);
  assert.deepEqual([low, high], ["0", "10"]);
}

async function big() {
  const topic = await clients.create(`${prefix}big`);
  const records = [{ value: "x".repeat(1_000_000), partition: 0 }];
  await clients.produce(topic, records);
  await holds(topic, 0, records);
}

async function tooLarge() {
  const topic = await clients.create(`${prefix}large`, 1, { "max.message.bytes": "10000" });
  const large = [{ value: "x".repeat(20_000), partition: 0 }];
  await fails("MESSAGE_TOO_LARGE", () => clients.produce(topic, large));
  await clients.produce(topic, numbered(1));
  await holds(topic, 0, numbered(1));
}

async function throughCuts() {
  const topic = await clients.create(`${prefix}cut`);
  const cutting = new Clients(proxied);
  const producer = await cutting.producer({ idempotent: true });
  for (let at = 0; at < COUNT; at += 10) {
    await producer.send({ topic, messages: numbered().slice(at, at + 10) });
  }
  await producer.disconnect();
  await holds(topic, 0, numbered());
}

async function groups() {
  const [topic, groupId] = [await clients.create(`${prefix}groups`), `${prefix}groups`];
  const consumer = await clients.member(groupId, topic);
  const { groups } = await admin.describeGroups([groupId]);
  assert.deepEqual([groups[0].state, groups[0].members.length], ["Stable", 1]);
  await fails("NON_EMPTY_GROUP", () => admin.deleteGroups([groupId]));
  await consumer.disconnect();
  const listed = async () => (await admin.listGroups()).groups.map((group) => group.groupId);
  assert.ok((await listed()).includes(groupId));
  await admin.deleteGroups([groupId]);
  assert.ok(!(await listed()).includes(groupId));
  await fails("GROUP_ID_NOT_FOUND", () => admin.deleteGroups([groupId]));
}

async function offsets() {
  const topic = await clients.create(`${prefix}offsets`, 2);
  await clients.produce(topic, numbered(10));
  const groupId = `${prefix}offsets`;
  await admin.setOffsets({ groupId, topic, partitions: [{ partition: 0, offset: "3" }] });
  const committed = async () => {
    const [found] = await admin.fetchOffsets({ groupId, topics: [topic] });
    return found.partitions.map(({ offset }) => offset);
  };
  assert.deepEqual((await committed()).sort(), ["-1", "3"]);
  await admin.resetOffsets({ groupId, topic, earliest: false });
  assert.deepEqual((await committed()).sort(), ["-1", "-1"]);
}

async function deleteRecords() {
  const topic = await clients.create(`${prefix}trim`);
  await clients.produce(topic, numbered(10));
  await admin.fetchTopicOffsets(topic); // The next call works only with topics known already.
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: "4" }] });
  assert.equal((await admin.fetchTopicOffsets(topic))[0].low, "4");
}

async function configs() {
  const name = await clients.create(`${prefix}configs`);
  const type = ConfigResourceTypes.TOPIC;
  const configEntries = [{ name: "retention.ms", value: "1000" }];
  await admin.alterConfigs({ resources: [{ type, name, configEntries }] });
  const asked = [{ type, name, configNames: ["retention.ms"] }];
  const { resources } = await admin.describeConfigs({ resources: asked, includeSynonyms: false });
  assert.equal(resources[0].configEntries[0].configValue, "1000");
}

async function cluster() {
  const { brokers, controller, clusterId } = await admin.describeCluster();
  assert.deepEqual(brokers.map(({ host, port }) => `${host}:${port}`), [address]);
  assert.equal(controller, brokers[0].nodeId);
  assert.ok(clusterId);
}

const none = (reason) => ({ reason });
const FEATURES = {
  "topics made, described, deleted": topics,
  "a topic made by asking for it": autoCreate,
  "an unknown topic is an error": unknownTopic,
  "produce and consume, none": compression("None"),
  "produce and consume, gzip": compression("GZIP"),
  "produce and consume, snappy": compression("Snappy"),
  "produce and consume, lz4": none("only with a C library of its own"),
  "produce and consume, zstd": none("only with a C library of its own"),
  "keys, headers, nulls, timestamps": recordFields,
  "seek by offset": seekByOffset,
  "seek by time": seekByTime,
  "earliest and latest": earliestLatest,
  "a message near the limit": big,
  "a message over the limit": tooLarge,
  "idempotent retry through cuts": throughCuts,
  "groups listed, described, deleted": groups,
  "offsets listed, altered, deleted": offsets,
  "records deleted": deleteRecords,
  "configs described, altered": configs,
  "cluster described": cluster,
};

async function main() {
  await admin.connect();
  for (const [name, feature] of Object.entries(FEATURES)) {
    if (feature.reason) {
      console.log(`${name}\tn.a.\t${feature.reason}`);
      continue;
    }
    try {
      await feature();
      console.log(`${name}\tok\t`);
    } catch (error) {
      console.log(`${name}\tFAIL\t${String(error).replace(/\s+/g, " ").slice(0, 300)}`);
    }
  }
  process.exit(0);
}

main();
