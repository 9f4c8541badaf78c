//! What is measured on: one broker reached three ways (directly, through a plain forwarder, through the hub).

use std::path::PathBuf;

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
}

impl Way {
    pub(crate) const ALL: [Self; 3] = [Self::Direct, Self::Forwarder, Self::Hub];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Forwarder => "forwarder",
            Self::Hub => "hub",
        }
    }
}

/// A running stack with a subscription that may read all topics, and a forwarder beside the hub.
pub(crate) struct Bed {
    pub(crate) stack: Stack,
    pub(crate) desk: Desk,
    pub(crate) member: Member,
    forwarder: Process,
    forwarder_port: u16,
}

impl Bed {
    /// Starts all of it.
    pub(crate) async fn start() -> Result<Self> {
        let forwarder_port = ports::free()?;
        let stack = Stack::builder().forwarded_from(forwarder_port).start().await?;
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
        Ok(Self { stack, desk, member, forwarder, forwarder_port })
    }

    /// So that it takes no part in what does not measure it.
    pub(crate) async fn stop_history(&mut self) -> Result<()> {
        Ok(self.stack.service(Name::History)?.stop().await?)
    }

    /// What all clients read with.
    pub(crate) fn reader(&self) -> &Grant {
        &self.member.subscription
    }

    pub(crate) fn bootstrap(&self, way: Way) -> String {
        match way {
            Way::Direct => self.stack.broker_bootstrap(),
            Way::Forwarder => format!("127.0.0.1:{}", self.forwarder_port),
            Way::Hub => self.stack.hub_bootstrap(),
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
            Way::Hub => self.stack.service(Name::Hub).ok()?.pid(),
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
            "login": self.reader().login,
            "password": self.reader().secret,
            "group": format!("ju.{}.bench", self.reader().id),
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
