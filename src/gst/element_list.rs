//! The elements that this program uses or that common recordings need.
//!
//! [`ELEMENTS`] names the purpose of each element, its Debian 12 package, its alternatives, and
//! whether `annotate` requires it. `doctor` prints the list, and errors about missing elements name
//! the package. GStreamer selects decoders by itself, so the list does not limit what can be read.
//! A test compares the packages with dpkg.

use super::video_codec::VideoCodec;

/// An element and its Debian package.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ElementSpec {
    /// The element's factory name.
    pub element: &'static str,
    /// Elements that can replace it.
    pub alternatives: &'static [&'static str],
    /// Its Debian package.
    pub package: &'static str,
    /// Its purpose.
    pub purpose: &'static str,
    /// Its part of the pipeline.
    pub group: Group,
    /// Whether `annotate` requires it.
    pub required: bool,
}

/// The parts of the pipeline.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group {
    /// Used for every recording.
    Pipeline,
    /// Demuxers.
    Containers,
    /// Parsers, which split streams into packets for decoders and muxers.
    Parsers,
    /// Video decoders.
    Frames,
    /// Audio decoders.
    Audio,
    /// Encoders and muxers.
    Output,
    /// Cameras and live sinks.
    Live,
}

impl Group {
    /// The name to print.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline",
            Self::Containers => "containers",
            Self::Parsers => "parsers",
            Self::Frames => "video decoders",
            Self::Audio => "audio decoders",
            Self::Output => "output",
            Self::Live => "live streams",
        }
    }
}

impl ElementSpec {
    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn alternatives(mut self, others: &'static [&'static str]) -> Self {
        self.alternatives = others;
        self
    }

    /// The element, then its alternatives.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.element).chain(self.alternatives.iter().copied())
    }
}

const fn spec(
    group: Group,
    element: &'static str,
    package: &'static str,
    purpose: &'static str,
) -> ElementSpec {
    ElementSpec { element, alternatives: &[], package, purpose, group, required: false }
}

const CORE: &str = "libgstreamer1.0-0";
const BASE: &str = "gstreamer1.0-plugins-base";
const GOOD: &str = "gstreamer1.0-plugins-good";
const BAD: &str = "gstreamer1.0-plugins-bad";
const UGLY: &str = "gstreamer1.0-plugins-ugly";
const LIBAV: &str = "gstreamer1.0-libav";

use Group::{Audio, Containers, Frames, Live, Output, Parsers, Pipeline};

/// Every element that may be needed, in pipeline order.
pub(crate) const ELEMENTS: &[ElementSpec] = &[
    spec(Pipeline, "filesrc", CORE, "read files").required(),
    spec(Pipeline, "parsebin", BASE, "demux any container").required(),
    spec(Pipeline, "multiqueue", CORE, "buffer interleaved tracks").required(),
    spec(Pipeline, "queue", CORE, "run branches in parallel").required(),
    spec(Pipeline, "tee", CORE, "split the audio").required(),
    spec(Pipeline, "capsfilter", CORE, "fix formats").required(),
    spec(Pipeline, "decodebin", BASE, "pick decoders").required(),
    spec(Pipeline, "videoflip", GOOD, "rotate frames upright").required(),
    spec(Pipeline, "videoconvert", BASE, "convert frames to I420 or NV12").required(),
    spec(Pipeline, "videoscale", BASE, "scale after a change of size").required(),
    spec(Pipeline, "audioconvert", BASE, "mix audio down for the model").required(),
    spec(Pipeline, "audioresample", BASE, "resample audio to 16 kHz for the model").required(),
    spec(Pipeline, "appsink", BASE, "output frames").required(),
    spec(Pipeline, "appsrc", BASE, "input frames").required(),
    spec(Pipeline, "fakesink", CORE, "discard unused tracks").required(),
    spec(Containers, "qtdemux", GOOD, "read mp4 and mov").required(),
    spec(Containers, "matroskademux", GOOD, "read mkv and webm").required(),
    spec(Containers, "avidemux", GOOD, "read avi"),
    spec(Containers, "mpegpsdemux", BAD, "read mpg and vob"),
    spec(Containers, "tsdemux", BAD, "read ts and m2ts"),
    spec(Containers, "flvdemux", GOOD, "read flv"),
    spec(Containers, "asfdemux", UGLY, "read wmv and asf"),
    spec(Containers, "oggdemux", BASE, "read ogg and ogv"),
    spec(Containers, "mxfdemux", BAD, "read mxf"),
    spec(Containers, "wavparse", GOOD, "read wav"),
    spec(Parsers, "h264parse", BAD, "parse H.264 for decoders and muxers").required(),
    spec(Parsers, "h265parse", BAD, "parse H.265 for decoders"),
    spec(Parsers, "mpegvideoparse", BAD, "parse MPEG-1 and MPEG-2 for decoders"),
    spec(Parsers, "mpeg4videoparse", BAD, "parse MPEG-4 part 2 for decoders"),
    spec(Parsers, "vp9parse", BAD, "parse VP9 for decoders"),
    spec(Parsers, "av1parse", BAD, "parse AV1 for decoders"),
    spec(Parsers, "aacparse", GOOD, "parse AAC for decoders and muxers").required(),
    spec(Parsers, "mpegaudioparse", GOOD, "parse MP2 and MP3 for decoders and muxers"),
    spec(Parsers, "ac3parse", GOOD, "parse AC-3 for decoders and muxers"),
    spec(Parsers, "opusparse", BAD, "parse Opus for decoders and muxers"),
    spec(Frames, "avdec_h264", LIBAV, "decode H.264")
        .alternatives(&["openh264dec", "nvh264dec", "vah264dec", "vaapih264dec", "v4l2h264dec"])
        .required(),
    spec(Frames, "avdec_h265", LIBAV, "decode H.265 (phones, newer cameras)").alternatives(&[
        "libde265dec",
        "nvh265dec",
        "vah265dec",
        "vaapih265dec",
        "v4l2h265dec",
    ]),
    spec(Frames, "vp8dec", GOOD, "decode VP8").alternatives(&["avdec_vp8", "nvvp8dec", "vavp8dec"]),
    spec(Frames, "vp9dec", GOOD, "decode VP9").alternatives(&["avdec_vp9", "nvvp9dec", "vavp9dec"]),
    spec(Frames, "av1dec", BAD, "decode AV1").alternatives(&[
        "dav1ddec",
        "avdec_libdav1d",
        "nvav1dec",
        "vaav1dec",
    ]),
    spec(Frames, "avdec_mpeg4", LIBAV, "decode MPEG-4 part 2 (DivX, Xvid)")
        .alternatives(&["nvmpeg4videodec"]),
    spec(Frames, "avdec_mpeg2video", LIBAV, "decode MPEG-1 and MPEG-2").alternatives(&[
        "mpeg2dec",
        "avdec_mpegvideo",
        "nvmpeg2videodec",
    ]),
    spec(Frames, "jpegdec", GOOD, "decode Motion JPEG").alternatives(&["avdec_mjpeg", "nvjpegdec"]),
    spec(Frames, "avdec_msmpeg4", LIBAV, "decode old Microsoft MPEG-4"),
    spec(Frames, "avdec_wmv3", LIBAV, "decode Windows Media Video 9"),
    spec(Frames, "avdec_h263", LIBAV, "decode H.263 (3gp)"),
    spec(Frames, "avdec_flv", LIBAV, "decode Sorenson (old flv)"),
    spec(Frames, "avdec_prores", LIBAV, "decode ProRes"),
    spec(Frames, "avdec_dvvideo", LIBAV, "decode DV").alternatives(&["dvdec"]),
    spec(Frames, "theoradec", BASE, "decode Theora"),
    spec(Audio, "avdec_aac", LIBAV, "decode AAC").alternatives(&["fdkaacdec", "faad"]).required(),
    spec(Audio, "mpg123audiodec", GOOD, "decode MP2 and MP3").alternatives(&["avdec_mp3", "mad"]),
    spec(Audio, "avdec_ac3", LIBAV, "decode AC-3").alternatives(&["a52dec"]),
    spec(Audio, "avdec_eac3", LIBAV, "decode E-AC-3"),
    spec(Audio, "avdec_alac", LIBAV, "decode ALAC"),
    spec(Audio, "opusdec", BASE, "decode Opus").alternatives(&["avdec_opus"]),
    spec(Audio, "vorbisdec", BASE, "decode Vorbis").alternatives(&["avdec_vorbis"]),
    spec(Audio, "flacdec", GOOD, "decode FLAC").alternatives(&["avdec_flac"]),
    spec(Audio, "avdec_wmav2", LIBAV, "decode Windows Media Audio"),
    spec(Audio, "avdec_amrnb", LIBAV, "decode AMR (3gp)").alternatives(&["amrnbdec"]),
    spec(Audio, "alawdec", GOOD, "decode A-law").alternatives(&["avdec_pcm_alaw"]),
    spec(Audio, "mulawdec", GOOD, "decode µ-law").alternatives(&["avdec_pcm_mulaw"]),
    spec(Audio, "avdec_adpcm_ima_wav", LIBAV, "decode IMA ADPCM").alternatives(&["adpcmdec"]),
    spec(Output, "x264enc", UGLY, "encode H.264 (mp4, mov, mkv)")
        .alternatives(VideoCodec::H264.encoders())
        .required(),
    spec(Output, "avenc_aac", LIBAV, "encode AAC if the audio cannot be copied").required(),
    spec(Output, "vp9enc", GOOD, "encode VP9 (webm)"),
    spec(Output, "opusenc", BASE, "encode Opus (webm)"),
    spec(Output, "mp4mux", GOOD, "write mp4").required(),
    spec(Output, "qtmux", GOOD, "write mov"),
    spec(Output, "matroskamux", GOOD, "write mkv"),
    spec(Output, "webmmux", GOOD, "write webm"),
    spec(Live, "rtspsrc", GOOD, "read RTSP cameras"),
    spec(Live, "rtph264depay", GOOD, "depayload H.264 from RTP"),
    spec(Live, "souphttpsrc", GOOD, "read HTTP cameras"),
    spec(Live, "srtsrc", BAD, "read SRT"),
    spec(Live, "rtmp2src", BAD, "read RTMP"),
    spec(Live, "udpsrc", GOOD, "read UDP"),
    spec(Live, "v4l2src", GOOD, "read USB cameras"),
    spec(Live, "fdsrc", CORE, "read standard input"),
    spec(Live, "videotestsrc", BASE, "generate test video"),
    spec(Live, "audiotestsrc", BASE, "generate test audio"),
    spec(Live, "rtph264pay", GOOD, "serve H.264 by RTSP"),
    spec(Live, "rtpmp4gpay", GOOD, "serve AAC by RTSP"),
    spec(Live, "rtspclientsink", "gstreamer1.0-rtsp", "push to an RTSP server"),
    spec(Live, "mpegtsmux", BAD, "write HLS segments"),
    spec(Output, "filesink", CORE, "write files").required(),
];
