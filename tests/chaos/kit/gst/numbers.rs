//! A client that decodes an RTSP stream and reads the numbers that the test camera draws.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use gst::prelude::*;
use gst_video::prelude::*;
use gstreamer as gst;
use gstreamer_app as gst_app;
use gstreamer_video as gst_video;

/// Side of a square, and how many there are: black, white, and the bits.
const SIDE: usize = 16;
const BITS: usize = 12;

/// Numbers of the frames seen so far, with the Unix time in nanoseconds.
type Seen = Arc<Mutex<Vec<(usize, u128)>>>;

/// It leaves when it is dropped.
pub struct Watched {
    pipeline: gst::Pipeline,
    seen: Seen,
}

impl Watched {
    /// Watches the frames of `uri` inside the connection, as they come.
    pub fn of(uri: &str) -> Self {
        gst::init().expect("GStreamer");
        let text = format!(
            "rtspsrc location={uri} protocols=tcp latency=0 ! rtph264depay ! h264parse ! \
             avdec_h264 max-threads=1 ! videoconvert ! video/x-raw,format=I420 ! \
             appsink name=out sync=false"
        );
        let pipeline = gst::parse::launch(&text).expect("a client");
        let pipeline = pipeline.downcast::<gst::Pipeline>().expect("a pipeline");
        let out = pipeline.by_name("out").and_downcast::<gst_app::AppSink>().expect("an appsink");
        let seen = Seen::default();
        let into = Arc::clone(&seen);
        let callbacks = gst_app::AppSinkCallbacks::builder().new_sample(move |out| {
            let sample = out.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            let at = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
            if let Some(number) = number(&sample) {
                into.lock().expect("seen").push((number, at));
            }
            Ok(gst::FlowSuccess::Ok)
        });
        out.set_callbacks(callbacks.build());
        pipeline.set_state(gst::State::Playing).expect("started");
        Self { pipeline, seen }
    }

    /// What was seen so far.
    #[track_caller]
    pub fn seen(&self) -> Vec<(usize, u128)> {
        let error = self.pipeline.bus().and_then(|b| b.pop_filtered(&[gst::MessageType::Error]));
        assert!(error.is_none(), "the client: {error:?}");
        self.seen.lock().expect("seen").clone()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.pipeline.set_state(gst::State::Null);
    }
}

/// The number in a frame; `None` where its first squares are not black and white.
fn number(sample: &gst::Sample) -> Option<usize> {
    let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(sample.buffer()?, &info).ok()?;
    let stride = usize::try_from(frame.plane_stride()[0]).ok()?;
    let row = (frame.height() as usize - SIDE / 2) * stride;
    let luma = frame.plane_data(0).ok()?.get(row..row + (BITS + 2) * SIDE)?;
    let mut squares = luma.chunks(SIDE).map(|square| square[SIDE / 2]);
    let (black, white) = (squares.next()?, squares.next()?);
    let middle = u8::midpoint(black, white);
    (white > black.saturating_add(100))
        .then(|| squares.fold(0, |number, luma| number << 1 | usize::from(luma > middle)))
}
