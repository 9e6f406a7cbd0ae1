//! The daemon: all streams of a process, what they share, and what becomes of them.
//!
//! Starts every stream, looks after them once in a while, reads their files again when they change or
//! on SIGHUP, and ends them all on SIGTERM or Ctrl-C. A stream that fails does not touch another; one
//! whose stages cannot be replaced one by one is started anew as a whole.

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

/// How often the streams are looked after.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How often their status is told, and their files are looked at.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// A stream that failed as a whole is started again after so long.
const RESTART_DELAY: Duration = Duration::from_secs(2);

/// What the process is told from outside.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    /// End everything.
    pub stop: Arc<AtomicBool>,
    /// Read all files again.
    pub reload: Arc<AtomicBool>,
}

/// What a process did, for whoever asked for figures.
#[derive(Debug, Default, serde::Serialize)]
pub struct ProcessReport {
    /// Latency percentiles by stream and stage.
    pub latency: BTreeMap<String, BTreeMap<&'static str, Percentiles>>,
    /// Whether everything ended in time.
    pub ended_in_time: bool,
}

/// A process at work.
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
    /// Where a file is wrong, or what they share cannot be had; nothing runs then.
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

    /// What is served.
    pub const fn serve(&self) -> &Serve {
        &self.serve
    }

    /// The streams, for whoever watches over them.
    pub fn list(&self) -> StreamList {
        self.list.clone()
    }

    /// Where the health page is.
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

    /// Looks after the streams until they are told to end, or none is left.
    pub fn run(mut self, signals: &Signals) -> ProcessReport {
        let mut last_status = Instant::now();
        while !signals.stop.load(Ordering::Relaxed) {
            std::thread::sleep(POLL_INTERVAL);
            if last_status.elapsed() >= STATUS_INTERVAL {
                last_status = Instant::now();
                self.streams.values().for_each(|stream| stream.hub.status(&stream.status));
                let wanted = signals.reload.swap(false, Ordering::Relaxed);
                if wanted {
                    watchdog::reloading();
                }
                self.reload(wanted);
                if wanted {
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

    /// Takes away streams that are over, and starts again those that failed as a whole.
    fn restart_failed(&mut self) {
        let finished: Vec<PathBuf> =
            self.streams.iter().filter(|(_, s)| s.is_finished()).map(|(p, _)| p.clone()).collect();
        for path in finished {
            let Some(stream) = self.streams.remove(&path) else { continue };
            let over = stream.has_ended();
            let name = stream.prepared.camera.name.clone();
            if over {
                self.list.remove(&name);
            }
            self.ended.insert(name.clone(), stream.latencies.percentiles());
            stream.end();
            if !over {
                tracing::error!(stream = %name, "the stream failed as a whole; it is started again");
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

    /// Reads the files that have changed (all of them where `all`), and restarts what says something
    /// else now.
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
        // Everything that can be wrong is found before the running stream is touched.
        let new =
            same.map_err(RunError::from).and_then(|_| PreparedStream::new(path, &mut self.engines));
        let new = new.and_then(|new| self.fits(new));
        let new = match new {
            Ok(new) => new,
            Err(e) => {
                let what = format!("not taken, all goes on as before: {e}");
                tracing::error!("{}: {what}", path.display());
                stream.hub.event(&Event::Reload { accepted: false, what });
                return;
            }
        };
        let what = "the file says something else; the stream starts anew".to_owned();
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

    /// What the process serves cannot change while it runs.
    fn fits(&self, new: PreparedStream) -> Result<PreparedStream, RunError> {
        if same_serve(&new.camera.serve, &self.serve) {
            return Ok(new);
        }
        Err(ConfigError::Invalid {
            key: format!("{}: serve", new.path.display()),
            problem: "has changed; restart the service for that".into(),
        }
        .into())
    }

    fn end(mut self) -> ProcessReport {
        watchdog::stopping();
        let mut figures = ProcessReport { latency: self.ended, ended_in_time: true };
        self.streams.values().for_each(RunningStream::request_stop);
        for (_, stream) in std::mem::take(&mut self.streams) {
            let name = stream.prepared.camera.name.clone();
            figures.latency.insert(name.clone(), stream.latencies.percentiles());
            if !stream.end() {
                tracing::error!(stream = %name, "the stream did not end in time");
                figures.ended_in_time = false;
            }
        }
        figures
    }
}

fn modified(path: &std::path::Path) -> Option<std::time::SystemTime> {
    std::fs::metadata(path).and_then(|m| m.modified()).ok()
}

/// What all streams of a process serve together: they must agree.
fn shared_serve(prepared: &[PreparedStream]) -> Result<Serve, RunError> {
    let mut serve: Option<(&PathBuf, Serve)> = None;
    for stream in prepared {
        let own = &stream.camera.serve;
        match &mut serve {
            Some((first, said)) if !same_serve(own, said) => {
                return Err(ConfigError::Invalid {
                    key: format!("{}: serve", stream.path.display()),
                    problem: format!(
                        "says something else than {}; one process serves once",
                        first.display()
                    ),
                }
                .into());
            }
            Some((_, said)) => said.rtsp = said.rtsp.take().or_else(|| own.rtsp.clone()),
            None => serve = Some((&stream.path, own.clone())),
        }
    }
    Ok(serve.map(|(_, serve)| serve).unwrap_or_default())
}

/// Streams without an RTSP sink have nothing to say about RTSP.
fn same_serve(a: &Serve, b: &Serve) -> bool {
    let rtsp =
        a.rtsp.is_none() || b.rtsp.is_none() || format!("{:?}", a.rtsp) == format!("{:?}", b.rtsp);
    rtsp && a.health == b.health
}

fn banner(prepared: &PreparedStream) {
    let (camera, settings) = (&prepared.camera, &prepared.settings);
    tracing::info!(
        stream = %camera.name,
        "locutor {} with GStreamer {}, on {}, encoding by {}, {} sinks; scores are late by {:.0} ms",
        env!("CARGO_PKG_VERSION"),
        crate::gst::version(),
        prepared.engine.provider(),
        prepared.encoder.element,
        camera.sinks.len(),
        settings.schedule.span_held.seconds() * 1_000.0,
    );
}
