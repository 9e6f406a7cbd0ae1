//! Video decoders: which one is used, and how frames in device memory are downloaded.
//!
//! `decodebin` tries decoders by rank, highest first, and skips those that do not open. A GPU
//! decoder (NVDEC, VA-API) is therefore used if its plugin is installed and ranks above the CPU's.
//! All later stages read host memory. Most decoders write there if asked; if one has already chosen
//! device memory, its output is linked through a download element.

use gstreamer as gst;
use gstreamer::prelude::*;

/// Kinds of device memory, and the element that downloads frames from each.
const DOWNLOADERS: [(&str, &str); 4] = [
    ("memory:CUDAMemory", "cudadownload"),
    ("memory:GLMemory", "gldownload"),
    ("memory:VAMemory", "vapostproc"),
    ("memory:VASurface", "vaapipostproc"),
];

/// The installed decoders for a media type (e.g. `video/x-h264`), in the order in which they are
/// tried.
pub(crate) fn decoders_by_rank(media: &str) -> Vec<String> {
    let caps = gst::Caps::builder(media).build();
    let kind = gst::ElementFactoryType::DECODER | gst::ElementFactoryType::MEDIA_VIDEO;
    let all = gst::ElementFactory::factories_with_type(kind, gst::Rank::MARGINAL);
    let mut found: Vec<_> = all.iter().filter(|f| f.can_sink_any_caps(&caps)).collect();
    found.sort_by_key(|f| (std::cmp::Reverse(f.rank()), f.name()));
    found.into_iter().map(|f| f.name().to_string()).collect()
}

/// The device that a decoder runs on.
pub(crate) fn describe(element: &str) -> &'static str {
    match element {
        _ if element.starts_with("nv") => "NVIDIA GPU",
        _ if element.starts_with("va") => "VA-API GPU",
        _ if element.starts_with("v4l2") => "V4L2 hardware",
        _ => "CPU",
    }
}

/// The element that downloads frames of these caps to host memory; `None` if host memory is among
/// the choices.
pub(crate) fn downloader(caps: &gst::CapsRef) -> Option<&'static str> {
    let mut kinds = caps.iter_with_features().map(|(_, features)| features.to_string());
    let first = kinds.next()?;
    let of = |features: &str| DOWNLOADERS.iter().find(|(memory, _)| features.contains(memory));
    let (_, element) = of(&first)?;
    kinds.all(|features| of(&features).is_some()).then_some(*element)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    #[test]
    fn frames_in_device_memory_are_downloaded_and_others_left_alone() {
        crate::gst::start().expect("GStreamer");
        let downloader_of = |caps: &str| downloader(&gst::Caps::from_str(caps).expect("caps"));
        assert_eq!(downloader_of("video/x-raw,format=NV12,width=640,height=360"), None);
        assert_eq!(
            downloader_of("video/x-raw(memory:CUDAMemory),format=NV12"),
            Some("cudadownload")
        );
        assert_eq!(downloader_of("video/x-raw(memory:GLMemory),format=RGBA"), Some("gldownload"));
        assert_eq!(downloader_of("video/x-raw(memory:VAMemory)"), Some("vapostproc"));
        assert_eq!(downloader_of("video/x-raw(memory:VASurface)"), Some("vaapipostproc"));
        // With both on offer, host memory can be negotiated.
        assert_eq!(downloader_of("video/x-raw(memory:CUDAMemory);video/x-raw"), None);
        assert_eq!(downloader_of("video/x-raw;video/x-raw(memory:GLMemory)"), None);
        assert_eq!(downloader_of("audio/x-raw,rate=48000"), None);
        assert_eq!(downloader(&gst::Caps::new_empty()), None);
    }

    #[test]
    fn decoders_are_listed_in_the_order_in_which_they_are_tried() {
        crate::gst::start().expect("GStreamer");
        let found = decoders_by_rank("video/x-h264");
        let rank = |name: &String| {
            gst::ElementFactory::find(name).map_or(gst::Rank::NONE, |factory| factory.rank())
        };
        assert!(found.is_sorted_by(|a, b| rank(a) >= rank(b)), "{found:?}");
        for element in ["avdec_h264", "openh264dec", "nvh264dec"] {
            let usable = gst::ElementFactory::find(element)
                .is_some_and(|factory| factory.rank() >= gst::Rank::MARGINAL);
            assert_eq!(found.iter().any(|name| name == element), usable, "{element}: {found:?}");
        }
        assert!(decoders_by_rank("video/x-no-such-thing").is_empty());
    }

    #[test]
    fn the_device_follows_from_the_decoders_name() {
        let names = ["nvh265dec", "vah264dec", "vaapih264dec", "v4l2h264dec", "avdec_h264"];
        let words = ["NVIDIA GPU", "VA-API GPU", "VA-API GPU", "V4L2 hardware", "CPU"];
        assert_eq!(names.map(describe), words);
    }
}
