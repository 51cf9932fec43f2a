//! Rooms, in several instances behind a proxy.
//!
//! | module | what it is |
//! |---|---|
//! | [`server`] | the chat server: accounts, rooms and sockets |
//! | [`persister`] | the database writer, `kafka-consumer` |
//! | [`llm`] | `SuperChat`, which answers `@superchat` |
//!
//! # How a message travels
//!
//! A page sends it over its socket; the server puts it into the log, in the partition of its room,
//! and acknowledges it when the broker has. Every server follows the log and shows what comes to
//! all who look at the room: nobody sees what is not stored, and all see it in the log's order. The
//! database writer makes it a row. What is fleeting (who writes, who is there, the words of an
//! answer that is not complete) goes over the bus alone.
//!
//! # Invariants
//!
//! - Offset and partition are a message's order and its cursor, for pages, servers and rows alike.
//! - A message that is sent again has the same id; whoever has seen it drops it.
//! - A server holds nothing that the log, the database or its pages could not tell it again.
//! - The database knows how far it is: rows and offsets are written together.
//!
//! # Tasks
//!
//! | task | owner | ends |
//! |---|---|---|
//! | `http` | [`server`] | when the server stops |
//! | `socket` | [`server`] | when its page has gone, or is told to go elsewhere, and what it asked for is done |
//! | `tail`, `hear`, `sessions`, `presence`, `pointers`, `reads`, `database` | [`server`] | likewise |
//! | `search` | [`server`] | when the database has answered, or the server stops |
//! | `end` | [`server`] | when everything that was sent is stored |
//! | `persist` | [`persister`] | after what it was writing |
//! | `read`, `stop`, `answer` | [`llm`] | when the worker stops |
//! | `http` | [`persister`], [`llm`] | when they stop |
#![forbid(unsafe_code)]

mod api;
mod attendance;
mod catch_up;
mod conversation;
mod frames;
mod history;
mod instance;
pub mod llm;
mod log;
mod members;
mod message;
mod metrics;
pub mod persister;
mod places;
mod pointers;
mod presence;
mod queue;
mod recent;
mod room;
mod rooms;
mod searches;
pub mod server;
mod socket;
mod store;
mod tail;
