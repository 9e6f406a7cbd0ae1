//! The health page: `/livez`, `/readyz` and `/metrics` over HTTP, on its own thread.
//!
//! Takes the streams' status and the metrics; its answers hold no secrets. A connection is closed after
//! ten seconds, at most 64 are served at once, no body is read, and no client can block a stream.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::PoisonError;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::get;
use serde::Serialize;
use tokio::sync::Notify;

use super::limited_listener::LimitedListener;
use super::streams::StreamList;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::status::{SinkErrors, SourceState, Status};

/// Time to finish pending answers when the server stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the health page cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HealthError {
    /// The address is in use.
    #[error(
        "the health page cannot be served on {0}: another program listens there; stop it, or write \
         another port (or off) as health under [serve]"
    )]
    AddressInUse(SocketAddr),
    /// The address cannot be bound for another reason.
    #[error("the health page cannot be served on {address}: {reason}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        reason: io::Error,
    },
}

/// A running health page; it stops when dropped.
#[derive(Debug)]
pub(crate) struct HealthServer {
    address: SocketAddr,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct PageState {
    streams: StreamList,
    metrics: Metrics,
}

impl HealthServer {
    /// Serves on `address`.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub(crate) fn start(
        address: SocketAddr,
        streams: StreamList,
        metrics: Metrics,
    ) -> Result<Self, HealthError> {
        let error = |reason: io::Error| match reason.kind() {
            io::ErrorKind::AddrInUse => HealthError::AddressInUse(address),
            _ => HealthError::Bind { address, reason },
        };
        let listener = TcpListener::bind(address).map_err(error)?;
        listener.set_nonblocking(true).map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(error)?;
        let stop = Arc::new(Notify::new());
        let (stopped, page) = (Arc::clone(&stop), PageState { streams, metrics });
        let thread = std::thread::Builder::new()
            .name("health".into())
            .spawn(move || runtime.block_on(serve(listener, page, &stopped)))
            .map_err(error)?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// The address that it listens on.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for HealthServer {
    fn drop(&mut self) {
        self.stop.notify_one();
        // A panic there is already in the log.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn serve(listener: TcpListener, page: PageState, stop: &Notify) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => LimitedListener::new(listener),
        Err(e) => return tracing::error!("the health page cannot be served: {e}"),
    };
    let router = axum::Router::new()
        .route("/livez", get(livez))
        .route("/v1/health/live", get(livez))
        .route("/readyz", get(readyz))
        .route("/v1/health/ready", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(page);
    let shutdown = Arc::new(Notify::new());
    let graceful = Arc::clone(&shutdown);
    let server = axum::serve(listener, router);
    let server = server.with_graceful_shutdown(async move { graceful.notified().await });
    let stopping = async {
        stop.notified().await;
        shutdown.notify_one();
        tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
    };
    tokio::select! {
        ended = async { server.await } => if let Err(e) = ended {
            tracing::error!("the health page has ended: {e}");
        },
        () = stopping => {}
    }
}

/// 200 while no stage is stuck.
async fn livez(State(page): State<PageState>) -> Response {
    let stuck = page.streams.stuck();
    if stuck.is_empty() {
        return (StatusCode::OK, "ok\n").into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("stuck: {}\n", stuck.join("; "))).into_response()
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    streams: Vec<StreamReady>,
}

#[derive(Serialize)]
struct StreamReady {
    stream: String,
    state: &'static str,
    /// Wall-clock time, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    for_seconds: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_try_seconds: Option<u64>,
    sink_errors: SinkErrors,
}

impl StreamReady {
    fn of(status: &Status) -> Self {
        let now = Instant::now();
        let (state, since, reason, next_try) = match status.source() {
            SourceState::Connecting { since } => ("connecting", Some(since), None, None),
            SourceState::Live { since } => ("live", Some(since), None, None),
            SourceState::Lost { since, why, next_try } => {
                ("lost", Some(since), Some(why), Some(next_try))
            }
            SourceState::Ended => ("ended", None, None, None),
        };
        let for_seconds = since.map(|since| now.saturating_duration_since(since).as_secs());
        let since = for_seconds.and_then(|seconds| {
            let now = jiff::Timestamp::now().as_second();
            jiff::Timestamp::from_second(now.checked_sub_unsigned(seconds)?).ok()
        });
        Self {
            stream: status.stream.to_string(),
            state,
            since: since.map(|t| t.to_string()),
            for_seconds,
            reason,
            next_try_seconds: next_try.map(|t| t.saturating_duration_since(now).as_secs()),
            sink_errors: status.sink_errors(),
        }
    }
}

/// 200 while every stream is live.
async fn readyz(State(page): State<PageState>) -> Response {
    let streams: Vec<_> = page.streams.all().iter().map(StreamReady::of).collect();
    let ready = !streams.is_empty() && streams.iter().all(|s| s.state == "live");
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Ready { ready, streams })).into_response()
}

async fn metrics(State(page): State<PageState>) -> Response {
    let mut text = String::new();
    let registry = page.metrics.registry().lock().unwrap_or_else(PoisonError::into_inner);
    let encoded = prometheus_client::encoding::text::encode(&mut text, &registry);
    drop(registry);
    if encoded.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

#[cfg(test)]
#[path = "health_tests.rs"]
mod tests;
