//! The daemon: all streams of a process, and what they share.
//!
//! Starts every stream, polls them, reloads their files when they change or on SIGHUP, and ends them on
//! SIGTERM or Ctrl-C. A stream that fails does not affect others. A stream whose stages cannot be
//! replaced one by one is restarted as a whole.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::health::HealthServer;
use super::prepared_stream::{EngineCache, PreparedStream, fingerprint, read_camera};
use super::running_stream::RunningStream;
use super::streams::StreamList;
use super::watchdog;
use crate::config::ConfigError;
use crate::config::camera::Serve;
use crate::run::RunError;
use crate::stages::sink::live::rtsp_server::RtspServer;
use crate::stages::sink::records::event::Event;
use crate::telemetry::latency::Percentiles;
use crate::telemetry::metrics::{Metrics, reason_labels};

/// How often the streams are polled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How often their status is published, and their files are checked.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// The wait before a stream that failed as a whole is restarted.
const RESTART_DELAY: Duration = Duration::from_secs(2);

/// Requests from outside the process.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// End all streams.
    pub stop: Arc<AtomicBool>,
    /// Reload all files.
    pub reload: Arc<AtomicBool>,
}

/// Figures of a finished process.
#[derive(Debug, Default, serde::Serialize)]
pub struct ProcessReport {
    /// Latency percentiles by stream and stage.
    pub latency: BTreeMap<String, BTreeMap<&'static str, Percentiles>>,
    /// Whether everything ended in time.
    pub ended_in_time: bool,
}

/// A running process.
pub struct Process {
    metrics: Metrics,
    engines: EngineCache,
    list: StreamList,
    server: Option<RtspServer>,
    health: Option<HealthServer>,
    serve: Serve,
    streams: BTreeMap<PathBuf, RunningStream>,
    restart_at: BTreeMap<PathBuf, Instant>,
    changed: BTreeMap<PathBuf, Option<std::time::SystemTime>>,
    ended: BTreeMap<String, BTreeMap<&'static str, Percentiles>>,
}

impl Process {
    /// Starts the streams of the files at `paths`.
    ///
    /// # Errors
    /// Where a file is invalid, or the RTSP server or the health page cannot start; no stream runs
    /// then.
    pub fn start(paths: &[PathBuf]) -> Result<Self, RunError> {
        let mut engines = EngineCache::default();
        let prepared: Vec<PreparedStream> = paths
            .iter()
            .map(|path| PreparedStream::new(path, &mut engines))
            .collect::<Result<_, _>>()?;
        let serve = shared_serve(&prepared)?;
        let server = serve.rtsp.as_ref().map(RtspServer::start).transpose();
        let server = server.map_err(|e| RunError::Serve(e.to_string()))?;
        let (metrics, list) = (Metrics::new(), StreamList::default());
        let health = serve.health.map(|at| HealthServer::start(at, list.clone(), metrics.clone()));
        let health = health.transpose().map_err(|e| RunError::Serve(e.to_string()))?;
        let mut process = Self {
            metrics,
            engines,
            list,
            server,
            health,
            serve,
            streams: BTreeMap::new(),
            restart_at: BTreeMap::new(),
            changed: BTreeMap::new(),
            ended: BTreeMap::new(),
        };
        for prepared in prepared {
            process.changed.insert(prepared.path.clone(), modified(&prepared.path));
            process.launch(prepared)?;
        }
        Ok(process)
    }

    /// The metrics.
    pub const fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// The settings of RTSP server and health page.
    pub const fn serve(&self) -> &Serve {
        &self.serve
    }

    /// The streams, for the watchdog.
    pub fn list(&self) -> StreamList {
        self.list.clone()
    }

    /// The address of the health page.
    pub fn health(&self) -> Option<SocketAddr> {
        self.health.as_ref().map(HealthServer::address)
    }

    fn launch(&mut self, prepared: PreparedStream) -> Result<(), RunError> {
        banner(&prepared);
        let path = prepared.path.clone();
        self.metrics.set_provider(&prepared.engine.provider().to_string());
        let running = RunningStream::start(prepared, &self.metrics, self.server.as_ref())?;
        self.list.insert(running.status.clone());
        self.streams.insert(path, running);
        Ok(())
    }

    /// Runs the streams until a stop is requested, or none is left.
    pub fn run(mut self, signals: &Signals) -> ProcessReport {
        let mut last_status = Instant::now();
        while !signals.stop.load(Ordering::Relaxed) {
            std::thread::sleep(POLL_INTERVAL);
            if last_status.elapsed() >= STATUS_INTERVAL {
                last_status = Instant::now();
                self.streams.values().for_each(|stream| stream.hub.status(&stream.status));
                let reload_all = signals.reload.swap(false, Ordering::Relaxed);
                if reload_all {
                    watchdog::reloading();
                }
                self.reload(reload_all);
                if reload_all {
                    watchdog::ready();
                }
            }
            self.restart_failed();
            if self.streams.is_empty() && self.restart_at.is_empty() {
                break;
            }
        }
        self.end()
    }

    /// Removes streams that have ended, and restarts those that failed as a whole.
    fn restart_failed(&mut self) {
        let finished: Vec<PathBuf> =
            self.streams.iter().filter(|(_, s)| s.is_finished()).map(|(p, _)| p.clone()).collect();
        for path in finished {
            let Some(stream) = self.streams.remove(&path) else { continue };
            let has_ended = stream.has_ended();
            let name = stream.prepared.camera.name.clone();
            if has_ended {
                self.list.remove(&name);
            }
            self.ended.insert(name.clone(), stream.latencies.percentiles());
            stream.end();
            if !has_ended {
                tracing::error!(stream = %name, "the stream failed; restarting it");
                let key = reason_labels(&name, "stream", "failed");
                self.metrics.reconnects.get_or_create(&key).inc();
                self.restart_at.insert(path, Instant::now() + RESTART_DELAY);
            }
        }
        let now = Instant::now();
        let due: Vec<PathBuf> =
            self.restart_at.iter().filter(|(_, at)| **at <= now).map(|(p, _)| p.clone()).collect();
        for path in due {
            let again = PreparedStream::new(&path, &mut self.engines).and_then(|p| self.launch(p));
            match again {
                Ok(()) => drop(self.restart_at.remove(&path)),
                Err(e) => {
                    tracing::error!("{}: {e}", path.display());
                    self.restart_at.insert(path, now + RESTART_DELAY * 5);
                }
            }
        }
    }

    /// Reads the files that have changed (all files where `all`), and restarts the streams whose
    /// configuration differs.
    fn reload(&mut self, all: bool) {
        let paths: Vec<PathBuf> = self.streams.keys().cloned().collect();
        for path in paths {
            let at = modified(&path);
            let touched = self.changed.insert(path.clone(), at) != Some(at);
            if touched || all {
                self.reload_one(&path);
            }
        }
    }

    fn reload_one(&mut self, path: &PathBuf) {
        let Some(stream) = self.streams.get(path) else { return };
        let same = read_camera(path).map(|c| fingerprint(&c) == stream.prepared.fingerprint);
        if matches!(same, Ok(true)) {
            return;
        }
        // All errors are found before the running stream is touched.
        let new =
            same.map_err(RunError::from).and_then(|_| PreparedStream::new(path, &mut self.engines));
        let new = new.and_then(|new| self.check_serve(new));
        let new = match new {
            Ok(new) => new,
            Err(e) => {
                let what = format!("rejected; the stream continues unchanged: {e}");
                tracing::error!("{}: {what}", path.display());
                stream.hub.event(&Event::Reload { accepted: false, what });
                return;
            }
        };
        let what = "configuration changed; restarting the stream".to_owned();
        tracing::info!(stream = %new.camera.name, "{what}");
        stream.hub.event(&Event::Reload { accepted: true, what });
        if let Some(old) = self.streams.remove(path) {
            self.list.remove(&old.prepared.camera.name);
            old.end();
        }
        if let Err(e) = self.launch(new) {
            tracing::error!("{}: {e}", path.display());
            self.restart_at.insert(path.clone(), Instant::now() + RESTART_DELAY);
        }
    }

    /// The `[serve]` settings cannot change while the process runs.
    fn check_serve(&self, new: PreparedStream) -> Result<PreparedStream, RunError> {
        if same_serve(&new.camera.serve, &self.serve) {
            return Ok(new);
        }
        Err(ConfigError::Invalid {
            key: format!("{}: serve", new.path.display()),
            problem: "has changed; restart the service to apply it".into(),
        }
        .into())
    }

    fn end(mut self) -> ProcessReport {
        watchdog::stopping();
        let mut report = ProcessReport { latency: self.ended, ended_in_time: true };
        self.streams.values().for_each(RunningStream::request_stop);
        for (_, stream) in std::mem::take(&mut self.streams) {
            let name = stream.prepared.camera.name.clone();
            report.latency.insert(name.clone(), stream.latencies.percentiles());
            if !stream.end() {
                tracing::error!(stream = %name, "the stream did not end in time");
                report.ended_in_time = false;
            }
        }
        report
    }
}

fn modified(path: &std::path::Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(path).and_then(|m| m.modified()).ok()
}

/// The `[serve]` settings that all streams of a process share; they must agree.
fn shared_serve(prepared: &[PreparedStream]) -> Result<Serve, RunError> {
    let mut serve: Option<(&PathBuf, Serve)> = None;
    for stream in prepared {
        let own = &stream.camera.serve;
        match &mut serve {
            Some((first, shared)) if !same_serve(own, shared) => {
                return Err(ConfigError::Invalid {
                    key: format!("{}: serve", stream.path.display()),
                    problem: format!(
                        "differs from {}; one process has one RTSP server and one health page",
                        first.display()
                    ),
                }
                .into());
            }
            Some((_, shared)) => shared.rtsp = shared.rtsp.take().or_else(|| own.rtsp.clone()),
            None => serve = Some((&stream.path, own.clone())),
        }
    }
    Ok(serve.map(|(_, serve)| serve).unwrap_or_default())
}

/// Whether the settings agree. Streams without an RTSP sink leave RTSP open.
fn same_serve(a: &Serve, b: &Serve) -> bool {
    let rtsp =
        a.rtsp.is_none() || b.rtsp.is_none() || format!("{:?}", a.rtsp) == format!("{:?}", b.rtsp);
    rtsp && a.health == b.health
}

fn banner(prepared: &PreparedStream) {
    let (camera, settings) = (&prepared.camera, &prepared.settings);
    tracing::info!(
        stream = %camera.name,
        "locutor {} with GStreamer {}, on {}, encoding by {}, {} sinks; score latency {:.0} ms",
        env!("CARGO_PKG_VERSION"),
        crate::gst::version(),
        prepared.engine.provider(),
        prepared.encoder.element,
        camera.sinks.len(),
        settings.schedule.span_held.seconds() * 1_000.0,
    );
}
