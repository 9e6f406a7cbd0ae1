//! The metrics of a process, after Prometheus' conventions: prefix `locutor_`, base units, `_total`.
//! Labels are `stream`, `stage`, `reason` and `provider` only.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// A stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StreamLabels {
    /// Its name.
    pub stream: String,
}

/// A stage, queue or sink of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StageLabels {
    /// The stream's name.
    pub stream: String,
    /// The stage.
    pub stage: String,
}

/// A stage of a stream, with a reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabels {
    /// The stream's name.
    pub stream: String,
    /// The stage.
    pub stage: String,
    /// The reason, one word.
    pub reason: String,
}

/// An inference provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ProviderLabels {
    /// Its name.
    pub provider: String,
}

/// A gauge that holds a fraction.
pub type FloatGauge = Gauge<f64, AtomicU64>;

/// All metrics.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    /// `locutor_frames_total{stream,stage}`: frames that left a stage.
    pub frames: Family<StageLabels, Counter>,
    /// `locutor_drops_total{stream,stage,reason}`: dropped items, by queue or sink.
    pub drops: Family<ReasonLabels, Counter>,
    /// `locutor_reconnects_total{stream,stage,reason}`: number of times that a source or sink was lost.
    pub reconnects: Family<ReasonLabels, Counter>,
    /// `locutor_latency_seconds{stream,stage}`: from capture to the end of a stage.
    pub latency: Family<StageLabels, Histogram>,
    /// `locutor_queue_items{stream,stage}`: items in a queue.
    pub queue_items: Family<StageLabels, Gauge>,
    /// `locutor_queue_bytes{stream,stage}`: bytes in a queue.
    pub queue_bytes: Family<StageLabels, Gauge>,
    /// `locutor_av_skew_seconds{stream}`: audio time minus frame time at the source.
    pub av_skew: Family<StreamLabels, FloatGauge>,
    /// `locutor_source_up{stream}`: 1 while frames come.
    pub source_up: Family<StreamLabels, Gauge>,
    /// `locutor_faces{stream}`: faces in the newest frame.
    pub faces: Family<StreamLabels, Gauge>,
    /// `locutor_speaking{stream}`: speaking faces in the newest frame.
    pub speaking: Family<StreamLabels, Gauge>,
    /// `locutor_load_level{stream}`: 0 (normal) to 3, see docs/live.md.
    pub load_level: Family<StreamLabels, Gauge>,
    /// `locutor_readers{stream}`: RTSP readers.
    pub readers: Family<StreamLabels, Gauge>,
    /// `locutor_recorded_bytes_total{stream}`: bytes recorded.
    pub recorded_bytes: Family<StreamLabels, Counter>,
    /// `locutor_disk_free_bytes{stream}`: free bytes on the disk of the recording.
    pub disk_free: Family<StreamLabels, Gauge>,
    /// `locutor_spool_bytes{stream}`: bytes that wait for the broker.
    pub spool_bytes: Family<StreamLabels, Gauge>,
    /// `locutor_inference_provider_info{provider}`: 1 for the one in use.
    provider: Family<ProviderLabels, Gauge>,
}

/// Upper bounds of the latency buckets, in seconds.
const LATENCY_BUCKETS: [f64; 14] =
    [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0, 2.0, 5.0];

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing measured yet.
    pub fn new() -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(LATENCY_BUCKETS);
        let metrics = Self {
            registry: Arc::new(Mutex::new(Registry::with_prefix("locutor"))),
            frames: Family::default(),
            drops: Family::default(),
            reconnects: Family::default(),
            latency: Family::new_with_constructor(histogram),
            queue_items: Family::default(),
            queue_bytes: Family::default(),
            av_skew: Family::default(),
            source_up: Family::default(),
            faces: Family::default(),
            speaking: Family::default(),
            load_level: Family::default(),
            readers: Family::default(),
            recorded_bytes: Family::default(),
            disk_free: Family::default(),
            spool_bytes: Family::default(),
            provider: Family::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&self) {
        let mut r = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        r.register("frames", "Frames that left a stage", self.frames.clone());
        r.register("drops", "Dropped items", self.drops.clone());
        r.register("reconnects", "Times a source or sink was lost", self.reconnects.clone());
        let help = "From capture to the end of a stage";
        r.register_with_unit("latency", help, Unit::Seconds, self.latency.clone());
        r.register("queue_items", "Items in a queue", self.queue_items.clone());
        let help = "Bytes in a queue";
        r.register_with_unit("queue", help, Unit::Bytes, self.queue_bytes.clone());
        let help = "Audio time minus frame time at the source";
        r.register_with_unit("av_skew", help, Unit::Seconds, self.av_skew.clone());
        r.register("source_up", "1 while frames come", self.source_up.clone());
        r.register("faces", "Faces in the newest frame", self.faces.clone());
        r.register("speaking", "Faces that speak in the newest frame", self.speaking.clone());
        r.register("load_level", "0 (normal) to 3", self.load_level.clone());
        r.register("readers", "RTSP readers", self.readers.clone());
        let help = "Bytes recorded";
        r.register_with_unit("recorded", help, Unit::Bytes, self.recorded_bytes.clone());
        let help = "Free bytes on the disk of the recording";
        r.register_with_unit("disk_free", help, Unit::Bytes, self.disk_free.clone());
        let help = "Bytes that wait for the broker";
        r.register_with_unit("spool", help, Unit::Bytes, self.spool_bytes.clone());
        let help = "1 for the inference provider in use";
        r.register("inference_provider_info", help, self.provider.clone());
        let version = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        r.register("build", "The program's version", version);
    }

    /// Sets the inference provider in use.
    pub fn set_provider(&self, name: &str) {
        self.provider.clear();
        self.provider.get_or_create(&ProviderLabels { provider: name.to_owned() }).set(1);
    }

    /// The registry, for encoding.
    pub fn registry(&self) -> &Mutex<Registry> {
        &self.registry
    }
}

/// A stage's label.
pub fn stage_labels(stream: &str, stage: &str) -> StageLabels {
    StageLabels { stream: stream.to_owned(), stage: stage.to_owned() }
}

/// A stream's label.
pub fn stream_labels(stream: &str) -> StreamLabels {
    StreamLabels { stream: stream.to_owned() }
}

/// A stage's label with a reason.
pub fn reason_labels(stream: &str, stage: &str, reason: &str) -> ReasonLabels {
    ReasonLabels { stream: stream.to_owned(), stage: stage.to_owned(), reason: reason.to_owned() }
}

/// Counts dropped items.
pub fn count_dropped(metrics: &Metrics, stream: &str, stage: &str, reason: &str, count: u64) {
    metrics.drops.get_or_create(&reason_labels(stream, stage, reason)).inc_by(count);
}
