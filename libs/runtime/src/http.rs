//! Serving HTTP: request ids, trace context, one log line and one measurement a request, graceful shutdown.
//!
//! The log line holds method, route (the pattern, `/contacts/{id}`), status and latency. Paths, query strings, headers
//! and bodies are never logged: any of them may hold what somebody typed.

use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Body,
    extract::{ConnectInfo, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulConnection, GracefulShutdown},
};
use opentelemetry::{KeyValue, metrics::Histogram};
use tls::{Identity, Stream};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;
use tracing::{Instrument as _, field::Empty};

use crate::{
    context::Context,
    metrics::{self, Metric},
    problem::Problem,
    propagation,
};

/// How long a client may take to shake hands.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a client may take to send a request's head, or to send another request on the same connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// The request id in requests and answers.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What this crate measures.
#[derive(Clone, Copy, Debug)]
enum HttpMetric {
    Requests,
}

impl Metric for HttpMetric {
    fn name(self) -> &'static str {
        "http_server_request_seconds"
    }
    fn help(self) -> &'static str {
        "Time from a request's head to its answer's head, by method, route and status"
    }
}

/// `/health/live` (200 while the process runs), `/health/ready` (200 or 503 with reasons), `/metrics`.
pub fn admin_router(context: Context) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "live\n" }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(render))
        .with_state(context)
}

async fn ready(State(context): State<Context>) -> Response {
    let readiness = context.health().readiness();
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(readiness)).into_response()
}

async fn render(State(context): State<Context>) -> Response {
    match metrics::text(context.registry()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => Problem::internal(&error).into_response(),
    }
}

/// Serves `router` on `listener` (HTTP/1.1, over TLS where there is a certificate) until the service drains; requests that were begun are finished, idle
/// connections are closed. Returns at the latest when the service stops. A client that takes longer than 30 s to send
/// a request's head is disconnected. Handlers may ask for `ConnectInfo<SocketAddr>`. Limits of bodies and of the time
/// that a request may take are the services' own.
///
/// # Errors
/// None so far: it is a task's result.
pub async fn serve_http(
    context: Context,
    listener: TcpListener,
    tls: Option<Arc<Identity>>,
    router: Router,
) -> io::Result<()> {
    let router = router
        .fallback(|| async { Problem::not_found("there is nothing at this address") })
        .method_not_allowed_fallback(|| async { Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed") })
        .layer(middleware::from_fn_with_state(HttpMetric::Requests.seconds(), observe));
    let graceful = GracefulShutdown::new();
    let (draining, stopping) = (context.draining(), context.stopping());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = draining.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let (watcher, router) = (graceful.watcher(), router.clone());
                let (tls, stopping) = (tls.clone(), stopping.clone());
                tokio::spawn(async move {
                    let served = async {
                        let Some(stream) = secured(stream, tls.as_deref()).await else { return };
                        // Errors are the client's: it went away, or was too slow.
                        let _ = watcher.watch(connection(stream, peer, router)).await;
                    };
                    tokio::select! {
                        () = served => {}
                        () = stopping.cancelled() => {}
                    }
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                // Out of file descriptors, most likely: connections that end give some back.
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
    drop(listener);
    tokio::select! {
        () = graceful.shutdown() => {}
        () = stopping.cancelled() => {}
    }
    Ok(())
}

/// The stream after its handshake, if the door has a certificate and the client agrees in time.
async fn secured(stream: TcpStream, tls: Option<&Identity>) -> Option<Stream> {
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return Some(Stream::Plain(stream)) };
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(error)) => {
            tracing::debug!(%error, "a client did not shake hands");
            None
        }
        Err(_) => None,
    }
}

fn connection(
    stream: Stream,
    peer: SocketAddr,
    router: Router,
) -> impl GracefulConnection<Error = impl std::fmt::Debug> + Send + 'static {
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.serve_connection(TokioIo::new(stream), service)
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// Gives the request an id and a span, lets it pass, then logs and measures it.
async fn observe(State(histogram): State<Histogram<f64>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(&request);
    request.headers_mut().insert(REQUEST_ID, id.clone());
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        method,
        route,
        request_id = id.to_str().unwrap_or_default(),
        status = Empty,
    );
    propagation::adopt(&span, |name| request.headers().get(name)?.to_str().ok());

    let mut response = next.run(request).instrument(span.clone()).await;

    let status = response.status();
    response.headers_mut().insert(REQUEST_ID, id);
    span.record("status", status.as_u16());
    span.in_scope(|| log(&route, status, begun.elapsed()));
    let labels = [
        KeyValue::new("method", method),
        KeyValue::new("route", route),
        KeyValue::new("status", i64::from(status.as_u16())),
    ];
    histogram.record(begun.elapsed().as_secs_f64(), &labels);
    response
}

fn log(route: &str, status: StatusCode, latency: Duration) {
    let (status, latency_ms) = (status.as_u16(), latency.as_secs_f64() * 1000.0);
    if route.starts_with("/health/") || route == "/metrics" {
        tracing::debug!(status, latency_ms, "answered");
    } else if status >= 500 {
        tracing::warn!(status, latency_ms, "answered");
    } else {
        tracing::info!(status, latency_ms, "answered");
    }
}

/// The caller's id when it is short and harmless, a new one otherwise.
fn request_id(request: &Request) -> HeaderValue {
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let theirs = request.headers().get(REQUEST_ID);
    let theirs = theirs.filter(|id| (8..=64).contains(&id.len()) && id.as_bytes().iter().all(harmless));
    theirs.cloned().unwrap_or_else(|| {
        let id = uuid::Uuid::new_v4().simple().to_string();
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("none"))
    })
}

/// Methods that exist, so that callers cannot invent labels.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}
