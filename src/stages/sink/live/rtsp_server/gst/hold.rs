//! A mount's media, prepared once and held: it runs whether anybody reads or not.
//!
//! Takes a media; gives its life ([`Hold`]). Without a hold the library tears a media down with its
//! last reader, and who comes at that moment gets a 503; and a track that no reader has set up ends
//! in nothing, which its source takes for an error ([`forgive`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use gstreamer_rtsp_server as rtsp;
use rtsp::gst::prelude::*;
use rtsp::prelude::*;
use rtsp::{glib, gst};

const OPENING: u8 = 0;
const OPEN: u8 = 1;
const FAILED: u8 = 2;

/// A media that stays until this is dropped.
pub struct Hold {
    media: rtsp::RTSPMedia,
    state: Arc<AtomicU8>,
}

impl Hold {
    /// Prepares `media` on threads of its own and lets it run; then calls `ready`. It needs packets
    /// meanwhile.
    ///
    /// # Errors
    /// Where there is no thread.
    pub fn begin(
        media: rtsp::RTSPMedia,
        ready: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let state = Arc::new(AtomicU8::new(OPENING));
        let hold = Self { media: media.clone(), state: Arc::clone(&state) };
        let gone = Arc::clone(&state);
        media.connect_unprepared(move |_| gone.store(FAILED, Ordering::Release));
        let Some(thread) = rtsp::RTSPThread::new(rtsp::RTSPThreadType::Media) else {
            return Err(std::io::ErrorKind::OutOfMemory.into());
        };
        let (context, main_loop) = (thread.context(), thread.loop_());
        let prepare = move || {
            if media.prepare(Some(thread)).is_err() {
                tracing::warn!("the RTSP server's pipeline did not start; it is made again");
                state.store(FAILED, Ordering::Release);
                return;
            }
            // From now on it runs, with readers or without.
            media.set_pipeline_state(gst::State::Playing);
            let opened = (OPENING, OPEN);
            let (is, ok) = (Ordering::AcqRel, Ordering::Acquire);
            if state.compare_exchange(opened.0, opened.1, is, ok).is_ok() {
                ready();
            }
        };
        let failed = Arc::clone(&hold.state);
        // Only once the loop runs can it be told to end.
        let begin = glib::idle_source_new(None, glib::Priority::DEFAULT, {
            let mut prepare = Some(prepare);
            move || {
                let opener = std::thread::Builder::new().name("rtsp-open".into());
                if let Some(prepare) = prepare.take()
                    && opener.spawn(prepare).is_err()
                {
                    failed.store(FAILED, Ordering::Release);
                }
                glib::ControlFlow::Break
            }
        });
        begin.attach(Some(&context));
        std::thread::Builder::new().name("rtsp-media".into()).spawn(move || {
            let _ = context.with_thread_default(|| main_loop.run());
        })?;
        Ok(hold)
    }

    /// Whether it gives nothing any more and must be made anew.
    pub fn has_failed(&self) -> bool {
        match self.state.load(Ordering::Acquire) {
            OPENING => false,
            OPEN => self.media.status() == rtsp::RTSPMediaStatus::Error,
            _ => true,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.state.swap(FAILED, Ordering::AcqRel) != FAILED {
            // While it is being prepared this makes the preparation fail, which undoes itself.
            let _ = self.media.unprepare();
        }
    }
}

/// Whatever becomes of a buffer behind `source`, the source goes on: a track that nobody has set up,
/// or that is being set up right now, has nowhere to go.
pub fn forgive(source: &gst::Element) {
    let Some(pad) = source.static_pad("src") else { return };
    pad.add_probe(gst::PadProbeType::BUFFER, |pad, info| {
        let Some(gst::PadProbeData::Buffer(buffer)) = info.data.take() else {
            return gst::PadProbeReturn::Ok;
        };
        if let Some(peer) = pad.peer() {
            let _ = peer.chain(buffer);
        }
        info.flow_res = Ok(gst::FlowSuccess::Ok);
        gst::PadProbeReturn::Handled
    });
}
