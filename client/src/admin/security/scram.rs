//! Users who prove that they know a password (KIP-554).

use klamm_protocol::api::alter_user_scram_credentials::{self, AlterUserScramCredentials};
use klamm_protocol::api::describe_user_scram_credentials::{self, DescribeUserScramCredentials};
use klamm_protocol::wire::Str;
use klamm_utils::random::Random;

use crate::admin::codes::codes;
use crate::admin::{Admin, Effect, Outcomes, unless_moved};
use crate::answer::Answer;
use crate::config::{ConfigError, Secret};
use crate::error::{Result, Subject};
use crate::sasl;

codes! {
    /// How a user proves it.
    ScramMechanism {
        /// SCRAM-SHA-256 (RFC 7677).
        Sha256 = 1,
        /// SCRAM-SHA-512.
        Sha512 = 2,
    }
}

/// What the cluster tells of what it keeps of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScramCredential {
    /// The mechanism it is for.
    pub mechanism: ScramMechanism,
    /// How often it was hashed.
    pub iterations: i32,
}

/// A change of what the cluster keeps of a user.
#[derive(Clone, Debug)]
pub enum ScramChange {
    /// Lets the user in with this password. The password stays here: what is sent was hashed with
    /// a salt that is new each time.
    Set {
        /// The user's name.
        user: Str,
        /// For this mechanism.
        mechanism: ScramMechanism,
        /// How often the password is hashed: from 4096 to 16384.
        iterations: u32,
        /// The password.
        password: Secret,
    },
    /// Lets the user in by this mechanism no more.
    Delete {
        /// The user's name.
        user: Str,
        /// For this mechanism.
        mechanism: ScramMechanism,
    },
}

impl ScramChange {
    fn user(&self) -> &Str {
        match self {
            Self::Set { user, .. } | Self::Delete { user, .. } => user,
        }
    }
}

impl Admin {
    /// What the cluster keeps of these users, or of all where none is named.
    ///
    /// # Errors
    /// No broker answers, or the cluster knows no such users.
    pub async fn scram_users(&self, users: &[Str]) -> Result<Outcomes<Str, Vec<ScramCredential>>> {
        let named = |name: &Str| describe_user_scram_credentials::User { name: name.clone() };
        let request = describe_user_scram_credentials::Request {
            users: (!users.is_empty()).then(|| users.iter().map(named).collect()),
        };
        let Answer { body, origin } = self
            .retry(Effect::Reads, async || {
                let connection = self.controller().await?;
                let answer = connection.call::<DescribeUserScramCredentials>(&request).await?;
                let Answer { body, origin } = &answer;
                origin.check(body.error_code, body.error_message.clone(), Subject::Cluster)?;
                Ok(answer)
            })
            .await?;
        let outcome = |told: describe_user_scram_credentials::UserAnswer| {
            let subject = Subject::Name(told.user.clone());
            let credentials = told.credential_infos.into_iter().map(|info| ScramCredential {
                mechanism: ScramMechanism::from_wire(info.mechanism),
                iterations: info.iterations,
            });
            let outcome = origin.check(told.error_code, told.error_message, subject);
            (told.user, outcome.map(|()| credentials.collect()))
        };
        Ok(body.results.into_iter().map(outcome).collect())
    }

    /// Changes what the cluster keeps of users; one outcome for each user.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn alter_scram_users(&self, changes: &[ScramChange]) -> Result<Outcomes<Str, ()>> {
        let mut request = alter_user_scram_credentials::Request::default();
        for change in changes {
            match change {
                ScramChange::Set { user, mechanism, iterations, password } => {
                    let set = upsertion(user, *mechanism, *iterations, password)?;
                    request.upsertions.push(set);
                }
                ScramChange::Delete { user, mechanism } => {
                    let (name, mechanism) = (user.clone(), mechanism.to_wire());
                    request
                        .deletions
                        .push(alter_user_scram_credentials::Deletion { name, mechanism });
                }
            }
        }
        self.retry(Effect::Changes, async || {
            let Answer { body, origin } =
                self.controller().await?.call::<AlterUserScramCredentials>(&request).await?;
            let altered = body.results.into_iter().map(|told| {
                let subject = Subject::Name(told.user.clone());
                (told.user, origin.check(told.error_code, told.error_message, subject))
            });
            unless_moved(changes.iter().map(ScramChange::user), altered.collect())
        })
        .await
    }
}

fn upsertion(
    user: &Str,
    mechanism: ScramMechanism,
    iterations: u32,
    password: &Secret,
) -> Result<alter_user_scram_credentials::Upsertion> {
    let mut random = Random::new();
    let salt: Vec<u8> = (0..4).flat_map(|_| random.bits().to_be_bytes()).collect();
    let hash = match mechanism {
        ScramMechanism::Sha256 => sasl::Hash::Sha256,
        ScramMechanism::Sha512 => sasl::Hash::Sha512,
        ScramMechanism::Other(code) => {
            let value = code.to_string();
            return Err(ConfigError::NotBuilt { name: "mechanism", value }.into());
        }
    };
    Ok(alter_user_scram_credentials::Upsertion {
        name: user.clone(),
        mechanism: mechanism.to_wire(),
        iterations: i32::try_from(iterations).unwrap_or(i32::MAX),
        salted_password: hash.salted(password.expose(), &salt, iterations).into(),
        salt: salt.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClientConfig, Kafka, fake};
    use klamm_protocol::api::metadata::Metadata;
    use klamm_protocol::declare::Api as _;
    use klamm_protocol::error_code::ErrorCode;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[tokio::test]
    async fn users_are_changed_by_the_next_controller_where_one_is_it_no_more() {
        let asked_before = AtomicBool::new(false);
        let address = fake::broker(move |asked| {
            let apis = [(Metadata::KEY, 12), (AlterUserScramCredentials::KEY, 0)];
            Some(match asked.api_key {
                Metadata::KEY => fake::metadata(asked, &[&asked.address], 0),
                AlterUserScramCredentials::KEY => {
                    let is_moved = !asked_before.swap(true, Ordering::Relaxed);
                    let answer = alter_user_scram_credentials::UserAnswer {
                        user: "ann".into(),
                        error_code: if is_moved {
                            ErrorCode::NOT_CONTROLLER
                        } else {
                            ErrorCode::NONE
                        },
                        ..Default::default()
                    };
                    let results = vec![answer];
                    let body =
                        alter_user_scram_credentials::Response { results, ..Default::default() };
                    fake::answer::<AlterUserScramCredentials>(asked, &body)
                }
                _ => fake::versions(asked, &apis),
            })
        });
        let kafka = Kafka::connect(ClientConfig::new(&address.await)).await.unwrap();
        let change = ScramChange::Delete { user: "ann".into(), mechanism: ScramMechanism::Sha256 };
        let altered = kafka.admin().alter_scram_users(&[change]).await.unwrap();
        assert!(altered[0].1.is_ok(), "{altered:?}");
    }
}
