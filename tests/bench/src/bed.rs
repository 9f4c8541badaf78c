//! What is measured on: one broker reached three ways (directly, through a plain forwarder, through the hub).

use std::path::PathBuf;

use authority_api::types::Reason;
use serde_json::{Value, json};
use testkit::{
    kafka::ADMIN,
    net::connections_to,
    paths, ports,
    process::{Launch, Process},
    stack::{Desk, Grant, Member, Name, Stack},
};

use crate::{Failure, Result};

/// Which way a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    Direct,
    Forwarder,
    Hub,
    /// The hub, which opens every record.
    Opened,
    /// The same, with records of somebody who is no member among the others.
    Withheld,
    /// The same for a subscription that was not granted three items.
    Blanked,
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Direct, Self::Forwarder, Self::Hub];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Forwarder => "forwarder",
            Self::Hub => "hub",
            Self::Opened => "hub, opened",
            Self::Withheld => "hub, opened, 1 % withheld",
            Self::Blanked => "hub, opened, 1 % withheld, 3 items blanked",
        }
    }
}

/// A running stack with a subscription that may read all topics, and a forwarder beside the hub.
pub(crate) struct Bed {
    pub(crate) stack: Stack,
    pub(crate) desk: Desk,
    pub(crate) member: Member,
    narrow: Option<Grant>,
    outside: bool,
    forwarder: Process,
    forwarder_port: u16,
}

impl Bed {
    /// Contacts whose keys the hub keeps: fewer than by default, so that a topic whose keys are not at hand is soon written.
    pub(crate) const KEYS: u64 = 100_000;

    /// Starts all of it.
    pub(crate) async fn start() -> Result<Self> {
        let forwarder_port = ports::free()?;
        // What other tools write is not sealed, and measures the way of bytes that are not changed.
        let builder = Stack::builder().env(Name::Hub, "HUB__KEYS__UNSEALED", "accept").env(
            Name::Hub,
            "HUB__KEYS__CACHE__MAX_CONTACTS",
            Self::KEYS.to_string(),
        );
        let stack = builder.forwarded_from(forwarder_port).start().await?;
        let to = stack.kafka.forward_port().ok_or(Failure::Setup("the broker has no forward listener"))?;
        let me = std::env::current_exe().map_err(|_| Failure::Setup("no path of this program"))?;
        let launch = Launch::new(me).args([
            "forward".to_owned(),
            format!("127.0.0.1:{forwarder_port}"),
            format!("127.0.0.1:{to}"),
        ]);
        let forwarder = Process::start("forwarder", launch, stack.directory().join("forwarder.log"))?;
        let desk = stack.desk().await?;
        let member = desk.member("bench").await?;
        desk.member(Self::OUTSIDER).await?;
        Ok(Self { stack, desk, member, narrow: None, outside: false, forwarder, forwarder_port })
    }

    /// So that it takes no part in what does not measure it.
    pub(crate) async fn stop_history(&mut self) -> Result<()> {
        Ok(self.stack.service(Name::History)?.stop().await?)
    }

    /// What all clients read with.
    pub(crate) fn reader(&self) -> &Grant {
        &self.member.subscription
    }

    /// A company that published, and is a member until [`Bed::narrow`].
    pub(crate) const OUTSIDER: &str = "outsider";

    /// From now on there is an outsider, and a subscription without e-mail, telephone and address.
    pub(crate) async fn narrow(&mut self) -> Result<()> {
        if self.narrow.is_none() {
            let without = ["organisation.email", "organisation.telephone", "organisation.address"];
            let items = contract::catalogue().items.iter().map(|item| item.id.as_str());
            let items: Vec<&str> = items.filter(|item| !without.contains(item)).collect();
            let company = &self.member.company;
            self.narrow = Some(self.desk.grant_items(company, "subscription", "bench-narrow", &[], &items).await?);
        }
        self.outsider(true).await
    }

    /// From now on everybody is a member again.
    pub(crate) async fn widen(&mut self) -> Result<()> {
        self.outsider(false).await
    }

    async fn outsider(&mut self, outside: bool) -> Result<()> {
        if self.outside != outside {
            let (by, step) = if outside { (&self.desk.asks, "suspend") } else { (&self.desk.approves, "resume") };
            let because = Reason { reason: "measuring".into() };
            let _: Value = by.post(&format!("/v1/companies/{}/{step}", Self::OUTSIDER), &because).await?;
            self.outside = outside;
        }
        Ok(())
    }

    /// Whose login a way is read with.
    pub(crate) fn login(&self, way: Way) -> &Grant {
        match (way, &self.narrow) {
            (Way::Blanked, Some(narrow)) => narrow,
            _ => self.reader(),
        }
    }

    pub(crate) fn bootstrap(&self, way: Way) -> String {
        match way {
            Way::Direct => self.stack.broker_bootstrap(),
            Way::Forwarder => format!("127.0.0.1:{}", self.forwarder_port),
            Way::Hub | Way::Opened | Way::Withheld | Way::Blanked => self.stack.hub_bootstrap(),
        }
    }

    /// Where the hub stands for the one broker.
    pub(crate) fn broker_at_hub(&self) -> String {
        let port = self.stack.hub_ports().into_iter().nth(1).unwrap_or_default();
        format!("127.0.0.1:{port}")
    }

    /// The process between client and broker.
    pub(crate) fn between(&mut self, way: Way) -> Option<u32> {
        match way {
            Way::Direct => None,
            Way::Forwarder => self.forwarder.pid(),
            Way::Hub | Way::Opened | Way::Withheld | Way::Blanked => self.stack.service(Name::Hub).ok()?.pid(),
        }
    }

    /// Established connections of clients to the hub.
    pub(crate) fn hub_connections(&self) -> usize {
        connections_to(&self.stack.hub_ports()).len()
    }

    /// The settings that all client scripts take.
    pub(crate) fn request(&self, way: Way, topic: &str) -> Value {
        json!({
            "bootstrap": self.bootstrap(way),
            "login": self.login(way).login,
            "password": self.login(way).secret,
            "group": format!("ju.{}.bench", self.login(way).id),
            "topic": topic,
            "direct": self.bootstrap(Way::Direct),
            "admin": ADMIN,
            "admin_password": self.stack.kafka.password(ADMIN),
        })
    }
}

/// A script of this benchmark.
pub(crate) fn script(name: &str) -> PathBuf {
    paths::root().join("tests/bench/clients").join(name)
}
