//! By what a subscription chooses clients.

use regex_lite::Regex;

use super::Facts;
use crate::regex;

/// One condition, written `what=expression`: the expression matches what the client is as a whole.
#[derive(Debug)]
pub(crate) struct Pattern {
    what: fn(&Facts) -> String,
    expression: Regex,
}

impl Pattern {
    /// `None` if the text is not one, by Kafka's rules.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (what, expression) = text.split_once('=')?;
        let what: fn(&Facts) -> String = match what.trim() {
            "client_id" => |facts| facts.client_id.to_string(),
            "client_instance_id" => |facts| facts.instance_id.to_string(),
            "client_software_name" => |facts| facts.software_name.to_string(),
            "client_software_version" => |facts| facts.software_version.to_string(),
            "client_source_address" => |facts| facts.address.ip().to_canonical().to_string(),
            "client_source_port" => |facts| facts.address.port().to_string(),
            _ => return None,
        };
        let expression = expression.trim();
        if expression.is_empty() || expression.contains('=') {
            return None;
        }
        Some(Self { what, expression: regex::whole(expression).ok()? })
    }

    /// Whether a client is one of those that the condition is for.
    pub(super) fn matches(&self, facts: &Facts) -> bool {
        self.expression.is_match(&(self.what)(facts))
    }
}

#[cfg(test)]
mod tests {
    use klamm_protocol::wire::Uuid;

    use super::*;

    fn check(text: &str, is_matched: bool) {
        let facts = Facts {
            client_id: "orders-1".into(),
            instance_id: Uuid::ZERO,
            software_name: "librdkafka".into(),
            software_version: "2.12.0".into(),
            address: ([0, 0, 0, 0, 0, 0xffff, 0x0a00, 0x0001], 4711).into(),
        };
        let pattern = Pattern::parse(text).expect("a pattern");
        assert_eq!(pattern.matches(&facts), is_matched, "{text}");
    }

    #[test]
    fn an_expression_matches_the_whole_of_what_it_is_about() {
        check("client_id=orders-[0-9]+", true);
        check("client_id=orders", false);
        check("client_id=a|orders-1", true);
        check(" client_software_name = lib.* ", true);
        check("client_software_version=2[.]12[.]0", true);
        check("client_source_address=10[.]0[.]0[.]1", true);
        check("client_source_port=4711", true);
        check("client_source_port=471", false);
    }
}
