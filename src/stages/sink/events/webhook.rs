//! Every event to a web server: one HTTP POST of one line of JSON each.
//!
//! Through a spool, so that what happens while the server is away reaches it later, in order, at
//! least once. A server that answers with an error is asked again a few times; a message that it
//! will not take (4xx, or 5xx to the end) is left out and counted, so that one cannot hold up all.

use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use secrecy::{ExposeSecret, SecretString};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::outlet::Inlet;
use super::spool::{Message, Spool};
use super::trouble::{SpoolMeter, Trouble};
use super::{LineKind, OpenError, tls};
use crate::core::backoff::Backoff;
use crate::core::credentials::Login;
use crate::core::queue::NoItem;

/// A whole exchange takes no longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The first wait before it is tried again, and the longest.
const WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// How often a message is tried that the server answers with 5xx.
const TRIES: u32 = 5;
/// Longest time between two looks at the spool.
const TICK: Duration = Duration::from_secs(1);
/// What is left is sent for so long after the stream has ended.
const FAREWELL: Duration = Duration::from_secs(3);

/// How messages are posted.
pub struct Post {
    agent: ureq::Agent,
    uri: url::Url,
    authorization: Option<SecretString>,
}

/// How a try went.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// The server has it.
    Taken,
    /// It says that it will never take it.
    Refused(u16),
    /// It may take it later.
    Failed(u16),
    /// It is away.
    Lost(String),
}

impl Post {
    /// Posts to `uri`.
    ///
    /// # Errors
    /// Where that is no address of a web server, or TLS cannot be set up.
    pub fn new(
        uri: &url::Url,
        login: Option<&Login>,
        trust: Option<&Path>,
    ) -> Result<Self, OpenError> {
        let why = "a webhook is http://HOST/PATH or https://HOST/PATH, without user and password";
        if !matches!(uri.scheme(), "http" | "https") || !uri.username().is_empty() {
            return Err(OpenError::Address { address: redacted(uri), why });
        }
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("locutor/", env!("CARGO_PKG_VERSION")))
            .proxy(None);
        if uri.scheme() == "https" {
            let roots = tls::roots(trust);
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

    /// The address as it may be shown: paths and queries of webhooks often are secrets.
    pub fn address(&self) -> String {
        redacted(&self.uri)
    }

    fn send(&self, message: &[u8]) -> Outcome {
        let mut request = self.agent.post(self.uri.as_str());
        request = request.header("Content-Type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization.expose_secret());
        }
        match request.send(message) {
            Ok(answer) => match answer.status().as_u16() {
                200..=299 => Outcome::Taken,
                code @ (408 | 425 | 429 | 500..=599) => Outcome::Failed(code),
                code => Outcome::Refused(code),
            },
            Err(error) => Outcome::Lost(words(&error)),
        }
    }
}

fn redacted(uri: &url::Url) -> String {
    let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", uri.scheme(), uri.host_str().unwrap_or_default())
}

/// What went wrong, in words that cannot hold the address.
fn words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => "the host is not known".to_owned(),
        ureq::Error::Io(error) => tls::words_in(error).unwrap_or_else(|| error.kind().to_string()),
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        ureq::Error::Rustls(error) => tls::words(error),
        ureq::Error::Tls(why) => format!("TLS: {why}"),
        _ => "no answer that is HTTP".to_owned(),
    }
}

/// What is being posted, and when it is tried next.
struct Work {
    spool: Spool,
    now: Option<Message>,
    tries: u32,
    backoff: Backoff,
    due: Instant,
}

impl Work {
    /// Tries the next message where it is due; whether it is worth to go on at once.
    fn step(&mut self, post: &Post, trouble: &mut Trouble) -> bool {
        if Instant::now() < self.due {
            return false;
        }
        let Some(message) = self.now.take().or_else(|| self.spool.give()) else { return false };
        match post.send(&message.bytes) {
            Outcome::Taken => {
                trouble.well();
                self.done(message.number);
                return true;
            }
            Outcome::Failed(code) if self.tries + 1 < TRIES => {
                self.tries += 1;
                trouble.is(&format!("{}: the server answers {code}", post.address()));
            }
            Outcome::Failed(code) | Outcome::Refused(code) => {
                let address = post.address();
                trouble.is(&format!("{address}: the server answers {code}; events are left out"));
                trouble.lost(1, "refused");
                self.done(message.number);
                return true;
            }
            Outcome::Lost(why) => {
                trouble.reconnects("network");
                trouble.is(&format!("{}: {why}", post.address()));
            }
        }
        self.now = Some(message);
        self.due = Instant::now() + self.backoff.next_wait();
        false
    }

    fn done(&mut self, number: u64) {
        self.spool.ack(number);
        (self.tries, self.now) = (0, None);
        self.backoff.reset();
    }

    /// How long there is nothing to do.
    fn idle(&self) -> Duration {
        self.due.saturating_duration_since(Instant::now()).min(TICK)
    }
}

/// Posts events until none can come any more.
pub fn run(
    post: &Post,
    spool: Spool,
    mut lines: Inlet,
    mut trouble: Trouble,
    mut meter: SpoolMeter,
) {
    let backoff = Backoff::new(WAIT.0, WAIT.1);
    let mut work = Work { spool, now: None, tries: 0, backoff, due: Instant::now() };
    let mut ended: Option<Instant> = None;
    let mut busy = false;
    loop {
        let waits = work.now.is_some() && !busy;
        let patience = match (busy, waits) {
            (true, _) => Duration::ZERO,
            (_, true) => work.idle(),
            _ => TICK,
        };
        let mut next = if ended.is_none() { lines.next(patience) } else { Err(NoItem::Ended) };
        while let Ok(line) = next {
            if matches!(line.kind, LineKind::Event | LineKind::Turn) {
                work.spool.push(line.json.as_bytes());
            }
            next = lines.next(Duration::ZERO);
        }
        if matches!(next, Err(NoItem::Ended)) && ended.is_none() {
            ended = Some(Instant::now());
        }
        busy = work.step(post, &mut trouble);
        work.spool.tick();
        let loss = work.spool.take_loss();
        trouble.lost(loss.full, "spool-full");
        trouble.lost(loss.too_large, "too-large");
        trouble.lost(loss.damaged, "disk");
        meter.bytes(work.spool.waiting_bytes());
        if ended.is_some_and(|since| !busy || since.elapsed() > FAREWELL) {
            return;
        }
    }
}
