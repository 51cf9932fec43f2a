//! Variables of the environment, named as in the image `apache/kafka`.

/// Variables of that image that are about its JVM.
const NO_KEYS: [&str; 12] = [
    "KAFKA_VERSION",
    "KAFKA_HEAP_OPTS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_OPTS",
    "KAFKA_JMX_OPTS",
    "KAFKA_JMX_PORT",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
];

/// The key that a variable sets: behind `KAFKA_`, one underscore stands for a dot, two for an
/// underscore and three for a dash. `CLUSTER_ID` is the id of a new cluster.
pub(super) fn key(variable: &str) -> Option<String> {
    if variable == "CLUSTER_ID" {
        return Some("cluster.id".to_owned());
    }
    let rest = variable.strip_prefix("KAFKA_").filter(|rest| !rest.is_empty())?;
    if NO_KEYS.contains(&variable) {
        return None;
    }
    let dotted = rest.to_lowercase().replace('_', ".");
    Some(dotted.replace("...", "-").replace("..", "_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_name_keys() {
        for (variable, name) in [
            ("KAFKA_LOG_DIRS", Some("log.dirs")),
            ("KAFKA_A__B", Some("a_b")),
            ("KAFKA_A___B_C", Some("a-b.c")),
            ("CLUSTER_ID", Some("cluster.id")),
            ("KAFKA_OPTS", None),
            ("KAFKA_", None),
            ("PATH", None),
        ] {
            assert_eq!(key(variable).as_deref(), name);
        }
    }
}
