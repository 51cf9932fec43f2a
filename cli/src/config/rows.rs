//! Settings as rows.

use klamm_client::admin::{ConfigEntry, ConfigSource, ConfigSynonym};
use serde::{Serialize, Serializer};

use crate::output::Row;

/// One setting. The names of the fields are a promise to scripts.
#[derive(Debug, Serialize)]
pub(crate) struct ConfigRow {
    pub(crate) name: String,
    value: Option<String>,
    #[serde(serialize_with = "serialize_source")]
    source: ConfigSource,
    read_only: bool,
    sensitive: bool,
    /// Where the value could come from, the one in force first; empty where it was not asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    synonyms: Vec<SynonymRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    documentation: Option<String>,
}

#[derive(Debug, Serialize)]
struct SynonymRow {
    name: String,
    value: Option<String>,
    #[serde(serialize_with = "serialize_source")]
    source: ConfigSource,
}

impl ConfigRow {
    pub(crate) fn new(entry: ConfigEntry) -> Self {
        Self {
            name: entry.name.to_string(),
            value: entry.value.map(|value| value.to_string()),
            source: entry.source,
            read_only: entry.is_read_only,
            sensitive: entry.is_sensitive,
            synonyms: entry.synonyms.into_iter().map(SynonymRow::new).collect(),
            documentation: entry.documentation.map(|text| text.to_string()),
        }
    }

    /// Whether somebody set it for the resource itself. What is set for a broker is no topic's own.
    pub(crate) fn is_own(&self, of_a_broker: bool) -> bool {
        match self.source {
            ConfigSource::Default | ConfigSource::Unknown => false,
            ConfigSource::Broker | ConfigSource::AllBrokers | ConfigSource::File => of_a_broker,
            _ => true,
        }
    }

    /// The setting in full, for people.
    pub(super) fn explanation(&self) -> String {
        let [name, value, source] = [&self.name, &self.shown(), source_name(self.source)];
        let mut text = format!("{name} = {value} ({source})\n");
        for synonym in self.synonyms.iter().skip(1) {
            let value = synonym.value.as_deref().unwrap_or("-");
            let source = source_name(synonym.source);
            text += &format!("  otherwise {} = {value} ({source})\n", synonym.name);
        }
        for line in self.documentation.iter().flat_map(|text| text.lines()) {
            text += &format!("  {line}\n");
        }
        text
    }

    fn shown(&self) -> String {
        match &self.value {
            Some(value) => value.clone(),
            None if self.sensitive => "(secret)".into(),
            None => "-".into(),
        }
    }
}

impl Row for ConfigRow {
    const HEADINGS: &'static [&'static str] = &["SETTING", "VALUE", "SOURCE"];
    const MORE_HEADINGS: &'static [&'static str] = &["CHANGE"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.shown(), source_name(self.source).to_owned()]
    }

    fn more_cells(&self) -> Vec<String> {
        vec![if self.read_only { "at a restart" } else { "any time" }.to_owned()]
    }
}

impl SynonymRow {
    fn new(synonym: ConfigSynonym) -> Self {
        Self {
            name: synonym.name.to_string(),
            value: synonym.value.map(|value| value.to_string()),
            source: synonym.source,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn serialize_source<S: Serializer>(
    source: &ConfigSource,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(source_name(*source))
}

fn source_name(source: ConfigSource) -> &'static str {
    match source {
        ConfigSource::Topic => "topic",
        ConfigSource::Broker => "broker",
        ConfigSource::AllBrokers => "all-brokers",
        ConfigSource::File => "file",
        ConfigSource::Default => "default",
        ConfigSource::BrokerLogger => "broker-logger",
        ConfigSource::ClientMetrics => "client-metrics",
        ConfigSource::Group => "group",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_explained_with_what_it_would_be_otherwise() {
        let synonym = |name: &str, value: &str, source| ConfigSynonym {
            name: name.into(),
            value: Some(value.into()),
            source,
        };
        let row = ConfigRow::new(ConfigEntry {
            name: "retention.ms".into(),
            value: Some("5000".into()),
            source: ConfigSource::Topic,
            is_read_only: false,
            is_sensitive: false,
            synonyms: vec![
                synonym("retention.ms", "5000", ConfigSource::Topic),
                synonym("log.retention.ms", "9000", ConfigSource::AllBrokers),
            ],
            documentation: Some("How long.".into()),
        });
        assert!(row.is_own(false));
        assert_eq!(serde_json::to_value(&row).unwrap()["source"], "topic");
        assert_eq!(
            row.explanation(),
            "retention.ms = 5000 (topic)\n  otherwise log.retention.ms = 9000 (all-brokers)\n  \
             How long.\n"
        );
    }
}
