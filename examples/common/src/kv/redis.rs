//! The store that Redis is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, Pipeline, Script, Value, from_redis_value};

use super::breaker::Breaker;
use super::{Found, KvError, Mark, Marked, Read, Result, Write};

/// Who waits longer than this for Redis goes on without it.
const PATIENCE: Duration = Duration::from_secs(1);

/// Compares a mark, and does what follows: `ARGV` is the hash, the field, whether the field must
/// be there, what it must hold and will hold; then for each write its command and two arguments.
static WRITE_MARKED: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local held = redis.call('HGET', ARGV[1], ARGV[2])
        local expected = ARGV[3] == '1' and ARGV[4]
        if held ~= expected then return {0, held} end
        for i = 6, #ARGV, 4 do
            local command, key = ARGV[i], ARGV[i + 1]
            if command == 'HSET' then
                redis.call(command, key, ARGV[i + 2], ARGV[i + 3])
            elseif command == 'DEL' then
                redis.call(command, key)
            elseif command == 'SREM' and ARGV[i + 3] ~= '' then
                if redis.call('EXISTS', ARGV[i + 3]) == 0 then
                    redis.call(command, key, ARGV[i + 2])
                end
            else
                redis.call(command, key, ARGV[i + 2])
            end
        end
        redis.call('HSET', ARGV[1], ARGV[2], ARGV[5])
        return {1, ARGV[5]}
        ",
    )
});

/// Takes a member out of a set if there is no such key.
const REMOVE_MEMBER_WITHOUT: &str = "if redis.call('EXISTS', KEYS[2]) == 0 then \
     return redis.call('SREM', KEYS[1], ARGV[1]) end return 0";

static REMOVE_IF: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end \
         return 0",
    )
});

/// One Redis, by a connection that is shared by all clones and made anew when it is lost.
#[derive(Clone)]
pub struct Redis {
    connection: ConnectionManager,
    breaker: Arc<Breaker>,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redis")
    }
}

impl Redis {
    pub(super) fn new(address: &str) -> Result<Self> {
        let url =
            if address.contains("://") { address.into() } else { format!("redis://{address}") };
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(1)
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        let client = Client::open(url)?;
        let connection = ConnectionManager::new_lazy_with_config(client, config)?;
        Ok(Self { connection, breaker: Arc::default() })
    }

    /// Asks, unless Redis has just not answered. An answer that refuses is one.
    async fn ask<T>(
        &self,
        ask: impl AsyncFnOnce(&mut ConnectionManager) -> redis::RedisResult<T>,
    ) -> Result<T> {
        if !self.breaker.admits() {
            return Err(KvError::Away);
        }
        let answer = ask(&mut self.connection.clone()).await;
        match &answer {
            Err(error) if error.is_timeout() || error.is_connection_refusal() => {
                self.breaker.open();
            }
            // The connection is made anew with the next call.
            Err(error) if error.is_io_error() => {}
            _ => self.breaker.close(),
        }
        Ok(answer?)
    }

    pub(super) async fn read(&self, reads: &[Read]) -> Result<Vec<Found>> {
        if reads.is_empty() {
            return Ok(Vec::new());
        }
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        for read in reads {
            match read {
                Read::Text(key) => pipeline.cmd("GET").arg(key),
                Read::Members(key) => pipeline.cmd("SMEMBERS").arg(key),
                Read::Fields(key) => pipeline.cmd("HGETALL").arg(key),
                Read::Field(key, field) => pipeline.cmd("HGET").arg(key).arg(field),
            };
        }
        let answers: Vec<Value> = self.ask(async |redis| pipeline.query_async(redis).await).await?;
        reads.iter().zip(answers).map(|(read, answer)| found(read, answer)).collect()
    }

    pub(super) async fn write(&self, writes: &[Write]) -> Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        let mut pipeline = Pipeline::with_capacity(writes.len());
        pipeline.atomic();
        for write in writes {
            pipeline.add_command(command(write)).ignore();
        }
        self.ask(async |redis| pipeline.query_async(redis).await).await
    }

    pub(super) async fn write_marked(&self, mark: &Mark, writes: &[Write]) -> Result<Marked> {
        let mut call = WRITE_MARKED.prepare_invoke();
        let expected = mark.expected.as_deref();
        call.arg(&mark.hash).arg(&mark.field).arg(u8::from(expected.is_some()));
        call.arg(expected.unwrap_or_default()).arg(&mark.value);
        for write in writes {
            let (command, key, [first, second]) = parts(write);
            call.arg(command).arg(key);
            call.arg(first.unwrap_or_default()).arg(second.unwrap_or_default());
        }
        let (written, held): (bool, Option<String>) =
            self.ask(async |redis| call.invoke_async(redis).await).await?;
        Ok(if written { Marked::Written } else { Marked::Elsewhere(held) })
    }

    pub(super) async fn put(&self, key: &str, text: &str, lasts: Option<Duration>) -> Result<()> {
        let mut command = redis::cmd("SET");
        command.arg(key).arg(text);
        if let Some(lasts) = lasts {
            command.arg("PX").arg(millis(lasts));
        }
        self.ask(async |redis| command.query_async(redis).await).await
    }

    pub(super) async fn claim(&self, key: &str, text: &str, lasts: Duration) -> Result<bool> {
        let mut command = redis::cmd("SET");
        command.arg(key).arg(text).arg("NX").arg("PX").arg(millis(lasts));
        let set: Option<String> = self.ask(async |redis| command.query_async(redis).await).await?;
        Ok(set.is_some())
    }

    pub(super) async fn renew(&self, key: &str, lasts: Duration) -> Result<bool> {
        let mut command = redis::cmd("PEXPIRE");
        command.arg(key).arg(millis(lasts));
        self.ask(async |redis| command.query_async(redis).await).await
    }

    pub(super) async fn remove_if(&self, key: &str, text: &str) -> Result<bool> {
        let mut call = REMOVE_IF.key(key);
        call.arg(text);
        self.ask(async |redis| call.invoke_async(redis).await).await
    }
}

/// The command that does it.
fn command(write: &Write) -> Cmd {
    if let Write::RemoveMemberWithout { set, member, key } = write {
        let mut command = redis::cmd("EVAL");
        command.arg(REMOVE_MEMBER_WITHOUT).arg(2).arg(set).arg(key).arg(member);
        return command;
    }
    let (name, key, rest) = parts(write);
    let mut command = redis::cmd(name);
    command.arg(key);
    for argument in rest.into_iter().flatten() {
        command.arg(argument);
    }
    command
}

/// The name of the command of a write, its key, and what follows.
fn parts(write: &Write) -> (&'static str, &str, [Option<&str>; 2]) {
    match write {
        Write::AddMember(key, member) => ("SADD", key, [Some(member), None]),
        Write::RemoveMember(key, member) => ("SREM", key, [Some(member), None]),
        Write::RemoveMemberWithout { set, member, key } => ("SREM", set, [Some(member), Some(key)]),
        Write::SetField(key, field, value) => ("HSET", key, [Some(field), Some(value)]),
        Write::RemoveField(key, field) => ("HDEL", key, [Some(field), None]),
        Write::Delete(key) => ("DEL", key, [None, None]),
    }
}

fn found(read: &Read, answer: Value) -> Result<Found> {
    Ok(match read {
        Read::Text(_) | Read::Field(..) => Found::Text(from(answer)?),
        Read::Members(_) => Found::Members(from::<BTreeSet<String>>(answer)?),
        Read::Fields(_) => Found::Fields(from::<BTreeMap<String, String>>(answer)?),
    })
}

fn from<T: redis::FromRedisValue>(answer: Value) -> Result<T> {
    Ok(from_redis_value(answer).map_err(redis::RedisError::from)?)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that takes connections and never says a word, as a stopped process does.
    #[tokio::test]
    async fn a_redis_that_hangs_is_not_asked_again_at_once() {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let redis = Redis::new(&listener.local_addr().unwrap().to_string()).unwrap();
        let reads = [Read::Text("key".into())];
        assert!(matches!(redis.read(&reads).await, Err(KvError::Redis(_))));
        assert!(matches!(redis.read(&reads).await, Err(KvError::Away)));
        assert!(matches!(redis.write(&[Write::Delete("key".into())]).await, Err(KvError::Away)));
    }
}
