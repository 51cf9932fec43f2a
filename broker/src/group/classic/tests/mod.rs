//! What a group does, as transcripts of small scenes, and against a model of clients.

mod checks;
mod joining;
mod leaving;
mod model;
mod restarts;
mod scene;
mod static_members;
mod syncing;
mod time;
