//! The demux-and-decode graph of a file: `filesrc ! parsebin`, then one branch for the video and
//! one for the chosen audio track. Every other stream is drained.
//!
//! The audio branch is a tee. One branch decodes to 16 kHz mono for the model; the other outputs
//! the stored packets, so that the sink can copy them.

use std::sync::{Arc, Mutex, PoisonError};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

use super::decoder_output::{link_audio, link_video};
use super::edit_list::AddedDuration;
use super::elements::{ElementError, broken, chain, link, make, start};
use super::image;

/// Buffers that wait in each appsink; the demuxer blocks beyond that.
const MAX_BUFFERS: u32 = 4;
/// Bytes of a demuxed stream that may wait for the next buffer of another stream.
const MAX_STORED_BYTES: u32 = 64 << 20;
/// Bytes of model audio (16 kHz, 16 bit) that may wait: 30 minutes, as some containers interleave
/// audio and video coarsely.
const MAX_AUDIO_BYTES: u32 = 30 * 60 * 32_000;
/// Bytes of stored audio that may wait.
const MAX_PACKET_BYTES: u32 = 64 << 20;

/// The appsinks of a file's streams.
#[derive(Clone)]
pub(crate) struct AppSinks {
    /// Decoded frames.
    pub frames: gst_app::AppSink,
    /// Audio for the model.
    pub audio: gst_app::AppSink,
    /// Stored audio packets.
    pub packets: gst_app::AppSink,
}

/// The streams that the demuxer has exposed so far.
#[derive(Clone, Default, Debug)]
pub(crate) struct StreamInfo {
    /// Number of video streams.
    pub frames: u32,
    /// Number of audio streams.
    pub audio_streams: u32,
    /// Media type of the chosen audio stream.
    pub codec: Option<String>,
    /// The first error while building a branch.
    pub error: Option<String>,
}

/// The graph; branches are added as the demuxer exposes streams.
pub(crate) struct DecodeGraph {
    /// The pipeline; its owner starts and stops it.
    pub pipeline: gst::Pipeline,
    /// The outputs; one without a stream in the file never gets data.
    pub app_sinks: AppSinks,
    /// The streams of the file.
    pub streams: Arc<Mutex<StreamInfo>>,
    /// The part of the pipeline's duration that is not the file's.
    pub added_duration: AddedDuration,
}

/// Builds the graph for the file at `location`, taking audio track `audio_track` (from 1).
///
/// # Errors
/// If an element is missing.
pub(crate) fn build(location: &str, audio_track: u32) -> Result<DecodeGraph, ElementError> {
    let pipeline = gst::Pipeline::with_name("decode");
    let source = make("filesrc")?;
    source.set_property("location", location);
    let added_duration = super::edit_list::attach(&source);
    let parse = make("parsebin")?;
    super::demux_times::attach(&parse);
    let multiqueue = make("multiqueue")?;
    // A multiqueue grows by itself, up to the byte limit, while a stream that is stored ahead of
    // another waits for it.
    multiqueue.set_property("max-size-buffers", 4_u32);
    multiqueue.set_property("max-size-bytes", MAX_STORED_BYTES);
    multiqueue.set_property("max-size-time", 0_u64);
    chain(&pipeline, &[&source, &parse])?;
    chain(&pipeline, &[&multiqueue])?;
    let app_sinks = AppSinks {
        frames: app_sink("frames")?,
        audio: app_sink("audio")?,
        packets: app_sink("packets")?,
    };
    let streams = Arc::new(Mutex::new(StreamInfo::default()));
    parse.connect_pad_added({
        let (pipeline, app_sinks) = (pipeline.downgrade(), app_sinks.clone());
        let streams = Arc::clone(&streams);
        move |_, pad| {
            let Some(pipeline) = pipeline.upgrade() else { return };
            let caps = pad.current_caps().unwrap_or_else(|| pad.query_caps(None));
            let name = caps.structure(0).map(|s| s.name().to_string()).unwrap_or_default();
            let result = link_through_multiqueue(&multiqueue, pad)
                .and_then(|pad| route(&pipeline, &app_sinks, &streams, (&name, &pad), audio_track));
            if let Err(e) = result {
                let mut streams = streams.lock().unwrap_or_else(PoisonError::into_inner);
                streams.error.get_or_insert(e.to_string());
            }
        }
    });
    Ok(DecodeGraph { pipeline, app_sinks, streams, added_duration })
}

/// Links a demuxed stream through the multiqueue. Without it the first stream to preroll would
/// block the demuxer.
fn link_through_multiqueue(
    multiqueue: &gst::Element,
    pad: &gst::Pad,
) -> Result<gst::Pad, ElementError> {
    let refused = || broken("multiqueue", "it gives no pad");
    let into = multiqueue.request_pad_simple("sink_%u").ok_or_else(refused)?;
    pad.link(&into).map_err(|e| broken("multiqueue", e))?;
    into.iterate_internal_links().next().ok().flatten().ok_or_else(refused)
}

fn app_sink(name: &str) -> Result<gst_app::AppSink, ElementError> {
    if !super::elements::is_installed("appsink") {
        return Err(ElementError::Missing { element: "appsink".into() });
    }
    Ok(gst_app::AppSink::builder()
        .name(name)
        .sync(false)
        .max_buffers(MAX_BUFFERS)
        .enable_last_sample(false)
        .wait_on_eos(false)
        .build())
}

/// A queue bounded by bytes only.
fn byte_queue(bytes: u32) -> Result<gst::Element, ElementError> {
    let queue = make("queue")?;
    queue.set_property("max-size-bytes", bytes);
    queue.set_property("max-size-buffers", 0_u32);
    queue.set_property("max-size-time", 0_u64);
    Ok(queue)
}

fn route(
    pipeline: &gst::Pipeline,
    app_sinks: &AppSinks,
    streams: &Mutex<StreamInfo>,
    (name, pad): (&str, &gst::Pad),
    audio_track: u32,
) -> Result<(), ElementError> {
    let mut info = streams.lock().unwrap_or_else(PoisonError::into_inner);
    if name.starts_with("video/") || name.starts_with("image/") {
        info.frames += 1;
        if info.frames == 1 {
            drop(info);
            return frame_branch(pipeline, &app_sinks.frames, pad);
        }
    } else if name.starts_with("audio/") {
        info.audio_streams += 1;
        if info.audio_streams == audio_track {
            info.codec = Some(name.to_owned());
            drop(info);
            return audio_branch(pipeline, app_sinks, pad);
        }
    }
    drop(info);
    drain(pipeline, pad)
}

/// Links an unused stream to a fakesink; the demuxer stops with an error if nothing is linked.
fn drain(pipeline: &gst::Pipeline, pad: &gst::Pad) -> Result<(), ElementError> {
    let sink = make("fakesink")?;
    sink.set_property("sync", false);
    sink.set_property("async", false);
    chain(pipeline, &[&sink])?;
    start(&[&sink])?;
    link(pad, &sink)
}

fn frame_branch(
    pipeline: &gst::Pipeline,
    app_sink: &gst_app::AppSink,
    pad: &gst::Pad,
) -> Result<(), ElementError> {
    let decode = make("decodebin")?;
    let convert = make("videoconvert")?;
    let scale = make("videoscale")?;
    let caps_filter = make("capsfilter")?;
    let caps = gst_video::VideoCapsBuilder::new().format_list(image::FORMATS).build();
    caps_filter.set_property("caps", &caps);
    lock_first_format(&caps_filter);
    let sink: &gst::Element = app_sink.upcast_ref();
    chain(pipeline, &[&decode])?;
    chain(pipeline, &[&convert, &scale, &caps_filter, sink])?;
    link_video(&decode, &convert);
    start(&[sink, &caps_filter, &scale, &convert, &decode])?;
    link(pad, &decode)
}

/// Fixes size and format to those of the first frame, as encoders and muxers cannot change them.
/// Later frames are scaled to it (a pass-through while nothing changes). Caps before the first
/// frame do not count: the stream may not be rotated yet.
fn lock_first_format(filter: &gst::Element) {
    let Some(pad) = filter.static_pad("src") else {
        return;
    };
    let filter = filter.downgrade();
    pad.add_probe(gst::PadProbeType::BUFFER, move |pad, _| {
        let format = pad.current_caps().and_then(|caps| {
            let s = caps.structure(0)?;
            let (width, height) = (s.get::<i32>("width").ok()?, s.get::<i32>("height").ok()?);
            let format = s.get::<String>("format").ok()?;
            Some((width, height, format))
        });
        if let (Some((width, height, format)), Some(filter)) = (format, filter.upgrade()) {
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

fn audio_branch(
    pipeline: &gst::Pipeline,
    app_sinks: &AppSinks,
    pad: &gst::Pad,
) -> Result<(), ElementError> {
    let tee = make("tee")?;
    let (to_model, to_sink) = (make("queue")?, byte_queue(MAX_PACKET_BYTES)?);
    let decoded = byte_queue(MAX_AUDIO_BYTES)?;
    let decode = make("decodebin")?;
    let convert = make("audioconvert")?;
    let resample = make("audioresample")?;
    let caps_filter = make("capsfilter")?;
    let caps = gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("rate", 16_000)
        .field("channels", 1)
        .field("layout", "interleaved")
        .build();
    caps_filter.set_property("caps", &caps);
    let (audio, packets): (&gst::Element, &gst::Element) =
        (app_sinks.audio.upcast_ref(), app_sinks.packets.upcast_ref());
    chain(pipeline, &[&tee, &to_sink, packets])?;
    chain(pipeline, &[&to_model, &decode])?;
    tee.link(&to_model).map_err(|e| broken("tee", e))?;
    chain(pipeline, &[&convert, &resample, &caps_filter, &decoded, audio])?;
    link_audio(&decode, &convert);
    let model_branch = [audio, &decoded, &caps_filter, &resample, &convert, &decode, &to_model];
    start(&model_branch)?;
    start(&[packets, &to_sink, &tee])?;
    link(pad, &tee)
}

#[cfg(test)]
#[path = "decode_graph_tests.rs"]
mod tests;
