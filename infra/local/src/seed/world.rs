//! The sample companies and what they may share and read.

/// The one purpose of the group's notice.
pub const PURPOSE: &str = "group-services-guidance";

/// A sample group company.
#[derive(Debug, Clone, Copy)]
pub struct SampleCompany {
    /// Slug.
    pub id: &'static str,
    /// Twelve digits before which the check digit is put.
    pub base: u64,
    /// Name in Japanese.
    pub name_ja: &'static str,
    /// Name in English.
    pub name_en: &'static str,
    /// Whether it publishes a notice.
    pub notice: bool,
}

/// The five. Names and numbers are invented.
pub const COMPANIES: [SampleCompany; 5] = [
    SampleCompany {
        id: "persol-career",
        base: 10_001_000_001,
        name_ja: "見本キャリア株式会社",
        name_en: "Sample Career",
        notice: true,
    },
    SampleCompany {
        id: "persol-staff",
        base: 10_001_000_002,
        name_ja: "見本スタッフ株式会社",
        name_en: "Sample Staff",
        notice: true,
    },
    SampleCompany {
        id: "persol-tech",
        base: 10_001_000_003,
        name_ja: "見本テクノロジー株式会社",
        name_en: "Sample Technology",
        notice: true,
    },
    SampleCompany {
        id: "persol-bpo",
        base: 10_001_000_004,
        name_ja: "見本ビジネス受託株式会社",
        name_en: "Sample BPO",
        notice: true,
    },
    SampleCompany {
        id: "persol-frontier",
        base: 10_001_000_005,
        name_ja: "見本フロンティア株式会社",
        name_en: "Sample Frontier",
        notice: false,
    },
];

/// A sample publication or subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleGrant {
    /// `publication` or `subscription`.
    pub kind: &'static str,
    /// Slug.
    pub id: &'static str,
    /// Whose.
    pub company: &'static str,
    /// Topics.
    pub topics: &'static [&'static str],
}

const ALL: &[&str] =
    &["jointuse.behaviour", "jointuse.contact", "jointuse.contact-event", "jointuse.meeting", "jointuse.transaction"];

/// `persol-career` shares cards and meetings.
pub const CAREER_CARDS: SampleGrant = SampleGrant {
    kind: "publication",
    id: "career-cards",
    company: "persol-career",
    topics: &["jointuse.contact", "jointuse.meeting"],
};

/// `persol-staff` shares cards, transactions and contact events.
pub const STAFF_CARDS: SampleGrant = SampleGrant {
    kind: "publication",
    id: "staff-cards",
    company: "persol-staff",
    topics: &["jointuse.contact", "jointuse.contact-event", "jointuse.transaction"],
};

/// `persol-tech` shares contacts and behaviour.
pub const TECH_CARDS: SampleGrant = SampleGrant {
    kind: "publication",
    id: "tech-cards",
    company: "persol-tech",
    topics: &["jointuse.behaviour", "jointuse.contact"],
};

/// `persol-career` reads contacts only.
pub const CAREER_INSIGHT: SampleGrant =
    SampleGrant { kind: "subscription", id: "career-insight", company: "persol-career", topics: &["jointuse.contact"] };

/// `persol-staff`'s sales tool pulls histories.
pub const STAFF_SALES_TOOL: SampleGrant =
    SampleGrant { kind: "subscription", id: "staff-sales-tool", company: "persol-staff", topics: ALL };

/// `persol-bpo` reads everything.
pub const BPO_SALES: SampleGrant =
    SampleGrant { kind: "subscription", id: "bpo-sales", company: "persol-bpo", topics: ALL };

/// All sample grants.
pub const GRANTS: [SampleGrant; 6] =
    [CAREER_CARDS, STAFF_CARDS, TECH_CARDS, CAREER_INSIGHT, STAFF_SALES_TOOL, BPO_SALES];

/// A sample file and how it goes to intake.
#[derive(Debug, Clone, Copy)]
pub struct SampleFile {
    /// Name below the samples' folder.
    pub name: &'static str,
    /// The publication that shares it.
    pub publication: SampleGrant,
    /// How it is posted.
    pub way: Way,
    /// In words.
    pub what: &'static str,
}

/// How a file is posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Multipart to `/v1/files` in this format.
    File(&'static str),
    /// JSON to `/v1/records/<kind>`.
    Json(&'static str),
}

/// All files, in the order in which they are published: people before what happened with them.
pub const FILES: [SampleFile; 9] = [
    file("persol-career/eight.csv", CAREER_CARDS, Way::File("eight-csv"), "Eight export, CP932"),
    file("persol-career/eight-18.csv", CAREER_CARDS, Way::File("eight-csv"), "Eight export, newer form"),
    file("persol-staff/sansan.csv", STAFF_CARDS, Way::File("sansan-csv"), "Sansan export"),
    file("persol-tech/cards.vcf", TECH_CARDS, Way::File("vcard"), "vCards of telephones"),
    file("persol-tech/contacts.json", TECH_CARDS, Way::Json("contact"), "contacts, JSON"),
    file("persol-career/meetings.ics", CAREER_CARDS, Way::File("icalendar"), "calendar"),
    file("persol-staff/transactions.json", STAFF_CARDS, Way::Json("transaction"), "transactions, JSON"),
    file("persol-staff/contact-events.json", STAFF_CARDS, Way::Json("contact-event"), "calls, mails, visits"),
    file("persol-tech/behaviour.json", TECH_CARDS, Way::Json("behaviour"), "mail opens, clicks, views"),
];

/// The cancellation that follows the calendar.
pub const CANCELLATION: SampleFile =
    file("persol-career/meetings-cancelled.ics", CAREER_CARDS, Way::File("icalendar"), "a cancellation");

const fn file(name: &'static str, publication: SampleGrant, way: Way, what: &'static str) -> SampleFile {
    SampleFile { name, publication, way, what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jointuse::{CompanyId, CorporateNumber, TopicName};

    #[test]
    fn the_world_is_lawful() {
        for company in COMPANIES {
            assert!(company.id.parse::<CompanyId>().is_ok());
            let number = CorporateNumber::from_base(company.base);
            assert!(number.as_str().parse::<CorporateNumber>().is_ok());
        }
        for grant in GRANTS {
            assert!(COMPANIES.iter().any(|company| company.id == grant.company && company.notice));
            assert!(grant.topics.iter().all(|topic| topic.parse::<TopicName>().is_ok()));
        }
    }

    #[test]
    fn every_sample_file_is_published() {
        let samples = crate::samples::Samples::generate(1, 200);
        let named: Vec<&str> = FILES.iter().chain([&CANCELLATION]).map(|file| file.name).collect();
        assert!(samples.files.keys().all(|name| named.contains(name)));
        assert_eq!(samples.files.len(), named.len());
    }
}
