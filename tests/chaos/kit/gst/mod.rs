//! A reader of the daemon's RTSP server, in this process.

pub mod numbers;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gst::prelude::*;
use gstreamer as gst;

#[derive(Debug, Default)]
struct Seen {
    packets: u64,
    last: Option<Instant>,
    longest_gap: Duration,
}

/// A reader; it leaves when it is dropped.
pub struct Reader {
    pipeline: gst::Pipeline,
    seen: Arc<Mutex<Seen>>,
}

impl Reader {
    /// Reads the frames of `uri` inside the connection.
    pub fn of(uri: &str) -> Self {
        gst::init().expect("GStreamer");
        let pipeline = gst::Pipeline::new();
        let source = gst::ElementFactory::make("rtspsrc").property("location", uri);
        let source = source.property("latency", 0u32).build().expect("rtspsrc");
        source.set_property_from_str("protocols", "tcp");
        pipeline.add(&source).expect("added");
        let (seen, weak) = (Arc::new(Mutex::new(Seen::default())), pipeline.downgrade());
        let own = Arc::clone(&seen);
        source.connect_pad_added(move |_, pad| {
            let Some(pipeline) = weak.upgrade() else { return };
            let sink = gst::ElementFactory::make("fakesink").property("sync", false);
            let sink = sink.property("async", false).build().expect("fakesink");
            pipeline.add(&sink).expect("added");
            sink.sync_state_with_parent().expect("started");
            let caps = pad.current_caps().map(|caps| caps.to_string()).unwrap_or_default();
            if caps.contains("media=(string)video") {
                let own = Arc::clone(&own);
                pad.add_probe(gst::PadProbeType::BUFFER, move |_, _| {
                    own.lock().expect("seen").see();
                    gst::PadProbeReturn::Ok
                });
            }
            let _ = pad.link(&sink.static_pad("sink").expect("a pad"));
        });
        pipeline.set_state(gst::State::Playing).expect("started");
        Self { pipeline, seen }
    }

    /// Packets of frames so far.
    pub fn packets(&self) -> u64 {
        self.seen.lock().expect("seen").packets
    }

    /// The longest time without one since the last call.
    pub fn longest_gap(&self) -> Duration {
        let mut seen = self.seen.lock().expect("seen");
        let now = seen.last.map_or(Duration::ZERO, |at| at.elapsed());
        std::mem::take(&mut seen.longest_gap).max(now)
    }

    /// What went wrong.
    pub fn error(&self) -> Option<String> {
        let bus = self.pipeline.bus()?;
        let message = bus.pop_filtered(&[gst::MessageType::Error, gst::MessageType::Eos])?;
        Some(format!("{message:?}"))
    }
}

impl Seen {
    fn see(&mut self) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.longest_gap = self.longest_gap.max(now - last);
        }
        self.packets += 1;
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}
