//! Publishes events, state and (where configured) frames to an MQTT broker.
//!
//! One thread with one connection. Every event goes through the spool and leaves it when the broker
//! has acknowledged it (QoS 1). Events from while the broker is unreachable arrive later, in order,
//! at least once. State and availability are retained; the last will is `offline`.

mod plan;
mod session;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, ConnectionError, Event, Packet, TlsError};

use super::event_queue::EventReceiver;
use super::reporter::{SinkReporter, SpoolMeter};
use super::spool::Spool;
use super::tls;
use crate::core::backoff::Backoff;
pub(super) use plan::Plan;
use session::{MqttSession, REQUEST_CAPACITY};

/// The first and the longest wait before a reconnect.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Timeout of a connection attempt, in seconds.
const CONNECT_SECONDS: u64 = 5;
/// Longest time between two checks of the spool.
const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Time to send what is left after the stream has ended; the rest waits for the next start.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Publishes lines until the hub is closed.
pub(super) fn run(
    plan: Plan,
    stream: Arc<str>,
    spool: Spool,
    mut lines: EventReceiver,
    reporter: SinkReporter,
    meter: SpoolMeter,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .thread_name("mqtt-lookup")
        .max_blocking_threads(1)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(broker = %plan.broker, %error, "the MQTT event loop cannot start");
            return;
        }
    };
    let session = RefCell::new(MqttSession::new(stream, &plan, spool, reporter, meter));
    runtime.block_on(async {
        tokio::select! {
            () = take_lines(&session, &mut lines) => {}
            () = reconnect_loop(&session, &plan) => {}
        }
    });
    // A pending name lookup must not delay the end.
    runtime.shutdown_background();
}

/// Takes lines, whether the broker is connected or not.
async fn take_lines(session: &RefCell<MqttSession>, lines: &mut EventReceiver) {
    let mut ticked = Instant::now();
    loop {
        let open = session.borrow_mut().take_lines(lines);
        if !open {
            break;
        }
        if ticked.elapsed() >= POLL_INTERVAL {
            ticked = Instant::now();
            session.borrow_mut().tick();
        }
        let _ = tokio::time::timeout(POLL_INTERVAL, lines.wait()).await;
    }
    session.borrow_mut().closing = true;
    session.borrow_mut().pump();
    let since = Instant::now();
    while session.borrow().is_connected() && since.elapsed() < DRAIN_TIMEOUT {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    session.borrow_mut().tick();
}

/// Connects, and reconnects with back-off.
async fn reconnect_loop(session: &RefCell<MqttSession>, plan: &Plan) {
    let mut backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
    loop {
        let (was_connected, error) = run_connection(session, plan).await;
        session.borrow_mut().disconnected();
        if session.borrow().done {
            return;
        }
        {
            let reporter = &mut session.borrow_mut().reporter;
            reporter.report_failure(&format!("{}: {}", plan.broker, error_message(&error)));
            reporter.count_reconnect(reason(&error));
        }
        if was_connected {
            backoff.reset();
        }
        let wait = backoff.next_wait();
        tokio::time::sleep(wait).await;
    }
}

/// Runs one connection until it fails. Returns whether it was established, and the error.
async fn run_connection(session: &RefCell<MqttSession>, plan: &Plan) -> (bool, ConnectionError) {
    // A new client each time. What the old one had not sent is still in the spool.
    let (client, mut events) = AsyncClient::new(plan.options.clone(), REQUEST_CAPACITY);
    events.network_options.set_connection_timeout(CONNECT_SECONDS);
    events.network_options.set_tcp_nodelay(true);
    let mut was_connected = false;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                was_connected = true;
                session.borrow_mut().connected(client.clone(), plan);
            }
            Ok(event) => session.borrow_mut().on_event(&event),
            Err(error) => return (was_connected, error),
        }
    }
}

/// The metric label of a lost connection.
fn reason(error: &ConnectionError) -> &'static str {
    match error {
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => "timeout",
        ConnectionError::ConnectionRefused(_) => "refused",
        ConnectionError::Tls(_) => "tls",
        ConnectionError::Io(_) => "network",
        _ => "protocol",
    }
}

/// A message without secrets.
fn error_message(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(code) => {
            format!("the broker refused the connection ({code:?}); is the login right?")
        }
        ConnectionError::Tls(TlsError::Io(error)) => {
            tls::io_error_message(error).unwrap_or_else(|| error.to_string())
        }
        other => other.to_string(),
    }
}
