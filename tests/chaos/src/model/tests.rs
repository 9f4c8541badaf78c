//! That the model finds what must not be: made-up deliveries, one wrong in each way.

use chrono::{DateTime, NaiveDate};
use jointuse::{
    Acquisition, AcquisitionMethod, Kind,
    records::{Contact, PersonName},
};

use super::*;

const TOPIC: &str = "jointuse.contact";
const TARO: &str = "00112233445566778899aabbccddeeff";

fn place(offset: i64) -> Place {
    Place { topic: TOPIC.to_owned(), partition: 0, offset }
}

fn contact() -> Content {
    let text = |text: &str| Some(text.to_owned().into());
    Content::Contact(Box::new(Contact {
        contact_id: TARO.parse().unwrap(),
        company: "acme".parse().unwrap(),
        recorded_at: DateTime::UNIX_EPOCH,
        acquisition: Acquisition {
            method: AcquisitionMethod::BusinessCard,
            acquired_on: NaiveDate::default(),
            purpose: "group-services-guidance".parse().unwrap(),
            source: "test".to_owned(),
        },
        name: Some(PersonName { full: text("見本 太郎"), ..PersonName::default() }),
        organisation: text("株式会社見本商事"),
        department: None,
        title: text("部長"),
        postal_code: None,
        address: None,
        email: text("taro@mihon.example"),
        telephone: None,
        direct_telephone: None,
        mobile: None,
        fax: None,
    }))
}

fn headers() -> Vec<(String, Option<String>)> {
    [("publisher", "acme"), ("kind", "contact")].map(|(name, value)| (name.to_owned(), Some(hex::encode(value)))).into()
}

/// Ten records of one contact; all were disclosed by one range at time 100 and read at 110.
fn facts() -> Facts {
    let schemas = Schemas([(Kind::Contact, 1)].into());
    let items: BTreeSet<String> = ["person.name", "organisation.email"].map(str::to_owned).into();
    let lying: BTreeMap<Place, Lying> = (0..10)
        .map(|offset| {
            let lying = Lying {
                contact: TARO.to_owned(),
                publisher: "acme".to_owned(),
                said: Said::Known(contact()),
                headers: headers(),
                timestamp: 1_000 + offset,
            };
            (place(offset), lying)
        })
        .collect();
    let seen = contact().seen_with(&items, false, &schemas);
    let delivered = (0..10)
        .map(|offset| Delivered {
            place: place(offset),
            key: TARO.as_bytes().to_vec(),
            value: Some(seen.clone()),
            headers: headers(),
            timestamp: 1_000 + offset,
            at: second(110),
        })
        .collect();
    let reading = Reading {
        subscription: "reads".to_owned(),
        company: "beta".to_owned(),
        client: "made up".to_owned(),
        topics: vec![TOPIC.to_owned()],
        items,
        since: 0,
        delivered,
    };
    let acknowledged = lying.keys().map(|place| (place.clone(), TARO.to_owned())).collect();
    let mut facts = Facts { schemas, lying, acknowledged, readings: vec![reading], ..Facts::default() };
    ranges(&mut facts, vec![range(0, 9)]);
    facts
}

fn second(second: i64) -> Micros {
    second * 1_000_000
}

fn range(first: i64, last: i64) -> Range {
    Range { first, last, at: second(100), end: second(105), policy: 7, stops: 7 }
}

fn ranges(facts: &mut Facts, ranges: Vec<Range>) {
    let of = ranges.into_iter().map(|range| ((TOPIC.to_owned(), 0), range));
    facts.ranges.insert("reads".to_owned(), Ranges::new(of));
}

/// In force from `called` (known a second later) to `lifted` (known a second later).
fn ban(whom: Whom, effect: Effect, called: i64, lifted: Option<i64>) -> Ban {
    Ban {
        whom,
        effect,
        called: second(called),
        known: Some(second(called + 1)),
        number: None,
        lift_called: lifted.map(second),
        lift_known: lifted.map(|lifted| second(lifted + 1)),
    }
}

fn taro() -> Whom {
    Whom::Contact(TARO.to_owned())
}

fn wrongs(facts: &Facts) -> Vec<(Wrong, i64)> {
    judge(facts).violations.iter().map(|violation| (violation.wrong, violation.place.offset)).collect()
}

#[test]
fn what_is_as_it_must_be_is_no_violation() {
    let facts = facts();
    assert_eq!(wrongs(&facts), []);
    let tally = &judge(&facts).tallies[0];
    assert_eq!((tally.published, tally.delivered, tally.duplicates), (10, 10, 0));
}

#[test]
fn a_lost_record_is_found_and_a_withheld_one_is_none() {
    let mut facts = facts();
    facts.readings[0].delivered.remove(3);
    assert_eq!(wrongs(&facts), [(Wrong::Lost, 3)]);
    assert_eq!(judge(&facts).tallies[0].lost, 1);
    // A decision that had ended, or had not begun, excuses nothing.
    for (whom, effect) in [(taro(), Effect::Withhold), (Whom::Publisher("acme".into()), Effect::Withhold)] {
        facts.bans = vec![ban(whom.clone(), effect, 90, Some(98)), ban(whom.clone(), effect, 106, Some(120))];
        assert_eq!(wrongs(&facts), [(Wrong::Lost, 3)]);
        // One that may have been in force does.
        facts.bans = vec![ban(whom.clone(), effect, 90, Some(99))];
        assert_eq!(wrongs(&facts), []);
        facts.bans = vec![ban(whom, effect, 104, Some(120))];
        assert_eq!(wrongs(&facts), []);
    }
    let tally = &judge(&facts).tallies[0];
    assert_eq!((tally.withheld_publisher, tally.lost), (1, 0));
    // A refusal passes nothing over, and a mute withholds nothing.
    facts.bans = vec![
        ban(Whom::Subscription("reads".into()), Effect::Refuse, 90, Some(99)),
        ban(taro(), Effect::Mute, 90, Some(120)),
    ];
    assert!(wrongs(&facts).contains(&(Wrong::Lost, 3)));
    // Not even disclosed: stuck before it.
    facts.bans = vec![ban(taro(), Effect::Erase, 90, None)];
    ranges(&mut facts, vec![range(0, 2), range(4, 9)]);
    facts.readings[0].delivered.clear();
    assert_eq!(wrongs(&facts), [(Wrong::Lost, 3)]);
}

#[test]
fn an_unpermitted_record_is_found_and_one_in_doubt_is_none() {
    let whoms =
        [taro(), Whom::Publisher("acme".into()), Whom::Company("beta".into()), Whom::Subscription("reads".into())];
    for whom in whoms {
        let mut facts = facts();
        let mut unpermitted = |ban: Ban| {
            facts.bans = vec![ban];
            judge(&facts).tallies[0].without_permit
        };
        assert_eq!(unpermitted(ban(whom.clone(), Effect::Withhold, 90, Some(120))), 10);
        assert_eq!(unpermitted(ban(whom.clone(), Effect::Erase, 90, None)), 10);
        // Begun or ended while it was delivered, or before the hub can have heard of it.
        assert_eq!(unpermitted(ban(whom.clone(), Effect::Withhold, 102, Some(120))), 0);
        assert_eq!(unpermitted(ban(whom.clone(), Effect::Withhold, 90, Some(104))), 0);
        assert_eq!(unpermitted(ban(whom.clone(), Effect::Withhold, 99, None)), 0);
        // The range itself says that the decision was regarded.
        let mut regarded = ban(whom.clone(), Effect::Withhold, 99, Some(120));
        regarded.number = Some(7);
        assert_eq!(unpermitted(regarded.clone()), 10);
        regarded.number = Some(8);
        assert_eq!(unpermitted(regarded), 0);
        // Another's.
        assert_eq!(unpermitted(ban(Whom::Contact("another".into()), Effect::Withhold, 90, None)), 0);
    }
}

#[test]
fn a_record_that_was_permitted_at_another_reading_is_none() {
    let mut facts = facts();
    facts.bans = vec![ban(taro(), Effect::Withhold, 90, Some(120))];
    let before = Range { at: second(80), end: second(82), ..range(0, 9) };
    ranges(&mut facts, vec![range(0, 9), before]);
    assert_eq!(wrongs(&facts), [], "a client's queue may give out late what was fetched before");
}

#[test]
fn what_was_not_disclosed_before_is_found() {
    let mut facts = facts();
    ranges(&mut facts, vec![range(0, 4), range(6, 9)]);
    assert_eq!(wrongs(&facts), [(Wrong::Undisclosed, 5)]);
    let after = Range { at: second(111), end: second(112), ..range(5, 5) };
    ranges(&mut facts, vec![range(0, 4), range(6, 9), after]);
    assert_eq!(wrongs(&facts), [(Wrong::Undisclosed, 5)]);
    facts.ranges.clear();
    assert_eq!(judge(&facts).tallies[0].without_disclosure, 10);
}

#[test]
fn a_wrong_byte_is_found() {
    let whole = facts();
    let value = whole.readings[0].delivered[2].value.clone().unwrap();
    for at in 0..value.len() {
        let mut facts = facts();
        facts.readings[0].delivered[2].value.as_mut().unwrap()[at] ^= 1;
        assert_eq!(wrongs(&facts), [(Wrong::Bytes, 2)], "byte {at}");
    }
    let changes: [fn(&mut Delivered); 9] = [
        |delivered| delivered.key[0] ^= 1,
        |delivered| delivered.headers[0].1 = Some(hex::encode("beta")),
        |delivered| delivered.headers[0].1 = None,
        |delivered| delivered.headers.swap(0, 1),
        |delivered| delivered.headers.truncate(1),
        |delivered| delivered.headers.push(("another".to_owned(), None)),
        |delivered| delivered.timestamp += 1,
        |delivered| delivered.value = None,
        |delivered| delivered.value.as_mut().unwrap().push(0),
    ];
    for change in changes {
        let mut facts = facts();
        change(&mut facts.readings[0].delivered[2]);
        assert_eq!(wrongs(&facts), [(Wrong::Bytes, 2)]);
    }
    // An item that was not granted.
    let mut facts = facts();
    facts.readings[0].delivered[2].value = Some(contact().framed(&facts.schemas));
    assert_eq!(wrongs(&facts), [(Wrong::Bytes, 2)]);
}

#[test]
fn an_address_that_wants_no_mail_is_blank() {
    let mut facts = facts();
    let muted = contact().seen_with(&facts.readings[0].items, true, &facts.schemas);
    facts.readings[0].delivered[2].value = Some(muted);
    assert_eq!(wrongs(&facts), [(Wrong::Bytes, 2)], "nobody asked for it");
    facts.bans = vec![ban(taro(), Effect::Mute, 103, Some(120))];
    assert_eq!(wrongs(&facts), [], "it may have been in force for the one and not for the others");
    assert_eq!(judge(&facts).tallies[0].muted, 1);
    facts.bans = vec![ban(taro(), Effect::Mute, 90, Some(120))];
    assert_eq!(wrongs(&facts).len(), 9, "it was in force for all");
}

#[test]
fn what_does_not_lie_there_is_found() {
    let mut facts = facts();
    facts.lying.remove(&place(9));
    assert_eq!(wrongs(&facts), [(Wrong::LostByTheBroker, 9), (Wrong::Invented, 9)]);
}

#[test]
fn a_tombstone_must_arrive_whatever_is_decided_about_its_contact() {
    let mut facts = facts();
    facts.lying.get_mut(&place(4)).unwrap().said = Said::Tombstone;
    facts.bans = vec![ban(taro(), Effect::Erase, 90, None), ban(taro(), Effect::Withhold, 90, None)];
    facts.readings[0].delivered.retain(|delivered| delivered.place.offset == 4);
    assert_eq!(wrongs(&facts), [(Wrong::Bytes, 4)], "it has a value");
    facts.readings[0].delivered[0].value = None;
    facts.readings[0].delivered[0].headers.clear();
    let lying = facts.lying.get_mut(&place(4)).unwrap();
    (lying.publisher, lying.headers) = (String::new(), Vec::new());
    assert_eq!(wrongs(&facts), []);
    facts.readings[0].delivered.clear();
    assert_eq!(wrongs(&facts), [(Wrong::Lost, 4)]);
}

#[test]
fn what_nobody_can_open_any_more_is_judged_by_all_but_what_it_said() {
    let mut facts = facts();
    facts.lying.get_mut(&place(4)).unwrap().said = Said::Destroyed;
    assert_eq!(wrongs(&facts), []);
    facts.readings[0].delivered[4].timestamp += 1;
    assert_eq!(wrongs(&facts), [(Wrong::Bytes, 4)]);
    facts.readings[0].delivered[4].timestamp -= 1;
    facts.readings[0].delivered[4].value = None;
    assert_eq!(wrongs(&facts), [(Wrong::Bytes, 4)]);
    facts.readings[0].delivered.remove(4);
    assert_eq!(wrongs(&facts), [(Wrong::Lost, 4)]);
    facts.bans = vec![ban(taro(), Effect::Erase, 104, None)];
    assert_eq!(wrongs(&facts), []);
}
