//! Tests of whole logs: on the memory disk, where the machine can be restarted, and on a real one.

mod support;

mod aborted;
mod basics;
mod commit;
mod compaction;
mod compaction_crash;
mod compaction_end;
mod compaction_transactions;
mod crash;
mod faults;
mod lookup;
mod model;
mod reads;
mod retention;
mod rot;
mod spans;
mod zeros;
