//! One client connection is one connection to a broker, and one task that drives both directions: requests up, answers
//! down, and a watch over the policy that closes both sockets the moment the login no longer stands.
//!
//! Answers leave in the order of their requests (Kafka's rule), so both directions share a queue of what is due next:
//! an answer of the broker, or one made here.

pub(crate) mod auth;
pub(crate) mod io;
mod pump;

use std::{
    io::{Error, ErrorKind},
    sync::Arc,
    time::Duration,
};

use tls::{HandshakeError, Stream};
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::Address,
    gate::{Guard, NotAdmitted},
    hub::Hub,
    refusal::Refusal,
};

/// How long a client may take to hear that its connection ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// How a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The client closed.
    ClientClosed,
    /// The broker closed, or none could be reached.
    UpstreamClosed,
    /// Refused, and counted.
    Refused(Refusal),
    /// The login no longer stands.
    Revoked(NotAdmitted),
    /// The hub is stopping.
    Drained,
    /// An answer was the last.
    Answered,
}

impl End {
    pub(crate) fn upstream(_: std::io::Error) -> Self {
        Self::UpstreamClosed
    }

    const fn label(&self) -> &'static str {
        match self {
            Self::ClientClosed => "client",
            Self::UpstreamClosed => "broker",
            Self::Refused(refusal) => refusal.label(),
            Self::Revoked(_) => "revoked",
            Self::Drained => "drained",
            Self::Answered => "answered",
        }
    }
}

impl From<std::io::Error> for End {
    fn from(_: std::io::Error) -> Self {
        Self::ClientClosed
    }
}

/// Which broker a port stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Any live broker.
    Bootstrap,
    /// This one.
    Node(i32),
}

/// Serves a connection to its end.
pub(crate) async fn serve(
    hub: Arc<Hub>,
    client: TcpStream,
    door: Door,
    draining: CancellationToken,
    stopping: CancellationToken,
) {
    hub.metrics.opened();
    let end = tokio::select! {
        end = drive(&hub, client, door, draining) => end,
        () = stopping.cancelled() => End::Drained,
    };
    if let End::Refused(refusal) = &end {
        hub.metrics.refused(*refusal, "connection");
    }
    hub.metrics.closed(end.label());
    tracing::debug!(?door, why = end.label(), "connection ended");
}

async fn drive(hub: &Hub, socket: TcpStream, door: Door, draining: CancellationToken) -> End {
    // Without a policy nobody is let in; a closed door is what clients try again at, an error is not.
    if !hub.gate.open() {
        return End::Refused(Refusal::NoPolicy);
    }
    let _ = socket.set_nodelay(true);
    let limits = &hub.limits;
    let begun = timeout(limits.login, async {
        let (mut client, door) = enter(hub, socket, door).await?;
        let mut upstream = connect(hub, door).await.ok_or(End::UpstreamClosed)?;
        let guard = auth::authenticate(hub, &mut client, &mut upstream).await?;
        Ok::<_, End>((client, upstream, guard))
    });
    let (mut client, mut upstream, guard) = match begun.await {
        Ok(Ok(begun)) => begun,
        Ok(Err(end)) => return end,
        Err(_) => return End::Refused(Refusal::Slow),
    };
    tracing::debug!(login = %guard.login(), ?door, "login admitted");
    let end = tokio::select! {
        // The watch first: when a revocation and an answer come together, the revocation wins.
        biased;
        no = watch(hub, &guard) => End::Revoked(no),
        end = pump::run(hub, &guard, &mut client, &mut upstream, draining) => end,
    };
    let end = match end {
        // No decision: the client may come again with a new token.
        End::Revoked(no) if no.refusal == Refusal::SessionExpired => End::Refused(no.refusal),
        // Found out while deciding, just before the watch saw it.
        End::Refused(Refusal::NoPolicy | Refusal::Login | Refusal::Subscription) => match guard.check() {
            Err(no) => End::Revoked(no),
            Ok(_) => end,
        },
        end => end,
    };
    if let End::Revoked(no) = &end {
        // What the kernel still holds for the client is thrown away with a reset, not delivered.
        let _ = client.tcp().set_zero_linger();
        let _ = upstream.tcp().set_zero_linger();
        drop(client);
        drop(upstream);
        report_revocation(hub, &guard, no);
    } else if let Stream::Tls(client) = &mut client {
        // TLS ends with a word of its own: without it, clients take the end for somebody cutting the line.
        let _ = timeout(FAREWELL, client.shutdown()).await;
    }
    end
}

/// Lets a client say something, over TLS where the door has a certificate: only then is a broker asked, and of a client
/// that names the broker it wants (SNI), which one.
async fn enter(hub: &Hub, socket: TcpStream, door: Door) -> Result<(Stream, Door), End> {
    let Some(identity) = &hub.identity else {
        socket.readable().await?;
        return Ok((Stream::Plain(socket), door));
    };
    let stream = identity.accept(socket).await.map_err(|error| match error {
        HandshakeError::NotTls => End::Refused(Refusal::NotTls),
        HandshakeError::Failed(error) if is_gone(&error) => End::ClientClosed,
        HandshakeError::Failed(error) => {
            tracing::debug!(%error, "a client did not shake hands");
            End::Refused(Refusal::Handshake)
        }
    })?;
    let Some(names) = hub.cluster.names() else { return Ok((stream, door)) };
    match stream.server_name().and_then(|name| names.door(&name)) {
        Some(door) => Ok((stream, door)),
        None => Err(End::Refused(Refusal::ServerName)),
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof)
}

/// Returns when the login no longer stands.
async fn watch(hub: &Hub, guard: &Guard) -> NotAdmitted {
    let mut handle = hub.gate.handle();
    loop {
        let valid_until = match guard.check() {
            Ok(at) => at,
            Err(no) => return no,
        };
        let left = (valid_until - hub.gate.now()).to_std().unwrap_or_default();
        // A clock set back must not keep a permit alive, nor a far one overflow a timer.
        let wake = Instant::now() + left.min(Duration::from_secs(60)) + Duration::from_millis(1);
        tokio::select! {
            alive = handle.changed() => if !alive {
                // The feed is gone: nothing renews the policy, and its expiry ends the connection.
                sleep_until(wake).await;
            },
            () = sleep_until(wake) => {}
        }
    }
}

fn report_revocation(hub: &Hub, guard: &Guard, no: &NotAdmitted) {
    let took = no.changed_at.map(|at| (hub.gate.now() - at).to_std().unwrap_or_default());
    if let Some(took) = took {
        hub.metrics.revoked(took.as_secs_f64());
    }
    hub.metrics.refused(no.refusal, "connection");
    tracing::info!(
        event = "hub_revocation",
        login = %guard.login(),
        subscription = %guard.subscription(),
        reason = no.refusal.label(),
        rules = no.rules,
        snapshot = no.snapshot,
        decided_to_closed_us = took.map(|took| u64::try_from(took.as_micros()).unwrap_or(u64::MAX)),
        "hub_revocation: connection closed"
    );
}

async fn connect(hub: &Hub, door: Door) -> Option<Stream> {
    let candidates = match door {
        Door::Node(node) => hub.cluster.node(node).into_iter().collect(),
        Door::Bootstrap => hub.cluster.anywhere(),
    };
    for address in candidates {
        match timeout(hub.limits.connect, reach(hub, &address)).await {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => tracing::warn!(broker = %address.host, port = address.port, %error, "broker refused"),
            Err(_) => tracing::warn!(broker = %address.host, port = address.port, "broker does not answer"),
        }
    }
    None
}

async fn reach(hub: &Hub, address: &Address) -> Result<Stream, Error> {
    let Address { host, port } = address;
    if hub.trust.is_none() && !tls::is_loopback(host) {
        // The configuration names loopback only; this one a broker has told.
        return Err(Error::other("it is another machine, and kafka.security is not sasl_ssl"));
    }
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    let _ = stream.set_nodelay(true);
    match &hub.trust {
        Some(trust) => trust.connect(host, stream).await,
        None => Ok(Stream::Plain(stream)),
    }
}
