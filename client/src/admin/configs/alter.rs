//! Changing the settings of a resource.

use klamm_protocol::api::alter_configs::{self, AlterConfigs};
use klamm_protocol::api::incremental_alter_configs::{self, IncrementalAlterConfigs};
use klamm_protocol::error_code::ErrorCode;
use klamm_protocol::wire::Str;

use super::{Resource, place_of};
use crate::admin::{Admin, Effect, Outcomes};
use crate::answer::Answer;
use crate::error::Result;

/// A change of one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Gives it this value.
    Set(Str, Str),
    /// Takes its own value away, so that the default holds.
    Delete(Str),
    /// Adds values to a list.
    Append(Str, Str),
    /// Takes values out of a list.
    Subtract(Str, Str),
}

/// What became of one resource, as both APIs say it: kind, name, code and message.
type Altered = (i8, Str, ErrorCode, Option<Str>);

impl Change {
    fn to_wire(&self) -> incremental_alter_configs::Config {
        let (operation, name, value) = match self {
            Self::Set(name, value) => (0, name, Some(value)),
            Self::Delete(name) => (1, name, None),
            Self::Append(name, value) => (2, name, Some(value)),
            Self::Subtract(name, value) => (3, name, Some(value)),
        };
        incremental_alter_configs::Config {
            name: name.clone(),
            config_operation: operation,
            value: value.cloned(),
        }
    }
}

impl Admin {
    /// Changes settings, and leaves all others as they are.
    ///
    /// # Errors
    /// None: what a broker cannot do is told beside the resource.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may be carried out nevertheless, in whole or in part.
    pub async fn incremental_alter_configs(
        &self,
        changes: &[(Resource, Vec<Change>)],
    ) -> Result<Outcomes<Resource, ()>> {
        self.change_configs(changes, false).await
    }

    /// Says what changing these settings would give, and changes none.
    ///
    /// # Errors
    /// None: what a broker cannot do is told beside the resource.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it has changed nothing.
    pub async fn validate_configs(
        &self,
        changes: &[(Resource, Vec<Change>)],
    ) -> Result<Outcomes<Resource, ()>> {
        self.change_configs(changes, true).await
    }

    async fn change_configs(
        &self,
        changes: &[(Resource, Vec<Change>)],
        validate_only: bool,
    ) -> Result<Outcomes<Resource, ()>> {
        let resources = changes.iter().map(|(resource, _)| resource);
        self.alter(resources, async |node, resources| {
            let changed = |resource: &Resource| {
                let (resource_type, resource_name) = resource.to_wire();
                let its = changes.iter().filter(|(changed, _)| changed == resource);
                let configs = its.flat_map(|(_, changes)| changes).map(Change::to_wire).collect();
                incremental_alter_configs::Resource { resource_type, resource_name, configs }
            };
            let resources = resources.iter().map(changed).collect();
            let request = incremental_alter_configs::Request { resources, validate_only };
            let answer = self.reach(node).await?.call::<IncrementalAlterConfigs>(&request).await?;
            Ok(answer.map(|body| {
                let told = body.responses.into_iter().map(|told| {
                    (told.resource_type, told.resource_name, told.error_code, told.error_message)
                });
                told.collect()
            }))
        })
        .await
    }

    /// Gives resources these settings as the only ones of their own: every other goes back to its
    /// default. For brokers that do not know
    /// [`incremental_alter_configs`](Self::incremental_alter_configs), and for those who mean it.
    ///
    /// # Errors
    /// None: what a broker cannot do is told beside the resource.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it may be carried out nevertheless, in whole or in part.
    pub async fn alter_configs(
        &self,
        settings: &[(Resource, Vec<(Str, Str)>)],
    ) -> Result<Outcomes<Resource, ()>> {
        let resources = settings.iter().map(|(resource, _)| resource);
        self.alter(resources, async |node, resources| {
            let config = |(name, value): &(Str, Str)| alter_configs::Config {
                name: name.clone(),
                value: Some(value.clone()),
            };
            let replaced = |resource: &Resource| {
                let (resource_type, resource_name) = resource.to_wire();
                let its = settings.iter().filter(|(replaced, _)| replaced == resource);
                let configs = its.flat_map(|(_, settings)| settings).map(config).collect();
                alter_configs::Resource { resource_type, resource_name, configs }
            };
            let resources = resources.iter().map(replaced).collect();
            let request = alter_configs::Request { resources, validate_only: false };
            let answer = self.reach(node).await?.call::<AlterConfigs>(&request).await?;
            Ok(answer.map(|body| {
                let told = body.responses.into_iter().map(|told| {
                    (told.resource_type, told.resource_name, told.error_code, told.error_message)
                });
                told.collect()
            }))
        })
        .await
    }

    /// Has each broker change the resources that it must be asked for.
    async fn alter<'a, F: Future<Output = Result<Answer<Vec<Altered>>>>>(
        &self,
        resources: impl Iterator<Item = &'a Resource>,
        ask: impl Fn(Option<i32>, Vec<Resource>) -> F,
    ) -> Result<Outcomes<Resource, ()>> {
        let alter = async |node, resources: Vec<Resource>| {
            Ok(read_answer(ask(node, resources.clone()).await?, resources))
        };
        Ok(self.of_resources(resources, Effect::Changes, alter).await)
    }
}

fn read_answer(
    Answer { body: mut answers, origin }: Answer<Vec<Altered>>,
    resources: Vec<Resource>,
) -> Outcomes<Resource, ()> {
    let outcome = |resource: Resource| {
        let about = answers.iter().map(|(kind, name, ..)| (*kind, name));
        let place = place_of(&resource, about, &origin);
        let told = place.map(|place| answers.swap_remove(place));
        let outcome =
            told.and_then(|(.., code, message)| origin.check(code, message, resource.subject()));
        (resource, outcome)
    };
    resources.into_iter().map(outcome).collect()
}
