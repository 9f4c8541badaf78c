//! ACLs as values: two sets and their difference are a plan.

use std::{collections::BTreeSet, fmt};

use wire::{
    messages::{
        CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest, create_acls_request::AclCreation,
        delete_acls_request::DeleteAclsFilter,
    },
    protocol::StrBytes,
};

use super::{AdminError, Controller};

/// Codes as in `org.apache.kafka.common.{resource,acl}`; what is not known here keeps its code, so that nothing on the
/// broker is ever overlooked.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $code:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($variant,)+
            /// A code that this version does not know.
            Other(i8),
        }

        impl $name {
            /// The code in Kafka's protocol.
            pub const fn code(self) -> i8 {
                match self {
                    $(Self::$variant => $code,)+
                    Self::Other(code) => code,
                }
            }

            /// From the code in Kafka's protocol.
            pub const fn from_code(code: i8) -> Self {
                match code {
                    $($code => Self::$variant,)+
                    code => Self::Other(code),
                }
            }
        }
    };
}

codes!(
    /// What an ACL is about.
    ResourceType { Topic = 2, Group = 3, Cluster = 4, TransactionalId = 5, DelegationToken = 6, User = 7 }
);
codes!(
    /// How the name is to be read.
    Pattern { Literal = 3, Prefixed = 4 }
);
codes!(
    /// What is done to it.
    Operation {
        All = 2, Read = 3, Write = 4, Create = 5, Delete = 6, Alter = 7, Describe = 8, ClusterAction = 9,
        DescribeConfigs = 10, AlterConfigs = 11, IdempotentWrite = 12, CreateTokens = 13, DescribeTokens = 14,
    }
);
codes!(
    /// Whether it may be done.
    Permission { Deny = 2, Allow = 3 }
);

/// One ACL of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    pub resource_type: ResourceType,
    /// Topic, group, ...; `kafka-cluster` for the cluster.
    pub name: String,
    pub pattern: Pattern,
    /// `User:` and the login.
    pub principal: String,
    /// `*` or an address.
    pub host: String,
    pub operation: Operation,
    pub permission: Permission,
}

impl Acl {
    /// Allows a login an operation from everywhere.
    pub fn allow(
        login: &str,
        operation: Operation,
        resource_type: ResourceType,
        pattern: Pattern,
        name: impl Into<String>,
    ) -> Self {
        Self {
            resource_type,
            name: name.into(),
            pattern,
            principal: format!("User:{login}"),
            host: "*".to_owned(),
            operation,
            permission: Permission::Allow,
        }
    }

    /// The login, when the principal is a user.
    pub fn login(&self) -> Option<&str> {
        self.principal.strip_prefix("User:")
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { resource_type, name, pattern, principal, host, operation, permission } = self;
        write!(f, "{permission:?} {principal} {operation:?} on {resource_type:?} {name} ({pattern:?}) from {host}")
    }
}

/// Which ACLs to list: absent fields match everything.
#[derive(Clone, Debug, Default)]
pub struct AclFilter {
    /// `User:` and the login.
    pub principal: Option<String>,
    pub resource_type: Option<ResourceType>,
    /// Exactly this name, whichever the pattern.
    pub name: Option<String>,
}

const ANY: i8 = 1;

impl Controller {
    /// Lists the ACLs that match.
    ///
    /// # Errors
    /// The call failed, or the login may not describe the cluster.
    pub async fn acls(&self, filter: &AclFilter) -> Result<BTreeSet<Acl>, AdminError> {
        let text = |text: &Option<String>| text.clone().map(StrBytes::from_string);
        let mut request = DescribeAclsRequest::default();
        request.resource_type_filter = filter.resource_type.map_or(ANY, ResourceType::code);
        request.resource_name_filter = text(&filter.name);
        request.pattern_type_filter = ANY;
        request.principal_filter = text(&filter.principal);
        // Absent, which is not what the codec's default is.
        request.host_filter = None;
        request.operation = ANY;
        request.permission_type = ANY;
        let answer = self.call(&request, "DescribeAcls").await?;
        AdminError::check(answer.error_code, answer.error_message.as_deref(), || "listing ACLs".to_owned())?;
        let resources = answer.resources.iter();
        let acls = resources.flat_map(|resource| {
            resource.acls.iter().map(|acl| Acl {
                resource_type: ResourceType::from_code(resource.resource_type),
                name: resource.resource_name.to_string(),
                pattern: Pattern::from_code(resource.pattern_type),
                principal: acl.principal.to_string(),
                host: acl.host.to_string(),
                operation: Operation::from_code(acl.operation),
                permission: Permission::from_code(acl.permission_type),
            })
        });
        Ok(acls.collect())
    }

    /// Creates ACLs; one that exists already is left as it is.
    ///
    /// # Errors
    /// The first refusal, naming its ACL; others of the same call may have been created.
    pub async fn create_acls(&self, acls: &[Acl]) -> Result<(), AdminError> {
        if acls.is_empty() {
            return Ok(());
        }
        let mut request = CreateAclsRequest::default();
        request.creations = acls
            .iter()
            .map(|acl| {
                let mut creation = AclCreation::default();
                creation.resource_type = acl.resource_type.code();
                creation.resource_name = StrBytes::from_string(acl.name.clone());
                creation.resource_pattern_type = acl.pattern.code();
                creation.principal = StrBytes::from_string(acl.principal.clone());
                creation.host = StrBytes::from_string(acl.host.clone());
                creation.operation = acl.operation.code();
                creation.permission_type = acl.permission.code();
                creation
            })
            .collect();
        let answer = self.call(&request, "CreateAcls").await?;
        for (acl, result) in acls.iter().zip(&answer.results) {
            AdminError::check(result.error_code, result.error_message.as_deref(), || format!("creating ACL {acl}"))?;
        }
        Ok(())
    }

    /// Deletes exactly these ACLs; one that does not exist is no error. Gives how many were deleted.
    ///
    /// # Errors
    /// The first refusal, naming its ACL; others of the same call may have been deleted.
    pub async fn delete_acls(&self, acls: &[Acl]) -> Result<usize, AdminError> {
        if acls.is_empty() {
            return Ok(0);
        }
        let mut request = DeleteAclsRequest::default();
        request.filters = acls
            .iter()
            .map(|acl| {
                let mut filter = DeleteAclsFilter::default();
                filter.resource_type_filter = acl.resource_type.code();
                filter.resource_name_filter = Some(StrBytes::from_string(acl.name.clone()));
                filter.pattern_type_filter = acl.pattern.code();
                filter.principal_filter = Some(StrBytes::from_string(acl.principal.clone()));
                filter.host_filter = Some(StrBytes::from_string(acl.host.clone()));
                filter.operation = acl.operation.code();
                filter.permission_type = acl.permission.code();
                filter
            })
            .collect();
        let answer = self.call(&request, "DeleteAcls").await?;
        let mut deleted = 0;
        for (acl, result) in acls.iter().zip(&answer.filter_results) {
            let what = || format!("deleting ACL {acl}");
            AdminError::check(result.error_code, result.error_message.as_deref(), what)?;
            for found in &result.matching_acls {
                AdminError::check(found.error_code, found.error_message.as_deref(), what)?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }
}
