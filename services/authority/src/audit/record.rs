//! Appending, in the transaction of what is recorded.
//!
//! The lock is taken by the first append and held until the commit, so the order of leaves is the order of commits, and a
//! change that is rolled back leaves no leaf. Decisions go one after another anyway (`db::policy_issue`); what else writes
//! an entry waits for a commit at most.

use audit::{Actor, Entry, EntryKind, Opening, Salt, Service, Subject};
use chrono::{DateTime, Utc};
use diesel::PgConnection;
use serde::Serialize;
use serde_json::Value;
use store::StoreError;

use super::db::{self, BROKEN, Kept, New};
use crate::db::activity::Full;

/// What is committed to, as JSON with its members in this order.
#[derive(Debug, Serialize)]
struct Payload<'a> {
    action: &'a str,
    subject: &'a str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Value::is_null")]
    details: &'a Value,
}

/// Records steps of operators or of the authority itself.
pub(crate) fn activities(conn: &mut PgConnection, steps: &[Full<'_>]) -> Result<(), StoreError> {
    let sealed = |Full { step, details, about: names }: &Full<'_>| {
        let (kind, subject) = about(step.action, step.subject);
        let actor = step.operator.map_or(Actor::Service(Service::Authority), |name| Actor::Operator(name.clone()));
        let payload = Payload { action: step.action, subject: step.subject, reason: step.reason, details };
        let (entry, opening) = seal((kind, step.at, actor, subject), &payload)?;
        Ok((entry, Some(Kept { opening, about: names.clone() })))
    };
    let entries = steps.iter().map(sealed).collect::<Result<Vec<_>, StoreError>>()?;
    append_all(conn, entries)
}

/// Records that a snapshot says something else than the one before. `details` is what it says.
pub(crate) fn snapshot(
    conn: &mut PgConnection,
    number: u64,
    at: DateTime<Utc>,
    details: &Value,
) -> Result<(), StoreError> {
    let about = number.to_string();
    let payload = Payload { action: "policy.issue", subject: &about, reason: "", details };
    let actor = Actor::Service(Service::Authority);
    let (entry, opening) = seal((EntryKind::Decision, at, actor, Subject::Snapshot(number)), &payload)?;
    append_all(conn, [(entry, Some(Kept { opening, about: Vec::new() }))])
}

fn seal(
    (kind, at, actor, subject): (EntryKind, DateTime<Utc>, Actor, Subject),
    payload: &Payload<'_>,
) -> Result<(Entry, Opening), StoreError> {
    let payload = serde_json::to_vec(payload).map_err(|_| StoreError::Mapping("parameter"))?;
    let mut salt = [0; 32];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| StoreError::Mapping("salt"))?;
    let opening = Opening::new(Salt::new(salt), payload);
    let entry = Entry::new(kind, at, actor, subject, opening.commitment());
    Ok((entry.map_err(|_| StoreError::Mapping("parameter"))?, opening))
}

/// Appends entries, with the openings that are kept here.
pub(super) fn append_all(
    conn: &mut PgConnection,
    entries: impl IntoIterator<Item = (Entry, Option<Kept>)>,
) -> Result<(), StoreError> {
    db::lock(conn)?;
    let size = db::size(conn)?;
    let mut frontier = db::frontier(conn, size)?;
    let (mut new, mut hashes) = (Vec::new(), Vec::new());
    for (index, (entry, kept)) in (size..).zip(entries) {
        hashes.push(entry.hash());
        new.push(New { index, leaf: entry.leaf(), kept });
    }
    let nodes = frontier.append_all(hashes).map_err(|_| BROKEN)?;
    db::insert(conn, &new, &nodes)
}

/// What a leaf says of an activity: its kind, and whom or what it concerns. An action that this does not know is of the hub as a
/// whole, so that no name gets into a leaf by oversight; what it was stands in the opening.
fn about(action: &str, subject: &str) -> (EntryKind, Subject) {
    let aggregate = action.split('.').next().unwrap_or_default();
    let kind = match aggregate {
        "company" | "notice" | "policy" => EntryKind::Decision,
        "publication" | "subscription" | "credential" => EntryKind::Grant,
        "restriction" => EntryKind::Restriction,
        "erasure" => EntryKind::Erasure,
        _ => EntryKind::Administration,
    };
    let named = match aggregate {
        "company" => subject.parse().ok().map(Subject::Company),
        "notice" => subject
            .split_once('/')
            .and_then(|(company, version)| Some(Subject::Notice(company.parse().ok()?, version.parse().ok()?))),
        "publication" => last(subject).parse().ok().map(Subject::Publication),
        "subscription" => last(subject).parse().ok().map(Subject::Subscription),
        "credential" => subject.parse().ok().map(Subject::Login),
        "operator" => subject.parse().ok().map(Subject::Operator),
        "schema" if action == "schema.register" => last(subject).parse().ok().map(Subject::Schema),
        "cluster" if action == "cluster.accept-topic" => {
            subject.split(' ').next().and_then(|topic| topic.parse().ok()).map(Subject::Topic)
        }
        "restriction" | "erasure" | "disclosures" => Some(Subject::Principal),
        _ => None,
    };
    (kind, named.unwrap_or(Subject::Hub))
}

fn last(subject: &str) -> &str {
    subject.rsplit(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_say_what_an_activity_is_about() {
        for (action, subject, kind, named) in [
            ("company.register", "persol-career", EntryKind::Decision, "company persol-career"),
            ("notice.activate", "persol-career/3", EntryKind::Decision, "notice persol-career 3"),
            ("publication.request", "publication career", EntryKind::Grant, "publication career"),
            ("subscription.approve", "subscription career-sales", EntryKind::Grant, "subscription career-sales"),
            ("credential.revoke", "ju-sub-career-sales-2", EntryKind::Grant, "login ju-sub-career-sales-2"),
            ("operator.add", "sato", EntryKind::Administration, "operator sato"),
            ("schema.register", "jointuse.contact-value version 1 id 7", EntryKind::Administration, "schema 7"),
            ("cluster.accept-topic", "jointuse.contact 00ff", EntryKind::Administration, "topic jointuse.contact"),
            ("cluster.apply", "3 done, 0 failed", EntryKind::Administration, "hub"),
            ("restriction.put", "0123456789abcdef0123456789abcdef", EntryKind::Restriction, "principal"),
            ("disclosures.ask", "7c3e", EntryKind::Administration, "principal"),
            ("nobody-knows.it", "Taro Yamada", EntryKind::Administration, "hub"),
        ] {
            let (found, about) = about(action, subject);
            assert_eq!((found, about.to_string().as_str()), (kind, named), "{action}");
        }
    }
}
