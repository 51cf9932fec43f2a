//! Where brokers keep their logs, and how much room is taken and left.

use klamm_protocol::api::describe_log_dirs::{self, DescribeLogDirs};
use klamm_protocol::wire::Str;

use super::{Admin, Outcomes};
use crate::answer::{Answer, Origin};
use crate::error::{Result, Subject};

/// A directory in which a broker keeps logs.
#[derive(Clone, Debug)]
pub struct LogDir {
    /// The absolute path.
    pub path: Str,
    /// The logs in it, or why the directory cannot be used.
    pub logs: Result<Vec<LogSize>>,
    /// Bytes of its volume, where the broker says it.
    pub total_bytes: Option<i64>,
    /// Bytes of its volume that are free, where the broker says it.
    pub usable_bytes: Option<i64>,
}

/// One partition's log on one broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSize {
    /// The topic.
    pub topic: Str,
    /// The partition's number.
    pub partition: i32,
    /// Bytes of its files.
    pub bytes: i64,
    /// How far it is behind.
    pub offset_lag: i64,
    /// Whether it is a copy under way, to replace the one in another directory.
    pub is_future: bool,
}

impl Admin {
    /// The log directories of these brokers.
    ///
    /// # Errors
    /// None: what a broker cannot tell is told beside it.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn log_dirs(&self, brokers: &[i32]) -> Result<Outcomes<i32, Vec<LogDir>>> {
        let request = describe_log_dirs::Request { topics: None };
        let describe = async |node| {
            let Answer { body, origin } =
                self.kafka.call::<DescribeLogDirs>(node, &request).await?;
            origin.check(body.error_code, None, Subject::Broker(node))?;
            let dirs = body.results.into_iter();
            Ok(dirs.map(|dir| LogDir::from_wire(dir, node, &origin)).collect())
        };
        Ok(self.of_each(brokers.iter().copied(), describe).await)
    }
}

impl LogDir {
    fn from_wire(answer: describe_log_dirs::DirAnswer, node: i32, origin: &Origin) -> Self {
        let known = |bytes: i64| (bytes >= 0).then_some(bytes);
        let size = |topic: describe_log_dirs::TopicAnswer| {
            let name = topic.name;
            topic.partitions.into_iter().map(move |partition| LogSize {
                topic: name.clone(),
                partition: partition.partition_index,
                bytes: partition.partition_size,
                offset_lag: partition.offset_lag,
                is_future: partition.is_future_key,
            })
        };
        Self {
            logs: origin
                .check(answer.error_code, None, Subject::Broker(node))
                .map(|()| answer.topics.into_iter().flat_map(size).collect()),
            path: answer.log_dir,
            total_bytes: known(answer.total_bytes),
            usable_bytes: known(answer.usable_bytes),
        }
    }
}
