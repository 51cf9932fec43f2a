//! A scene: clients around one group, told as text.
//!
//! Lines that begin with `>` are what happens; the lines that follow are what the group does:
//!
//! ```text
//! > join a
//! > wait 3s
//! a joins generation 1 as a#1, leads a#1
//! > sync a a#1=x
//! stored: Stable, generation 1, a#1=x
//! a has x
//! ```
//!
//! A client is known by its name, and remembers the member id and the generation that it was told
//! last. Member ids are shown as the name in front, and the number of the UUID behind.
//!
//! | what happens | |
//! |---|---|
//! | `join a [new] [v4\|v9] [as=ID] [instance=i] [type=t] [protocols=p:m,q] [session=6s] [rebalance=9s]` | a client joins; `new` without its id |
//! | `sync a [as=ID] [instance=i] [generation=n] [type=t] [protocol=p] [ID=assignment…]` | a client asks for its assignment |
//! | `beat a [as=ID] [instance=i] [generation=n]`, `commit …` | a heartbeat, a commit |
//! | `leave a … \| ID … \| instance=i …` | clients leave |
//! | `die a` | a client that waits ends without a word |
//! | `wait 5s` | time goes by, and the group is asked when it wants |
//! | `restart [size=n]` | the broker starts again with what was stored last |
//! | `describe`, `ask TOPIC` | what it tells of itself, and of its offsets |

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::super::*;

const LIMITS: Limits = Limits {
    session_min: Duration::from_secs(6),
    session_max: Duration::from_secs(1800),
    initial_delay: Duration::from_secs(3),
    size_max: usize::MAX,
    record_bytes_max: 100_000,
};

/// Plays a scene and compares it with what it was meant to be.
#[track_caller]
pub(super) fn check(expected: &str) {
    check_with(LIMITS, expected);
}

/// Plays a scene in which a group has at most so many members.
#[track_caller]
pub(super) fn check_small(size_max: usize, expected: &str) {
    check_with(Limits { size_max, ..LIMITS }, expected);
}

#[track_caller]
fn check_with(limits: Limits, expected: &str) {
    let lines = expected.lines().map(str::trim).filter(|line| !line.is_empty());
    let expected: Vec<&str> = lines.collect();
    let mut scene = Scene::new(limits);
    for line in &expected {
        if let Some(what) = line.strip_prefix('>') {
            writeln!(scene.told, "{line}").expect("text takes text");
            scene.play(what.trim());
        }
    }
    assert_eq!(scene.told.trim_end(), expected.join("\n"), "told:\n{}", scene.told);
}

#[derive(Default)]
struct Client {
    member_id: Str,
    generation: i32,
}

struct Scene {
    group: ClassicGroup,
    limits: Limits,
    stored: Option<Snapshot>,
    now: Duration,
    clients: HashMap<String, Client>,
    waiting: HashMap<Token, String>,
    /// Those of `waiting` whose clients are not there any more.
    gone: HashSet<Token>,
    tokens: u64,
    uuids: u8,
    told: String,
}

/// The words of a line, apart from the first: flags, and `key=value`.
struct Words<'a>(Vec<&'a str>);

impl<'a> Words<'a> {
    fn has(&self, flag: &str) -> bool {
        self.0.contains(&flag)
    }

    fn value(&self, key: &str) -> Option<&'a str> {
        self.pairs().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().filter_map(|word| word.split_once('='))
    }

    fn seconds(&self, key: &str) -> Option<Duration> {
        self.value(key).map(seconds)
    }
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs(text.trim_end_matches('s').parse().expect("seconds: 5s"))
}

impl Scene {
    fn new(limits: Limits) -> Self {
        let start = Moment { elapsed: Duration::ZERO, unix_ms: 0 };
        Self {
            group: ClassicGroup::new(limits, start),
            limits,
            stored: None,
            now: Duration::ZERO,
            clients: HashMap::new(),
            waiting: HashMap::new(),
            gone: HashSet::new(),
            tokens: 0,
            uuids: 0,
            told: String::new(),
        }
    }

    fn now(&self) -> Moment {
        let unix_ms = i64::try_from(self.now.as_millis()).expect("a scene is short");
        Moment { elapsed: self.now, unix_ms }
    }

    fn tell(&mut self, line: &str) {
        self.told.push_str(line);
        self.told.push('\n');
    }

    fn play(&mut self, line: &str) {
        let mut words = line.split_whitespace();
        let (what, rest) = (words.next().expect("a word"), words.collect::<Vec<_>>());
        let (name, words) = (rest.first().copied().unwrap_or_default(), Words(rest));
        match what {
            "join" => self.join(name, &words),
            "sync" => self.sync(name, &words),
            "beat" | "commit" => self.beat(what, name, &words),
            "leave" => self.leave(&words),
            "wait" => self.wait(seconds(name)),
            "die" => self.die(name),
            "restart" => self.restart(&words),
            "describe" => self.describe(),
            "ask" => self.ask(name),
            _ => panic!("nobody knows how to {what}"),
        }
    }

    fn token(&mut self, name: &str) -> Token {
        self.tokens += 1;
        let token = Token(self.tokens);
        self.waiting.insert(token, name.to_owned());
        token
    }

    fn identity(&self, name: &str, words: &Words<'_>) -> Identity {
        let known = self.clients.get(name).map(|client| client.member_id.clone());
        Identity {
            member_id: words.value("as").map(long).or(known).unwrap_or_default(),
            instance_id: words.value("instance").map(Str::from),
        }
    }

    fn generation(&self, name: &str, words: &Words<'_>) -> i32 {
        let said = words.value("generation").map(|number| number.parse().expect("a number"));
        said.or(self.clients.get(name).map(|client| client.generation)).unwrap_or(-1)
    }

    fn join(&mut self, name: &str, words: &Words<'_>) {
        let mut member = self.identity(name, words);
        if words.has("new") {
            member.member_id = Str::default();
        }
        self.uuids += 1;
        let mut uuid = [0; 16];
        uuid[15] = self.uuids;
        let session_timeout = words.seconds("session").unwrap_or(Duration::from_secs(10));
        let protocols = words.value("protocols").unwrap_or("range");
        let protocols = protocols.split(',').filter(|protocol| !protocol.is_empty());
        let protocols = protocols.map(|protocol| {
            let (name, metadata) = protocol.split_once(':').unwrap_or((protocol, ""));
            Protocol { name: name.into(), metadata: metadata_of(metadata) }
        });
        let join = Join {
            token: self.token(name),
            member,
            uuid,
            client_id: name.into(),
            client_host: "/here".into(),
            session_timeout,
            rebalance_timeout: words.seconds("rebalance").unwrap_or(Duration::from_secs(30)),
            protocol_type: words.value("type").unwrap_or("consumer").into(),
            protocols: protocols.collect(),
            id_required: words.has("v4") || words.has("v9"),
            skips_assignment: words.has("v9"),
        };
        let mut effects = Effects::default();
        self.group.join(join, self.now(), &mut effects);
        self.carry_out(effects);
    }

    fn sync(&mut self, name: &str, words: &Words<'_>) {
        let is_id = |(key, _): &(&str, &str)| key.contains('#');
        let assignments = words.pairs().filter(is_id);
        let sync = Sync {
            token: self.token(name),
            member: self.identity(name, words),
            generation: self.generation(name, words),
            protocol_type: words.value("type").map(Str::from),
            protocol: words.value("protocol").map(Str::from),
            assignments: assignments
                .map(|(id, bytes)| (long(id), Bytes::copy_from_slice(bytes.as_bytes())))
                .collect(),
        };
        let mut effects = Effects::default();
        self.group.sync(sync, self.now(), &mut effects);
        self.carry_out(effects);
    }

    fn beat(&mut self, what: &str, name: &str, words: &Words<'_>) {
        let (member, generation) = (self.identity(name, words), self.generation(name, words));
        let now = self.now();
        let result = match what {
            "commit" => self.group.commit(&member, generation, now),
            _ => self.group.heartbeat(&member, generation, now),
        };
        self.tell(result.map_or_else(ErrorCode::name, |()| "yes"));
    }

    fn leave(&mut self, words: &Words<'_>) {
        let who = |word: &&str| match word.split_once('=') {
            Some((_, instance_id)) => {
                Identity { instance_id: Some(instance_id.into()), ..Identity::default() }
            }
            None if word.contains('#') => Identity { member_id: long(word), ..Identity::default() },
            None => self.identity(word, &Words(Vec::new())),
        };
        let leavers: Vec<_> = words.0.iter().map(who).collect();
        let mut effects = Effects::default();
        let results = self.group.leave(&leavers, self.now(), &mut effects);
        let results =
            results.into_iter().map(|result| result.map_or_else(ErrorCode::name, |()| "yes"));
        let results: Vec<&str> = results.collect();
        self.tell(&results.join(", "));
        self.carry_out(effects);
    }

    /// A client ends without a word while it waits.
    fn die(&mut self, name: &str) {
        let of_client = self.waiting.iter().filter(|(_, waiting)| *waiting == name);
        self.gone.extend(of_client.map(|(token, _)| *token));
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        let mut looks = 0;
        while let Some(deadline) = self.group.deadline().filter(|deadline| *deadline <= end) {
            looks += 1;
            assert!(looks < 100, "the group asks for {deadline:?} again and again");
            self.now = self.now.max(deadline);
            let mut effects = Effects::default();
            let (now, gone) = (self.now(), &self.gone);
            self.group.expire(now.elapsed, now, |token| !gone.contains(&token), &mut effects);
            let before = self.told.len();
            self.carry_out(effects);
            if self.told.len() > before {
                let at = format!("at {}s\n", self.now.as_secs());
                self.told.insert_str(before, &at);
            }
        }
        self.now = end;
    }

    fn restart(&mut self, words: &Words<'_>) {
        if let Some(size) = words.value("size") {
            self.limits.size_max = size.parse().expect("a number");
        }
        let stored = self.stored.clone().expect("something was stored");
        self.waiting.clear();
        self.group = ClassicGroup::restore(stored, self.limits, self.now());
    }

    fn describe(&mut self) {
        let told = self.group.describe();
        let line =
            format!("{}, {:?} by {:?}", told.state.name(), told.protocol_type, told.protocol);
        self.tell(&line);
        for member in told.members {
            let instance = member.instance_id.map(|id| format!(" ({id})")).unwrap_or_default();
            let line = format!(
                "{}{instance}: {} at {}, {:?} gives {:?}",
                short(&member.member_id),
                member.client_id,
                member.client_host,
                member.metadata,
                member.assignment,
            );
            self.tell(&line);
        }
    }

    fn ask(&mut self, topic: &str) {
        let code = |result: Result<(), ErrorCode>| result.map_or_else(ErrorCode::name, |()| "yes");
        let line = format!(
            "delete: {}; delete offsets: {}; subscribed: {}; expiry: {:?}",
            code(self.group.check_delete()),
            code(self.group.check_offset_delete()),
            self.group.subscribes_to(topic),
            self.group.offset_expiry(),
        );
        self.tell(&line);
    }

    fn carry_out(&mut self, effects: Effects) {
        if effects.store {
            let snapshot = self.group.snapshot();
            let state = self.group.state().name();
            let mut line = format!("stored: {state}, generation {}", snapshot.generation);
            for member in &snapshot.members {
                let (id, assignment) = (short(&member.member_id), text(&member.assignment));
                write!(line, ", {id}={assignment}").expect("text takes text");
            }
            self.tell(&line);
            self.stored = Some(snapshot);
        }
        let mut lines = BTreeMap::new();
        for (token, answer) in effects.joins {
            let name = self.waiting.remove(&token).expect("answers go to those who wait");
            lines.insert((name.clone(), token), self.joined(name, answer));
        }
        for (token, answer) in effects.syncs {
            let name = self.waiting.remove(&token).expect("answers go to those who wait");
            let line = match answer {
                Ok(synced) => format!("{name} has {}", text(&synced.assignment)),
                Err(code) => format!("{name} is told {}", code.name()),
            };
            lines.insert((name, token), line);
        }
        for (_, token) in lines.keys().filter(|(_, token)| self.gone.contains(token)) {
            self.group.missed(*token);
        }
        lines.retain(|(_, token), _| !self.gone.contains(token));
        lines.into_values().for_each(|line| self.tell(&line));
    }

    fn joined(&mut self, name: String, answer: Result<Joined, JoinRefusal>) -> String {
        let client = self.clients.entry(name.clone()).or_default();
        match answer {
            Ok(joined) => {
                client.member_id = joined.member_id.clone();
                client.generation = joined.generation;
                let (id, leader) = (short(&joined.member_id), short(&joined.leader));
                let members = joined.members.iter().map(|member| short(&member.member_id));
                let members: Vec<_> = members.collect();
                let role = match (members.as_slice(), joined.skip_assignment) {
                    ([], false) => format!("led by {leader}"),
                    ([], true) => format!("led by {leader}, and told to skip"),
                    (members, false) => format!("leads {}", members.join(" ")),
                    (members, true) => format!("leads {} as they are", members.join(" ")),
                };
                let protocol = joined.protocol.unwrap_or_default();
                format!("{name} joins {}/{protocol} as {id}, {role}", joined.generation)
            }
            Err(refusal) => {
                if refusal.code == ErrorCode::MEMBER_ID_REQUIRED {
                    client.member_id = refusal.member_id.clone();
                }
                let (code, id) = (refusal.code.name(), short(&refusal.member_id));
                format!("{name} is told {code} {id}").trim_end().to_owned()
            }
        }
    }
}

/// Metadata from words: `@a+b` is what a consumer of topics a and b sends, the rest is itself.
fn metadata_of(text: &str) -> Bytes {
    let Some(topics) = text.strip_prefix('@') else {
        return Bytes::copy_from_slice(text.as_bytes());
    };
    let topics: Vec<&str> = topics.split('+').filter(|topic| !topic.is_empty()).collect();
    let mut bytes = vec![0, 1];
    bytes.extend(i32::try_from(topics.len()).expect("few topics").to_be_bytes());
    for topic in topics {
        bytes.extend(i16::try_from(topic.len()).expect("a short name").to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1i32).to_be_bytes());
    bytes.into()
}

fn text(bytes: &Bytes) -> String {
    if bytes.is_empty() { "nothing".to_owned() } else { String::from_utf8_lossy(bytes).into() }
}

/// `a-00000000-0000-0000-0000-000000000007` as `a#7`.
fn short(id: &str) -> String {
    match (id.split_once('-'), id.rsplit_once('-')) {
        (Some((name, _)), Some((_, number))) => {
            format!("{name}#{}", u64::from_str_radix(number, 16).expect("hexadecimal"))
        }
        _ => id.to_owned(),
    }
}

/// What [`short`] was made of.
fn long(id: &str) -> Str {
    match id.split_once('#') {
        Some((name, number)) => {
            let number: u64 = number.parse().expect("a number");
            format!("{name}-00000000-0000-0000-0000-{number:012x}").into()
        }
        None => id.into(),
    }
}
