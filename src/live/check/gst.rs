//! Finds the GStreamer elements that a camera needs and that are missing on this machine.

use crate::config::camera::Camera;
use crate::gst::elements::{ElementError, is_installed};
use crate::gst::video_codec::VideoCodec;
use crate::stages::sink::settings::SinkSettings;

/// Readable messages about missing elements, each with the package to install.
pub(super) fn missing(camera: &Camera) -> Vec<String> {
    if let Err(e) = crate::gst::start() {
        return vec![e.to_string()];
    }
    let mut required: Vec<&str> = match camera.source.uri.scheme() {
        "rtsp" | "rtsps" => vec!["rtspsrc", "rtph264depay"],
        "http" | "https" => vec!["souphttpsrc"],
        "srt" => vec!["srtsrc", "tsdemux"],
        "rtmp" => vec!["rtmp2src", "flvdemux"],
        "udp" => vec!["udpsrc", "tsdemux"],
        "v4l2" => vec!["v4l2src"],
        "fd" => vec!["fdsrc"],
        "file" => vec!["filesrc"],
        _ => vec!["videotestsrc", "audiotestsrc"],
    };
    required.extend(["decodebin", "videoconvert", "audioconvert", "audioresample", "appsink"]);
    for sink in &camera.sinks {
        required.extend(match sink {
            SinkSettings::RtspServer { .. } => &["rtph264pay", "rtpmp4gpay"][..],
            SinkSettings::RtspPush { .. } => &["rtspclientsink"],
            SinkSettings::Record(_) | SinkSettings::File { .. } => {
                &["mp4mux", "h264parse", "aacparse"]
            }
            SinkSettings::Hls { .. } => &["mpegtsmux"],
            SinkSettings::Events { .. } | SinkSettings::Mqtt(_) | SinkSettings::Webhook { .. } => {
                &[]
            }
        });
    }
    if camera.sinks.iter().any(SinkSettings::takes_video) {
        required.push("avenc_aac");
        match camera.encoder.element.as_deref() {
            Some(element) => required.push(element),
            None if VideoCodec::H264.encoders().iter().any(|e| is_installed(e)) => {}
            None => required.push("x264enc"),
        }
    }
    required.sort_unstable();
    required.dedup();
    let missing = required.into_iter().filter(|element| !is_installed(element));
    missing.map(|e| ElementError::Missing { element: e.to_owned() }.to_string()).collect()
}
