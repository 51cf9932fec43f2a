//! What a group does, as transcripts of small scenes, and against a model of clients.

mod classic_members;
mod joining;
mod leaving;
mod model;
mod scene;
mod static_members;
mod subscribing;
mod time;
