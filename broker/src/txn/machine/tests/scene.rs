//! A scene: what happens around one transactional id, told as text.
//!
//! Lines that begin with `>` are what happens; the lines that follow are what the machine does:
//!
//! ```text
//! > init
//! stored: Empty 1/0
//! told 1/0
//! > add t-0
//! stored: Ongoing 1/0 t-0
//! yes
//! > end commit
//! stored: PrepareCommit 1/0 t-0
//! to be marked: Commit 1/0 t-0
//! told 1/0
//! > mark t-0
//! stored: CompleteCommit 1/0
//! ```
//!
//! A producer is its id and its epoch. Where none is named, it is the one that was told last. Ids
//! count from 1; before `spare=none` there is always one.
//!
//! | what happens | |
//! |---|---|
//! | `init [known=1/0] [timeout=60s] [spare=none]` | a client wants to be the producer |
//! | `add t-0 … [as=1/0] [v2]` | a producer adds partitions |
//! | `verify t-0 [as=1/0]` | it is asked whether a partition takes part |
//! | `end commit\|abort [as=1/0] [v2] [spare=none]` | a producer ends its transaction |
//! | `mark t-0 [as=1/0]` | the marker of a partition is durable |
//! | `wait 5s` | time goes by, and the machine is asked when it wants |
//! | `age 32766` | the producer is in that epoch |
//! | `restart` | the broker starts again with what was stored last |

use std::fmt::Write as _;

use klamm_protocol::records::Outcome;
use klamm_protocol::wire::Str;

use super::super::*;

/// Plays a scene and compares it with what it was meant to be.
#[track_caller]
pub(super) fn check(expected: &str) {
    let lines = expected.lines().map(str::trim).filter(|line| !line.is_empty());
    let expected: Vec<&str> = lines.collect();
    let mut scene = Scene::default();
    for line in &expected {
        if let Some(what) = line.strip_prefix('>') {
            scene.tell(line);
            scene.play(what.trim());
        }
    }
    assert_eq!(scene.told.trim_end(), expected.join("\n"), "told:\n{}", scene.told);
}

#[derive(Default)]
struct Scene {
    transaction: Option<Transaction>,
    stored: Option<Snapshot>,
    now_ms: i64,
    ids: i64,
    last_told: Producer,
    told: String,
}

/// The words of a line, apart from the first: flags, and `key=value`.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn has(&self, flag: &str) -> bool {
        self.0.contains(&flag)
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        let pairs = self.0.iter().filter_map(|word| word.split_once('='));
        pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    fn producer(&self, key: &str) -> Option<Producer> {
        let (id, epoch) = self.value(key)?.split_once('/').expect("a producer: 1/0");
        let number = "a number";
        Some(Producer { id: id.parse().expect(number), epoch: epoch.parse().expect(number) })
    }

    fn generation(&self) -> Generation {
        if self.has("v2") { Generation::Second } else { Generation::First }
    }

    fn partitions(&self) -> Partitions {
        let mut partitions = Partitions::new();
        for (topic, index) in self.0.iter().filter_map(|word| word.split_once('-')) {
            let indexes = partitions.entry(Str::from(topic)).or_default();
            indexes.insert(index.parse().expect("a partition: t-0"));
        }
        partitions
    }

    fn partition(&self) -> (Str, i32) {
        let mut partitions = self.partitions();
        let (topic, indexes) = partitions.pop_first().expect("a partition");
        (topic, indexes.first().copied().expect("a partition"))
    }
}

fn millis(text: &str) -> i64 {
    let seconds: i64 = text.trim_end_matches('s').parse().expect("seconds: 5s");
    seconds * 1_000
}

impl Scene {
    fn tell(&mut self, line: &str) {
        self.told.push_str(line);
        self.told.push('\n');
    }

    fn play(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let (what, rest) = (words.next().expect("a word"), words.collect::<Vec<_>>());
        let (first, words) = (rest.first().copied().unwrap_or_default(), Words(rest));
        match what {
            "init" => self.init(&words),
            "add" => self.add(&words),
            "verify" => self.verify(&words),
            "end" => self.end(first, &words),
            "mark" => self.mark(&words),
            "wait" => self.wait(millis(first)),
            "age" => self.transaction().producer.epoch = first.parse().expect("an epoch"),
            "restart" => self.transaction = self.stored.clone().map(Transaction::restore),
            _ => panic!("nobody knows how to {what}"),
        }
    }

    fn transaction(&mut self) -> &mut Transaction {
        self.transaction.as_mut().expect("there is an init before")
    }

    fn turn(&self, words: &Words<'_>) -> Turn {
        let spare_id = words.value("spare").is_none().then_some(self.ids + 1);
        Turn { spare_id, ..Turn::at(self.now_ms) }
    }

    fn producer(&self, words: &Words<'_>) -> Producer {
        words.producer("as").unwrap_or(self.last_told)
    }

    fn init(&mut self, words: &Words<'_>) {
        if self.transaction.is_none() {
            self.ids += 1;
            self.transaction = Some(Transaction::new(self.ids));
        }
        let timeout_ms = millis(words.value("timeout").unwrap_or("60s"));
        let timeout_ms = i32::try_from(timeout_ms).expect("a short time");
        let init = Init { known: words.producer("known"), timeout_ms };
        let mut turn = self.turn(words);
        let given = self.transaction().init(init, &mut turn);
        self.told_producer(given, words, turn);
    }

    fn end(&mut self, outcome: &str, words: &Words<'_>) {
        let outcome = match outcome {
            "commit" => Outcome::Commit,
            "abort" => Outcome::Abort,
            _ => panic!("nothing ends with {outcome}"),
        };
        let generation = words.generation();
        let end = End { producer: self.producer(words), outcome, generation };
        let mut turn = self.turn(words);
        let next = self.transaction().end(end, &mut turn);
        self.told_producer(next, words, turn);
    }

    fn told_producer(&mut self, told: Result<Producer, ErrorCode>, words: &Words<'_>, turn: Turn) {
        let was_taken = turn.spare_id.is_none() && words.value("spare").is_none();
        self.ids += i64::from(was_taken);
        self.carry_out(turn);
        match told {
            Ok(producer) => {
                self.last_told = producer;
                self.tell(&format!("told {}", name(producer)));
            }
            Err(code) => self.tell(code.name()),
        }
    }

    fn add(&mut self, words: &Words<'_>) {
        let (producer, added) = (self.producer(words), words.partitions());
        let mut turn = Turn::at(self.now_ms);
        let generation = words.generation();
        let result = self.transaction().add(producer, &added, generation, &mut turn);
        self.carry_out(turn);
        self.tell(result.map_or_else(ErrorCode::name, |()| "yes"));
    }

    fn verify(&mut self, words: &Words<'_>) {
        let (producer, (topic, index)) = (self.producer(words), words.partition());
        let result = self.transaction().verify(producer, &topic, index);
        self.tell(result.map_or_else(ErrorCode::name, |()| "yes"));
    }

    fn mark(&mut self, words: &Words<'_>) {
        let marked = self.transaction().markers().map(|markers| markers.producer);
        let producer = words.producer("as").or(marked).unwrap_or(self.last_told);
        let mut turn = Turn::at(self.now_ms);
        let (topic, index) = words.partition();
        self.transaction().marked(producer, &topic, index, &mut turn);
        self.carry_out(turn);
    }

    fn wait(&mut self, time_ms: i64) {
        let end_ms = self.now_ms + time_ms;
        while let Some(at_ms) = self.transaction().deadline_ms().filter(|at_ms| *at_ms <= end_ms) {
            self.now_ms = at_ms;
            self.tell(&format!("at {}s", at_ms / 1_000));
            let mut turn = Turn::at(at_ms);
            self.transaction().expire(&mut turn);
            self.carry_out(turn);
        }
        self.now_ms = end_ms;
    }

    fn carry_out(&mut self, turn: Turn) {
        let has_stored = !turn.records.is_empty();
        for record in turn.records {
            let mut line = format!("stored: {} {}", record.state.name(), name(record.producer));
            if let Some(next) = record.next_id {
                write!(line, ", then {next}").expect("text takes text");
            }
            self.tell(&(line + &list(&record.partitions)));
            self.stored = Some(record);
        }
        if let Some(markers) = self.transaction().markers().filter(|_| has_stored) {
            let (outcome, producer) = (markers.outcome, name(markers.producer));
            let partitions = list(&markers.partitions);
            self.tell(&format!("to be marked: {outcome:?} {producer}{partitions}"));
        }
    }
}

fn name(producer: Producer) -> String {
    format!("{}/{}", producer.id, producer.epoch)
}

fn list(partitions: &Partitions) -> String {
    let mut text = String::new();
    for (topic, indexes) in partitions {
        for index in indexes {
            write!(text, " {topic}-{index}").expect("text takes text");
        }
    }
    text
}
