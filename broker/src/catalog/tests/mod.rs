//! The catalog as its users see it.

mod durability;
mod planning;
mod restarts;

use klamm_protocol::wire::{Str, Uuid};

use super::records::MetadataRecord;
use super::{Image, NewTopic, Planner};
use crate::config::BrokerConfig;

const DIRECTORY: Uuid = Uuid([9; 16]);

/// What a plan upon this image leads to: what it returned, the image and the records.
fn plan<T>(
    image: &Image,
    plan: impl FnOnce(&mut Planner<'_>) -> T,
) -> (T, Image, Vec<MetadataRecord>) {
    let config = BrokerConfig::default();
    let mut planner = Planner::new(&config, DIRECTORY, image.clone());
    let result = plan(&mut planner);
    let (image, records) = planner.into_parts();
    (result, image, records)
}

fn topic(name: &str) -> NewTopic {
    NewTopic::named(name.into())
}

fn with_configs(name: &str, configs: &[(&str, &str)]) -> NewTopic {
    let config = |(name, value): &(&str, &str)| -> (Str, Option<Str>) {
        ((*name).into(), Some((*value).into()))
    };
    NewTopic { configs: configs.iter().map(config).collect(), ..topic(name) }
}

fn id(seed: u8) -> Uuid {
    Uuid([seed; 16])
}
