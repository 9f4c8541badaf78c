//! The two directions of an admitted connection, driven by one task.

use std::sync::Mutex;

use bytes::{Bytes, BytesMut};
use tls::{Reader, Stream, Writer};
use tokio::{io::AsyncReadExt, sync::mpsc, task::unconstrained};
use tokio_util::sync::CancellationToken;
use wire::{
    api::{self, Api, Handler},
    frame::{self, PREFIX, RequestHead},
};

use super::{
    End, auth,
    io::{Frame, read_prefix, read_request, read_rest, wipe, write_broker, write_client, write_pieces},
};
use crate::{
    gate::Guard,
    handlers::{self, Answer, Ask, Due, Reauth, Step, Told},
    hub::Hub,
    refusal::Refusal,
    runs::Runs,
    sessions::Held,
};

/// Most requests of one connection that wait for their answers.
const IN_FLIGHT: usize = 32;

/// What is sent to the client next.
enum Next {
    /// Made here.
    Local { answer: Bytes, last: bool },
    /// The broker's, to be handled.
    Broker { head: RequestHead, api: &'static Api, due: Box<Due> },
}

/// Pumps until one side ends.
pub(super) async fn run(
    hub: &Hub,
    guard: &Guard,
    client: &mut Stream,
    upstream: &mut Stream,
    draining: CancellationToken,
) -> End {
    let (client_read, client_write) = client.split();
    let (upstream_read, upstream_write) = upstream.split();
    let (queue, due) = mpsc::channel(IN_FLIGHT);
    let session = &Held::default();
    let reauth = Mutex::default();
    let up = Up { hub, guard, session, client: client_read, upstream: upstream_write, queue, reauth };
    let runs = Runs::new(hub.ledger.clone());
    let down = Down { hub, guard, session, client: client_write, upstream: upstream_read, due, runs };
    let requests = up.run(draining);
    let answers = down.run();
    tokio::pin!(requests, answers);
    tokio::select! {
        // When requests stop in good order (draining, a last answer), what is due is still answered.
        end = &mut requests => match end {
            End::Drained | End::Answered => match answers.await {
                End::Drained => end,
                other => other,
            },
            end => end,
        },
        end = &mut answers => end,
    }
}

struct Up<'a> {
    hub: &'a Hub,
    guard: &'a Guard,
    session: &'a Held,
    client: Reader<'a>,
    upstream: Writer<'a>,
    queue: mpsc::Sender<Next>,
    reauth: Mutex<Reauth>,
}

impl Up<'_> {
    async fn run(mut self, draining: CancellationToken) -> End {
        loop {
            let read = read_request(&mut self.client, self.hub.limits.request, self.hub.limits.frame);
            let frame = tokio::select! {
                frame = read => match frame {
                    Ok(frame) => frame,
                    Err(end) => return end,
                },
                () = draining.cancelled() => return End::Drained,
            };
            if let Err(end) = self.request(frame).await {
                return end;
            }
        }
    }

    async fn request(&mut self, frame: Frame) -> Result<(), End> {
        let head = RequestHead::peek(&frame.body()).map_err(|_| End::Refused(Refusal::Malformed))?;
        self.hub.metrics.request(api::label(head.key));
        let Ok(api) = api::served(head.key, head.version) else {
            return match auth::too_new_api_versions(&head) {
                Some(answer) => self.local(answer, false).await,
                None => Err(End::Refused(Refusal::Api)),
            };
        };
        let ask = Ask { hub: self.hub, guard: self.guard, session: self.session, api, head: &head, frame };
        match handlers::request(ask, &self.reauth)? {
            Step::Forward { whole, due } => {
                // First the queue, then the broker: an answer never finds nobody waiting for it.
                self.push(Next::Broker { head, api, due: Box::new(due) }).await?;
                let written = write_broker(&mut self.upstream, &whole).await;
                if api.handler == Handler::SaslAuthenticate {
                    let _ = wipe(whole);
                }
                written
            }
            Step::Answer(answer) => self.local(answer, false).await,
            Step::LastAnswer(answer) => {
                self.local(answer, true).await?;
                Err(End::Answered)
            }
        }
    }

    async fn local(&self, answer: Bytes, last: bool) -> Result<(), End> {
        self.push(Next::Local { answer, last }).await
    }

    async fn push(&self, next: Next) -> Result<(), End> {
        self.queue.send(next).await.map_err(|_| End::ClientClosed)
    }
}

struct Down<'a> {
    hub: &'a Hub,
    guard: &'a Guard,
    session: &'a Held,
    client: Writer<'a>,
    upstream: Reader<'a>,
    due: mpsc::Receiver<Next>,
    /// What this connection has been given.
    runs: Runs,
}

impl Down<'_> {
    async fn run(mut self) -> End {
        loop {
            let next = tokio::select! {
                biased;
                // Never put off by tokio's budget: bytes of the answer that is due would count as unasked.
                next = unconstrained(self.due.recv()) => next,
                end = quiet(&mut self.upstream) => return end,
            };
            let done = match next {
                None => return End::Drained,
                Some(Next::Local { answer, last }) => {
                    match write_client(&mut self.client, &answer, self.hub.limits.stall).await {
                        Ok(()) if last => Err(End::Answered),
                        other => other,
                    }
                }
                Some(Next::Broker { head, api, due }) => self.answer(head, api, *due).await,
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// Brings one answer of the broker to the client. Its memory is granted before it is read.
    async fn answer(&mut self, head: RequestHead, api: &'static Api, due: Due) -> Result<(), End> {
        let (prefix, length) = read_prefix(&mut self.upstream, self.hub.limits.answer).await?;
        // What is written anew stands beside what came and is no longer, unless it was compressed: then the lease is to grow.
        let copies = if matches!(&due, Due::Fetch(_)) { 2 } else { 1 };
        let mut lease = self.hub.budget.lease((PREFIX + length) * copies).await;
        let buffer = self.hub.budget.buffer(PREFIX + length);
        let buffer = read_rest(&mut self.upstream, prefix, length, buffer).await?;
        if frame::response_correlation(buffer.get(PREFIX..).unwrap_or_default()) != Ok(head.correlation) {
            tracing::error!(api = api.name, "a broker's answer is to another request");
            return Err(End::Refused(Refusal::BrokerAnswer));
        }
        let stall = self.hub.limits.stall;
        if matches!(due, Due::AsItIs) {
            return self.send_whole(buffer, stall).await;
        }
        let whole = buffer.freeze();
        let body = whole.slice(PREFIX..);
        let told = Told { hub: self.hub, guard: self.guard, session: self.session, api, head: &head, body: &body };
        let answer = handlers::answer(told, due, &mut self.runs, &mut lease).await?;
        drop(body);
        match answer {
            Answer::Same => match whole.try_into_mut() {
                Ok(buffer) => self.send_whole(buffer, stall).await,
                Err(shared) => write_client(&mut self.client, &shared, stall).await,
            },
            Answer::New(bytes) => {
                self.hub.budget.recycle_frozen(whole);
                write_client(&mut self.client, &bytes, stall).await
            }
            Answer::Last(bytes) => {
                write_client(&mut self.client, &bytes, stall).await?;
                Err(End::Answered)
            }
            Answer::Pieces { pieces, made } => {
                write_pieces(&mut self.client, pieces, stall).await?;
                self.hub.budget.recycle_frozen(whole);
                self.hub.budget.recycle_frozen(made);
                Ok(())
            }
        }
    }

    async fn send_whole(&mut self, buffer: BytesMut, stall: std::time::Duration) -> Result<(), End> {
        let sent = write_client(&mut self.client, &buffer, stall).await;
        self.hub.budget.recycle(buffer);
        sent
    }
}

/// Returns when the broker closes, or speaks though nothing was asked.
async fn quiet(upstream: &mut Reader<'_>) -> End {
    // Peeking would leave the readiness set and spin; a byte that comes unasked ends the connection anyway.
    match upstream.read_u8().await {
        Ok(_) => End::Refused(Refusal::BrokerAnswer),
        Err(_) => End::UpstreamClosed,
    }
}
