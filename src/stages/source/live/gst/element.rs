//! The GStreamer elements for a live source's address: RTSP, HTTP(S) and HLS, SRT, RTMP, UDP, local
//! cameras, files, standard input, and a test pattern.
//!
//! The last element has pads, now or later, with encoded streams. Credentials are set as properties,
//! so no address ever holds a password.

use gstreamer as gst;
use gstreamer::prelude::*;
use secrecy::ExposeSecret;

use crate::gst::elements::{ElementError, broken, is_installed, make};
use crate::gst::tls;
use crate::stages::source::live::settings::SourceSettings;
use crate::stages::source::live::settings::Transport;

/// Timeout of a silent connection.
const TIMEOUT_SECONDS: u64 = 5;

/// The elements of a source.
pub(super) struct SourceElements {
    /// In order; the caller adds and links them.
    pub elements: Vec<gst::Element>,
    /// A second source for audio, where the first has none (the test pattern).
    pub audio: Option<gst::Element>,
    /// Whether the clock must pace the buffers, because the source sends as fast as it is read.
    pub paced: bool,
}

/// The elements for `source`.
///
/// # Errors
/// Where an element is not installed, or the scheme is unknown.
pub(super) fn source_elements(source: &SourceSettings) -> Result<SourceElements, ElementError> {
    let uri = source.uri.as_str();
    let (elements, paced) = match source.uri.scheme() {
        "rtsp" | "rtsps" => (vec![rtsp(source)?], false),
        "http" | "https" => (vec![http(source)?, make("parsebin")?], true),
        "srt" => {
            let element = make("srtsrc")?;
            element.set_property("uri", uri);
            // By default it retries forever without reporting an error.
            if element.has_property("auto-reconnect") {
                element.set_property("auto-reconnect", false);
            }
            if let Some(login) = &source.login {
                element.set_property("passphrase", login.password.expose_secret());
            }
            (vec![element, make("parsebin")?], false)
        }
        "rtmp" | "rtmps" => {
            let element = make("rtmp2src")?;
            element.set_property("location", uri);
            if let Some(login) = &source.login {
                element.set_property("username", &login.user);
                element.set_property("password", login.password.expose_secret());
            }
            (vec![element, make("parsebin")?], false)
        }
        "udp" => {
            let element = make("udpsrc")?;
            element.set_property("uri", uri);
            (vec![element, make("tsdemux")?], false)
        }
        "file" => {
            let path = source.uri.to_file_path().unwrap_or_default();
            let element = make("filesrc")?;
            element.set_property("location", path.to_string_lossy().as_ref());
            crate::gst::edit_list::attach(&element);
            let parse = make("parsebin")?;
            crate::gst::demux_times::attach(&parse);
            (vec![element, parse], true)
        }
        "fd" => {
            let element = make("fdsrc")?;
            let number = source.uri.path().trim_start_matches('/').parse().unwrap_or(0);
            element.set_property("fd", number);
            (vec![element, make("parsebin")?], true)
        }
        "v4l2" => {
            let element = make("v4l2src")?;
            element.set_property("device", source.uri.path());
            (vec![element], false)
        }
        "test" => (vec![test_pattern()?], false),
        other => return Err(broken(other, "not a scheme of a source")),
    };
    let audio = (source.uri.scheme() == "test").then(test_audio).transpose()?;
    Ok(SourceElements { elements, audio, paced })
}

fn rtsp(source: &SourceSettings) -> Result<gst::Element, ElementError> {
    let element = make("rtspsrc")?;
    element.set_property("location", source.uri.as_str());
    let protocols = match source.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
        Transport::Auto => "tcp+udp",
    };
    element.set_property_from_str("protocols", protocols);
    let jitter_ms = u32::try_from(source.jitter.as_millis()).unwrap_or(2_000);
    element.set_property("latency", jitter_ms);
    element.set_property("timeout", TIMEOUT_SECONDS * 1_000_000);
    element.set_property("tcp-timeout", TIMEOUT_SECONDS * 1_000_000);
    element.set_property("teardown-timeout", gst::ClockTime::from_mseconds(200).nseconds());
    element.set_property("do-retransmission", false);
    if source.uri.scheme() == "rtsps" {
        tls::trust_rtsp(&element, &source.uri, source.tls_ca_file.as_deref())?;
    }
    if let Some(login) = &source.login {
        element.set_property("user-id", &login.user);
        element.set_property("user-pw", login.password.expose_secret());
    }
    Ok(element)
}

fn http(source: &SourceSettings) -> Result<gst::Element, ElementError> {
    let element = make("souphttpsrc")?;
    element.set_property("location", source.uri.as_str());
    element.set_property("timeout", u32::try_from(TIMEOUT_SECONDS).unwrap_or(5));
    element.set_property("retries", 0_i32);
    if let Some(file) = &source.tls_ca_file {
        tls::trust_http(&element, file)?;
    }
    if let Some(login) = &source.login {
        element.set_property("user-id", &login.user);
        element.set_property("user-pw", login.password.expose_secret());
    }
    Ok(element)
}

fn test_pattern() -> Result<gst::Element, ElementError> {
    let bin = gst::parse::bin_from_description(
        "videotestsrc is-live=true pattern=smpte ! capsfilter \
         caps=\"video/x-raw,format=I420,width=640,height=360,framerate=25/1\"",
        true,
    );
    bin.map(|bin| bin.upcast()).map_err(|e| broken("videotestsrc", e))
}

/// A synthetic voice where flite is installed, otherwise one tick per second.
fn test_audio() -> Result<gst::Element, ElementError> {
    // flitetestsrc produces audio as fast as it is read: the clock paces it.
    let voice =
        "flitetestsrc ! audio/x-raw,channels=1 ! audiorate ! identity sync=true ! audioconvert";
    let ticks = "audiotestsrc is-live=true wave=ticks";
    let source = if is_installed("flitetestsrc") { voice } else { ticks };
    let text = format!("{source} ! capsfilter caps=\"audio/x-raw,rate=48000,channels=2\"");
    let bin = gst::parse::bin_from_description(&text, true);
    bin.map(|bin| bin.upcast()).map_err(|e| broken("audiotestsrc", e))
}

#[cfg(test)]
#[path = "element_tests.rs"]
mod tests;
