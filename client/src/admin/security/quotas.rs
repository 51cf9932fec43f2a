//! How much clients may use (KIP-546).

use klamm_protocol::api::alter_client_quotas::{self, AlterClientQuotas};
use klamm_protocol::api::describe_client_quotas::{self, DescribeClientQuotas};
use klamm_protocol::wire::Str;

use crate::admin::{Admin, Effect, Outcomes};
use crate::answer::Answer;
use crate::error::{Result, Subject};

/// Whose quota it is: one or several of `user`, `client-id` and `ip`, each with a name, or without
/// one for all that have no quota of their own.
pub type QuotaEntity = Vec<(Str, Option<Str>)>;

/// What a filter wants of one part of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuotaMatch {
    /// This name.
    Name(Str),
    /// The default of all that have none of their own.
    Default,
    /// Any.
    Any,
}

/// Which quotas are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaFilter {
    /// What the parts of the entity are to be, such as `user`.
    pub parts: Vec<(Str, QuotaMatch)>,
    /// Whether entities with other parts besides are left out.
    pub strict: bool,
}

/// What one entity may use, such as `producer_byte_rate`.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// Whose it is.
    pub entity: QuotaEntity,
    /// The limits, by name.
    pub limits: Vec<(Str, f64)>,
}

/// A change of what one entity may use.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaChange {
    /// Whose it is.
    pub entity: QuotaEntity,
    /// New limits; one without a value is removed.
    pub limits: Vec<(Str, Option<f64>)>,
}

impl Admin {
    /// The quotas that match.
    ///
    /// # Errors
    /// No broker answers, or the cluster has no quotas.
    pub async fn quotas(&self, filter: &QuotaFilter) -> Result<Vec<Quota>> {
        let component = |(entity_type, wanted): &(Str, QuotaMatch)| {
            let (match_type, match_value) = match wanted {
                QuotaMatch::Name(name) => (0, Some(name.clone())),
                QuotaMatch::Default => (1, None),
                QuotaMatch::Any => (2, None),
            };
            let entity_type = entity_type.clone();
            describe_client_quotas::Component { entity_type, match_type, match_value }
        };
        let request = describe_client_quotas::Request {
            components: filter.parts.iter().map(component).collect(),
            strict: filter.strict,
        };
        let answer = self
            .retry(Effect::Reads, async || {
                let answer =
                    self.controller().await?.call::<DescribeClientQuotas>(&request).await?;
                let Answer { body, origin } = &answer;
                origin.check(body.error_code, body.error_message.clone(), Subject::Cluster)?;
                Ok(answer)
            })
            .await?;
        let quota = |entry: describe_client_quotas::Entry| Quota {
            entity: entry.entity.into_iter().map(|of| (of.entity_type, of.entity_name)).collect(),
            limits: entry.values.into_iter().map(|value| (value.key, value.value)).collect(),
        };
        Ok(answer.body.entries.unwrap_or_default().into_iter().map(quota).collect())
    }

    /// Changes quotas; one outcome for each entity.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn alter_quotas(&self, changes: &[QuotaChange]) -> Result<Outcomes<QuotaEntity, ()>> {
        let entity = |(entity_type, entity_name): &(Str, Option<Str>)| {
            let (entity_type, entity_name) = (entity_type.clone(), entity_name.clone());
            alter_client_quotas::Entity { entity_type, entity_name }
        };
        let op = |(key, value): &(Str, Option<f64>)| alter_client_quotas::Op {
            key: key.clone(),
            value: value.unwrap_or(0.0),
            remove: value.is_none(),
        };
        let entry = |change: &QuotaChange| alter_client_quotas::Entry {
            entity: change.entity.iter().map(entity).collect(),
            ops: change.limits.iter().map(op).collect(),
        };
        let request = alter_client_quotas::Request {
            entries: changes.iter().map(entry).collect(),
            validate_only: false,
        };
        let Answer { body, origin } = self
            .retry(Effect::Changes, async || {
                self.controller().await?.call::<AlterClientQuotas>(&request).await
            })
            .await?;
        let outcome = |told: alter_client_quotas::EntryAnswer| {
            let parts = told.entity.into_iter().map(|of| (of.entity_type, of.entity_name));
            (parts.collect(), origin.check(told.error_code, told.error_message, Subject::Cluster))
        };
        Ok(body.entries.into_iter().map(outcome).collect())
    }
}
