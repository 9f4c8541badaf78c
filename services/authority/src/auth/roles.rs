//! Which role may call what: one table, in the order of the API. A route that is missing here is closed, and a test
//! fails when table and routes differ.

use authority_api::types::Role::{self, AccessOfficer, Auditor, PrivacyOfficer, Steward};

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Nothing: public by design, or it authenticates by other means (client credentials).
    Open,
    /// One of these roles.
    Any(&'static [Role]),
    /// One of these roles, or a live credential of the subscription that the path names (HTTP Basic).
    OrSubscriber(&'static [Role]),
}

use Need::{Any, Open, OrSubscriber};

const ALL: &[Role] = &[Steward, AccessOfficer, PrivacyOfficer, Auditor];
const EVERYBODY: Need = Any(ALL);
const STEWARD: Need = Any(&[Steward]);
const ACCESS: Need = Any(&[AccessOfficer]);
const AUDITOR: Need = Any(&[Auditor]);
/// Stopping is open to more people than starting.
const STOP_COMPANY: Need = Any(&[Steward, PrivacyOfficer]);
/// What principals ask for.
const PRIVACY: Need = Any(&[PrivacyOfficer]);
/// Whose data went where.
const PRIVACY_AUDIT: Need = Any(&[PrivacyOfficer, Auditor]);
const STOP_ACCESS: Need = Any(&[AccessOfficer, PrivacyOfficer]);

/// (method, route, need).
pub(crate) const TABLE: &[(&str, &str, Need)] = &[
    ("POST", "/v1/sessions", Open),
    ("GET", "/v1/sessions/current", EVERYBODY),
    ("POST", "/v1/companies", STEWARD),
    ("GET", "/v1/companies", EVERYBODY),
    ("GET", "/v1/companies/{id}", EVERYBODY),
    ("POST", "/v1/companies/{id}/suspend", STOP_COMPANY),
    ("POST", "/v1/companies/{id}/resume", STOP_COMPANY),
    ("POST", "/v1/companies/{id}/exit", STEWARD),
    ("POST", "/v1/companies/{id}/end", STEWARD),
    ("POST", "/v1/companies/{id}/notices", STEWARD),
    ("GET", "/v1/companies/{id}/notices", EVERYBODY),
    ("PUT", "/v1/companies/{id}/notices/{version}/evidence", STEWARD),
    ("POST", "/v1/companies/{id}/notices/{version}/notify", STEWARD),
    ("POST", "/v1/companies/{id}/notices/{version}/publish", STEWARD),
    ("POST", "/v1/companies/{id}/notices/{version}/check-evidence", STEWARD),
    ("POST", "/v1/companies/{id}/notices/{version}/activate", STEWARD),
    ("POST", "/v1/companies/{id}/notices/{version}/withdraw", STOP_COMPANY),
    ("POST", "/v1/publications", ACCESS),
    ("GET", "/v1/publications", EVERYBODY),
    ("GET", "/v1/publications/{id}", EVERYBODY),
    ("POST", "/v1/publications/{id}/approve", ACCESS),
    ("POST", "/v1/publications/{id}/decline", ACCESS),
    ("POST", "/v1/publications/{id}/suspend", STOP_ACCESS),
    ("POST", "/v1/publications/{id}/resume", STOP_ACCESS),
    ("POST", "/v1/publications/{id}/revoke", STOP_ACCESS),
    ("POST", "/v1/publications/{id}/credentials", ACCESS),
    ("POST", "/v1/subscriptions", ACCESS),
    ("GET", "/v1/subscriptions", EVERYBODY),
    ("GET", "/v1/subscriptions/{id}", EVERYBODY),
    ("POST", "/v1/subscriptions/{id}/approve", ACCESS),
    ("POST", "/v1/subscriptions/{id}/decline", ACCESS),
    ("POST", "/v1/subscriptions/{id}/suspend", STOP_ACCESS),
    ("POST", "/v1/subscriptions/{id}/resume", STOP_ACCESS),
    ("POST", "/v1/subscriptions/{id}/revoke", STOP_ACCESS),
    ("POST", "/v1/subscriptions/{id}/credentials", ACCESS),
    ("GET", "/v1/subscriptions/{id}/client-config", OrSubscriber(ALL)),
    ("GET", "/v1/credentials", EVERYBODY),
    ("POST", "/v1/credentials/{login}/rotate", ACCESS),
    ("POST", "/v1/credentials/{login}/revoke", STOP_ACCESS),
    ("POST", "/v1/restrictions", PRIVACY),
    ("GET", "/v1/restrictions", EVERYBODY),
    ("GET", "/v1/restrictions/{id}", EVERYBODY),
    ("POST", "/v1/restrictions/{id}/lift", PRIVACY),
    ("GET", "/v1/restrictions/{id}/proof", EVERYBODY),
    ("POST", "/v1/disclosures/questions", PRIVACY_AUDIT),
    ("GET", "/v1/catalogue", EVERYBODY),
    ("GET", "/v1/policy", EVERYBODY),
    ("POST", "/v1/policy/explain", EVERYBODY),
    ("GET", "/v1/cluster/plan", EVERYBODY),
    ("POST", "/v1/cluster/apply", STEWARD),
    ("GET", "/v1/cluster/drift", EVERYBODY),
    ("POST", "/v1/cluster/topics/{name}/accept", STEWARD),
    ("POST", "/v1/erasures", PRIVACY),
    ("GET", "/v1/erasures", EVERYBODY),
    ("GET", "/v1/erasures/{id}", EVERYBODY),
    ("GET", "/v1/erasures/{id}/certificate", EVERYBODY),
    ("GET", "/v1/activity", EVERYBODY),
    ("GET", "/v1/audit/keys", Open),
    ("GET", "/v1/audit/logs", Open),
    ("GET", "/v1/audit/checkpoint", Open),
    ("GET", "/v1/audit/checkpoints", EVERYBODY),
    ("GET", "/v1/audit/entries", EVERYBODY),
    ("GET", "/v1/audit/openings", AUDITOR),
    ("GET", "/v1/audit/proofs/inclusion", Open),
    ("GET", "/v1/audit/proofs/consistency", Open),
    ("POST", "/v1/audit/cosignatures", Open),
    ("POST", "/v1/audit/cosigners", STEWARD),
    ("GET", "/v1/audit/cosigners", EVERYBODY),
    ("POST", "/v1/audit/cosigners/{id}/confirm", STEWARD),
    ("POST", "/v1/audit/cosigners/{id}/remove", STEWARD),
    ("POST", "/oauth/token", Open),
    ("GET", "/.well-known/jwks.json", Open),
    ("GET", "/openapi.json", Open),
];

/// What a route needs; `None` when the table does not name it. A HEAD is a GET without its body.
pub(crate) fn need(method: &str, route: &str) -> Option<Need> {
    let method = if method == "HEAD" { "GET" } else { method };
    TABLE.iter().find(|(m, r, _)| *m == method && *r == route).map(|(_, _, need)| *need)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_route_stands_twice() {
        let routes: BTreeSet<_> = TABLE.iter().map(|(method, route, _)| (method, route)).collect();
        assert_eq!(routes.len(), TABLE.len());
    }

    #[test]
    fn auditors_change_nothing_and_read_everything() {
        for (method, route, need) in TABLE {
            let (Any(roles) | OrSubscriber(roles)) = need else { continue };
            // Asking for somebody's disclosures is recorded, and changes nothing else.
            let asks = ["/v1/policy/explain", "/v1/disclosures/questions"].contains(route);
            let reads = *method == "GET" || asks;
            assert_eq!(roles.contains(&Auditor), reads, "{method} {route}");
        }
    }

    #[test]
    fn only_these_are_open() {
        let open: Vec<_> = TABLE.iter().filter(|(_, _, need)| *need == Open).map(|(_, route, _)| *route).collect();
        let audit = ["keys", "logs", "checkpoint", "proofs/inclusion", "proofs/consistency", "cosignatures"];
        let mut expected = vec!["/v1/sessions".to_owned()];
        expected.extend(audit.iter().map(|part| format!("/v1/audit/{part}")));
        expected.extend(["/oauth/token", "/.well-known/jwks.json", "/openapi.json"].map(str::to_owned));
        assert_eq!(open, expected);
    }

    #[test]
    fn subscribers_get_their_configuration_and_nothing_else() {
        let theirs: Vec<_> = TABLE.iter().filter(|(_, _, need)| matches!(need, OrSubscriber(_))).collect();
        assert_eq!(theirs, [&("GET", "/v1/subscriptions/{id}/client-config", OrSubscriber(ALL))]);
    }

    #[test]
    fn an_unknown_route_is_nobodys() {
        assert_eq!(need("DELETE", "/v1/companies"), None);
        assert_eq!(need("HEAD", "/v1/companies"), need("GET", "/v1/companies"));
    }
}
