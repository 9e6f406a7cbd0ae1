//! Events, state and (where asked for) frames to an MQTT broker.
//!
//! One thread with one connection. Every event goes through the spool and leaves it when the broker
//! has acknowledged it (QoS 1), so that what happens while the broker is away reaches it later, in
//! order, at least once. State and availability are retained; the last will says `offline`.

mod desk;
mod plan;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, ConnectionError, Event, Packet, TlsError};

use super::outlet::Inlet;
use super::spool::Spool;
use super::tls;
use super::trouble::{SpoolMeter, Trouble};
use crate::core::backoff::Backoff;
use desk::{MqttSession, REQUESTS};
pub use plan::Plan;

/// The first wait before the broker is tried again, and the longest.
const WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How long a broker may take to accept a connection, in seconds.
const CONNECT_SECONDS: u64 = 5;
/// Longest time between two looks at the spool.
const TICK: Duration = Duration::from_millis(500);
/// What is left is sent for so long after the stream has ended; the rest waits for the next start.
const FAREWELL: Duration = Duration::from_secs(3);

/// Publishes lines until none can come any more.
pub fn run(
    plan: Plan,
    stream: Arc<str>,
    spool: Spool,
    mut lines: Inlet,
    trouble: Trouble,
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
            tracing::error!(broker = %plan.broker, %error, "no event loop for MQTT");
            return;
        }
    };
    let desk = RefCell::new(MqttSession::new(stream, &plan, spool, trouble, meter));
    runtime.block_on(async {
        tokio::select! {
            () = take(&desk, &mut lines) => {}
            () = talk(&desk, &plan) => {}
        }
    });
    // A name that is being looked up must not hold up the end.
    runtime.shutdown_background();
}

/// Takes lines, whether the broker is there or not.
async fn take(desk: &RefCell<MqttSession>, lines: &mut Inlet) {
    let mut ticked = Instant::now();
    loop {
        let open = desk.borrow_mut().take(lines);
        if !open {
            break;
        }
        if ticked.elapsed() >= TICK {
            ticked = Instant::now();
            desk.borrow_mut().tick();
        }
        let _ = tokio::time::timeout(TICK, lines.rung()).await;
    }
    desk.borrow_mut().closing = true;
    desk.borrow_mut().pump();
    let since = Instant::now();
    while desk.borrow().is_connected() && since.elapsed() < FAREWELL {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    desk.borrow_mut().tick();
}

/// Connects again and again.
async fn talk(desk: &RefCell<MqttSession>, plan: &Plan) {
    let mut backoff = Backoff::new(WAIT.0, WAIT.1);
    loop {
        let (met, error) = converse(desk, plan).await;
        desk.borrow_mut().disconnected();
        if desk.borrow().done {
            return;
        }
        {
            let trouble = &mut desk.borrow_mut().trouble;
            trouble.is(&format!("{}: {}", plan.broker, words(&error)));
            trouble.reconnects(reason(&error));
        }
        if met {
            backoff.reset();
        }
        let wait = backoff.next_wait();
        tokio::time::sleep(wait).await;
    }
}

/// One connection, until it fails; whether there was one at all, and why it failed.
async fn converse(desk: &RefCell<MqttSession>, plan: &Plan) -> (bool, ConnectionError) {
    // A new client each time: what it had not sent is still in the spool.
    let (client, mut events) = AsyncClient::new(plan.options.clone(), REQUESTS);
    events.network_options.set_connection_timeout(CONNECT_SECONDS);
    events.network_options.set_tcp_nodelay(true);
    let mut met = false;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                met = true;
                desk.borrow_mut().connected(client.clone(), plan);
            }
            Ok(event) => desk.borrow_mut().on(&event),
            Err(error) => return (met, error),
        }
    }
}

/// The label of a lost connection.
fn reason(error: &ConnectionError) -> &'static str {
    match error {
        ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => "timeout",
        ConnectionError::ConnectionRefused(_) => "refused",
        ConnectionError::Tls(_) => "tls",
        ConnectionError::Io(_) => "network",
        _ => "protocol",
    }
}

/// What went wrong; none of it holds a secret.
fn words(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ConnectionRefused(code) => {
            format!("the broker refused the connection ({code:?}); is the login right?")
        }
        ConnectionError::Tls(TlsError::Io(error)) => {
            tls::words_in(error).unwrap_or_else(|| error.to_string())
        }
        other => other.to_string(),
    }
}
