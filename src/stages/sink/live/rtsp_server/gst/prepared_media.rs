//! Keeps a mount's media prepared and running, with readers or without.
//!
//! Otherwise the library tears a media down with its last reader, and a reader that connects at
//! that moment gets a 503. A track that no reader has set up is not linked, which its source would
//! treat as an error ([`ignore_flow_errors`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use gstreamer_rtsp_server as rtsp;
use rtsp::gst::prelude::*;
use rtsp::prelude::*;
use rtsp::{glib, gst};

const OPENING: u8 = 0;
const OPEN: u8 = 1;
const FAILED: u8 = 2;

/// A media that stays prepared until this is dropped.
pub(super) struct PreparedMedia {
    media: rtsp::RTSPMedia,
    state: Arc<AtomicU8>,
}

impl PreparedMedia {
    /// Prepares and starts `media` on new threads, then calls `ready`. It needs packets meanwhile.
    ///
    /// # Errors
    /// Where a thread cannot be started.
    pub(super) fn prepare(
        media: rtsp::RTSPMedia,
        ready: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let state = Arc::new(AtomicU8::new(OPENING));
        let prepared = Self { media: media.clone(), state: Arc::clone(&state) };
        let unprepared = Arc::clone(&state);
        media.connect_unprepared(move |_| unprepared.store(FAILED, Ordering::Release));
        let Some(thread) = rtsp::RTSPThread::new(rtsp::RTSPThreadType::Media) else {
            return Err(std::io::ErrorKind::OutOfMemory.into());
        };
        let (context, main_loop) = (thread.context(), thread.loop_());
        let prepare = move || {
            if media.prepare(Some(thread)).is_err() {
                tracing::warn!("the RTSP server's pipeline did not start; it is created again");
                state.store(FAILED, Ordering::Release);
                return;
            }
            // It now runs, with readers or without.
            media.set_pipeline_state(gst::State::Playing);
            let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
            if state.compare_exchange(OPENING, OPEN, success, failure).is_ok() {
                ready();
            }
        };
        let failed = Arc::clone(&prepared.state);
        // The loop must run before it can be ended.
        let on_idle = glib::idle_source_new(None, glib::Priority::DEFAULT, {
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
        on_idle.attach(Some(&context));
        std::thread::Builder::new().name("rtsp-media".into()).spawn(move || {
            let _ = context.with_thread_default(|| main_loop.run());
        })?;
        Ok(prepared)
    }

    /// Whether it has failed and must be created again.
    pub(super) fn has_failed(&self) -> bool {
        match self.state.load(Ordering::Acquire) {
            OPENING => false,
            OPEN => self.media.status() == rtsp::RTSPMediaStatus::Error,
            _ => true,
        }
    }
}

impl Drop for PreparedMedia {
    fn drop(&mut self) {
        if self.state.swap(FAILED, Ordering::AcqRel) != FAILED {
            // During preparation this makes the preparation fail, which cleans up by itself.
            let _ = self.media.unprepare();
        }
    }
}

/// Makes `source` continue whatever its downstream returns: a track that no reader has set up, or
/// that is being set up, is not linked.
pub(super) fn ignore_flow_errors(source: &gst::Element) {
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
