//! The elements that this program uses or that common recordings need, by name.
//!
//! Gives [`ELEMENTS`]: what each element is for, the Debian 12 package that carries it, what else does
//! the same work, and whether the main job can run without it. `doctor` prints it, and errors
//! about missing elements take their advice from it. Decoders are picked by GStreamer itself, so
//! this list does not limit what can be read: it names what is usual. That each element really
//! comes in the package named here is tested against dpkg.

use super::video_codec::VideoCodec;

/// An element that this program uses, with the Debian package that carries it.
#[derive(Clone, Copy, Debug)]
pub struct ElementSpec {
    /// The element's factory name.
    pub element: &'static str,
    /// Other elements that do the same work, any of them.
    pub alternatives: &'static [&'static str],
    /// The Debian package it comes in.
    pub package: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// Which part of the work it belongs to.
    pub group: Group,
    /// Whether the main job cannot run without it.
    pub required: bool,
}

/// The parts of the work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// What every recording goes through.
    Pipeline,
    /// Reading containers.
    Containers,
    /// Cutting streams into the packets that decoders and muxers take.
    Parsers,
    /// Decoding frames.
    Frames,
    /// Decoding audio.
    Audio,
    /// Encoding and writing.
    Output,
    /// Cameras and live sinks.
    Live,
}

impl Group {
    /// All parts, in the order of a frame's way.
    pub const ALL: [Self; 7] = [
        Self::Pipeline,
        Self::Containers,
        Self::Parsers,
        Self::Frames,
        Self::Audio,
        Self::Output,
        Self::Live,
    ];

    /// The part's name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline",
            Self::Containers => "containers",
            Self::Parsers => "parsers",
            Self::Frames => "frame decoders",
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

    /// The element itself and then those that do the same work.
    pub fn candidates(&self) -> impl Iterator<Item = &'static str> {
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

/// Everything that `annotate` may need, in the order of a frame's way.
pub const ELEMENTS: &[ElementSpec] = &[
    spec(Pipeline, "filesrc", CORE, "read files").required(),
    spec(Pipeline, "parsebin", BASE, "demux any container").required(),
    spec(Pipeline, "multiqueue", CORE, "keep tracks of a recording together").required(),
    spec(Pipeline, "queue", CORE, "let branches run side by side").required(),
    spec(Pipeline, "tee", CORE, "share the audio").required(),
    spec(Pipeline, "capsfilter", CORE, "fix formats").required(),
    spec(Pipeline, "decodebin", BASE, "pick decoders").required(),
    spec(Pipeline, "videoflip", GOOD, "turn frames upright").required(),
    spec(Pipeline, "videoconvert", BASE, "bring frames to I420 or NV12").required(),
    spec(Pipeline, "videoscale", BASE, "follow a change of size").required(),
    spec(Pipeline, "audioconvert", BASE, "mix audio down for the model").required(),
    spec(Pipeline, "audioresample", BASE, "bring audio to 16 kHz for the model").required(),
    spec(Pipeline, "appsink", BASE, "take frames out").required(),
    spec(Pipeline, "appsrc", BASE, "put frames in").required(),
    spec(Pipeline, "fakesink", CORE, "let go of tracks that nobody reads").required(),
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
    spec(Parsers, "h264parse", BAD, "hand H.264 to decoders and muxers").required(),
    spec(Parsers, "h265parse", BAD, "hand H.265 to decoders"),
    spec(Parsers, "mpegvideoparse", BAD, "hand MPEG-1 and MPEG-2 to decoders"),
    spec(Parsers, "mpeg4videoparse", BAD, "hand MPEG-4 part 2 to decoders"),
    spec(Parsers, "vp9parse", BAD, "hand VP9 to decoders"),
    spec(Parsers, "av1parse", BAD, "hand AV1 to decoders"),
    spec(Parsers, "aacparse", GOOD, "hand AAC to decoders and muxers").required(),
    spec(Parsers, "mpegaudioparse", GOOD, "hand MP2 and MP3 to decoders and muxers"),
    spec(Parsers, "ac3parse", GOOD, "hand AC-3 to decoders and muxers"),
    spec(Parsers, "opusparse", BAD, "hand Opus to decoders and muxers"),
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
    spec(Output, "avenc_aac", LIBAV, "encode AAC where the audio cannot be kept as it is")
        .required(),
    spec(Output, "vp9enc", GOOD, "encode VP9 (webm)"),
    spec(Output, "opusenc", BASE, "encode Opus (webm)"),
    spec(Output, "mp4mux", GOOD, "write mp4").required(),
    spec(Output, "qtmux", GOOD, "write mov"),
    spec(Output, "matroskamux", GOOD, "write mkv"),
    spec(Output, "webmmux", GOOD, "write webm"),
    spec(Live, "rtspsrc", GOOD, "read RTSP cameras"),
    spec(Live, "rtph264depay", GOOD, "take H.264 out of RTP"),
    spec(Live, "souphttpsrc", GOOD, "read HTTP cameras"),
    spec(Live, "srtsrc", BAD, "read SRT"),
    spec(Live, "rtmp2src", BAD, "read RTMP"),
    spec(Live, "udpsrc", GOOD, "read UDP"),
    spec(Live, "v4l2src", GOOD, "read USB cameras"),
    spec(Live, "fdsrc", CORE, "read standard input"),
    spec(Live, "videotestsrc", BASE, "make a test frame"),
    spec(Live, "audiotestsrc", BASE, "make a test audio"),
    spec(Live, "rtph264pay", GOOD, "serve H.264 by RTSP"),
    spec(Live, "rtpmp4gpay", GOOD, "serve AAC by RTSP"),
    spec(Live, "rtspclientsink", "gstreamer1.0-rtsp", "push to an RTSP server"),
    spec(Live, "mpegtsmux", BAD, "write HLS segments"),
    spec(Output, "filesink", CORE, "write files").required(),
];
