//! How information was acquired: required, closed, and covering what the publication is for.

use chrono::NaiveDate;
use jointuse::{Acquisition, AcquisitionMethod, PurposeId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Judge;
use crate::{
    normalise,
    rule::{Finding, Rule},
};

/// Longest name of a source, in characters.
const MAX_SOURCE: usize = 100;

/// What holds for every row of a file that does not say otherwise (part `acquisition` of the upload).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// BUSINESS_CARD, PUBLIC_INFORMATION, BUSINESS_MEETING or APPLICATION_FOR_TRANSACTION
    pub method: Option<String>,
    /// Day in Japan, `YYYY-MM-DD`
    pub acquired_on: Option<String>,
    /// Id of the purpose stated when it was acquired
    pub purpose: Option<String>,
    /// System or export it came from; says nothing of a person
    pub source: Option<String>,
}

/// The block as a row has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct RawAcquisition<'a> {
    /// How.
    pub method: Option<&'a str>,
    /// When.
    pub acquired_on: Option<&'a str>,
    /// What for.
    pub purpose: Option<&'a str>,
    /// From where.
    pub source: Option<&'a str>,
}

impl Judge {
    /// Judges the block, row first, then defaults. What is missing or wrong goes to `findings`.
    pub(super) fn acquisition(
        &self,
        row: RawAcquisition<'_>,
        defaults: &Defaults,
        findings: &mut Vec<Finding>,
    ) -> Option<Acquisition> {
        let text = |row: Option<&str>, default: &Option<String>| {
            let chosen = row.filter(|text| !text.trim().is_empty()).or(default.as_deref());
            chosen.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let method = text(row.method, &defaults.method);
        let acquired_on = text(row.acquired_on, &defaults.acquired_on);
        let purpose = text(row.purpose, &defaults.purpose);
        let source = text(row.source, &defaults.source);
        if method.is_none() && acquired_on.is_none() && purpose.is_none() && source.is_none() {
            findings.push(Finding::new("acquisition", Rule::AcquisitionMissing));
            return None;
        }
        let mut find = |field: &'static str, result: Result<(), Rule>| {
            if let Err(rule) = result {
                findings.push(Finding::new(field, rule));
            }
        };
        let missing = Rule::AcquisitionMissing;
        let method = method.ok_or(missing).and_then(|text| self::method(&text));
        find("acquisition.method", method.map(|_| ()));
        let day = acquired_on.ok_or(missing).and_then(|text| self.past_day(&text));
        find("acquisition.acquired_on", day.map(|_| ()));
        let purpose = purpose.ok_or(missing).and_then(|text| self.covering(&text));
        find("acquisition.purpose", purpose.as_ref().map(|_| ()).map_err(|rule| *rule));
        let source = source.ok_or(missing).and_then(|text| normalise::line(&text, MAX_SOURCE)?.ok_or(missing));
        find("acquisition.source", source.as_ref().map(|_| ()).map_err(|rule| *rule));
        Some(Acquisition { method: method.ok()?, acquired_on: day.ok()?, purpose: purpose.ok()?, source: source.ok()? })
    }

    fn past_day(&self, text: &str) -> Result<NaiveDate, Rule> {
        let day = normalise::date(text)?.ok_or(Rule::AcquisitionMissing)?;
        if day > self.today { Err(Rule::DateInFuture) } else { Ok(day) }
    }

    fn covering(&self, text: &str) -> Result<PurposeId, Rule> {
        let catalogue = contract::catalogue();
        let purpose: PurposeId = text.parse().map_err(|_| Rule::PurposeUnknown)?;
        if catalogue.purpose(&purpose).is_none() {
            Err(Rule::PurposeUnknown)
        } else if catalogue.covers(&purpose, &self.purpose) {
            Ok(purpose)
        } else {
            Err(Rule::PurposeNotCovered)
        }
    }
}

/// The method of that name, in whatever case and joints.
pub(super) fn method(text: &str) -> Result<AcquisitionMethod, Rule> {
    match text.to_ascii_uppercase().replace(['-', ' '], "_").as_str() {
        "BUSINESS_CARD" => Ok(AcquisitionMethod::BusinessCard),
        "PUBLIC_INFORMATION" => Ok(AcquisitionMethod::PublicInformation),
        "BUSINESS_MEETING" => Ok(AcquisitionMethod::BusinessMeeting),
        "APPLICATION_FOR_TRANSACTION" => Ok(AcquisitionMethod::ApplicationForTransaction),
        _ => Err(Rule::AcquisitionMethod),
    }
}
