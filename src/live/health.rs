//! The health page: `/livez`, `/readyz` and `/metrics` over HTTP, on a thread of its own.
//!
//! Takes the streams' status and the metrics; gives answers that hold no secret. Promises: a client
//! that is slow or never ends is dropped after ten seconds, no more than 64 are served at once, no
//! body is read, and nothing that a client does holds up a stream.

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

use super::bounded::Bounded;
use super::meters::Meters;
use super::status::{SinkTroubles, SourceState, Status};
use super::streams::StreamList;

/// How long answers that are on their way may take once the server is told to stop.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Why there is no health page.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// Another program listens there.
    #[error(
        "the health page cannot be served on {0}: another program listens there; stop it, or write \
         another port (or off) as health under [serve]"
    )]
    Taken(SocketAddr),
    /// It cannot be listened on for another reason.
    #[error("the health page cannot be served on {address}: {reason}")]
    Cannot {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        reason: io::Error,
    },
}

/// A running health page; ends when it is dropped.
#[derive(Debug)]
pub struct Health {
    address: SocketAddr,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone)]
struct Page {
    streams: StreamList,
    meters: Meters,
}

impl Health {
    /// Serves on `address`.
    ///
    /// # Errors
    /// Where it cannot be listened on.
    pub fn start(
        address: SocketAddr,
        streams: StreamList,
        meters: Meters,
    ) -> Result<Self, HealthError> {
        let cannot = |reason: io::Error| match reason.kind() {
            io::ErrorKind::AddrInUse => HealthError::Taken(address),
            _ => HealthError::Cannot { address, reason },
        };
        let listener = TcpListener::bind(address).map_err(cannot)?;
        listener.set_nonblocking(true).map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(cannot)?;
        let stop = Arc::new(Notify::new());
        let (stopped, page) = (Arc::clone(&stop), Page { streams, meters });
        let thread = std::thread::Builder::new()
            .name("health".into())
            .spawn(move || runtime.block_on(serve(listener, page, &stopped)))
            .map_err(cannot)?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.stop.notify_one();
        // A panic there was told already.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn serve(listener: TcpListener, page: Page, stop: &Notify) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => Bounded::new(listener),
        Err(e) => return tracing::error!("the health page cannot be served: {e}"),
    };
    let router = axum::Router::new()
        .route("/livez", get(livez))
        .route("/v1/health/live", get(livez))
        .route("/readyz", get(readyz))
        .route("/v1/health/ready", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(page);
    let told = Arc::new(Notify::new());
    let graceful = Arc::clone(&told);
    let server = axum::serve(listener, router);
    let server = server.with_graceful_shutdown(async move { graceful.notified().await });
    let stopping = async {
        stop.notified().await;
        told.notify_one();
        tokio::time::sleep(LAST_ANSWERS).await;
    };
    tokio::select! {
        ended = async { server.await } => if let Err(e) = ended {
            tracing::error!("the health page has ended: {e}");
        },
        () = stopping => {}
    }
}

/// Whether the process is worth keeping: nothing is stuck.
async fn livez(State(page): State<Page>) -> Response {
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
    sink_troubles: SinkTroubles,
}

impl StreamReady {
    fn of(status: &Status) -> Self {
        let now = Instant::now();
        let (state, since, reason, next_try) = match status.source() {
            SourceState::Connecting { since } => ("connecting", Some(since), None, None),
            SourceState::Live { since } => ("live", Some(since), None, None),
            SourceState::Away { since, why, next_try } => {
                ("away", Some(since), Some(why), Some(next_try))
            }
            SourceState::Ended => ("ended", None, None, None),
        };
        let lasted = since.map(|since| now.saturating_duration_since(since).as_secs());
        let when = lasted.and_then(|seconds| {
            let now = jiff::Timestamp::now().as_second();
            jiff::Timestamp::from_second(now.checked_sub_unsigned(seconds)?).ok()
        });
        Self {
            stream: status.stream.to_string(),
            state,
            since: when.map(|t| t.to_string()),
            for_seconds: lasted,
            reason,
            next_try_seconds: next_try.map(|t| t.saturating_duration_since(now).as_secs()),
            sink_troubles: status.troubles(),
        }
    }
}

/// Whether every stream gives pictures.
async fn readyz(State(page): State<Page>) -> Response {
    let streams: Vec<_> = page.streams.all().iter().map(StreamReady::of).collect();
    let ready = !streams.is_empty() && streams.iter().all(|s| s.state == "live");
    let code = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Ready { ready, streams })).into_response()
}

async fn metrics(State(page): State<Page>) -> Response {
    let mut text = String::new();
    let registry = page.meters.registry().lock().unwrap_or_else(PoisonError::into_inner);
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
