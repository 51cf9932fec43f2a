//! What two Klamm crates need and no Kafka word describes.
#![forbid(unsafe_code)]
