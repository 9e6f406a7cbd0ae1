//! Inspects GStreamer: its version, the elements, the encoders.

use gstreamer as gst;
use gstreamer::prelude::*;

use super::report::{DecoderStatus, ElementStatus, EncoderStatus, Media};
use crate::gst::decoders;
use crate::gst::elements::{ELEMENTS, is_installed};
use crate::gst::encoder::{EncoderOptions, describe};
use crate::gst::video_codec::VideoCodec;

/// What is installed.
pub(super) fn inspect() -> Media {
    if let Err(error) = crate::gst::start() {
        let fix = Some("sudo apt-get install libgstreamer1.0-0".into());
        return Media { problem: Some(error.to_string()), fix, ..Media::default() };
    }
    let elements = ELEMENTS.iter().map(|spec| ElementStatus {
        element: spec.element,
        group: spec.group.name(),
        purpose: spec.purpose,
        package: spec.package,
        required: spec.required,
        found: spec.candidates().find(|name| is_installed(name)),
    });
    Media {
        version: Some(crate::gst::version()),
        problem: None,
        fix: None,
        elements: elements.collect(),
        encoders: vec![
            encoder(VideoCodec::H264, "H.264", "mp4, mov, mkv", true),
            encoder(VideoCodec::Vp9, "VP9", "webm", false),
        ],
        decoders: [("H.264", "video/x-h264"), ("H.265", "video/x-h265")]
            .into_iter()
            .filter_map(|(codec, media)| decoder(codec, media))
            .collect(),
        broken_plugins: broken_plugins(),
    }
}

/// The decoder of `media`; a missing one is reported with the other elements.
fn decoder(codec: &'static str, media: &str) -> Option<DecoderStatus> {
    let mut found = decoders::decoders_by_rank(media).into_iter();
    let element = found.next()?;
    let runs_on = decoders::describe(&element);
    Some(DecoderStatus { codec, element, runs_on, others: found.collect() })
}

fn encoder(
    codec: VideoCodec,
    name: &'static str,
    containers: &'static str,
    required: bool,
) -> EncoderStatus {
    let options = EncoderOptions { element: None, crf: 20, preset: "veryfast".into() };
    let element = codec.choose(&options).ok().map(str::to_owned);
    let others = codec.encoders().iter().filter(|e| is_installed(e));
    let others = others.filter(|e| element.as_deref() != Some(e)).map(|e| (*e).to_owned());
    EncoderStatus {
        codec: name,
        containers,
        runs_on: element.as_deref().map(describe),
        others: others.collect(),
        problem: element.as_deref().and_then(|_| does_not_open(codec, &options)),
        element,
        required,
    }
}

/// Why an encoder does not open: READY is the first state that needs the hardware's driver.
fn does_not_open(codec: VideoCodec, options: &EncoderOptions) -> Option<String> {
    let element = match codec.make(options) {
        Ok(element) => element,
        Err(error) => return Some(error.to_string()),
    };
    let ready = element.set_state(gst::State::Ready);
    let name = element.factory().map(|f| f.name().to_string()).unwrap_or_default();
    // Even a failed element must be set to NULL before it is dropped; that cannot fail.
    let _ = element.set_state(gst::State::Null);
    ready.is_err().then(|| format!("the encoder {name} is installed but does not open"))
}

/// Plugins that crashed or failed while GStreamer loaded them.
fn broken_plugins() -> Vec<String> {
    let plugins = gst::Registry::get().plugins();
    let broken =
        plugins.iter().filter(|p| p.plugin_flags().contains(gst::PluginFlags::BLACKLISTED));
    broken
        .filter_map(|p| p.filename())
        .filter_map(|f| Some(f.file_name()?.to_string_lossy().into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// The Debian package of an installed element.
    fn package_by_dpkg(element: &str) -> Option<String> {
        let plugin = gst::ElementFactory::find(element)?.plugin()?;
        let file = std::fs::canonicalize(plugin.filename()?).ok()?;
        let out = Command::new("dpkg").arg("-S").arg(file).output().ok()?;
        let text = String::from_utf8(out.stdout).ok()?;
        Some(text.split(':').next()?.to_owned()).filter(|name| !name.is_empty())
    }

    #[test]
    fn every_element_is_in_its_package() {
        crate::gst::start().unwrap();
        let known: Vec<_> =
            ELEMENTS.iter().filter_map(|w| Some((w, package_by_dpkg(w.element)?))).collect();
        if known.len() < ELEMENTS.len() {
            let missing = ELEMENTS.len() - known.len();
            crate::needs::skip_on_this_machine(format_args!("{missing} more elements from Debian"));
        }
        for (spec, package) in known {
            assert_eq!(spec.package, package, "{}", spec.element);
        }
    }

    #[test]
    fn no_element_is_listed_twice() {
        let mut names: Vec<_> = ELEMENTS.iter().map(|w| w.element).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
