//! What happens to judged rows: was it published before? publish, wait for the acknowledgement, remember, answer.
//!
//! Batches go through concurrently, but answers come in order, and a batch that has an id in common with one still in flight
//! waits for it: so what is said of a row is true of the topic. A batch once begun runs to its end, also when the client is
//! gone.

pub mod answer;
mod batch;
pub mod decide;
mod sealing;
pub mod spool;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex},
};

use futures::{StreamExt as _, stream::FuturesOrdered};
use jointuse::{Kind, TopicName};
use policy::{Action, Denial, Permit, Policy, Request};
use tokio::{sync::mpsc, task::JoinHandle};

pub use answer::{Answer, Outcome, Summary};

use crate::{
    db::published::Known,
    judge::{Id, Row},
    rule::{Finding, Rule},
    service::App,
};

/// Ids that a dry run remembers, so that duplicates are found although nothing is written.
const DRY_RUN_IDS: usize = 250_000;

/// One request's way through.
#[derive(Debug)]
pub struct Import {
    pub(crate) app: Arc<App>,
    pub(crate) permit: Permit,
    pub(crate) kind: Kind,
    pub(crate) topic: TopicName,
    /// Number of this request: rows of one request with the same id are duplicates.
    pub(crate) number: i64,
    pub(crate) dry_run: bool,
    pub(crate) headers: Vec<(std::borrow::Cow<'static, str>, bytes::Bytes)>,
    /// In a dry run: what would have been published.
    pub(crate) pretended: Mutex<HashMap<Id, Known>>,
}

/// The number by which a kind is stored.
pub const fn topic_number(kind: Kind) -> i16 {
    match kind {
        Kind::Contact => 1,
        Kind::Transaction => 2,
        Kind::Meeting => 3,
        Kind::ContactEvent => 4,
        Kind::Behaviour => 5,
    }
}

/// Asks the policy whether this login may publish `kind` now.
///
/// # Errors
/// The denial.
pub fn permit(
    policy: &Policy,
    login: &jointuse::Login,
    topic: &TopicName,
    at: chrono::DateTime<chrono::Utc>,
) -> Result<Permit, Denial> {
    policy::decide(&Request { login, action: Action::Publish, topic, topic_id: None, at }, policy)
}

impl Import {
    /// A new request under `permit`.
    pub fn new(app: Arc<App>, permit: Permit, kind: Kind, schema_id: u32, dry_run: bool) -> Self {
        let (number, _) = uuid::Uuid::new_v4().as_u64_pair();
        let mut headers: Vec<(std::borrow::Cow<'static, str>, bytes::Bytes)> = vec![
            ("publisher".into(), permit.company().as_str().to_owned().into()),
            ("kind".into(), kind.as_str().into()),
            ("schema-id".into(), schema_id.to_string().into()),
        ];
        headers.extend(runtime::propagation::inject().into_iter().map(|(name, value)| (name.into(), value.into())));
        let topic = permit.topic().clone();
        Self {
            app,
            permit,
            kind,
            topic,
            number: i64::from_ne_bytes(number.to_ne_bytes()),
            dry_run,
            headers,
            pretended: Mutex::default(),
        }
    }

    /// The topic that it publishes to.
    pub const fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// Takes batches until there are no more, and hands their answers over in order.
    pub async fn run(
        self: Arc<Self>,
        mut batches: mpsc::Receiver<Vec<Row>>,
        mut told: impl FnMut(Vec<Answer>) + Send,
    ) -> Summary {
        let mut summary = Summary { dry_run: self.dry_run, ..Summary::default() };
        let depth = if self.dry_run { 1 } else { self.app.limits.batches_in_flight };
        let mut flying: FuturesOrdered<JoinHandle<Vec<Answer>>> = FuturesOrdered::new();
        let mut ids: VecDeque<HashSet<Id>> = VecDeque::new();
        let mut tell = |answers: Vec<Answer>| {
            self.measure(&answers);
            summary.count(&answers);
            told(answers);
        };
        let mut open = true;
        while open || !flying.is_empty() {
            tokio::select! {
                Some(done) = flying.next(), if !flying.is_empty() => {
                    ids.pop_front();
                    tell(done.unwrap_or_default());
                }
                next = batches.recv(), if open && flying.len() < depth => match next {
                    None => open = false,
                    Some(rows) => {
                        let own: HashSet<Id> = rows.iter().filter_map(id).collect();
                        if ids.iter().any(|other| !other.is_disjoint(&own)) {
                            while let Some(done) = flying.next().await {
                                tell(done.unwrap_or_default());
                            }
                            ids.clear();
                        }
                        ids.push_back(own);
                        let import = Arc::clone(&self);
                        flying.push_back(tokio::spawn(async move { import.batch(rows).await }));
                    }
                },
            }
        }
        summary
    }

    /// Whether the publication still stands: asked for each batch, so that a file of hours does not outlive it.
    fn still_permitted(&self) -> bool {
        let at = self.app.clock.now();
        let policy = self.app.policy.current(at);
        policy.is_some_and(|policy| permit(&policy, self.permit.login(), &self.topic, at).is_ok())
    }

    async fn batch(&self, rows: Vec<Row>) -> Vec<Answer> {
        if self.still_permitted() {
            return self.publish(rows).await;
        }
        let refuse = |row: Row| match row {
            Row::Bad { place, findings } => Answer::refused(place, findings),
            Row::Good(candidate) => {
                Answer::refused(candidate.place, vec![Finding::new("publication", Rule::PermissionEnded)])
            }
        };
        rows.into_iter().map(refuse).collect()
    }

    fn measure(&self, answers: &[Answer]) {
        let mut outcomes: HashMap<&'static str, u64> = HashMap::new();
        let mut rules: HashMap<Rule, u64> = HashMap::new();
        for answer in answers {
            *outcomes.entry(answer.outcome.as_str()).or_default() += 1;
            for finding in answer.errors.iter().chain(&answer.warnings) {
                *rules.entry(finding.rule).or_default() += 1;
            }
        }
        if !self.dry_run {
            for (outcome, count) in outcomes {
                self.app.metrics.rows(self.kind.as_str(), outcome, count);
            }
        }
        for (rule, count) in rules {
            self.app.metrics.finding(rule, count);
        }
    }
}

fn id(row: &Row) -> Option<Id> {
    match row {
        Row::Good(candidate) => Some(candidate.id),
        Row::Bad { .. } => None,
    }
}
