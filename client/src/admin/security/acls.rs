//! Access control lists.

use klamm_protocol::api::create_acls::{self, CreateAcls};
use klamm_protocol::api::delete_acls::{self, DeleteAcls};
use klamm_protocol::api::describe_acls::{self, DescribeAcls};
use klamm_protocol::wire::Str;

use crate::admin::codes::codes;
use crate::admin::{Admin, Effect, Outcomes};
use crate::answer::{Answer, Origin};
use crate::error::{Result, Subject};

/// What a filter has where everything matches.
const ANY: i8 = 1;

codes! {
    /// What an access control list is about.
    AclResource {
        /// A topic.
        Topic = 2,
        /// A group.
        Group = 3,
        /// The cluster itself, whose name is `kafka-cluster`.
        Cluster = 4,
        /// A transactional id.
        TransactionalId = 5,
        /// A delegation token.
        DelegationToken = 6,
        /// A user.
        User = 7,
    }
}

codes! {
    /// How the name of a resource is meant.
    AclPattern {
        /// Filters alone: all that would be looked at when a resource of this name is used.
        Match = 2,
        /// The name itself; `*` is any.
        Literal = 3,
        /// Whatever begins with it (KIP-290).
        Prefixed = 4,
    }
}

codes! {
    /// What is done to a resource.
    AclOperation {
        /// Everything.
        All = 2,
        /// Reading.
        Read = 3,
        /// Writing.
        Write = 4,
        /// Creating.
        Create = 5,
        /// Deleting.
        Delete = 6,
        /// Changing.
        Alter = 7,
        /// Describing.
        Describe = 8,
        /// What brokers do to each other.
        ClusterAction = 9,
        /// Reading settings.
        DescribeConfigs = 10,
        /// Changing settings.
        AlterConfigs = 11,
        /// Producing idempotently.
        IdempotentWrite = 12,
        /// Creating delegation tokens.
        CreateTokens = 13,
        /// Describing delegation tokens.
        DescribeTokens = 14,
        /// Preparing transactions that somebody else ends (KIP-939).
        TwoPhaseCommit = 15,
    }
}

codes! {
    /// Whether it may be done.
    AclPermission {
        /// It may not, whatever else allows it.
        Deny = 2,
        /// It may.
        Allow = 3,
    }
}

/// One line of an access control list.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Acl {
    /// What kind of resource it is about.
    pub resource: AclResource,
    /// The resource's name.
    pub name: Str,
    /// How the name is meant.
    pub pattern: AclPattern,
    /// Who, such as `User:alice`.
    pub principal: Str,
    /// From where: an address, or `*`.
    pub host: Str,
    /// What is done.
    pub operation: AclOperation,
    /// Whether it may be done.
    pub permission: AclPermission,
}

/// Which lines are wanted; what is not set matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct AclFilter {
    /// The kind of resource.
    pub resource: Option<AclResource>,
    /// The resource's name.
    pub name: Option<Str>,
    /// How the name is meant.
    pub pattern: Option<AclPattern>,
    /// Who.
    pub principal: Option<Str>,
    /// From where.
    pub host: Option<Str>,
    /// What is done.
    pub operation: Option<AclOperation>,
    /// Whether it may be done.
    pub permission: Option<AclPermission>,
}

impl Admin {
    /// The lines that match.
    ///
    /// # Errors
    /// No broker answers, or the cluster keeps no such lists.
    pub async fn acls(&self, filter: &AclFilter) -> Result<Vec<Acl>> {
        let request = filter.to_describe();
        let answer = self
            .retry(Effect::Reads, async || {
                let answer = self.controller().await?.call::<DescribeAcls>(&request).await?;
                let Answer { body, origin } = &answer;
                origin.check(body.error_code, body.error_message.clone(), Subject::Cluster)?;
                Ok(answer)
            })
            .await?;
        let lines = |resource: describe_acls::Resource| {
            let describe_acls::Resource { resource_type, resource_name, pattern_type, acls } =
                resource;
            acls.into_iter().map(move |acl| Acl {
                resource: AclResource::from_wire(resource_type),
                name: resource_name.clone(),
                pattern: AclPattern::from_wire(pattern_type),
                principal: acl.principal,
                host: acl.host,
                operation: AclOperation::from_wire(acl.operation),
                permission: AclPermission::from_wire(acl.permission_type),
            })
        };
        Ok(answer.body.resources.into_iter().flat_map(lines).collect())
    }

    /// Adds lines. One that is there already stays as it is.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn create_acls(&self, acls: &[Acl]) -> Result<Outcomes<Acl, ()>> {
        let creation = |acl: &Acl| create_acls::Creation {
            resource_type: acl.resource.to_wire(),
            resource_name: acl.name.clone(),
            resource_pattern_type: acl.pattern.to_wire(),
            principal: acl.principal.clone(),
            host: acl.host.clone(),
            operation: acl.operation.to_wire(),
            permission_type: acl.permission.to_wire(),
        };
        let request = create_acls::Request { creations: acls.iter().map(creation).collect() };
        let Answer { body, origin } = self
            .retry(Effect::Changes, async || {
                self.controller().await?.call::<CreateAcls>(&request).await
            })
            .await?;
        let mut results = body.results.into_iter();
        let outcome = |acl: &Acl| {
            let subject = Subject::Name(acl.name.clone());
            let outcome = match results.next() {
                Some(told) => origin.check(told.error_code, told.error_message, subject),
                None => Err(origin.unanswered(subject)),
            };
            (acl.clone(), outcome)
        };
        Ok(acls.iter().map(outcome).collect())
    }

    /// Removes the lines that match, and tells for each filter which they were.
    ///
    /// # Errors
    /// No broker answers.
    pub async fn delete_acls(
        &self,
        filters: &[AclFilter],
    ) -> Result<Outcomes<AclFilter, Outcomes<Acl, ()>>> {
        let request =
            delete_acls::Request { filters: filters.iter().map(AclFilter::to_delete).collect() };
        let Answer { body, origin } = self
            .retry(Effect::Changes, async || {
                self.controller().await?.call::<DeleteAcls>(&request).await
            })
            .await?;
        let deleted = |told| deleted(told, &origin);
        let mut results = body.filter_results.into_iter();
        let outcome = |filter: &AclFilter| {
            let outcome = match results.next() {
                Some(told) => origin
                    .check(told.error_code, told.error_message, Subject::Cluster)
                    .map(|()| told.matching_acls.into_iter().map(deleted).collect()),
                None => Err(origin.unanswered(Subject::Cluster)),
            };
            (filter.clone(), outcome)
        };
        Ok(filters.iter().map(outcome).collect())
    }
}

impl AclFilter {
    fn to_describe(&self) -> describe_acls::Request {
        describe_acls::Request {
            resource_type_filter: self.resource.map_or(ANY, AclResource::to_wire),
            resource_name_filter: self.name.clone(),
            pattern_type_filter: self.pattern.map_or(ANY, AclPattern::to_wire),
            principal_filter: self.principal.clone(),
            host_filter: self.host.clone(),
            operation: self.operation.map_or(ANY, AclOperation::to_wire),
            permission_type: self.permission.map_or(ANY, AclPermission::to_wire),
        }
    }

    /// The same fields, of which DeleteAcls takes many.
    fn to_delete(&self) -> delete_acls::Filter {
        let describe_acls::Request {
            resource_type_filter,
            resource_name_filter,
            pattern_type_filter,
            principal_filter,
            host_filter,
            operation,
            permission_type,
        } = self.to_describe();
        delete_acls::Filter {
            resource_type_filter,
            resource_name_filter,
            pattern_type_filter,
            principal_filter,
            host_filter,
            operation,
            permission_type,
        }
    }
}

fn deleted(told: delete_acls::MatchingAcl, origin: &Origin) -> (Acl, Result<()>) {
    let subject = Subject::Name(told.resource_name.clone());
    let acl = Acl {
        resource: AclResource::from_wire(told.resource_type),
        name: told.resource_name,
        pattern: AclPattern::from_wire(told.pattern_type),
        principal: told.principal,
        host: told.host,
        operation: AclOperation::from_wire(told.operation),
        permission: AclPermission::from_wire(told.permission_type),
    };
    (acl, origin.check(told.error_code, told.error_message, subject))
}
