//! What on the cluster is ours. Everything else is somebody else's, and is neither read into a plan nor changed.

use std::collections::BTreeSet;

use bus::admin::{Acl, Pattern, Permission, ResourceType};

/// Topics that the authority manages begin with this.
pub(super) const TOPICS: &str = "jointuse.";
/// Logins that it manages begin with this.
pub(super) const LOGINS: &str = "ju-";
/// Consumer groups of subscriptions begin with this.
pub(super) const GROUPS: &str = "ju.";

/// The services' logins. Those for which no password file is configured were made by somebody else, who keeps them.
pub(super) const SERVICES: [&str; 4] = ["ju-authority", "ju-hub", "ju-intake", "ju-history"];

/// Ours, and not ours.
#[derive(Debug, Clone)]
pub(super) struct Scope {
    /// Logins under our prefix that are left alone.
    kept: BTreeSet<String>,
    /// The authority's own: its ACLs are left alone too, so that it cannot lock itself out.
    own: String,
}

impl Scope {
    /// `own` is the login by which the authority administers; `configured` are the services whose passwords it keeps.
    pub(super) fn new<'a>(own: &str, configured: impl Iterator<Item = &'a String>) -> Self {
        let mut kept: BTreeSet<String> = SERVICES.iter().map(|login| (*login).to_owned()).collect();
        for login in configured {
            kept.remove(login);
        }
        kept.insert(own.to_owned());
        Self { kept, own: own.to_owned() }
    }

    pub(super) fn owns_topic(name: &str) -> bool {
        name.starts_with(TOPICS)
    }

    pub(super) fn owns_login(&self, login: &str) -> bool {
        login.starts_with(LOGINS) && !self.kept.contains(login)
    }

    /// An ACL is ours when it is for one of our logins, or about our topics or groups alone, whoever it is for.
    pub(super) fn owns_acl(&self, acl: &Acl) -> bool {
        match acl.login() {
            Some(login) if login == self.own => false,
            Some(login) if login.starts_with(LOGINS) => true,
            _ => match acl.resource_type {
                ResourceType::Topic => acl.name.starts_with(TOPICS),
                ResourceType::Group => acl.name.starts_with(GROUPS),
                _ => false,
            },
        }
    }

    /// An ACL of somebody else's that lets them at our topics among others (`*`, or a prefix shorter than ours). It is
    /// not ours to remove, and has to be told.
    pub(super) fn reaches_us(&self, acl: &Acl) -> bool {
        let wide = match acl.pattern {
            Pattern::Literal => acl.name == "*",
            Pattern::Prefixed => TOPICS.starts_with(&acl.name),
            Pattern::Other(_) => false,
        };
        !self.owns_acl(acl)
            && acl.login() != Some(self.own.as_str())
            && acl.resource_type == ResourceType::Topic
            && acl.permission == Permission::Allow
            && wide
    }
}

#[cfg(test)]
mod tests {
    use bus::admin::Operation;

    use super::*;

    fn acl(login: &str, resource: ResourceType, pattern: Pattern, name: &str) -> Acl {
        Acl::allow(login, Operation::Read, resource, pattern, name)
    }

    #[test]
    fn ours_is_what_carries_our_prefixes() {
        use Pattern::{Literal, Prefixed};
        use ResourceType::{Cluster, Group, Topic};
        let scope = Scope::new("ju-authority", ["ju-hub".to_owned()].iter());
        assert!(scope.owns_login("ju-sub-a-1") && scope.owns_login("ju-hub") && scope.owns_login("ju-left-over"));
        assert!(!scope.owns_login("ju-authority") && !scope.owns_login("ju-history") && !scope.owns_login("juno"));
        for (ours, acl) in [
            (true, acl("ju-sub-a-1", Topic, Literal, "jointuse.contact")),
            (true, acl("ju-sub-a-1", Topic, Literal, "other.topic")),
            (true, acl("ju-hub", Cluster, Literal, "kafka-cluster")),
            (true, acl("somebody", Topic, Literal, "jointuse.contact")),
            (true, acl("*", Topic, Prefixed, "jointuse.")),
            (true, acl("somebody", Group, Prefixed, "ju.")),
            (false, acl("ju-authority", Topic, Literal, "jointuse.contact")),
            (false, acl("somebody", Topic, Literal, "jointuse")),
            (false, acl("somebody", Topic, Prefixed, "joint")),
            (false, acl("somebody", Topic, Literal, "*")),
            (false, acl("somebody", Topic, Literal, "other.topic")),
            (false, acl("somebody", Group, Literal, "jubilee")),
            (false, acl("somebody", Cluster, Literal, "kafka-cluster")),
        ] {
            assert_eq!(scope.owns_acl(&acl), ours, "{acl}");
        }
        for (reaches, acl) in [
            (true, acl("somebody", Topic, Literal, "*")),
            (true, acl("somebody", Topic, Prefixed, "joint")),
            (false, acl("somebody", Topic, Prefixed, "jointuse.")),
            (false, acl("somebody", Topic, Prefixed, "other")),
            (false, acl("somebody", Group, Literal, "*")),
            (false, acl("ju-authority", Topic, Literal, "*")),
            (false, Acl { permission: Permission::Deny, ..acl("somebody", Topic, Literal, "*") }),
        ] {
            assert_eq!(scope.reaches_us(&acl), reaches, "{acl}");
        }
    }
}
