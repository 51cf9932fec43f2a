//! Who may do what, who is who, and how much of it.

mod acls;
mod quotas;
mod scram;
mod tokens;

pub use acls::{Acl, AclFilter, AclOperation, AclPattern, AclPermission, AclResource};
pub use quotas::{Quota, QuotaChange, QuotaEntity, QuotaFilter, QuotaMatch};
pub use scram::{ScramChange, ScramCredential, ScramMechanism};
pub use tokens::{DelegationToken, NewDelegationToken, Principal};
