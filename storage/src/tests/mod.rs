//! Tests of whole logs: on the memory disk, where the machine can be restarted, and on a real one.

mod basics;
mod retention;
mod support;
