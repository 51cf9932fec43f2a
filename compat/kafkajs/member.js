// A member of a group with kafkajs; see bench/groups/member.py.
"use strict";

const readline = require("node:readline");
const { Kafka, logLevel } = require("kafkajs");

const [address, group, ...rest] = process.argv.slice(2);
const settings = Object.fromEntries(rest.map((part) => part.split(/=(.*)/s, 2)));
const kafka = new Kafka({ brokers: [address], logLevel: logLevel.NOTHING });
const admin = kafka.admin();
const consumer = kafka.consumer({
  groupId: group,
  sessionTimeout: Number(settings["session-ms"]),
  rebalanceTimeout: 10_000,
  heartbeatInterval: 300,
  maxWaitTimeInMs: 100,
});
let owned = [];

function tell(...event) {
  process.stdout.write(event.join("\t") + "\n");
}

function fail(error) {
  tell("failed", String(error).replaceAll("\n", " "));
  process.exit(1);
}

function place(partition) {
  const colon = partition.lastIndexOf(":");
  return { topic: partition.slice(0, colon), partition: Number(partition.slice(colon + 1)) };
}

/** The client is eager: with every generation all partitions go and others come. */
function joined({ payload }) {
  revoked();
  owned = Object.entries(payload.memberAssignment).flatMap(([topic, partitions]) =>
    partitions.map((partition) => `${topic}:${partition}`),
  );
  tell("assigned", ...owned);
  lookUp(Object.keys(payload.memberAssignment)).catch(fail);
}

function revoked() {
  tell("revoked", ...owned);
  owned = [];
}

async function lookUp(topics) {
  for (const { topic, partitions } of await admin.fetchOffsets({ groupId: group, topics })) {
    for (const { partition, offset, metadata } of partitions) {
      tell("found", `${topic}:${partition}`, offset, metadata ?? "");
    }
  }
}

async function take({ batch, isStale, isRunning }) {
  const { topic, partition, messages } = batch;
  if (isStale() || !isRunning()) return;
  messages.forEach(({ offset }) => tell("record", `${topic}:${partition}`, offset));
  if (settings.commit === "batch" && messages.length > 0) {
    const offset = String(BigInt(messages.at(-1).offset) + 1n);
    await consumer.commitOffsets([{ topic, partition, offset, metadata: settings.metadata }]);
  }
}

async function obey(line) {
  const [command, at, offset] = line.split(" ");
  if (command === "close") return close();
  const { topic, partition } = place(at);
  if (command === "pause") consumer.pause([{ topic, partitions: [partition] }]);
  if (command === "resume") consumer.resume([{ topic, partitions: [partition] }]);
  if (command === "seek") consumer.seek({ topic, partition, offset });
  tell("done");
}

async function close() {
  await consumer.disconnect();
  await admin.disconnect();
  process.exit(0);
}

async function main() {
  await Promise.all([admin.connect(), consumer.connect()]);
  consumer.on(consumer.events.GROUP_JOIN, joined);
  consumer.on(consumer.events.REBALANCING, revoked);
  consumer.on(consumer.events.CRASH, ({ payload }) => payload.restart || fail(payload.error));
  const topics = settings.pattern ? [new RegExp(settings.pattern)] : settings.subscribe.split(",");
  await consumer.subscribe({ topics, fromBeginning: true });
  const autoCommit = settings.commit === "auto";
  await consumer.run({ autoCommit, autoCommitInterval: 100, eachBatch: take });
}

const commands = readline.createInterface({ input: process.stdin });
commands.on("line", (line) => obey(line).catch(fail));
commands.on("close", () => close().catch(fail));
main().catch(fail);
