//! Video encoders: which are installed, which one is used, and its settings.

use gstreamer as gst;
use gstreamer::prelude::*;

use crate::core::preset::PRESETS;

use super::elements::{ElementError, is_installed, make};
use super::video_codec::VideoCodec;

/// Encoder options, independent of the encoder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderOptions {
    /// The element; `None` for the first that is installed.
    pub element: Option<String>,
    /// Constant quality on x264's scale, 0..=51: lower is better and larger.
    pub crf: u8,
    /// Speed against size, as an x264 preset, e.g. `veryfast`.
    pub preset: String,
}

impl VideoCodec {
    /// The name of the encoder for these options.
    ///
    /// # Errors
    /// If the chosen encoder is not installed, or none is.
    pub fn choose(self, options: &EncoderOptions) -> Result<&str, ElementError> {
        let missing = |element: &str| ElementError::Missing { element: element.to_owned() };
        match &options.element {
            Some(name) => self
                .encoders()
                .iter()
                .copied()
                .find(|e| e == name && is_installed(e))
                .ok_or_else(|| missing(name)),
            None => self
                .encoders()
                .iter()
                .copied()
                .find(|e| is_installed(e))
                .ok_or_else(|| missing(self.encoders()[0])),
        }
    }

    /// Creates the encoder, configured for a file.
    ///
    /// # Errors
    /// As [`Self::choose`], and if the element cannot be created.
    pub fn make(self, options: &EncoderOptions) -> Result<gst::Element, ElementError> {
        let name = self.choose(options)?;
        let encoder = make(name)?;
        match name {
            "x264enc" => {
                encoder.set_property_from_str("pass", "qual");
                // The maximum of x264enc is 50.
                encoder.set_property("quantizer", u32::from(options.crf).min(50));
                encoder.set_property_from_str("speed-preset", &options.preset);
                // One thread per core. x264's default of 1.5 per core is slower next to the other
                // stages (1080p on two cores: 10.1 s instead of 8.0 s) and holds more frames.
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                encoder.set_property("threads", u32::try_from(cores).unwrap_or(0).min(16));
                // Two seconds at 25 fps, so that players seek quickly.
                encoder.set_property("key-int-max", 50_u32);
            }
            "vp9enc" => set_up_vp9(&encoder, options),
            _ => {}
        }
        Ok(encoder)
    }
}

fn set_up_vp9(encoder: &gst::Element, options: &EncoderOptions) {
    encoder.set_property_from_str("end-usage", "cq");
    // VP9's scale is 0..=63, x264's 0..=51: the same quality is about a fifth higher.
    encoder.set_property("cq-level", i32::from(options.crf) * 6 / 5);
    encoder.set_property("deadline", 1_i64);
    let speed = PRESETS.iter().position(|p| *p == options.preset).unwrap_or(2);
    encoder.set_property("cpu-used", 8_i32 - i32::try_from(speed).unwrap_or(2).min(8));
    encoder.set_property("row-mt", true);
    encoder.set_property("threads", 4_i32);
    encoder.set_property("keyframe-max-dist", 50_i32);
}

/// The device that an encoder runs on.
pub(crate) fn describe(element: &str) -> &'static str {
    match element {
        "nvh264enc" => "NVIDIA GPU",
        "vah264enc" | "vaapih264enc" => "VA-API GPU",
        "v4l2h264enc" => "V4L2 hardware",
        _ => "CPU",
    }
}
