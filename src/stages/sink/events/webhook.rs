//! Sends every event to a web server: one HTTP POST per line of JSON.
//!
//! Events go through a spool. Those from while the server is unreachable arrive later, in order, at
//! least once. After an HTTP error a message is retried a few times. A message that the server
//! does not accept (4xx, or 5xx every time) is dropped and counted, so that it cannot block others.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use secrecy::{ExposeSecret, SecretString};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::error::OpenError;
use super::event_queue::EventReceiver;
use super::line::LineKind;
use super::reporter::{SinkReporter, SpoolMeter};
use super::spool::{Message, Spool};
use super::tls;
use crate::core::backoff::Backoff;
use crate::core::credentials::Login;
use crate::core::queue::NoItem;

/// Timeout of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The first and the longest wait before a retry.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// Number of tries for a message that the server answers with 5xx.
const MAX_TRIES: u32 = 5;
/// Longest time between two checks of the spool.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Time to send what is left after the stream has ended.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// The HTTP client of one webhook.
pub(super) struct WebhookClient {
    agent: ureq::Agent,
    uri: url::Url,
    authorization: Option<SecretString>,
}

/// The outcome of a request.
#[derive(Debug, PartialEq, Eq)]
enum PostResult {
    /// The server has accepted the message.
    Accepted,
    /// The server will never accept it.
    Rejected(u16),
    /// The server may accept it later.
    ServerError(u16),
    /// The server cannot be reached.
    Unreachable(String),
}

impl WebhookClient {
    /// A client for `uri`.
    ///
    /// # Errors
    /// Where `uri` is not the address of a web server, or TLS cannot be set up.
    pub(super) fn new(
        uri: &url::Url,
        login: Option<&Login>,
        tls_ca_file: Option<&Path>,
    ) -> Result<Self, OpenError> {
        let why = "a webhook is http://HOST/PATH or https://HOST/PATH, without user and password";
        if !matches!(uri.scheme(), "http" | "https") || !uri.username().is_empty() {
            return Err(OpenError::Address { address: redacted(uri), why });
        }
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(REQUEST_TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("locutor/", env!("CARGO_PKG_VERSION")))
            .proxy(None);
        if uri.scheme() == "https" {
            let roots = tls::roots(tls_ca_file);
            let roots = roots.map_err(|why| OpenError::Tls { address: redacted(uri), why })?;
            let roots: Vec<_> =
                roots.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
            let tls = TlsConfig::builder()
                .unversioned_rustls_crypto_provider(tls::provider())
                .root_certs(RootCerts::new_with_certs(&roots))
                .build();
            config = config.tls_config(tls);
        }
        let authorization = login.map(|login| {
            let both = format!("{}:{}", login.user, login.password.expose_secret());
            let both = base64::engine::general_purpose::STANDARD.encode(both);
            SecretString::from(format!("Basic {both}"))
        });
        Ok(Self { agent: config.build().into(), uri: uri.clone(), authorization })
    }

    /// The address without path and query, which are often secrets.
    pub(super) fn address(&self) -> String {
        redacted(&self.uri)
    }

    fn send(&self, message: &[u8]) -> PostResult {
        let mut request = self.agent.post(self.uri.as_str());
        request = request.header("Content-Type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization.expose_secret());
        }
        match request.send(message) {
            Ok(answer) => match answer.status().as_u16() {
                200..=299 => PostResult::Accepted,
                code @ (408 | 425 | 429 | 500..=599) => PostResult::ServerError(code),
                code => PostResult::Rejected(code),
            },
            Err(error) => PostResult::Unreachable(error_message(&error)),
        }
    }
}

fn redacted(uri: &url::Url) -> String {
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", uri.scheme(), uri.host_str().unwrap_or_default())
}

/// A message that cannot contain the address.
fn error_message(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "the request timed out".to_owned(),
        ureq::Error::HostNotFound => "the host is unknown".to_owned(),
        ureq::Error::Io(error) => {
            tls::io_error_message(error).unwrap_or_else(|| error.kind().to_string())
        }
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        ureq::Error::Rustls(error) => tls::error_message(error),
        ureq::Error::Tls(why) => format!("TLS: {why}"),
        _ => "the answer is not HTTP".to_owned(),
    }
}

/// The message that is being sent, and when it is tried next.
struct Delivery {
    spool: Spool,
    current: Option<Message>,
    tries: u32,
    backoff: Backoff,
    due: Instant,
}

impl Delivery {
    /// Sends the next message if it is due. Returns whether the next one may follow at once.
    fn try_next(&mut self, client: &WebhookClient, reporter: &mut SinkReporter) -> bool {
        if Instant::now() < self.due {
            return false;
        }
        let message = self.current.take().or_else(|| self.spool.read_next());
        let Some(message) = message else { return false };
        match client.send(&message.bytes) {
            PostResult::Accepted => {
                reporter.report_working();
                self.acknowledge(message.number);
                return true;
            }
            PostResult::ServerError(code) if self.tries + 1 < MAX_TRIES => {
                self.tries += 1;
                let address = client.address();
                reporter.report_failure(&format!("{address}: the server answers {code}"));
            }
            PostResult::ServerError(code) | PostResult::Rejected(code) => {
                let address = client.address();
                reporter.report_failure(&format!(
                    "{address}: the server answers {code}; events are dropped"
                ));
                reporter.count_dropped(1, "refused");
                self.acknowledge(message.number);
                return true;
            }
            PostResult::Unreachable(why) => {
                reporter.count_reconnect("network");
                reporter.report_failure(&format!("{}: {why}", client.address()));
            }
        }
        self.current = Some(message);
        self.due = Instant::now() + self.backoff.next_wait();
        false
    }

    fn acknowledge(&mut self, number: u64) {
        self.spool.ack(number);
        (self.tries, self.current) = (0, None);
        self.backoff.reset();
    }

    /// Time until the next try, [`POLL_INTERVAL`] at most.
    fn time_to_retry(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now()).min(POLL_INTERVAL)
    }
}

/// Sends events until the hub is closed.
pub(super) fn run(
    client: &WebhookClient,
    spool: Spool,
    mut lines: EventReceiver,
    mut reporter: SinkReporter,
    mut meter: SpoolMeter,
) {
    let backoff = Backoff::new(BACKOFF.0, BACKOFF.1);
    let mut delivery = Delivery { spool, current: None, tries: 0, backoff, due: Instant::now() };
    let mut ended: Option<Instant> = None;
    let mut busy = false;
    loop {
        let retrying = delivery.current.is_some() && !busy;
        let timeout = match (busy, retrying) {
            (true, _) => Duration::ZERO,
            (_, true) => delivery.time_to_retry(),
            _ => POLL_INTERVAL,
        };
        let mut next = match ended {
            None => lines.recv_timeout(timeout),
            Some(_) => Err(NoItem::Ended),
        };
        while let Ok(line) = next {
            if matches!(line.kind, LineKind::Event | LineKind::Turn) {
                delivery.spool.push(line.json.as_bytes());
            }
            next = lines.recv_timeout(Duration::ZERO);
        }
        if matches!(next, Err(NoItem::Ended)) && ended.is_none() {
            ended = Some(Instant::now());
        }
        busy = delivery.try_next(client, &mut reporter);
        delivery.spool.tick();
        let loss = delivery.spool.take_loss();
        reporter.count_dropped(loss.full, "spool-full");
        reporter.count_dropped(loss.too_large, "too-large");
        reporter.count_dropped(loss.damaged, "disk");
        meter.set_bytes(delivery.spool.waiting_bytes());
        if ended.is_some_and(|since| !busy || since.elapsed() > DRAIN_TIMEOUT) {
            return;
        }
    }
}
