//! What operators decide, insistently: an authority that is away is asked again until it has answered, and each decision
//! is noted with when its call began and from which number on policy or stop list hold it.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use authority_api::{
    ClientError,
    erasure::{Erasure, ErasureReason, ErasureStep, NewErasure},
    types::{
        Company, GrantView, MadeRestrictions, NewRestrictions, Notice, NoticeState, PolicyView, Reason, Restriction,
    },
};
use jointuse::ContactId;
use restriction::{Measure, Reach};
use serde::de::DeserializeOwned;
use testkit::stack::Desk;

use crate::{
    bed::now,
    model::{Effect, Micros, Whom},
};

/// How long an operator goes on asking.
const PATIENCE: Duration = Duration::from_secs(180);
/// Pause between two tries.
const AGAIN: Duration = Duration::from_millis(100);
/// How long after every cache has heard of an erasure an answer may still leave that was begun before.
const UNDER_WAY: Micros = 5_000_000;

/// A decision, before it is known when the hub heard of it.
#[derive(Debug, Clone)]
pub struct Decided {
    pub whom: Vec<(Whom, Effect)>,
    pub called: Micros,
    /// In force at the hub from this number on; for an erasure from this time on.
    pub from: From,
    /// When the call that ends it began, and from which number on it has ended.
    pub lifted: Option<(Micros, From)>,
}

/// Which number, or time, tells that the hub knows.
#[derive(Debug, Clone, Copy)]
pub enum From {
    Policy(u64),
    Stops(u64),
    /// Of both lists: of what was decided, and of what reaches persons.
    Persons(u64),
    Time(Micros),
    /// Nobody can say: never for certain.
    Doubtful,
}

/// The other contact of a person.
#[derive(Debug, Clone)]
pub struct Other {
    pub contact: String,
    /// History was seen to know, before, that both are one person.
    pub known: bool,
}

/// Who was erased.
pub fn erased(decided: &[Decided]) -> BTreeSet<String> {
    let whom = decided.iter().flat_map(|one| &one.whom);
    let of = |(whom, effect): &(Whom, Effect)| match (whom, effect) {
        (Whom::Contact(contact), Effect::Erase) => Some(contact.clone()),
        _ => None,
    };
    whom.filter_map(of).collect()
}

/// Something was refused that must not be.
#[derive(Debug)]
pub struct Refused(pub String);

type Told<T> = Result<T, Refused>;

/// An answer, and whether an earlier try may have been the one that did it.
struct Answer<T> {
    value: T,
    doubtful: bool,
}

/// Asks until there is an answer. `None`: it was refused (409) after a try of which nobody knows what became, so it is done.
async fn insist<T, F>(what: &str, ask: impl Fn() -> F) -> Told<Option<Answer<T>>>
where
    F: Future<Output = Result<T, ClientError>>,
{
    let begun = Instant::now();
    let mut doubtful = false;
    loop {
        let error = match ask().await {
            Ok(value) => return Ok(Some(Answer { value, doubtful })),
            Err(error) => error,
        };
        let status = error.status().map(|status| status.as_u16());
        match status {
            Some(409) if doubtful => return Ok(None),
            Some(400..=428 | 430..=499) => return Err(Refused(format!("{what}: {error}"))),
            _ if begun.elapsed() > PATIENCE => return Err(Refused(format!("{what}: {error}, again and again"))),
            _ => doubtful = true,
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn get<T: DeserializeOwned>(desk: &Desk, path: &str) -> Told<T> {
    let answer = insist(path, || desk.asks.get(path)).await?;
    answer.map(|answer| answer.value).ok_or_else(|| Refused(path.to_owned()))
}

async fn policy(desk: &Desk) -> Told<u64> {
    Ok(get::<PolicyView>(desk, "/v1/policy").await?.number)
}

/// The number of the first snapshot that is certain to hold what was just decided.
async fn held_from(desk: &Desk, doubtful: bool) -> Told<u64> {
    // One that was under way when an earlier try was taken may be without it.
    Ok(policy(desk).await? + if doubtful { 2 } else { 0 })
}

fn because() -> Reason {
    Reason { reason: "chaos".to_owned() }
}

/// A step by one of the two operators that the policy tells of.
async fn step<T: DeserializeOwned>(desk: &Desk, second: bool, path: &str) -> Told<u64> {
    let operator = if second { &desk.approves } else { &desk.asks };
    let because = because();
    let answer: Option<Answer<T>> = insist(path, || operator.post(path, &because)).await?;
    let doubtful = answer.as_ref().is_none_or(|answer| answer.doubtful);
    drop(answer.map(|answer| answer.value));
    held_from(desk, doubtful).await
}

/// What a suspended or withdrawn company loses: its records are withheld, and its subscription is refused.
fn company(slug: &str) -> Vec<(Whom, Effect)> {
    vec![(Whom::Publisher(slug.to_owned()), Effect::Withhold), (Whom::Company(slug.to_owned()), Effect::Refuse)]
}

/// Suspends a subscription for so long.
///
/// # Errors
/// When the authority refuses.
pub async fn suspend_subscription(desk: &Desk, id: &str, lasts: Duration) -> Told<Decided> {
    let path = |verb: &str| format!("/v1/subscriptions/{id}/{verb}");
    let whom = vec![(Whom::Subscription(id.to_owned()), Effect::Refuse)];
    for_a_while::<GrantView>(desk, whom, path("suspend"), path("resume"), lasts).await
}

/// Suspends a company for so long.
///
/// # Errors
/// When the authority refuses.
pub async fn suspend_company(desk: &Desk, slug: &str, lasts: Duration) -> Told<Decided> {
    let path = |verb: &str| format!("/v1/companies/{slug}/{verb}");
    for_a_while::<Company>(desk, company(slug), path("suspend"), path("resume"), lasts).await
}

async fn for_a_while<T: DeserializeOwned>(
    desk: &Desk,
    whom: Vec<(Whom, Effect)>,
    begin: String,
    end: String,
    lasts: Duration,
) -> Told<Decided> {
    let called = now();
    let from = From::Policy(step::<T>(desk, false, &begin).await?);
    tokio::time::sleep(lasts).await;
    let lift = now();
    let lifted = Some((lift, From::Policy(step::<T>(desk, true, &end).await?)));
    Ok(Decided { whom, called, from, lifted })
}

/// Withdraws a company's notice, and after so long activates a new one.
///
/// # Errors
/// When the authority refuses.
pub async fn withdraw_notice(desk: &Desk, slug: &str, lasts: Duration) -> Told<Decided> {
    let notices = format!("/v1/companies/{slug}/notices");
    let known: Vec<Notice> = get(desk, &notices).await?;
    let active = known.iter().find(|notice| notice.state == NoticeState::Active);
    let version = active.map(|notice| notice.version).ok_or_else(|| Refused(format!("{slug} has no notice")))?;
    let called = now();
    let from = From::Policy(step::<Notice>(desk, false, &format!("{notices}/{version}/withdraw")).await?);
    tokio::time::sleep(lasts).await;
    let text = &known.last().ok_or_else(|| Refused(notices.clone()))?.text;
    // A draft of which nobody knows whether it was taken is left; the newest is brought on.
    insist("draft", || desk.asks.post::<_, Notice>(&notices, text)).await?;
    let drafted: Vec<Notice> = get(desk, &notices).await?;
    let version = drafted.last().map(|notice| notice.version).ok_or_else(|| Refused(notices.clone()))?;
    let notice = format!("{notices}/{version}");
    let evidence = format!("{notice}/evidence");
    let page = || b"<h1>notice</h1>".to_vec();
    insist("evidence", || desk.asks.put_file::<Notice>(&evidence, "page.html", page())).await?;
    for verb in ["notify", "publish", "check-evidence"] {
        step::<Notice>(desk, false, &format!("{notice}/{verb}")).await?;
    }
    let lift = now();
    let lifted = Some((lift, From::Policy(step::<Notice>(desk, true, &format!("{notice}/activate")).await?)));
    Ok(Decided { whom: company(slug), called, from, lifted })
}

/// Restricts a contact for so long; as a person, the `other` contact of it, too.
///
/// # Errors
/// When the authority refuses.
pub async fn restrict(
    desk: &Desk,
    contact: &str,
    (measure, reach): (Measure, Reach),
    other: Option<Other>,
    lasts: Duration,
) -> Told<Vec<Decided>> {
    let effect = if measure == Measure::Mail { Effect::Mute } else { Effect::Withhold };
    let whom = |contact: &str| vec![(Whom::Contact(contact.to_owned()), effect)];
    let new = NewRestrictions { measure, reach, contacts: vec![id(contact)?], reason: "chaos".to_owned() };
    let called = now();
    let made = insist("restrict", || desk.asks.post::<_, MadeRestrictions>("/v1/restrictions", &new)).await?;
    let id = made.and_then(|made| made.value.ids.first().copied()).ok_or_else(|| Refused("no restriction".into()))?;
    tokio::time::sleep(lasts).await;
    let path = format!("/v1/restrictions/{id}");
    let lift = now();
    let call = format!("{path}/lift");
    let because = because();
    insist(&call, || desk.approves.post::<_, Restriction>(&call, &because)).await?;
    let restriction: Restriction = get(desk, &path).await?;
    let number = restriction.lifted.map(|lifted| lifted.number).ok_or_else(|| Refused(format!("{path} stands")))?;
    let number = if reach == Reach::Person { From::Persons(number) } else { From::Stops(number) };
    let lifted = Some((lift, number));
    let mut decided = vec![Decided { whom: whom(contact), called, from: From::Stops(id), lifted }];
    if let Some(Other { contact, known }) = other {
        let from = if known { From::Persons(id) } else { From::Doubtful };
        decided.push(Decided { whom: whom(&contact), called, from, lifted });
    }
    Ok(decided)
}

/// Erases a contact and waits for the certificate.
///
/// # Errors
/// When the authority refuses.
pub async fn erase(desk: &Desk, contact: &str) -> Told<Decided> {
    let contacts = [id(contact)?].into();
    let new = NewErasure { contacts, person: None, reason: ErasureReason::PrincipalRequest };
    let called = now();
    let asked = insist("erase", || desk.asks.post::<_, Erasure>("/v1/erasures", &new)).await?;
    let asked = asked.ok_or_else(|| Refused("no erasure".into()))?.value;
    let path = format!("/v1/erasures/{}", asked.id);
    let begun = Instant::now();
    let done = loop {
        let erasure: Erasure = get(desk, &path).await?;
        if erasure.next.is_none() {
            break erasure;
        }
        if begun.elapsed() > 2 * PATIENCE {
            return Err(Refused(format!("{path} waits for {:?}", erasure.next)));
        }
        tokio::time::sleep(AGAIN).await;
    };
    let heard = done.steps.iter().find(|taken| taken.step == ErasureStep::Heard);
    let heard = heard.map(|taken| taken.at.timestamp_micros()).ok_or_else(|| Refused(format!("{path} unheard")))?;
    let whom = vec![(Whom::Contact(contact.to_owned()), Effect::Erase)];
    Ok(Decided { whom, called, from: From::Time(heard + UNDER_WAY), lifted: None })
}

fn id(contact: &str) -> Told<ContactId> {
    contact.parse().map_err(|_| Refused(format!("{contact} is no contact id")))
}
