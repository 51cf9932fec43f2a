//! UpdateFeatures: raises or lowers the level of features. Versions 0 to 2.
//!
//! - Every feature is at its highest level and stays there: what asks for that is granted, and
//!   lowering is refused.
//! - One update that is refused fails the others. Versions before 2 list those that were granted.

use klamm_protocol::api::update_features::{FeatureAnswer, FeatureUpdate, Request, Response};
use klamm_protocol::error_code::ErrorCode;

use super::api_versions::FEATURES;
use crate::server::{Call, Reply};

/// The kinds of updates, in versions that tell them (KIP-778).
const UPGRADE: i8 = 1;
const UNSAFE_DOWNGRADE: i8 = 3;

pub(crate) async fn handle(call: Call, request: Request) -> Reply<Response> {
    let updates = &request.feature_updates;
    let refused =
        updates.iter().find_map(|update| check(update, call.version, call.node.id()).err());
    if let Some(reason) = refused {
        let message = format!(
            "The update failed for all features since the following feature had an error: {reason}"
        );
        return Reply::Now(Response {
            error_code: ErrorCode::INVALID_UPDATE_VERSION,
            error_message: Some(message.into()),
            ..Response::default()
        });
    }
    let granted = request.feature_updates.into_iter().map(|update| FeatureAnswer {
        feature: update.feature,
        error_code: ErrorCode::NONE,
        error_message: Some(ErrorCode::NONE.name().into()),
    });
    Reply::Now(Response { results: granted.collect(), ..Response::default() })
}

/// Why an update is refused, as Kafka says it where it refuses it too.
fn check(update: &FeatureUpdate, version: i16, node_id: i32) -> Result<(), String> {
    let level = update.max_version_level;
    let is_upgrade = match version {
        0 => !update.allow_downgrade,
        _ => update.upgrade_type == UPGRADE,
    };
    let known = FEATURES.into_iter().find(|(name, _)| *name == update.feature.as_str());
    let reason = match known {
        _ if version > 0 && !(UPGRADE..=UNSAFE_DOWNGRADE).contains(&update.upgrade_type) => {
            "The controller does not support the given upgrade type.".to_owned()
        }
        _ if level < 0 => "A feature version cannot be less than 0.".to_owned(),
        None if level == 0 => format!("Feature {} not found.", update.feature),
        None => format!("Local controller {node_id} does not support this feature."),
        Some((_, highest)) if level > highest => {
            format!("Local controller {node_id} only supports versions 0-{highest}")
        }
        Some((_, highest)) if level == highest => return Ok(()),
        Some(_) if is_upgrade => {
            "Can't downgrade the version of this feature without setting the upgrade type to \
             either safe or unsafe downgrade."
                .to_owned()
        }
        Some((_, highest)) => format!("The level is always {highest} here."),
    };
    Err(format!("Invalid update version {level} for feature {}. {reason}", update.feature))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: i16, (feature, level, kind): (&str, i16, i8), refused: Option<&str>) {
        let update = FeatureUpdate {
            feature: feature.into(),
            max_version_level: level,
            allow_downgrade: kind > UPGRADE,
            upgrade_type: kind,
        };
        let reason = super::check(&update, version, 1).err();
        let prefix = format!("Invalid update version {level} for feature {feature}. ");
        let reason = reason.map(|reason| reason.strip_prefix(&prefix).unwrap().to_owned());
        assert_eq!(reason.as_deref(), refused, "version {version}: {feature} {level} {kind}");
    }

    #[test]
    fn the_level_that_holds_is_granted_and_every_other_refused() {
        let name = "transaction.version";
        let kind_missing = "Can't downgrade the version of this feature without setting the upgrade \
                            type to either safe or unsafe downgrade.";
        for version in 0..=2 {
            check(version, (name, 2, 1), None);
            check(version, ("group.version", 1, 3), None);
            check(version, (name, 9, 1), Some("Local controller 1 only supports versions 0-2"));
            check(version, (name, 1, 1), Some(kind_missing));
            check(version, (name, 1, 2), Some("The level is always 2 here."));
            check(version, (name, -1, 2), Some("A feature version cannot be less than 0."));
            let unknown = "Local controller 1 does not support this feature.";
            check(version, ("nothing", 1, 1), Some(unknown));
            check(version, ("nothing", 0, 2), Some("Feature nothing not found."));
        }
        let kind = "The controller does not support the given upgrade type.";
        check(1, (name, 2, 9), Some(kind));
        check(2, (name, 2, 0), Some(kind));
        check(0, (name, 2, 9), None);
    }
}
