//! One door for all brokers: clients say in their TLS hello which one they want (SNI).

use crate::conn::Door;

/// The names `bootstrap.<domain>` and `broker-<id>.<domain>`.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    domain: String,
}

impl Names {
    /// Names below `domain`; none when it is empty, and every broker then has a port of its own.
    pub(crate) fn below(domain: &str) -> Option<Self> {
        (!domain.is_empty()).then(|| Self { domain: domain.to_ascii_lowercase() })
    }

    /// What clients are told of a node.
    pub(crate) fn of(&self, node: i32) -> String {
        format!("broker-{node}.{}", self.domain)
    }

    /// Where a client wants to go that asks for this name (in lower case).
    pub(crate) fn door(&self, name: &str) -> Option<Door> {
        let label = name.strip_suffix(self.domain.as_str())?.strip_suffix('.')?;
        if label == "bootstrap" {
            return Some(Door::Bootstrap);
        }
        let node = label.strip_prefix("broker-")?.parse().ok()?;
        // One name for one node: no sign, no leading zeros.
        (self.of(node) == name).then_some(Door::Node(node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_one_broker_or_nowhere() {
        assert!(Names::below("").is_none());
        let names = Names::below("Hub.Example").unwrap();
        assert_eq!(names.door("bootstrap.hub.example"), Some(Door::Bootstrap));
        assert_eq!(names.door("broker-12.hub.example"), Some(Door::Node(12)));
        assert_eq!(names.door(&names.of(3)), Some(Door::Node(3)));
        for name in
            ["", "hub.example", "broker-1", "broker-01.hub.example", "broker-+1.hub.example", "broker-x.hub.example"]
        {
            assert_eq!(names.door(name), None, "{name}");
        }
        for name in
            ["bootstraphub.example", "a.bootstrap.hub.example", "broker-1.other.example", "broker-1.hub.example."]
        {
            assert_eq!(names.door(name), None, "{name}");
        }
    }
}
