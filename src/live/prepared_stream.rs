//! A stream ready to start: file read, models found, encoder tested.
//!
//! All errors of a new configuration are found here, before the running stream is touched.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use crate::config::ConfigError;
use crate::config::any::{AnyPipeline, read_any};
use crate::config::camera::Camera;
use crate::core::time::Span;
use crate::models::Package;
use crate::models::registry::{Role, find};
use crate::onnx::engine::Engine;
use crate::onnx::session::SessionOptions;
use crate::pipeline::live::compute_time::compute_time;
use crate::pipeline::settings::{Options, RunMode, Settings, SettingsError, plan};
use crate::run::RunError;
use crate::stages::score::window::Window;
use crate::stages::sink::live::gst::encoder::{Chosen, choose};
use crate::stages::sink::settings::SinkSettings;

/// A stream ready to start.
#[derive(Clone)]
pub(crate) struct PreparedStream {
    /// The camera file.
    pub path: PathBuf,
    /// A hash of the configuration; a different hash means that the file has changed.
    pub fingerprint: String,
    /// The configuration.
    pub camera: Camera,
    /// What its stages are built from.
    pub settings: Settings,
    /// What runs its models.
    pub engine: Arc<Engine>,
    /// The encoder that works on this machine.
    pub encoder: Chosen,
}

/// The engines of a process, with the computing time of each. Streams with the same models and device
/// share an engine.
#[derive(Default)]
pub(crate) struct EngineCache(HashMap<String, (Weak<Engine>, Span)>);

impl EngineCache {
    fn get(
        &mut self,
        camera: &Camera,
        packages: (&Package, &Package),
    ) -> Result<(Arc<Engine>, Span), RunError> {
        let (speaker, detector) = packages;
        let key = format!("{:?} {:?} {:?}", speaker.location(), detector.location(), camera.device);
        if let Some((engine, compute_time)) = self.0.get(&key)
            && let Some(engine) = engine.upgrade()
        {
            return Ok((engine, *compute_time));
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        // Half of the cores: decoding and encoding must keep their rate.
        let options = SessionOptions { device: camera.device, intra_threads: (cores / 2).max(1) };
        let engine = Arc::new(Engine::start(detector, speaker, &options)?);
        // Measured once, while the engine is idle; the windows of other cameras differ little.
        let lookahead = camera.lookahead.ticks(speaker.speaker()?.lookahead_ticks);
        let window = Window { hop: camera.hop_ticks, lookahead };
        let compute_time = compute_time(&engine, &plan(detector)?, window);
        self.0.insert(key, (Arc::downgrade(&engine), compute_time));
        Ok((engine, compute_time))
    }
}

/// The settings of the stages of `camera` with these packages, on a machine with this `compute_time`.
///
/// # Errors
/// Where a package asks for something impossible.
pub(crate) fn live_settings(
    camera: &Camera,
    packages: (&Package, &Package),
    compute_time: Span,
) -> Result<Settings, SettingsError> {
    let options = Options {
        lookahead: camera.lookahead,
        explain: camera.explain,
        floor: camera.floor,
        style: camera.style,
    };
    let mode = RunMode::Live { hop_ticks: camera.hop_ticks, compute_time };
    Settings::new(&options, packages, mode)
}

/// Reads the camera file at `path`.
///
/// # Errors
/// Where the file is not a camera file.
pub(crate) fn read_camera(path: &Path) -> Result<Camera, ConfigError> {
    match read_any(path)? {
        AnyPipeline::Camera(camera) => Ok(*camera),
        AnyPipeline::Recording(_) => Err(ConfigError::Invalid {
            key: format!("{}: source.file", path.display()),
            problem: "is a recording; give it alone, or write source.uri for a live stream".into(),
        }),
    }
}

impl PreparedStream {
    /// Prepares the stream of the file at `path`.
    ///
    /// # Errors
    /// Where the file, a model or the encoder cannot be used.
    pub(crate) fn new(path: &Path, engines: &mut EngineCache) -> Result<Self, RunError> {
        let camera = read_camera(path)?;
        crate::gst::start()?;
        let speaker = find(Role::Speaker, camera.package.as_deref())?;
        let detector = find(Role::Detector, camera.detector.as_deref())?;
        let (engine, compute_time) = engines.get(&camera, (&speaker, &detector))?;
        let settings = live_settings(&camera, (&speaker, &detector), compute_time)?;
        let encoder = if camera.sinks.iter().any(SinkSettings::takes_video) {
            choose(camera.encoder.element.as_deref())?
        } else {
            Chosen { element: "none", passed_over: Vec::new() }
        };
        let fingerprint = fingerprint(&camera);
        Ok(Self { path: path.to_owned(), fingerprint, camera, settings, engine, encoder })
    }
}

/// A hash of the configuration and its credentials; it does not reveal secrets.
pub(crate) fn fingerprint(camera: &Camera) -> String {
    use secrecy::ExposeSecret;
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    hash.update(format!("{camera:?}"));
    let sinks = camera.sinks.iter().filter_map(|sink| match sink {
        SinkSettings::RtspPush { login, .. } | SinkSettings::Webhook { login, .. } => {
            login.as_ref()
        }
        SinkSettings::Mqtt(mqtt) => mqtt.login.as_ref(),
        _ => None,
    });
    for login in camera.source.login.iter().chain(sinks) {
        hash.update(login.password.expose_secret());
        hash.update([0]);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
