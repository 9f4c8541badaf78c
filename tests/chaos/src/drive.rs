//! Makes the faults in their order, each at its time, and undoes them; what faults are about is held by one at a time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use restriction::Reach;
use testkit::{Result, stack::Name};
use tokio::task::JoinSet;

use crate::{
    bed::{Bed, now},
    cluster,
    decide::{self, Decided, From, Other, Refused},
    model::Micros,
    pool::{Pool, What},
    readers::Reader,
    schedule::{Fault, Lane, Planned},
};

/// How often all is looked at.
const TICK: Duration = Duration::from_millis(40);
/// How long anything may take to come back.
const BACK: Duration = Duration::from_secs(150);

/// What is done when a fault has lasted.
#[derive(Debug)]
enum Undo {
    Start(Name),
    StartBroker(u16),
    StartDatabase,
    OpenKeys,
}

/// A fault that lasts, or whose victim is coming back.
#[derive(Debug)]
struct Held {
    lane: Lane,
    /// When it is undone; when it was.
    due: Instant,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Lasts(Undo),
    Comes(Back),
}

#[derive(Debug, Clone, Copy)]
enum Back {
    Service(Name),
    Broker(u16),
}

/// The outcome of a fault that is a call.
type Called = (Option<Lane>, Option<(usize, bool)>, std::result::Result<Vec<Decided>, Refused>);

/// Makes faults.
#[derive(Debug)]
pub struct Driver {
    pub bed: Bed,
    pub readers: Vec<Reader>,
    pool: Arc<Mutex<Pool>>,
    busy: BTreeSet<Lane>,
    held: Vec<Held>,
    calls: JoinSet<Called>,
    /// How many of each kind were made.
    pub made: BTreeMap<&'static str, u64>,
    pub decided: Vec<Decided>,
    /// When the hub was killed.
    pub hub_ends: Vec<Micros>,
    /// What ended without being told to, and was started again.
    pub ended: Vec<String>,
    /// Calls that were refused, and what else must not be.
    pub wrong: Vec<String>,
    /// Of each client: its name, how often it was started again, how many errors it told.
    pub clients: Vec<(String, u64, u64)>,
    /// How many ranges the hub has written down.
    pub disclosures: usize,
}

impl Driver {
    pub fn new(bed: Bed, readers: Vec<Reader>, pool: Arc<Mutex<Pool>>) -> Self {
        Self {
            bed,
            readers,
            pool,
            busy: BTreeSet::new(),
            held: Vec::new(),
            calls: JoinSet::new(),
            made: BTreeMap::new(),
            decided: Vec::new(),
            hub_ends: Vec::new(),
            ended: Vec::new(),
            wrong: Vec::new(),
            clients: Vec::new(),
            disclosures: 0,
        }
    }

    /// Makes a fault when it is its time and what it is about is free.
    ///
    /// # Errors
    /// When something does not come back.
    pub async fn make(&mut self, planned: &Planned) -> Result<()> {
        let due = Instant::now() + planned.after;
        while Instant::now() < due || planned.fault.lane().is_some_and(|lane| self.busy.contains(&lane)) {
            self.tick().await?;
        }
        *self.made.entry(planned.fault.kind()).or_default() += 1;
        let lane = planned.fault.lane();
        self.busy.extend(lane);
        let (desk, lasts) = (self.bed.desk.clone(), planned.lasts);
        match planned.fault.clone() {
            Fault::Kill(name) => {
                self.bed.stack.service(name)?.kill9();
                if name == Name::Hub {
                    self.hub_ends.push(now());
                }
                self.hold(Lane::Service(name), lasts, Undo::Start(name));
            }
            Fault::KillBroker(id) => {
                self.bed.stack.kafka.kill9_node(id);
                self.hold(Lane::Brokers, lasts, Undo::StartBroker(id));
            }
            Fault::RestartBroker(id) => {
                self.bed.stack.kafka.ask_node_to_stop(id);
                self.hold(Lane::Brokers, lasts, Undo::StartBroker(id));
            }
            Fault::KillDatabase => {
                self.bed.stack.postgres.kill9();
                self.hold(Lane::Database, lasts, Undo::StartDatabase);
            }
            Fault::CutKeys => {
                let postgres = &self.bed.stack.postgres;
                postgres.sql("postgres", "ALTER DATABASE keys ALLOW_CONNECTIONS false").await?;
                let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'keys'";
                postgres.sql("postgres", cut).await?;
                self.hold(Lane::Database, lasts, Undo::OpenKeys);
            }
            Fault::MoveLeaders(by) => {
                let brokers = cluster::Brokers::of(&self.bed.stack);
                self.call(lane, None, async move { cluster::move_leaders(brokers, by).await.map(|()| Vec::new()) });
            }
            Fault::SuspendSubscription(index) => {
                let id = self.bed.subscribers[index].grant.id.clone();
                self.decision(lane, None, async move { decide::suspend_subscription(&desk, &id, lasts).await });
            }
            Fault::SuspendCompany(index) => {
                let slug = self.bed.companies[index].clone();
                self.decision(lane, None, async move { decide::suspend_company(&desk, &slug, lasts).await });
            }
            Fault::WithdrawNotice(index) => {
                let slug = self.bed.companies[index].clone();
                self.decision(lane, None, async move { decide::withdraw_notice(&desk, &slug, lasts).await });
            }
            Fault::Restrict(measure, reach, number) => {
                let as_person = reach == Reach::Person;
                let what = if as_person { What::OfPerson } else { What::Restriction };
                let (slot, contact) = self.contact(number, what).await?;
                let other = if as_person { self.other(slot, &contact).await } else { None };
                // History has to tell whom it reaches; give it a little of the time.
                let lasts = if as_person { 2 * lasts } else { lasts };
                let how = (measure, reach);
                let call = async move { decide::restrict(&desk, &contact, how, other, lasts).await };
                self.call(None, Some((slot, false)), call);
            }
            Fault::Erase(number) => {
                let (slot, contact) = self.contact(number, What::Erasure).await?;
                self.decision(None, Some((slot, true)), async move { decide::erase(&desk, &contact).await });
            }
        }
        Ok(())
    }

    /// How many restrictions of a person were certain to reach another contact.
    pub fn reached(&self) -> usize {
        self.decided.iter().filter(|one| matches!(one.from, From::Persons(_))).count()
    }

    /// Waits until everything is undone and has come back, and all calls have ended.
    ///
    /// # Errors
    /// When something does not come back.
    pub async fn end(&mut self) -> Result<()> {
        while !self.held.is_empty() || !self.calls.is_empty() {
            self.tick().await?;
        }
        for service in self.bed.stack.services() {
            service.until_ready(BACK).await?;
        }
        Ok(())
    }

    /// One look at everything.
    ///
    /// # Errors
    /// When something does not come back.
    pub async fn tick(&mut self) -> Result<()> {
        tokio::time::sleep(TICK).await;
        for reader in &mut self.readers {
            reader.take()?;
        }
        while let Some(called) = self.calls.try_join_next() {
            self.called(called.expect("a call does not panic"));
        }
        self.restart_what_ended()?;
        let now = Instant::now();
        let (due, rest): (Vec<Held>, _) = std::mem::take(&mut self.held).into_iter().partition(|held| held.due <= now);
        self.held = rest;
        for held in due {
            let lane = held.lane;
            match self.next(held).await? {
                Some(held) => self.held.push(held),
                None => {
                    self.busy.remove(&lane);
                }
            }
        }
        Ok(())
    }

    /// What comes after a stage; nothing when all is as before the fault.
    async fn next(&mut self, held: Held) -> Result<Option<Held>> {
        let Held { lane, due, stage } = held;
        let comes = |back| Some(Held { lane, due: Instant::now(), stage: Stage::Comes(back) });
        let undo = match stage {
            Stage::Lasts(undo) => undo,
            Stage::Comes(back) => {
                let is_back = match back {
                    Back::Service(name) => self.bed.stack.service(name)?.is_ready().await,
                    Back::Broker(id) => self.bed.stack.kafka.node_serves(id).await,
                };
                if !is_back && due.elapsed() > BACK {
                    self.wrong.push(format!("{back:?} did not come back"));
                    return Ok(None);
                }
                return Ok((!is_back).then_some(Held { lane, due, stage }));
            }
        };
        Ok(match undo {
            Undo::Start(name) => {
                self.bed.stack.service(name)?.start_again()?;
                comes(Back::Service(name))
            }
            // One that was asked to stop may take its time; it is started when it has ended.
            Undo::StartBroker(id) if self.bed.stack.kafka.node_runs(id) && due.elapsed() < BACK => {
                Some(Held { lane, due, stage: Stage::Lasts(undo) })
            }
            Undo::StartBroker(id) => {
                self.bed.stack.kafka.start_node(id)?;
                comes(Back::Broker(id))
            }
            // Recovery after a kill takes as long as it takes on a busy disk.
            Undo::StartDatabase => match self.bed.stack.postgres.restart().await {
                Err(_) if due.elapsed() < BACK => Some(Held { lane, due, stage: Stage::Lasts(undo) }),
                started => started.map(|()| None)?,
            },
            Undo::OpenKeys => {
                let open = "ALTER DATABASE keys ALLOW_CONNECTIONS true";
                let opened = self.bed.stack.postgres.sql("postgres", open).await;
                opened.is_err().then_some(Held { lane, due, stage: Stage::Lasts(Undo::OpenKeys) })
            }
        })
    }

    fn hold(&mut self, lane: Lane, lasts: Duration, undo: Undo) {
        self.held.push(Held { lane, due: Instant::now() + lasts, stage: Stage::Lasts(undo) });
    }

    fn decision(
        &mut self,
        lane: Option<Lane>,
        slot: Option<(usize, bool)>,
        call: impl Future<Output = std::result::Result<Decided, Refused>> + Send + 'static,
    ) {
        self.call(lane, slot, async move { call.await.map(|decided| vec![decided]) });
    }

    fn call(
        &mut self,
        lane: Option<Lane>,
        slot: Option<(usize, bool)>,
        call: impl Future<Output = std::result::Result<Vec<Decided>, Refused>> + Send + 'static,
    ) {
        self.calls.spawn(async move { (lane, slot, call.await) });
    }

    fn called(&mut self, (lane, slot, outcome): Called) {
        if let Some(lane) = lane {
            self.busy.remove(&lane);
        }
        if let Some((slot, erased)) = slot {
            let mut pool = self.pool.lock().unwrap();
            if erased { pool.replace(slot) } else { pool.give_back(slot) }
        }
        match outcome {
            Ok(decided) => self.decided.extend(decided),
            Err(Refused(why)) => self.wrong.push(why),
        }
    }

    /// The other contact of the person, and whether it is known to be one.
    async fn other(&self, slot: usize, contact: &str) -> Option<Other> {
        let other = self.pool.lock().unwrap().other(slot)?;
        let known = self.bed.one_person(contact, &other).await;
        Some(Other { contact: other, known })
    }

    /// A contact to which nothing is being done.
    async fn contact(&mut self, number: u64, what: What) -> Result<(usize, String)> {
        loop {
            let taken = self.pool.lock().unwrap().take(number, what);
            match taken {
                Some(taken) => return Ok(taken),
                None => self.tick().await?,
            }
        }
    }

    /// As a supervisor would: services that could not go on without what they stand on, and brokers that have stopped.
    fn restart_what_ended(&mut self) -> Result<()> {
        let lasts = |held: &&Held| matches!(held.stage, Stage::Lasts(_));
        let held: BTreeSet<Lane> = self.held.iter().filter(lasts).map(|held| held.lane).collect();
        for service in self.bed.stack.services() {
            if !held.contains(&Lane::Service(service.name())) && !service.is_running() {
                let log = std::fs::read_to_string(service.log()).unwrap_or_default();
                let last = log.lines().last().unwrap_or_default().to_owned();
                self.ended.push(format!("{}: {last}", service.name().as_str()));
                if service.name() == Name::Hub {
                    self.hub_ends.push(now());
                }
                service.start_again()?;
            }
        }
        if !held.contains(&Lane::Brokers) {
            for id in self.bed.stack.kafka.node_ids() {
                self.bed.stack.kafka.start_node(id)?;
            }
        }
        Ok(())
    }
}
