//! The store that Redis is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, Pipeline, Script, Value, from_redis_value};

use super::{Found, Mark, Marked, Read, Result, Write};

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
            else
                redis.call(command, key, ARGV[i + 2])
            end
        end
        redis.call('HSET', ARGV[1], ARGV[2], ARGV[5])
        return {1, ARGV[5]}
        ",
    )
});

static REMOVE_IF: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end \
         return 0",
    )
});

/// One Redis, by a connection that is shared by all clones and made anew when it is lost.
#[derive(Clone)]
pub struct Redis(ConnectionManager);

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
        Ok(Self(ConnectionManager::new_lazy_with_config(client, config)?))
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
        let answers: Vec<Value> = pipeline.query_async(&mut self.0.clone()).await?;
        reads.iter().zip(answers).map(|(read, answer)| found(read, answer)).collect()
    }

    pub(super) async fn write(&self, writes: &[Write]) -> Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        let mut pipeline = Pipeline::with_capacity(writes.len());
        pipeline.atomic();
        for write in writes {
            let (command, key, rest) = parts(write);
            let mut command = Cmd::new().arg(command).arg(key).to_owned();
            for argument in rest.into_iter().flatten() {
                command.arg(argument);
            }
            pipeline.add_command(command).ignore();
        }
        Ok(pipeline.query_async(&mut self.0.clone()).await?)
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
            call.invoke_async(&mut self.0.clone()).await?;
        Ok(if written { Marked::Written } else { Marked::Elsewhere(held) })
    }

    pub(super) async fn put(&self, key: &str, text: &str, lasts: Option<Duration>) -> Result<()> {
        let mut command = redis::cmd("SET");
        command.arg(key).arg(text);
        if let Some(lasts) = lasts {
            command.arg("PX").arg(millis(lasts));
        }
        Ok(command.query_async(&mut self.0.clone()).await?)
    }

    pub(super) async fn claim(&self, key: &str, text: &str, lasts: Duration) -> Result<bool> {
        let mut command = redis::cmd("SET");
        command.arg(key).arg(text).arg("NX").arg("PX").arg(millis(lasts));
        let set: Option<String> = command.query_async(&mut self.0.clone()).await?;
        Ok(set.is_some())
    }

    pub(super) async fn renew(&self, key: &str, lasts: Duration) -> Result<bool> {
        let mut command = redis::cmd("PEXPIRE");
        command.arg(key).arg(millis(lasts));
        Ok(command.query_async(&mut self.0.clone()).await?)
    }

    pub(super) async fn remove_if(&self, key: &str, text: &str) -> Result<bool> {
        Ok(REMOVE_IF.key(key).arg(text).invoke_async(&mut self.0.clone()).await?)
    }
}

/// The command of a write, its key, and what follows.
fn parts(write: &Write) -> (&'static str, &str, [Option<&str>; 2]) {
    match write {
        Write::AddMember(key, member) => ("SADD", key, [Some(member), None]),
        Write::RemoveMember(key, member) => ("SREM", key, [Some(member), None]),
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
