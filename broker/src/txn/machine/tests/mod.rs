//! The rules of transactional ids, as scenes, and a model of clients, crashes and time.

mod ending;
mod fencing;
mod model;
mod partitions;
mod restarts;
mod scene;
