//! The encoded clip in memory: access units and A-law audio.

use std::path::{Path, PathBuf};

use gst::prelude::*;
use gstreamer as gst;
use gstreamer_app as gst_app;
use serde::{Deserialize, Serialize};

use super::number;
use crate::{Codec, Options};

/// Audio sample rate; one byte per sample.
pub(super) const AUDIO_HZ: usize = 8_000;
/// Samples in an audio packet.
pub(super) const AUDIO_PACKET: usize = 160;

/// The clip; see the module. Frames and audio have equal duration, so that it can be looped.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Clip {
    /// Access units; the first, and one every second, is a keyframe.
    pub frames: Vec<Vec<u8>>,
    /// A-law.
    pub audio: Vec<u8>,
}

impl Clip {
    /// The clip for these options: cached or newly encoded.
    pub(super) fn of(options: &Options) -> Result<Self, String> {
        let kept = options.cache.as_deref().map(|dir| cached(dir, options));
        if let Some(bytes) = kept.as_ref().and_then(|file| std::fs::read(file).ok())
            && let Ok(clip) = postcard::from_bytes(&bytes)
        {
            return Ok(clip);
        }
        let clip = encode(options)?;
        if let Some(file) = kept {
            // Two cameras may encode the same clip: each writes its own file, the last one remains.
            let bytes = postcard::to_allocvec(&clip).map_err(|e| e.to_string())?;
            let own = file.with_extension(std::process::id().to_string());
            let written = std::fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))
                .and_then(|()| std::fs::write(&own, bytes))
                .and_then(|()| std::fs::rename(&own, &file));
            written.map_err(|e| format!("{}: {e}", file.display()))?;
        }
        Ok(clip)
    }
}

fn cached(dir: &Path, options: &Options) -> PathBuf {
    let name = options.clip.file_stem().unwrap_or_default().to_string_lossy();
    let ((w, h), (n, d)) = (options.size, options.rate);
    let numbered = if options.numbered { "-numbered" } else { "" };
    let Options { codec, seconds, .. } = options;
    dir.join(format!("{name}-{codec:?}-{w}x{h}-{n}-{d}-{seconds}{numbered}.clip"))
}

/// The video caps.
pub(super) fn caps(options: &Options) -> gst::Caps {
    let ((w, h), (n, d)) = (options.size, options.rate);
    let format = match options.codec {
        Codec::H264 => "video/x-h264,stream-format=byte-stream,alignment=au",
        Codec::H265 => "video/x-h265,stream-format=byte-stream,alignment=au",
        Codec::Mjpeg => "image/jpeg",
        Codec::Vp8 => "video/x-vp8",
    };
    let text = format!("{format},width={w},height={h},framerate={n}/{d}");
    text.parse().unwrap_or_else(|_| gst::Caps::new_empty())
}

fn encode(options: &Options) -> Result<Clip, String> {
    let ((w, h), (n, d)) = (options.size, options.rate);
    let key = n.div_ceil(d);
    let encoder = match options.codec {
        Codec::H264 => format!(
            "x264enc tune=zerolatency speed-preset=superfast bitrate=1200 threads=1 \
             key-int-max={key} ! h264parse config-interval=-1"
        ),
        Codec::H265 => format!(
            "x265enc tune=zerolatency speed-preset=ultrafast bitrate=1200 key-int-max={key} \
             option-string=pools=1:repeat-headers=1 ! h265parse config-interval=-1"
        ),
        Codec::Mjpeg => "jpegenc quality=60".to_owned(),
        Codec::Vp8 => {
            format!("vp8enc deadline=1 cpu-used=8 target-bitrate=1200000 keyframe-max-dist={key}")
        }
    };
    let description = format!(
        "filesrc name=file ! decodebin name=d d. ! queue ! videoconvert ! videoscale ! videorate ! \
         video/x-raw,format=I420,width={w},height={h},framerate={n}/{d} ! \
         identity name=number ! {encoder} ! {} ! \
         appsink name=frames sync=false  d. ! queue ! audioconvert ! audioresample ! \
         audio/x-raw,rate={AUDIO_HZ},channels=1 ! alawenc ! appsink name=audio sync=false",
        caps(options)
    );
    let pipeline = gst::parse::launch(&description).map_err(|e| e.to_string())?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| "no pipeline".to_owned())?;
    let app_sink = |name| {
        let element = pipeline.by_name(name).and_then(|e| e.downcast::<gst_app::AppSink>().ok());
        element.ok_or_else(|| format!("no {name}"))
    };
    let (frames, audio) = (app_sink("frames")?, app_sink("audio")?);
    if let Some(pad) = pipeline.by_name("number").and_then(|number| number.static_pad("src"))
        && options.numbered
    {
        number::draw(&pad, w as usize, h as usize);
    }
    if let Some(file) = pipeline.by_name("file") {
        file.set_property("location", &options.clip);
    }
    pipeline.set_state(gst::State::Playing).map_err(|_| encode_error(options, &pipeline))?;
    let frame_count = usize::try_from(options.seconds * n / d).unwrap_or(0);
    let frames = pull(&frames, |got: &Vec<Vec<u8>>| got.len() >= frame_count);
    let bytes = frames.len() * AUDIO_HZ * d as usize / n as usize;
    let enough = |got: &Vec<Vec<u8>>| got.iter().map(Vec::len).sum::<usize>() >= bytes;
    let mut audio = pull(&audio, enough).concat();
    let error = encode_error(options, &pipeline);
    let _ = pipeline.set_state(gst::State::Null);
    // Whole audio packets that cover the frames' duration.
    audio.resize(bytes - bytes % AUDIO_PACKET, 0xD5);
    (!frames.is_empty()).then_some(Clip { frames, audio }).ok_or(error)
}

fn encode_error(options: &Options, pipeline: &gst::Pipeline) -> String {
    let message = pipeline.bus().and_then(|bus| bus.pop_filtered(&[gst::MessageType::Error]));
    let problem = message.and_then(|message| match message.view() {
        gst::MessageView::Error(error) => Some(error.error().to_string()),
        _ => None,
    });
    let problem = problem.unwrap_or_else(|| "it has no frames".into());
    format!("{} (make samples makes the default): {problem}", options.clip.display())
}

fn pull(from: &gst_app::AppSink, enough: impl Fn(&Vec<Vec<u8>>) -> bool) -> Vec<Vec<u8>> {
    let mut got = Vec::new();
    while !enough(&got) {
        // An error does not end the stream: give up after 20 s without a sample.
        let Some(sample) = from.try_pull_sample(gst::ClockTime::from_seconds(20)) else { break };
        if let Some(map) = sample.buffer().and_then(|b| b.map_readable().ok()) {
            got.push(map.to_vec());
        }
    }
    got
}
