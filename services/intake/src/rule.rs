//! Why a row is refused or warned about: a closed list, so that programs can compare, dashboards can count and the how-to
//! can explain. A [`Finding`] names a field and a rule and never repeats a value: a name in an error is a leak.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

macro_rules! rules {
    ($($name:ident $id:literal $message:literal $todo:literal;)*) => {
        /// One reason.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $(#[doc = $message] $name,)* }

        impl Rule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What programs compare.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }
            /// What is wrong.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
            /// What to do about it.
            pub const fn what_to_do(self) -> &'static str {
                match self { $(Self::$name => $todo,)* }
            }
        }
    };
}

rules! {
    // The form of a file or row.
    Encoding "encoding" "the bytes are not text of the file's encoding" "save the file again as UTF-8 or CP932 (Shift_JIS)";
    Truncated "truncated" "the file ends inside this row" "export or send the file again: its end is missing";
    Columns "columns" "the row has another number of cells than the header" "check quotes and separators of this row";
    RowTooLong "row-too-long" "the row is longer than any row may be; a quotation mark is probably not closed" "close the quotation mark that begins in this row; what follows it was not read";
    Type "type" "the value has the wrong type" "send the type that the API reference names";
    Required "required" "the field is missing or empty" "fill it in";
    UnknownField "unknown-field" "there is no such field" "leave it out: only the fields of the catalogue are shared";
    TooLong "too-long" "the text is longer than allowed" "shorten it";
    Choice "choice" "the value is none of the allowed ones" "send one of those that the API reference lists";
    NotACard "not-a-card" "the entry is not a card or event that can be read" "export it again as vCard 2.1-4.0 or iCalendar 2.0";
    // What the Act and the notice keep out.
    Sensitive "sensitive" "sensitive information is never shared" "remove it from the file or record";
    IndividualClient "individual-client" "information on individual clients is never shared" "remove it from the file or record";
    Private "private-event" "the event is marked private or confidential" "nothing: private events are not shared";
    OnlineBasis "online-basis" "the ground for tying online data to the person is missing (APPI Art. 31)" "send basis HELD_AS_PERSONAL_DATA or CONSENT_CONFIRMED, if one of them is true";
    ItemNotGranted "item-not-granted" "the publication does not cover this item" "leave it out, or ask for the item in the publication";
    // Acquisition.
    AcquisitionMissing "acquisition-missing" "it is not said how the information was acquired" "give acquisition.method, acquired_on, purpose and source";
    AcquisitionMethod "acquisition-method" "the way of acquiring is none of the notice's four" "BUSINESS_CARD, PUBLIC_INFORMATION, BUSINESS_MEETING or APPLICATION_FOR_TRANSACTION";
    PurposeUnknown "purpose-unknown" "the purpose stated at acquisition is none of the catalogue" "use a purpose id of the catalogue";
    PurposeNotCovered "purpose-not-covered" "what was acquired for this purpose may not serve the publication's purpose" "do not share it: it may be used only within the purpose stated when it was acquired";
    // Values.
    Email "email" "it is not an e-mail address" "correct or empty it";
    Telephone "telephone" "it is not a telephone number" "correct or empty it; numbers abroad begin with +";
    PostalCode "postal-code" "it is not a postal code of seven digits" "correct or empty it";
    Date "date" "it is not a date" "write YYYY-MM-DD or YYYY/MM/DD";
    Time "time" "it is not a point in time" "write RFC 3339 with an offset, for example 2026-04-01T10:00:00+09:00";
    DateInFuture "date-in-future" "the date lies in the future" "correct it";
    Order "order" "the end lies before the start" "correct it";
    Number "number" "the number is out of range" "correct it";
    ContactMinimum "contact-minimum" "neither a name nor an e-mail address says who it is" "give at least one of them";
    OneAction "one-action" "exactly one of mail_open, link_click and page_view is needed" "send one record for each action";
    // References.
    Reference "reference" "the reference cannot be used" "give 1 to 200 characters without control characters";
    ReferenceUnderivable "reference-underivable" "no lasting reference can be derived: there is a name, but neither e-mail nor organisation" "fill one of them in, or post the contact as JSON with a reference of your own";
    DuplicateReference "duplicate-reference" "another row of this request has the same reference and other content" "keep one of the two rows";
    // iCalendar.
    NoAttendee "no-attendee" "the event has no attendee with an e-mail address" "nothing, if nobody of a client attended";
    Recurrence "recurrence" "the recurrence rule cannot be expanded" "export single occurrences";
    TimeZone "time-zone" "the time zone is not known" "include the VTIMEZONE or use an IANA name";
    // Outcome of publishing.
    NotAcknowledged "not-acknowledged" "the brokers did not acknowledge the record" "send this row again";
    StateUnavailable "state-unavailable" "the service cannot tell now whether this row was published before" "send this row again";
    KeysUnavailable "keys-unavailable" "the key store does not answer now, and nothing is published unsealed" "send this row again";
    Erased "erased" "this person's data were erased, and may not come back" "remove the person from the source too; ask Holdings' privacy officer if this is another person";
    PermissionEnded "permission-ended" "the publication ended while the request was running" "ask the steward; the rows before were accepted";
    // Warnings.
    Unrecognised "unrecognised-character" "a '?' probably stands for a character that was not recognised" "correct it at the source";
    Unencodable "unencodable-character" "a '＊' probably stands for a character that the export could not hold" "export as UTF-8";
    FormulaLike "formula-like" "the text begins like a spreadsheet formula; it is kept as text and never evaluated" "look at it before opening it in a spreadsheet";
    FlaggedBySource "flagged-by-source" "the source marks this card as not final" "import it again when the source has finished it";
    Superseded "superseded" "another row of the same person in this file is newer or fuller and was taken" "nothing, or remove the older card";
    OlderThanPublished "older-than-published" "something newer was published under this reference before" "nothing, or correct the date or sequence";
    ContactUnknown "contact-unknown" "no contact of yours has this e-mail address; the record hangs on the reference 'email:' and the address" "publish a contact with that address or that reference";
    Ignored "ignored" "a property that is not in the catalogue was left out" "nothing";
    Unfinished "unfinished" "the source has not finished entering this card" "export it when its entryStatus is completed";
}

/// A rule and the field it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Field, column or property. Ours, or an identifier that was sent; never a value.
    pub field: Cow<'static, str>,
    /// Which rule.
    pub rule: Rule,
}

impl Finding {
    /// `rule` is not met by `field`.
    pub fn new(field: impl Into<Cow<'static, str>>, rule: Rule) -> Self {
        Self { field: field.into(), rule }
    }

    /// For answers.
    pub fn said(&self) -> Said<'_> {
        Said {
            field: &self.field,
            rule: self.rule.id(),
            message: self.rule.message(),
            what_to_do: self.rule.what_to_do(),
        }
    }
}

/// A finding in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Said<'a> {
    /// Field, column or property.
    #[schema(example = "email")]
    pub field: &'a str,
    /// Id of the rule.
    #[schema(example = "email")]
    pub rule: &'a str,
    /// What is wrong.
    pub message: &'a str,
    /// What to do about it.
    pub what_to_do: &'a str,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_distinct_and_said_in_full() {
        let ids: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
        assert_eq!(ids.len(), Rule::ALL.len());
        for rule in Rule::ALL {
            assert!(!rule.message().is_empty() && !rule.what_to_do().is_empty(), "{rule:?}");
            assert!(rule.id().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{rule:?}");
        }
    }
}
