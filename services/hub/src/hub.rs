//! What all connections share, and the doors.

use std::{
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use runtime::{Context, Identity};
use seal::{KeyCache, Unsealed};
use tls::Trust;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Mutex, Semaphore},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    budget::Budget,
    cluster::{Address, Cluster},
    config::{Limits, Listen, port_of},
    conn::{self, Door},
    delivery::{Benches, Programs, Stops},
    gate::Gate,
    ledger::Ledger,
    metrics::Metrics,
    refusal::Refusal,
    sessions::Sessions,
};

/// Shared by all connections.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Policy.
    pub(crate) gate: Gate,
    /// Whose records may not leave.
    pub(crate) stops: Stops,
    /// Brokers and topic ids.
    pub(crate) cluster: Cluster,
    /// Disclosures.
    pub(crate) ledger: Ledger,
    /// What records are opened by.
    pub(crate) keys: KeyCache,
    /// What becomes of records that are not sealed.
    pub(crate) unsealed: Unsealed,
    /// How items are blanked.
    pub(crate) programs: Programs,
    /// Where answers are rewritten.
    pub(crate) benches: Benches,
    /// Memory.
    pub(crate) budget: Budget,
    /// Room for fetch sessions.
    pub(crate) sessions: Sessions,
    /// Bounds.
    pub(crate) limits: Limits,
    /// Instruments.
    pub(crate) metrics: Arc<Metrics>,
    /// What the doors show to clients; none: they are plain.
    pub(crate) identity: Option<Arc<Identity>>,
    /// Whom to believe at the brokers' doors; none: they are plain.
    pub(crate) trust: Option<Trust>,
    doors: Doors,
}

/// Opens listeners, now and later.
#[derive(Debug)]
struct Doors {
    listen: Listen,
    context: Context,
    /// Only one door is opened at a time.
    opening: Mutex<()>,
    /// Room for connections.
    room: Arc<Semaphore>,
    /// Running connections.
    running: TaskTracker,
    /// The port of the bootstrap door, once it is open.
    bootstrap: std::sync::OnceLock<u16>,
    this: std::sync::OnceLock<std::sync::Weak<Hub>>,
}

/// What a hub is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) limits: Limits,
    pub(crate) gate: Gate,
    pub(crate) stops: Stops,
    pub(crate) cluster: Cluster,
    pub(crate) ledger: Ledger,
    pub(crate) keys: KeyCache,
    pub(crate) unsealed: Unsealed,
    pub(crate) programs: Programs,
    pub(crate) budget: Budget,
    pub(crate) sessions: Sessions,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) identity: Option<Arc<Identity>>,
    pub(crate) trust: Option<Trust>,
}

impl Hub {
    /// Ready to open doors.
    pub(crate) fn new(context: Context, listen: Listen, parts: Parts) -> Arc<Self> {
        let Parts {
            limits,
            gate,
            stops,
            cluster,
            ledger,
            keys,
            unsealed,
            programs,
            budget,
            sessions,
            metrics,
            identity,
            trust,
        } = parts;
        let benches = Benches::new(limits.answer);
        let doors = Doors {
            listen,
            context,
            opening: Mutex::default(),
            room: Arc::new(Semaphore::new(limits.connections)),
            running: TaskTracker::new(),
            bootstrap: std::sync::OnceLock::new(),
            this: std::sync::OnceLock::new(),
        };
        let hub = Arc::new(Self {
            gate,
            stops,
            cluster,
            ledger,
            keys,
            unsealed,
            programs,
            benches,
            budget,
            sessions,
            limits,
            metrics,
            identity,
            trust,
            doors,
        });
        let _ = hub.doors.this.set(Arc::downgrade(&hub));
        hub
    }

    /// Opens the bootstrap door and those of the configured nodes.
    pub(crate) async fn open(&self) -> std::io::Result<()> {
        let doors = &self.doors;
        let bound = self.serve("bootstrap", doors.listen.bootstrap_port, Door::Bootstrap).await?;
        let _ = doors.bootstrap.set(bound);
        for node in doors.listen.node_ids.clone() {
            self.open_node(node).await?;
        }
        Ok(())
    }

    /// Remembers where a node is; the first time, opens its door. A door that cannot be opened leaves the node untold.
    pub(crate) async fn learn_node(&self, node: i32, address: Address) {
        self.cluster.learn_node(node, address);
        if self.cluster.port(node).is_none()
            && let Err(error) = self.open_node(node).await
        {
            tracing::error!(node, %error, "no door for a broker: clients are not told of it");
        }
    }

    async fn open_node(&self, node: i32) -> std::io::Result<()> {
        let _one = self.doors.opening.lock().await;
        if self.cluster.port(node).is_some() {
            return Ok(());
        }
        if self.cluster.names().is_some() {
            // Everybody comes in at the one door, which is open before any node is heard of.
            let port = self.doors.bootstrap.get().ok_or_else(|| std::io::Error::other("the door is not open yet"))?;
            self.cluster.bound(node, *port);
            return Ok(());
        }
        let port = port_of(self.doors.listen.broker_port_base, node)
            .ok_or_else(|| std::io::Error::other("the node id leads to no port"))?;
        let bound = self.serve(&format!("broker-{node}"), port, Door::Node(node)).await?;
        self.cluster.bound(node, bound);
        Ok(())
    }

    async fn serve(&self, name: &str, port: u16, door: Door) -> std::io::Result<u16> {
        let host: IpAddr = self.doors.listen.host;
        let listener = self.doors.context.listen(name, SocketAddr::new(host, port)).await?;
        let bound = listener.local_addr()?.port();
        let hub = self.doors.this.get().and_then(std::sync::Weak::upgrade);
        let hub = hub.ok_or_else(|| std::io::Error::other("the hub is gone"))?;
        self.doors.context.spawn(name, accept(hub, listener, door));
        Ok(bound)
    }

    /// Waits until all connections have ended; they end by themselves when the service drains.
    pub(crate) async fn drained(&self) {
        self.doors.running.close();
        self.doors.running.wait().await;
    }
}

async fn accept(hub: Arc<Hub>, listener: TcpListener, door: Door) -> std::io::Result<()> {
    let doors = &hub.doors;
    let (draining, stopping) = (doors.context.draining(), doors.context.stopping());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = draining.cancelled() => return Ok(()),
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, or a connection gone before it was taken: neither ends the service.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                continue;
            }
        };
        let Ok(room) = Arc::clone(&doors.room).try_acquire_owned() else {
            hub.metrics.refused(Refusal::Crowded, "connection");
            continue;
        };
        let (hub, draining, stopping) = (Arc::clone(&hub), draining.clone(), stopping.clone());
        let connection = connection(hub, stream, door, draining, stopping);
        doors.running.spawn(async move {
            let _room = room;
            connection.await;
        });
    }
}

/// Boxed, because a connection may open a door, and a door accepts connections: without an end the types would contain
/// each other.
fn connection(
    hub: Arc<Hub>,
    stream: TcpStream,
    door: Door,
    draining: CancellationToken,
    stopping: CancellationToken,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(conn::serve(hub, stream, door, draining, stopping))
}
