//! Transactions, calls and mails, and behaviour, as JSON objects.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, TimeDelta, Utc};
use jointuse::{
    Acquisition, ContactId, Kind, Personal, RecordId,
    records::{
        Behaviour, Channel, ContactEvent, Direction, LinkClick, MailOpen, OnlineBasis, PageView, Text, Transaction,
    },
};
use serde_json::Value;

use super::{Candidate, Defaults, Judge, Place, RawAcquisition, Replacing, Row, Tie, bytes, object::Object};
use crate::{
    normalise, reference, refused,
    rule::{Finding, Rule},
};

/// Contacts by normalised e-mail address, as far as they are known and not ambiguous.
pub type ContactOf = HashMap<String, ContactId>;

/// What all interactions have.
pub(super) struct Head {
    pub reference: String,
    pub contact_id: ContactId,
    pub occurred_at: DateTime<Utc>,
    pub acquisition: Acquisition,
    pub warnings: Vec<Finding>,
}

const HEAD: [&str; 5] = ["reference", "contact", "contact_email", "occurred_at", "acquisition"];

pub(super) const OWN: Replacing = Replacing { tie: Tie::Refuse, monotonic: false };

impl Judge {
    /// Judges a JSON object of this judge's kind, other than a contact or a meeting.
    pub fn interaction(&self, value: &Value, contacts: &ContactOf, place: Place) -> Row {
        let mut findings = Vec::new();
        let Some(object) = Object::new(value, "", &mut findings) else { return Row::Bad { place, findings } };
        let row = match self.kind {
            Kind::Transaction => self.transaction(&object, contacts, place, &mut findings),
            Kind::ContactEvent => self.contact_event(&object, contacts, place, &mut findings),
            Kind::Behaviour => self.behaviour(&object, contacts, place, &mut findings),
            Kind::Meeting => self.json_meeting(&object, contacts, place, &mut findings),
            Kind::Contact => None,
        };
        match row {
            Some(row) if findings.is_empty() => row,
            _ => {
                if findings.is_empty() {
                    findings.push(Finding::new("record", Rule::Type));
                }
                Row::Bad { place, findings }
            }
        }
    }

    fn transaction(
        &self,
        object: &Object<'_>,
        contacts: &ContactOf,
        place: Place,
        findings: &mut Vec<Finding>,
    ) -> Option<Row> {
        self.only(object, &["service", "subject", "stage", "amount_jpy"], findings);
        let head = self.head(object, contacts, false, findings);
        let service = self.text(object, "service", normalise::MAX_LINE, findings);
        let subject = self.text(object, "subject", normalise::MAX_TEXT, findings);
        let stage = self.text(object, "stage", normalise::MAX_LINE, findings);
        let amount_jpy = self.number(object, "amount_jpy", findings);
        let head = head?;
        let mut record = Transaction {
            record_id: self.record_id(&head.reference),
            contact_id: head.contact_id,
            company: self.company.clone(),
            occurred_at: head.occurred_at,
            recorded_at: DateTime::UNIX_EPOCH,
            acquisition: head.acquisition,
            service,
            subject,
            stage,
            amount_jpy,
        };
        let encoded = self.encode(&mut record, |record, at| record.recorded_at = at);
        sealed(encoded, &record.record_id, &record.contact_id, place, head.warnings, 0, OWN)
    }

    fn contact_event(
        &self,
        object: &Object<'_>,
        contacts: &ContactOf,
        place: Place,
        findings: &mut Vec<Finding>,
    ) -> Option<Row> {
        self.only(object, &["channel", "direction", "summary"], findings);
        let head = self.head(object, contacts, false, findings);
        let channels = [("CALL", Channel::Call), ("MAIL", Channel::Mail), ("VISIT", Channel::Visit)];
        let channel = self.choice(object, "channel", &channels, findings);
        if channel.is_none() && object.get("channel").is_none() {
            findings.push(Finding::new("channel", Rule::Required));
        }
        let directions = [("INBOUND", Direction::Inbound), ("OUTBOUND", Direction::Outbound)];
        let direction = self.choice(object, "direction", &directions, findings);
        let summary = self.text(object, "summary", normalise::MAX_TEXT, findings);
        let head = head?;
        let mut record = ContactEvent {
            record_id: self.record_id(&head.reference),
            contact_id: head.contact_id,
            company: self.company.clone(),
            occurred_at: head.occurred_at,
            recorded_at: DateTime::UNIX_EPOCH,
            acquisition: head.acquisition,
            channel: channel.map(Personal::new),
            direction: direction.map(Personal::new),
            summary,
        };
        let encoded = self.encode(&mut record, |record, at| record.recorded_at = at);
        sealed(encoded, &record.record_id, &record.contact_id, place, head.warnings, 0, OWN)
    }

    fn behaviour(
        &self,
        object: &Object<'_>,
        contacts: &ContactOf,
        place: Place,
        findings: &mut Vec<Finding>,
    ) -> Option<Row> {
        const ACTIONS: [&str; 3] = ["mail_open", "link_click", "page_view"];
        const TEXTS: [&str; 5] = ["cookie", "device", "ip_address", "location", "advertising_id"];
        let own: Vec<&str> = ["basis", "attributes"].into_iter().chain(ACTIONS).chain(TEXTS).collect();
        self.only(object, &own, findings);
        let head = self.head(object, contacts, false, findings);
        let bases = [
            ("HELD_AS_PERSONAL_DATA", OnlineBasis::HeldAsPersonalData),
            ("CONSENT_CONFIRMED", OnlineBasis::ConsentConfirmed),
        ];
        let basis = object.text("basis", findings).and_then(|text| bases.iter().find(|(name, _)| *name == text));
        if basis.is_none() {
            findings.push(Finding::new("basis", Rule::OnlineBasis));
        }
        if ACTIONS.iter().filter(|action| object.get(action).is_some()).count() != 1 {
            findings.push(Finding::new("mail_open, link_click, page_view", Rule::OneAction));
        }
        for action in ACTIONS.iter().filter(|action| object.get(action).is_some() && !self.granted.allows(action)) {
            findings.push(Finding::new(*action, Rule::ItemNotGranted));
        }
        let part = |name: &str, prefix: &'static str, known: &[&str], findings: &mut Vec<Finding>| {
            let part = object.object(name, prefix, findings)?;
            part.only(known, self.today, findings);
            Some(part)
        };
        let plain = |part: &Object<'_>, name: &'static str, findings: &mut Vec<Finding>| {
            let text = part.text(name, findings)?;
            normal(part.path(name), text, normalise::MAX_TEXT, findings)
        };
        let mail_open = part("mail_open", "mail_open.", &["campaign"], findings)
            .map(|part| MailOpen { campaign: plain(&part, "campaign", findings) });
        let link_click = part("link_click", "link_click.", &["campaign", "url"], findings)
            .map(|part| LinkClick { campaign: plain(&part, "campaign", findings), url: plain(&part, "url", findings) });
        let page_view =
            part("page_view", "page_view.", &["url", "referrer", "duration_ms"], findings).map(|part| PageView {
                url: plain(&part, "url", findings),
                referrer: plain(&part, "referrer", findings),
                duration_ms: part.integer("duration_ms", findings).map(Personal::new),
            });
        let attributes = self.attributes(object, findings);
        let [cookie, device, ip_address, location, advertising_id] =
            TEXTS.map(|name| self.text(object, name, normalise::MAX_LINE, findings));
        let (head, (_, basis)) = (head?, basis?);
        let mut record = Behaviour {
            record_id: self.record_id(&head.reference),
            contact_id: head.contact_id,
            company: self.company.clone(),
            occurred_at: head.occurred_at,
            recorded_at: DateTime::UNIX_EPOCH,
            acquisition: head.acquisition,
            basis: *basis,
            mail_open,
            link_click,
            page_view,
            cookie,
            device,
            ip_address,
            location,
            advertising_id,
            attributes,
        };
        let encoded = self.encode(&mut record, |record, at| record.recorded_at = at);
        sealed(encoded, &record.record_id, &record.contact_id, place, head.warnings, 0, OWN)
    }

    /// Free attributes: their names are judged as columns are.
    fn attributes(
        &self,
        object: &Object<'_>,
        findings: &mut Vec<Finding>,
    ) -> Option<Personal<BTreeMap<String, String>>> {
        const MAX: usize = 50;
        let Some(Value::Object(map)) = object.get("attributes") else {
            if object.get("attributes").is_some() {
                findings.push(Finding::new("attributes", Rule::Type));
            }
            return None;
        };
        if !self.granted.allows("attributes") {
            findings.push(Finding::new("attributes", Rule::ItemNotGranted));
        }
        if map.len() > MAX {
            findings.push(Finding::new("attributes", Rule::TooLong));
        }
        let mut attributes = BTreeMap::new();
        for (position, (name, value)) in map.iter().enumerate() {
            let path = format!("attributes.{}", super::object::printable(name, position));
            match (refused::check(name, self.today), value) {
                (Some(refused), _) => findings.push(Finding::new(path, refused.rule)),
                (None, Value::String(text)) => {
                    if let Some(text) = normal(path, text, normalise::MAX_LINE, findings) {
                        attributes.insert(name.clone(), text.into_inner());
                    }
                }
                (None, _) => findings.push(Finding::new(path, Rule::Type)),
            }
        }
        Some(Personal::new(attributes))
    }

    pub(super) fn only(&self, object: &Object<'_>, own: &[&str], findings: &mut Vec<Finding>) {
        let known: Vec<&str> = HEAD.iter().chain(own).copied().collect();
        object.only(&known, self.today, findings);
    }

    /// Reference, contact, time and acquisition. `planned` events may lie in the future.
    pub(super) fn head(
        &self,
        object: &Object<'_>,
        contacts: &ContactOf,
        planned: bool,
        findings: &mut Vec<Finding>,
    ) -> Option<Head> {
        let mut find = |field: &'static str, rule: Rule| findings.push(Finding::new(field, rule));
        let mut ignored = Vec::new();
        let mut warnings = Vec::new();
        let reference = match reference::own(object.text("reference", &mut ignored).unwrap_or_default()) {
            Ok(reference) => Some(reference.to_owned()),
            Err(rule) => {
                find("reference", rule);
                None
            }
        };
        let contact_id = match (object.text("contact", &mut ignored), object.text("contact_email", &mut ignored)) {
            (Some(own), None) => reference::own(own).map(|own| self.contact_id(own)).map_err(|rule| ("contact", rule)),
            (None, Some(email)) => match normalise::email(email) {
                Ok(Some(email)) => Ok(contacts.get(&email).cloned().unwrap_or_else(|| {
                    warnings.push(Finding::new("contact_email", Rule::ContactUnknown));
                    self.contact_id(&reference::of_email(&email))
                })),
                Ok(None) => Err(("contact_email", Rule::Required)),
                Err(rule) => Err(("contact_email", rule)),
            },
            _ => Err(("contact", Rule::Required)),
        };
        let contact_id = contact_id.map_err(|(field, rule)| find(field, rule)).ok();
        let occurred_at = match object.text("occurred_at", &mut ignored).map(normalise::instant) {
            Some(Ok(Some(at))) if !planned && at > self.now + TimeDelta::days(1) => Err(Rule::DateInFuture),
            Some(Ok(Some(at))) => Ok(at),
            Some(Err(rule)) => Err(rule),
            _ => Err(Rule::Required),
        };
        let occurred_at = occurred_at.map_err(|rule| find("occurred_at", rule)).ok();
        findings.append(&mut ignored);
        let acquisition = self.acquisition_of(object, findings);
        Some(Head {
            reference: reference?,
            contact_id: contact_id?,
            occurred_at: occurred_at?,
            acquisition: acquisition?,
            warnings,
        })
    }

    fn acquisition_of(&self, object: &Object<'_>, findings: &mut Vec<Finding>) -> Option<Acquisition> {
        let Some(block) = object.get("acquisition") else {
            findings.push(Finding::new("acquisition", Rule::AcquisitionMissing));
            return None;
        };
        let block = Object::new(block, "acquisition.", findings)?;
        block.only(&["method", "acquired_on", "purpose", "source"], self.today, findings);
        let mut text = |name| block.text(name, findings);
        let raw = RawAcquisition {
            method: text("method"),
            acquired_on: text("acquired_on"),
            purpose: text("purpose"),
            source: text("source"),
        };
        self.acquisition(raw, &Defaults::default(), findings)
    }

    pub(super) fn text(
        &self,
        object: &Object<'_>,
        name: &'static str,
        max: usize,
        findings: &mut Vec<Finding>,
    ) -> Text {
        let text = object.text(name, findings)?;
        let text = normal(name, text, max, findings)?;
        if self.granted.allows(name) {
            return Some(text);
        }
        findings.push(Finding::new(name, Rule::ItemNotGranted));
        None
    }

    fn number(&self, object: &Object<'_>, name: &'static str, findings: &mut Vec<Finding>) -> Option<Personal<i64>> {
        let number = object.integer(name, findings)?;
        if !self.granted.allows(name) {
            findings.push(Finding::new(name, Rule::ItemNotGranted));
        } else if number.unsigned_abs() > 1_000_000_000_000_000 {
            findings.push(Finding::new(name, Rule::Number));
        }
        Some(Personal::new(number))
    }

    /// One of a closed list of words.
    pub(super) fn choice<T: Copy>(
        &self,
        object: &Object<'_>,
        name: &'static str,
        words: &[(&str, T)],
        findings: &mut Vec<Finding>,
    ) -> Option<T> {
        let text = object.text(name, findings)?;
        let Some((_, chosen)) = words.iter().find(|(word, _)| *word == text) else {
            findings.push(Finding::new(name, Rule::Choice));
            return None;
        };
        if !self.granted.allows(name) && name != "status" {
            findings.push(Finding::new(name, Rule::ItemNotGranted));
        }
        Some(*chosen)
    }

    fn record_id(&self, reference: &str) -> RecordId {
        self.key.record_id(self.kind.as_str(), &self.company, reference)
    }
}

fn normal(
    path: impl Into<std::borrow::Cow<'static, str>>,
    text: &str,
    max: usize,
    findings: &mut Vec<Finding>,
) -> Text {
    match normalise::line(text, max) {
        Ok(text) => text.map(Personal::new),
        Err(rule) => {
            findings.push(Finding::new(path, rule));
            None
        }
    }
}

/// A row from an encoded record.
pub(super) fn sealed(
    encoded: Option<(super::Id, Vec<u8>)>,
    record_id: &RecordId,
    contact_id: &ContactId,
    place: Place,
    warnings: Vec<Finding>,
    rank: i64,
    replacing: Replacing,
) -> Option<Row> {
    let (fingerprint, value) = encoded?;
    Some(Row::Good(Box::new(Candidate {
        place,
        id: bytes(record_id.as_str()),
        contact: contact_id.clone(),
        fingerprint,
        rank,
        filled: 0,
        replacing,
        email_key: None,
        value,
        warnings,
    })))
}
