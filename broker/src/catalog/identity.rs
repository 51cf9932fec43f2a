//! Which broker of which cluster a data folder belongs to: `meta.properties`, as Kafka writes it.

use std::io;
use std::path::Path;

use klamm_protocol::wire::Uuid;
use klamm_storage::disk::Disk;
use klamm_utils::random::Random;

use super::CatalogError;
use super::files;
use crate::config::{BrokerConfig, properties};

/// Name of the file.
const FILE: &str = "meta.properties";
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Whose data a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) cluster_id: String,
    pub(super) node_id: i32,
    /// The folder itself.
    pub(super) directory: Uuid,
}

impl Identity {
    /// Reads whose the folder is; one that is nobody's becomes this broker's.
    pub(super) fn open(
        disk: &dyn Disk,
        dir: &Path,
        config: &BrokerConfig,
    ) -> Result<Self, CatalogError> {
        let path = dir.join(FILE);
        let disk_error = |source| CatalogError::Disk { path: path.clone(), source };
        let Some(content) = files::read(disk, &path, FILE_BYTES_MAX).map_err(disk_error)? else {
            let cluster_id = config.cluster_id.clone();
            let made = Self {
                cluster_id: cluster_id.unwrap_or_else(|| new_id().to_string()),
                node_id: config.node_id,
                directory: new_id(),
            };
            let text = made.to_text();
            // What could not be read again would keep the next start from going well.
            if Self::parse(&text).as_ref() != Some(&made) || text.len() as u64 > FILE_BYTES_MAX {
                return Err(CatalogError::ClusterId { configured: made.cluster_id });
            }
            files::replace(disk, &path, &[text.as_bytes()]).map_err(disk_error)?;
            return Ok(made);
        };
        let found = std::str::from_utf8(&content).ok().and_then(Self::parse);
        let invalid = || disk_error(io::Error::new(io::ErrorKind::InvalidData, "not understood"));
        found.ok_or_else(invalid)?.check(config)
    }

    fn check(self, config: &BrokerConfig) -> Result<Self, CatalogError> {
        if self.node_id != config.node_id {
            let (found, configured) = (self.node_id, config.node_id);
            return Err(CatalogError::OtherNode { found, configured });
        }
        match &config.cluster_id {
            Some(configured) if *configured != self.cluster_id => {
                let (found, configured) = (self.cluster_id, configured.clone());
                Err(CatalogError::OtherCluster { found, configured })
            }
            _ => Ok(self),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let entries = properties::parse(text).ok()?;
        let get = |name: &str| {
            let found = entries.iter().rev().find(|entry| entry.key == name)?;
            Some(found.value.as_str())
        };
        if get("version") != Some("1") {
            return None;
        }
        Some(Self {
            cluster_id: get("cluster.id")?.to_owned(),
            node_id: get("node.id")?.parse().ok()?,
            directory: Uuid::parse(get("directory.id")?)?,
        })
    }

    fn to_text(&self) -> String {
        let Self { cluster_id, node_id, directory } = self;
        format!(
            "#\nversion=1\ncluster.id={cluster_id}\nnode.id={node_id}\n\
             directory.id={directory}\n"
        )
    }
}

/// A new random id, for a topic or a folder. As in Kafka, none begins with a dash, which commands
/// would take for a flag.
#[must_use]
pub fn new_id() -> Uuid {
    let mut random = Random::new();
    loop {
        let id = Uuid(random.uuid());
        if !id.to_string().starts_with('-') {
            return id;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_kafkas() {
        // Written by Kafka 4.3.
        let text = "#\n#Sat Nov 21 03:53:13 UTC 2026\nnode.id=1\n\
                    directory.id=eNZmbxTN4FwWB9FJ77pdNg\nversion=1\n\
                    cluster.id=eEcQcivLQP268R8H3rKuuw\n";
        let identity = Identity::parse(text).unwrap();
        assert_eq!((identity.node_id, &*identity.cluster_id), (1, "eEcQcivLQP268R8H3rKuuw"));
        assert_eq!(identity.directory.to_string(), "eNZmbxTN4FwWB9FJ77pdNg");
        assert_eq!(Identity::parse(&identity.to_text()), Some(identity));
        assert_eq!(Identity::parse("version=0\nnode.id=1\n"), None);
    }

    /// The first start wrote what the next one read otherwise, or not at all.
    #[test]
    fn a_cluster_is_called_what_its_file_can_say() {
        let open = |cluster_id: &str| {
            let disk = klamm_storage::disk::MemoryDisk::new();
            let dir = Path::new("/d");
            disk.create_dir(dir).unwrap();
            let cluster_id = Some(cluster_id.to_owned());
            let config = BrokerConfig { cluster_id, ..BrokerConfig::default() };
            let first = Identity::open(&disk, dir, &config);
            first.and_then(|_| Identity::open(&disk, dir, &config)).map(|it| it.cluster_id)
        };
        for sound in ["eEcQcivLQP268R8H3rKuuw", "our cluster.v1", "süd"] {
            assert_eq!(open(sound).unwrap(), sound);
        }
        for bad in ["a\\b", "a\\", "a\nnode.id=9", " a", &"x".repeat(64 << 10)] {
            assert!(matches!(open(bad), Err(CatalogError::ClusterId { .. })), "{bad}");
        }
    }
}
