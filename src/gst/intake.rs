//! The demux-and-decode graph of a file: `filesrc ! parsebin`, then a branch for the picture and
//! one for the chosen sound track; every other stream is drained.
//!
//! The sound's branch is a tee: one arm decodes to 16 kHz mono for the model, the other hands out
//! the packets as they were stored, so that the sink can keep them unchanged.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use super::elements::{ElementError, broken, chain, make};
use super::picture;

/// Decoded pictures that wait in the source; beyond that the demuxer waits.
const PICTURES_WAITING: u32 = 4;
/// Bytes of model sound (16 kHz, 16 bit) that may wait: 30 minutes, as some containers store
/// sound and picture far apart.
const SOUND_WAITING_BYTES: u64 = 30 * 60 * 32_000;
/// Bytes of stored sound that may wait.
const PACKETS_WAITING_BYTES: u64 = 64 << 20;

/// The places where a file's streams come out.
#[derive(Clone)]
pub struct Outlets {
    /// Decoded pictures.
    pub pictures: gst_app::AppSink,
    /// Sound for the model.
    pub sound: gst_app::AppSink,
    /// Sound as it was stored.
    pub packets: gst_app::AppSink,
}

/// What the demuxer has shown so far.
#[derive(Clone, Default, Debug)]
pub struct Found {
    /// Streams with pictures.
    pub pictures: u32,
    /// Streams with sound.
    pub sounds: u32,
    /// The chosen sound stream's stored form.
    pub codec: Option<String>,
    /// Whether all streams have been shown.
    pub complete: bool,
    /// The first thing that went wrong while building a branch.
    pub error: Option<String>,
}

/// The graph, built as streams show up.
pub struct Graph {
    /// The pipeline; its owner starts and stops it.
    pub pipeline: gst::Pipeline,
    /// Where the streams come out; those that the file lacks stay silent.
    pub outlets: Outlets,
    /// What was found.
    pub found: Arc<Mutex<Found>>,
}

/// Builds the graph for the file at `location`, taking sound track `audio_track` (from 1).
///
/// # Errors
/// Where an element is missing.
pub fn build(location: &str, audio_track: u32) -> Result<Graph, ElementError> {
    let pipeline = gst::Pipeline::with_name("intake");
    let source = make("filesrc")?;
    source.set_property("location", location);
    let parse = make("parsebin")?;
    chain(&pipeline, &[&source, &parse])?;
    let outlets = Outlets {
        pictures: app_sink("pictures", PICTURES_WAITING, 0)?,
        sound: app_sink("sound", 0, SOUND_WAITING_BYTES)?,
        packets: app_sink("packets", 0, PACKETS_WAITING_BYTES)?,
    };
    let found = Arc::new(Mutex::new(Found::default()));
    parse.connect_pad_added({
        let (pipeline, outlets) = (pipeline.downgrade(), outlets.clone());
        let found = Arc::clone(&found);
        move |_, pad| {
            let Some(pipeline) = pipeline.upgrade() else {
                return;
            };
            let result = route(&pipeline, &outlets, &found, pad, audio_track);
            if let Err(e) = result {
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.error.get_or_insert(e.to_string());
            }
        }
    });
    parse.connect_no_more_pads({
        let found = Arc::clone(&found);
        move |_| {
            found
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .complete = true
        }
    });
    Ok(Graph {
        pipeline,
        outlets,
        found,
    })
}

fn app_sink(name: &str, buffers: u32, bytes: u64) -> Result<gst_app::AppSink, ElementError> {
    if !super::elements::is_installed("appsink") {
        return Err(ElementError::Missing {
            element: "appsink".into(),
        });
    }
    let sink = gst_app::AppSink::builder()
        .name(name)
        .sync(false)
        .max_buffers(buffers)
        .enable_last_sample(false)
        .wait_on_eos(false)
        .build();
    sink.set_property("max-bytes", bytes);
    Ok(sink)
}

fn route(
    pipeline: &gst::Pipeline,
    outlets: &Outlets,
    found: &Mutex<Found>,
    pad: &gst::Pad,
    audio_track: u32,
) -> Result<(), ElementError> {
    let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
    let name = caps
        .structure(0)
        .map(|s| s.name().to_string())
        .unwrap_or_default();
    let mut seen = found.lock().unwrap_or_else(PoisonError::into_inner);
    if name.starts_with("video/") || name.starts_with("image/") {
        seen.pictures += 1;
        if seen.pictures == 1 {
            drop(seen);
            return picture_branch(pipeline, &outlets.pictures, pad);
        }
    } else if name.starts_with("audio/") {
        seen.sounds += 1;
        if seen.sounds == audio_track {
            seen.codec = Some(name);
            drop(seen);
            return sound_branch(pipeline, outlets, pad);
        }
    }
    drop(seen);
    drain(pipeline, pad)
}

/// Streams that nobody wants must still flow, or the demuxer stops for want of a link.
fn drain(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), ElementError> {
    let sink = make("fakesink")?;
    sink.set_property("sync", false);
    sink.set_property("async", false);
    chain(pipeline, &[&sink])?;
    start(&[&sink])?;
    link(pad, &sink)
}

fn picture_branch(
    pipeline: &gst::Pipeline,
    outlet: &gst_app::AppSink,
    pad: &gst::Pad,
) -> Result<(), ElementError> {
    let decode = make("decodebin")?;
    let flip = make("videoflip")?;
    // Follows the rotation that the container states; a pass-through where it states none.
    flip.set_property_from_str("video-direction", "auto");
    let convert = make("videoconvert")?;
    let scale = make("videoscale")?;
    let fixed = make("capsfilter")?;
    let caps = gst_video::VideoCapsBuilder::new()
        .format_list(picture::FORMATS)
        .build();
    fixed.set_property("caps", &caps);
    keep_first_shape(&fixed);
    let sink: &gst::Element = outlet.upcast_ref();
    chain(pipeline, &[&decode])?;
    chain(pipeline, &[&flip, &convert, &scale, &fixed, sink])?;
    join_when_decoded(&decode, &flip);
    start(&[sink, &fixed, &scale, &convert, &flip, &decode])?;
    link(pad, &decode)
}

/// A stream may change its size midway; encoders and muxers cannot. The first shape stays, later
/// pictures are scaled to it (a pass-through while nothing changes).
fn keep_first_shape(filter: &gst::Element) {
    let Some(pad) = filter.static_pad("src") else {
        return;
    };
    let filter = filter.downgrade();
    pad.add_probe(gst::PadProbeType::EVENT_DOWNSTREAM, move |_, info| {
        let Some(gst::EventView::Caps(caps)) = info.event().map(|e| e.view()) else {
            return gst::PadProbeReturn::Ok;
        };
        let shape = caps.caps().structure(0).and_then(|s| {
            let (width, height) = (s.get::<i32>("width").ok()?, s.get::<i32>("height").ok()?);
            let format = s.get::<String>("format").ok()?;
            Some((width, height, format))
        });
        if let (Some((width, height, format)), Some(filter)) = (shape, filter.upgrade()) {
            let caps = gst::Caps::builder("video/x-raw")
                .field("width", width)
                .field("height", height)
                .field("format", format)
                .build();
            filter.set_property("caps", &caps);
        }
        gst::PadProbeReturn::Remove
    });
}

fn sound_branch(
    pipeline: &gst::Pipeline,
    outlets: &Outlets,
    pad: &gst::Pad,
) -> Result<(), ElementError> {
    let tee = make("tee")?;
    let (to_model, to_sink) = (make("queue")?, make("queue")?);
    let decode = make("decodebin")?;
    let convert = make("audioconvert")?;
    let resample = make("audioresample")?;
    let fixed = make("capsfilter")?;
    let caps = gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("rate", 16_000)
        .field("channels", 1)
        .field("layout", "interleaved")
        .build();
    fixed.set_property("caps", &caps);
    let (sound, packets): (&gst::Element, &gst::Element) =
        (outlets.sound.upcast_ref(), outlets.packets.upcast_ref());
    chain(pipeline, &[&tee, &to_sink, packets])?;
    chain(pipeline, &[&to_model, &decode])?;
    tee.link(&to_model).map_err(|e| broken("tee", e))?;
    chain(pipeline, &[&convert, &resample, &fixed, sound])?;
    join_when_decoded(&decode, &convert);
    let parts = [
        sound, &fixed, &resample, &convert, &decode, &to_model, packets, &to_sink, &tee,
    ];
    start(&parts)?;
    link(pad, &tee)
}

/// Links `decode`'s first decoded stream to `next`.
fn join_when_decoded(decode: &gst::Element, next: &gst::Element) {
    let next = next.downgrade();
    decode.connect_pad_added(move |_, pad| {
        let Some(sink) = next.upgrade().and_then(|n| n.static_pad("sink")) else {
            return;
        };
        if sink.is_linked() {
            return;
        }
        if let Err(e) = pad.link(&sink) {
            tracing::debug!(pad = %pad.name(), "decoded stream not taken: {e}");
        }
    });
}

fn start(elements: &[&gst::Element]) -> Result<(), ElementError> {
    for element in elements {
        element.sync_state_with_parent().map_err(|e| {
            broken(
                &element
                    .factory()
                    .map_or_else(String::new, |f| f.name().to_string()),
                e,
            )
        })?;
    }
    Ok(())
}

fn link(pad: &gst::Pad, element: &gst::Element) -> Result<(), ElementError> {
    let sink = element
        .static_pad("sink")
        .ok_or_else(|| broken(&element.name(), "it has no pad called sink"))?;
    pad.link(&sink)
        .map(drop)
        .map_err(|e| broken(&element.name(), e))
}
