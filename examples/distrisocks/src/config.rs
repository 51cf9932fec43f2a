//! Settings by the names of the original's JSON file, and by ours.

use common::config::Config;
use common::kv::Kv;
use common::registry::{Mode, Registry};

/// The brokers: `KAFKA_SERVICE` and `KAFKA_PORT` as the original has them, or `KAFKA_HOST`. A name
/// with several addresses, as that of a headless service, is tried at each.
pub fn kafka(config: &mut Config) -> String {
    let service = config.text("KAFKA_SERVICE", "");
    if service.is_empty() {
        return common::config::kafka(config);
    }
    let port: u16 = config.value("KAFKA_PORT", 9092);
    format!("{service}:{port}")
}

/// The registry: `REDIS_SERVICE` and `REDIS_PORT`, or in this process if no service is named; one
/// pod or several for each user, by `REGISTRY_MODE`: `single` or `multi`.
pub fn registry(config: &mut Config) -> anyhow::Result<Registry> {
    let service = config.text("REDIS_SERVICE", "");
    let port: u16 = config.value("REDIS_PORT", 6379);
    let mode = match config.text("REGISTRY_MODE", "multi").as_str() {
        "multi" => Mode::Multi,
        "single" => Mode::Single,
        other => {
            config.refuse(format!("REGISTRY_MODE={other}: single or multi"));
            Mode::Multi
        }
    };
    let kv = match service.as_str() {
        "" => Kv::memory(),
        service => Kv::redis(&format!("{service}:{port}"))?,
    };
    Ok(Registry::new(kv, mode))
}

/// Names that the original's file has and that mean nothing here.
pub fn accept_unused(config: &mut Config) {
    let tables = "tables have the names of the migrations";
    config.unused("USER_TABLE_NAME", tables);
    config.unused("MESSAGE_TABLE_NAME", tables);
    config.unused("AWS_REGION", "messages are in SQL");
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use common::config::Finished;

    use super::*;

    #[tokio::test]
    async fn the_file_of_the_original_is_read_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let original = r#"{"port": 3000, "jwt_issuer": "distrisocks", "jwt_expiration": 3600,
            "kafka_service": "kafka-headless", "redis_service": "redis", "kafka_port": 9092,
            "redis_port": 6379, "worker_count": 10, "user_table_name": "Users",
            "message_table_name": "Messages", "aws_region": "ap-south-1"}"#;
        std::fs::write(&path, original).unwrap();
        let mut config = Config::from_arguments(["--dev-mode=true".to_owned()]).unwrap();
        config.add_file(&path).unwrap();
        assert_eq!(kafka(&mut config), "kafka-headless:9092");
        registry(&mut config).unwrap();
        accept_unused(&mut config);
        let settings = crate::pod::Settings::from_config(&mut config);
        assert_eq!(settings.worker_count, 10);
        assert_eq!(settings.listen, SocketAddr::from(([127, 0, 0, 1], 3000)));
        let auth = common::auth::Settings::read(&mut config);
        assert_eq!((auth.issuer.as_str(), auth.access_lifetime.as_secs()), ("distrisocks", 3600));
        assert!(config.describe().contains("AWS_REGION=ap-south-1 (unused: "));
        assert!(matches!(config.finish().unwrap(), Finished::Run));
    }
}
