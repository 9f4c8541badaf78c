//! A revocation stops a live reader, whichever way it is decided: the subscription, the company, the credential or the
//! notice. 200 repetitions over the whole way: operator's call, signed policy, hub, socket.
//!
//! Measured at the reader's socket: a client with a backlog goes on handing out what it had fetched before. The four kinds
//! run at the same time, each with a company of its own, as most of a repetition is waiting to be let in again.

use std::{sync::Arc, time::Duration};

use authority_api::{
    AuthorityClient, ClientError,
    types::{Credential, GrantView, IssuedCredential, PolicyView, Reason},
};
use serde_json::Value;
use testkit::{
    clients::{Client, Request, Running},
    revocation::{End, Reader, Revoked, Stream, percentile},
    stack::{Desk, Grant, Member, Name, Stack},
    wait,
};
use tokio::{sync::oneshot, task::JoinSet};

const EACH: usize = 50;
const TOPIC: &str = "jointuse.transaction";
const PATIENCE: Duration = Duration::from_secs(30);
/// Far above what a busy machine takes, far below the policy's expiry and a client's own time-outs.
const SOON: Duration = Duration::from_secs(2);

fn because() -> Reason {
    Reason { reason: "measuring how fast a revocation is".into() }
}

/// Who is revoked, where in the stream its reader stands, and what is measured on the way.
struct Bench {
    stack: Arc<Stack>,
    stream: Arc<Stream>,
    desk: Desk,
    member: Member,
    next: i64,
    figures: Vec<Revoked>,
}

impl Bench {
    /// Starts a reader, revokes, and checks that nothing came afterwards, that all that came is disclosed, and that the
    /// login is not let in again: a refusal is no accident.
    async fn revoke(&mut self, call: impl Future<Output = Result<(), ClientError>>) {
        let grant = &self.member.subscription;
        let address = format!("127.0.0.1:{}", self.stack.hub_ports()[1]);
        let reader = Reader::start(&address, grant, TOPIC, self.stream.partition(), self.next).await.unwrap();
        let (tell, answered) = oneshot::channel();
        let call = async {
            let answer = call.await;
            let _ = tell.send(());
            answer
        };
        let in_force = async {
            let _ = answered.await;
            self.newest_before_in_force().await
        };
        let (revoked, newest) = tokio::join!(reader.revoked_by(call), in_force);
        let (revoked, end) = revoked.unwrap();
        let got = end.next_offset - 1;
        assert!(
            got <= newest,
            "{grant:?} got {got}, written after its revocation was in force (up to {newest} was not)"
        );
        self.disclosed(grant, &end).await;
        let mut raw = testkit::raw::Raw::connect(&address).await;
        let error = raw.authenticate(grant.login.as_str(), &grant.secret, "n,,", "").await;
        assert_ne!(error, Some(0), "{} is let in after its revocation", grant.login);
        self.next = end.next_offset;
        self.figures.push(revoked);
    }

    /// Waits until the hub says that it decides by what was just decided. What is written after that must not be delivered,
    /// however late a busy machine lets the reader look; the answer is the newest record that was written before.
    async fn newest_before_in_force(&self) -> i64 {
        let number = self.desk.asks.get::<PolicyView>("/v1/policy").await.unwrap().number;
        wait::until("the hub to hold the revocation", PATIENCE, async || {
            let metrics = self.stack.metrics(Name::Hub).await.ok()?;
            let held = metrics.lines().find(|line| line.starts_with("hub_policy_number"))?;
            (held.rsplit_once(' ')?.1.parse::<f64>().ok()? >= number as f64).then_some(())
        })
        .await
        .unwrap();
        // The stream has one on its way to the broker at most.
        self.stream.newest() + 1
    }

    /// What arrived at the socket was on disk before.
    async fn disclosed(&self, grant: &Grant, end: &End) {
        let last = disclosed_up_to(&self.stack, grant).await;
        assert!(last + 1 >= end.next_offset, "received up to {} but disclosed up to {last}", end.next_offset);
    }
}

/// Tells what was measured, and holds it to its bound.
fn judge(kind: &str, all: &[Revoked]) {
    let of = |pick: fn(&Revoked) -> Duration| all.iter().map(pick).collect::<Vec<_>>();
    let (answered, last_byte, closed) = (of(|r| r.answered), of(|r| r.last_byte), of(|r| r.closed));
    let show =
        |figures: &[Duration]| format!("p50 {:.1?} p99 {:.1?}", percentile(figures, 50), percentile(figures, 99));
    println!(
        "figure: revocation of {kind}, {} times, from the operator's call: answered {}; last byte {}; closed {}",
        all.len(),
        show(&answered),
        show(&last_byte),
        show(&closed),
    );
    for (what, figures) in [("last byte", &last_byte), ("closed", &closed)] {
        let p99 = percentile(figures, 99);
        assert!(p99 < SOON, "{kind}: {what} p99 {p99:.1?}");
    }
}

async fn post<T: serde::de::DeserializeOwned>(client: &AuthorityClient, path: String) -> Result<T, ClientError> {
    client.post(&path, &because()).await
}

async fn subscription(mut bench: Bench) -> Bench {
    let (desk, id) = (bench.desk.clone(), bench.member.subscription.id.clone());
    for _ in 0..EACH {
        bench
            .revoke(async {
                post::<GrantView>(&desk.asks, format!("/v1/subscriptions/{id}/suspend")).await.map(|_| ())
            })
            .await;
        post::<GrantView>(&desk.approves, format!("/v1/subscriptions/{id}/resume")).await.unwrap();
    }
    bench
}

async fn company(mut bench: Bench) -> Bench {
    let (desk, id) = (bench.desk.clone(), bench.member.company.clone());
    for _ in 0..EACH {
        bench
            .revoke(async { post::<Value>(&desk.asks, format!("/v1/companies/{id}/suspend")).await.map(|_| ()) })
            .await;
        post::<Value>(&desk.approves, format!("/v1/companies/{id}/resume")).await.unwrap();
    }
    bench
}

async fn credential(mut bench: Bench) -> Bench {
    let desk = bench.desk.clone();
    let path = format!("/v1/subscriptions/{}/credentials", bench.member.subscription.id);
    for _ in 0..EACH {
        let login = bench.member.subscription.login.clone();
        bench
            .revoke(async {
                post::<Credential>(&desk.asks, format!("/v1/credentials/{login}/revoke")).await.map(|_| ())
            })
            .await;
        let issued: IssuedCredential = desk.asks.post(&path, &serde_json::json!({})).await.unwrap();
        bench.member.subscription.login = issued.login;
        bench.member.subscription.secret = issued.secret;
    }
    bench
}

async fn notice(mut bench: Bench) -> Bench {
    let (desk, id) = (bench.desk.clone(), bench.member.company.clone());
    let mut version = 1;
    for _ in 0..EACH {
        let path = format!("/v1/companies/{id}/notices/{version}/withdraw");
        bench.revoke(async { post::<Value>(&desk.asks, path).await.map(|_| ()) }).await;
        version = desk.draft_notice(&id).await.unwrap().version;
        desk.activate_notice(&id, version).await.unwrap();
    }
    bench
}

fn block_on(kind: impl Future<Output = Bench>) -> Bench {
    tokio::runtime::Handle::current().block_on(kind)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_stops_a_live_reader_whichever_way_it_is_decided() {
    let stack = Arc::new(Stack::builder().services(&[Name::Authority, Name::Hub]).start().await.unwrap());
    let desk = stack.desk().await.unwrap();
    let publisher = desk.member("echo").await.unwrap().company;
    let stream = Arc::new(Stream::start(&stack, TOPIC, &publisher).await.unwrap());
    let bench = async |slug: &str| Bench {
        stack: Arc::clone(&stack),
        stream: Arc::clone(&stream),
        member: desk.member(slug).await.unwrap(),
        desk: desk.clone(),
        next: 0,
        figures: Vec::new(),
    };
    // Each on a thread of its own: what one computes for a login must not delay what another measures.
    let mut kinds = JoinSet::new();
    let (first, second) = (bench("acme").await, bench("bravo").await);
    let (third, fourth) = (bench("carol").await, bench("delta").await);
    kinds.spawn_blocking(move || ("the subscription", block_on(subscription(first))));
    kinds.spawn_blocking(move || ("the company", block_on(company(second))));
    kinds.spawn_blocking(move || ("the credential", block_on(credential(third))));
    kinds.spawn_blocking(move || ("the notice", block_on(notice(fourth))));
    let mut ended = kinds.join_all().await;
    ended.sort_by_key(|(kind, _)| *kind);
    for (kind, bench) in &ended {
        assert_eq!(bench.figures.len(), EACH);
        judge(kind, &bench.figures);
    }
    judge("any kind", &ended.iter().flat_map(|(_, bench)| bench.figures.clone()).collect::<Vec<_>>());
    stock_client(&stack, &stream, &desk, &ended[0].1.member).await;
    drop((ended, stream));
    Arc::into_inner(stack).unwrap().stop().await.unwrap();
}

/// librdkafka, unchanged: what it hands out after the answer was in its own queue, and that ends where the hub's
/// disclosures end.
async fn stock_client(stack: &Stack, stream: &Stream, desk: &Desk, member: &Member) {
    let reader = &member.subscription;
    let group = format!("ju.{}.stock", reader.id);
    let bootstrap = stack.hub_bootstrap();
    let request = Request::consume(&bootstrap, reader.login.as_str(), &reader.secret, &group, &[TOPIC])
        .with("from", "latest")
        .with("commit", "none");
    let mut running = Running::start(Client::Confluent, &request).unwrap();
    let mut events = running.until("a first record", PATIENCE, |event| event.record().is_some()).await.unwrap();
    post::<GrantView>(&desk.asks, format!("/v1/subscriptions/{}/suspend", reader.id)).await.unwrap();
    events.extend(running.until("the client to hear of it", PATIENCE, |event| event.kind() == "error").await.unwrap());
    let disclosed = disclosed_up_to(stack, reader).await;
    // The stream goes on; neither the client nor the disclosures do.
    let later = stream.newest() + 50;
    let goes_on = async || (stream.newest() > later).then_some(());
    wait::until("the stream to go on", PATIENCE, goes_on).await.unwrap();
    events.extend(running.stop(PATIENCE).await.unwrap().events);
    let last = events.iter().filter_map(testkit::clients::Event::record).map(|record| record.offset).max().unwrap();
    // A run that was reserved ahead may since have been cut back, never extended.
    let finally = disclosed_up_to(stack, reader).await;
    assert!(last <= finally && finally <= disclosed, "got {last}, disclosed up to {disclosed}, then {finally}");
    assert!(stream.newest() > last + 50);
}

async fn disclosed_up_to(stack: &Stack, grant: &Grant) -> i64 {
    let sql = format!("SELECT coalesce(max(last_offset), -1) FROM disclosure WHERE login = '{}'", grant.login);
    stack.postgres.sql("hub", &sql).await.unwrap().trim().parse().unwrap()
}
