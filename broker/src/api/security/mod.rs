//! Rules, users and quotas. None can be set yet, and the answers are those of a Kafka broker on
//! which none is: no authorizer, no credentials, no quotas.

pub(crate) mod acls;
pub(crate) mod quotas;
pub(crate) mod users;
