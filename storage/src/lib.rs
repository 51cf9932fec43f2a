//! One partition log on one disk, in the on-disk format of Kafka.
