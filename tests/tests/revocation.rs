//! A revocation stops a live reader, whichever way it is decided: the subscription, the company, the credential or the
//! notice. 200 repetitions over the whole way: operator's call, signed policy, hub, socket.
//!
//! Measured at the reader's socket: a client with a backlog goes on handing out what it had fetched before.

use std::time::Duration;

use authority_api::{
    AuthorityClient, ClientError,
    types::{Credential, GrantView, IssuedCredential, Reason},
};
use serde_json::Value;
use testkit::{
    clients::{Client, Request, Running},
    revocation::{End, Reader, Revoked, Stream, percentile},
    stack::{Desk, Grant, Member, Name, Stack},
    wait,
};

const EACH: usize = 50;
const TOPIC: &str = "jointuse.transaction";
const PATIENCE: Duration = Duration::from_secs(30);

fn because() -> Reason {
    Reason { reason: "measuring how fast a revocation is".into() }
}

/// Where in the stream a reader stands, and what is measured on the way.
struct Bench<'a> {
    stack: &'a Stack,
    stream: &'a Stream,
    next: i64,
    figures: Vec<Revoked>,
}

impl Bench<'_> {
    /// Starts a reader, revokes, and checks that nothing came afterwards and that all that came is disclosed.
    async fn revoke(&mut self, grant: &Grant, call: impl Future<Output = Result<(), ClientError>>) {
        let address = format!("127.0.0.1:{}", self.stack.hub_ports()[1]);
        let reader = Reader::start(&address, grant, TOPIC, self.stream.partition(), self.next).await.unwrap();
        let (revoked, end) = reader.revoked_by(call).await.unwrap();
        self.disclosed(grant, &end).await;
        self.next = end.next_offset;
        self.figures.push(revoked);
    }

    /// What arrived at the socket was on disk before.
    async fn disclosed(&self, grant: &Grant, end: &End) {
        let last = disclosed_up_to(self.stack, grant).await;
        assert!(last + 1 >= end.next_offset, "received up to {} but disclosed up to {last}", end.next_offset);
    }

    fn print(&mut self, kind: &str) -> Vec<Revoked> {
        let all = std::mem::take(&mut self.figures);
        let of = |pick: fn(&Revoked) -> Duration| all.iter().map(pick).collect::<Vec<_>>();
        let show =
            |figures: &[Duration]| format!("p50 {:.1?} p99 {:.1?}", percentile(figures, 50), percentile(figures, 99));
        println!(
            "revocation of {kind}, {} times, from the operator's call: answered {}; last byte {}; closed {}",
            all.len(),
            show(&of(|r| r.answered)),
            show(&of(|r| r.last_byte)),
            show(&of(|r| r.closed)),
        );
        all
    }
}

async fn post<T: serde::de::DeserializeOwned>(client: &AuthorityClient, path: String) -> Result<T, ClientError> {
    client.post(&path, &because()).await
}

/// A refusal after the revocation is no accident: the same login is not let in again.
async fn shut_out(stack: &Stack, grant: &Grant) {
    let address = format!("127.0.0.1:{}", stack.hub_ports()[1]);
    let mut raw = testkit::raw::Raw::connect(&address).await;
    let error = raw.authenticate(grant.login.as_str(), &grant.secret, "n,,", "").await;
    assert_ne!(error, Some(0), "{} is let in after its revocation", grant.login);
}

async fn subscription(bench: &mut Bench<'_>, desk: &Desk, member: &Member) {
    let id = &member.subscription.id;
    for _ in 0..EACH {
        let call = async { post::<GrantView>(&desk.asks, format!("/v1/subscriptions/{id}/suspend")).await.map(|_| ()) };
        bench.revoke(&member.subscription, call).await;
        shut_out(bench.stack, &member.subscription).await;
        post::<GrantView>(&desk.approves, format!("/v1/subscriptions/{id}/resume")).await.unwrap();
    }
}

async fn company(bench: &mut Bench<'_>, desk: &Desk, member: &Member) {
    let id = &member.company;
    for _ in 0..EACH {
        let call = async { post::<Value>(&desk.asks, format!("/v1/companies/{id}/suspend")).await.map(|_| ()) };
        bench.revoke(&member.subscription, call).await;
        shut_out(bench.stack, &member.subscription).await;
        post::<Value>(&desk.approves, format!("/v1/companies/{id}/resume")).await.unwrap();
    }
}

async fn credential(bench: &mut Bench<'_>, desk: &Desk, member: &mut Member) {
    for _ in 0..EACH {
        let login = member.subscription.login.clone();
        let call =
            async { post::<Credential>(&desk.asks, format!("/v1/credentials/{login}/revoke")).await.map(|_| ()) };
        bench.revoke(&member.subscription, call).await;
        shut_out(bench.stack, &member.subscription).await;
        let path = format!("/v1/subscriptions/{}/credentials", member.subscription.id);
        let issued: IssuedCredential = desk.asks.post(&path, &serde_json::json!({})).await.unwrap();
        member.subscription.login = issued.login;
        member.subscription.secret = issued.secret;
    }
}

async fn notice(bench: &mut Bench<'_>, desk: &Desk, member: &Member) {
    let id = &member.company;
    let mut version = 1;
    for _ in 0..EACH {
        let call = async {
            post::<Value>(&desk.asks, format!("/v1/companies/{id}/notices/{version}/withdraw")).await.map(|_| ())
        };
        bench.revoke(&member.subscription, call).await;
        shut_out(bench.stack, &member.subscription).await;
        version = desk.draft_notice(id).await.unwrap().version;
        desk.activate_notice(id, version).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_stops_a_live_reader_whichever_way_it_is_decided() {
    let mut stack = Stack::builder().services(&[Name::Authority, Name::Hub]).start().await.unwrap();
    let desk = stack.desk().await.unwrap();
    let mut member = desk.member("acme").await.unwrap();
    let stream = Stream::start(&stack, TOPIC).await.unwrap();
    let mut all = Vec::new();
    {
        let mut bench = Bench { stack: &stack, stream: &stream, next: 0, figures: Vec::new() };
        subscription(&mut bench, &desk, &member).await;
        all.extend(bench.print("the subscription"));
        company(&mut bench, &desk, &member).await;
        all.extend(bench.print("the company"));
        credential(&mut bench, &desk, &mut member).await;
        all.extend(bench.print("the credential"));
        notice(&mut bench, &desk, &member).await;
        all.extend(bench.print("the notice"));
        bench.figures = all.clone();
        bench.print("any kind");
    }
    assert_eq!(all.len(), 4 * EACH);
    stock_client(&stack, &stream, &desk, &member).await;
    drop(stream);
    stack.stop().await.unwrap();
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
