//! The elements that this program uses or that common recordings need, by name.
//!
//! Gives [`WANTED`]: what each element is for, the Debian 12 package that carries it, what else does
//! the same work, and whether the main job can run without it. `doctor` prints it, and errors
//! about missing elements take their advice from it. Decoders are picked by GStreamer itself, so
//! this list does not limit what can be read: it names what is usual. That each element really
//! comes in the package named here is tested against dpkg.

use super::video_codec::VideoCodec;

/// An element that this program uses, with the Debian package that carries it.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// The element's factory name.
    pub element: &'static str,
    /// Other elements that do the same work, any of them.
    pub or: &'static [&'static str],
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

impl Wanted {
    const fn needed(mut self) -> Self {
        self.required = true;
        self
    }

    const fn or(mut self, others: &'static [&'static str]) -> Self {
        self.or = others;
        self
    }

    /// The element itself and then those that do the same work.
    pub fn any(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.element).chain(self.or.iter().copied())
    }
}

const fn of(
    group: Group,
    element: &'static str,
    package: &'static str,
    purpose: &'static str,
) -> Wanted {
    Wanted { element, or: &[], package, purpose, group, required: false }
}

const CORE: &str = "libgstreamer1.0-0";
const BASE: &str = "gstreamer1.0-plugins-base";
const GOOD: &str = "gstreamer1.0-plugins-good";
const BAD: &str = "gstreamer1.0-plugins-bad";
const UGLY: &str = "gstreamer1.0-plugins-ugly";
const LIBAV: &str = "gstreamer1.0-libav";

use Group::{Audio, Containers, Frames, Live, Output, Parsers, Pipeline};

/// Everything that `annotate` may need, in the order of a frame's way.
pub const WANTED: &[Wanted] = &[
    of(Pipeline, "filesrc", CORE, "read files").needed(),
    of(Pipeline, "parsebin", BASE, "demux any container").needed(),
    of(Pipeline, "multiqueue", CORE, "keep tracks of a recording together").needed(),
    of(Pipeline, "queue", CORE, "let branches run side by side").needed(),
    of(Pipeline, "tee", CORE, "share the audio").needed(),
    of(Pipeline, "capsfilter", CORE, "fix formats").needed(),
    of(Pipeline, "decodebin", BASE, "pick decoders").needed(),
    of(Pipeline, "videoflip", GOOD, "turn frames upright").needed(),
    of(Pipeline, "videoconvert", BASE, "bring frames to I420 or NV12").needed(),
    of(Pipeline, "videoscale", BASE, "follow a change of size").needed(),
    of(Pipeline, "audioconvert", BASE, "mix audio down for the model").needed(),
    of(Pipeline, "audioresample", BASE, "bring audio to 16 kHz for the model").needed(),
    of(Pipeline, "appsink", BASE, "take frames out").needed(),
    of(Pipeline, "appsrc", BASE, "put frames in").needed(),
    of(Pipeline, "fakesink", CORE, "let go of tracks that nobody reads").needed(),
    of(Containers, "qtdemux", GOOD, "read mp4 and mov").needed(),
    of(Containers, "matroskademux", GOOD, "read mkv and webm").needed(),
    of(Containers, "avidemux", GOOD, "read avi"),
    of(Containers, "mpegpsdemux", BAD, "read mpg and vob"),
    of(Containers, "tsdemux", BAD, "read ts and m2ts"),
    of(Containers, "flvdemux", GOOD, "read flv"),
    of(Containers, "asfdemux", UGLY, "read wmv and asf"),
    of(Containers, "oggdemux", BASE, "read ogg and ogv"),
    of(Containers, "mxfdemux", BAD, "read mxf"),
    of(Containers, "wavparse", GOOD, "read wav"),
    of(Parsers, "h264parse", BAD, "hand H.264 to decoders and muxers").needed(),
    of(Parsers, "h265parse", BAD, "hand H.265 to decoders"),
    of(Parsers, "mpegvideoparse", BAD, "hand MPEG-1 and MPEG-2 to decoders"),
    of(Parsers, "mpeg4videoparse", BAD, "hand MPEG-4 part 2 to decoders"),
    of(Parsers, "vp9parse", BAD, "hand VP9 to decoders"),
    of(Parsers, "av1parse", BAD, "hand AV1 to decoders"),
    of(Parsers, "aacparse", GOOD, "hand AAC to decoders and muxers").needed(),
    of(Parsers, "mpegaudioparse", GOOD, "hand MP2 and MP3 to decoders and muxers"),
    of(Parsers, "ac3parse", GOOD, "hand AC-3 to decoders and muxers"),
    of(Parsers, "opusparse", BAD, "hand Opus to decoders and muxers"),
    of(Frames, "avdec_h264", LIBAV, "decode H.264")
        .or(&["openh264dec", "nvh264dec", "vah264dec", "vaapih264dec", "v4l2h264dec"])
        .needed(),
    of(Frames, "avdec_h265", LIBAV, "decode H.265 (phones, newer cameras)").or(&[
        "libde265dec",
        "nvh265dec",
        "vah265dec",
        "vaapih265dec",
        "v4l2h265dec",
    ]),
    of(Frames, "vp8dec", GOOD, "decode VP8").or(&["avdec_vp8", "nvvp8dec", "vavp8dec"]),
    of(Frames, "vp9dec", GOOD, "decode VP9").or(&["avdec_vp9", "nvvp9dec", "vavp9dec"]),
    of(Frames, "av1dec", BAD, "decode AV1").or(&[
        "dav1ddec",
        "avdec_libdav1d",
        "nvav1dec",
        "vaav1dec",
    ]),
    of(Frames, "avdec_mpeg4", LIBAV, "decode MPEG-4 part 2 (DivX, Xvid)").or(&["nvmpeg4videodec"]),
    of(Frames, "avdec_mpeg2video", LIBAV, "decode MPEG-1 and MPEG-2").or(&[
        "mpeg2dec",
        "avdec_mpegvideo",
        "nvmpeg2videodec",
    ]),
    of(Frames, "jpegdec", GOOD, "decode Motion JPEG").or(&["avdec_mjpeg", "nvjpegdec"]),
    of(Frames, "avdec_msmpeg4", LIBAV, "decode old Microsoft MPEG-4"),
    of(Frames, "avdec_wmv3", LIBAV, "decode Windows Media Video 9"),
    of(Frames, "avdec_h263", LIBAV, "decode H.263 (3gp)"),
    of(Frames, "avdec_flv", LIBAV, "decode Sorenson (old flv)"),
    of(Frames, "avdec_prores", LIBAV, "decode ProRes"),
    of(Frames, "avdec_dvvideo", LIBAV, "decode DV").or(&["dvdec"]),
    of(Frames, "theoradec", BASE, "decode Theora"),
    of(Audio, "avdec_aac", LIBAV, "decode AAC").or(&["fdkaacdec", "faad"]).needed(),
    of(Audio, "mpg123audiodec", GOOD, "decode MP2 and MP3").or(&["avdec_mp3", "mad"]),
    of(Audio, "avdec_ac3", LIBAV, "decode AC-3").or(&["a52dec"]),
    of(Audio, "avdec_eac3", LIBAV, "decode E-AC-3"),
    of(Audio, "avdec_alac", LIBAV, "decode ALAC"),
    of(Audio, "opusdec", BASE, "decode Opus").or(&["avdec_opus"]),
    of(Audio, "vorbisdec", BASE, "decode Vorbis").or(&["avdec_vorbis"]),
    of(Audio, "flacdec", GOOD, "decode FLAC").or(&["avdec_flac"]),
    of(Audio, "avdec_wmav2", LIBAV, "decode Windows Media Audio"),
    of(Audio, "avdec_amrnb", LIBAV, "decode AMR (3gp)").or(&["amrnbdec"]),
    of(Audio, "alawdec", GOOD, "decode A-law").or(&["avdec_pcm_alaw"]),
    of(Audio, "mulawdec", GOOD, "decode µ-law").or(&["avdec_pcm_mulaw"]),
    of(Audio, "avdec_adpcm_ima_wav", LIBAV, "decode IMA ADPCM").or(&["adpcmdec"]),
    of(Output, "x264enc", UGLY, "encode H.264 (mp4, mov, mkv)")
        .or(VideoCodec::H264.encoders())
        .needed(),
    of(Output, "avenc_aac", LIBAV, "encode AAC where the audio cannot be kept as it is").needed(),
    of(Output, "vp9enc", GOOD, "encode VP9 (webm)"),
    of(Output, "opusenc", BASE, "encode Opus (webm)"),
    of(Output, "mp4mux", GOOD, "write mp4").needed(),
    of(Output, "qtmux", GOOD, "write mov"),
    of(Output, "matroskamux", GOOD, "write mkv"),
    of(Output, "webmmux", GOOD, "write webm"),
    of(Live, "rtspsrc", GOOD, "read RTSP cameras"),
    of(Live, "rtph264depay", GOOD, "take H.264 out of RTP"),
    of(Live, "souphttpsrc", GOOD, "read HTTP cameras"),
    of(Live, "srtsrc", BAD, "read SRT"),
    of(Live, "rtmp2src", BAD, "read RTMP"),
    of(Live, "udpsrc", GOOD, "read UDP"),
    of(Live, "v4l2src", GOOD, "read USB cameras"),
    of(Live, "fdsrc", CORE, "read standard input"),
    of(Live, "videotestsrc", BASE, "make a test frame"),
    of(Live, "audiotestsrc", BASE, "make a test audio"),
    of(Live, "rtph264pay", GOOD, "serve H.264 by RTSP"),
    of(Live, "rtpmp4gpay", GOOD, "serve AAC by RTSP"),
    of(Live, "rtspclientsink", "gstreamer1.0-rtsp", "push to an RTSP server"),
    of(Live, "mpegtsmux", BAD, "write HLS segments"),
    of(Output, "filesink", CORE, "write files").needed(),
];
