//! Sprites blended into a frame by GStreamer's overlay composition: only the pixels under a sprite
//! are touched.

use std::collections::HashMap;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer_video as gst_video;

use super::{Painter, Sprite};
use crate::core::evidence::FrameEvidence;
use crate::core::picture::Frame;
use crate::gst::picture::GstPicture;

/// Rectangles kept ready; labels and boxes repeat from frame to frame.
const KEPT: usize = 256;

/// A frame could not be drawn on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("frame {seq} cannot be drawn on: {reason}")]
pub struct BlendError {
    seq: u64,
    reason: &'static str,
}

/// Draws evidence on frames.
pub struct Blender {
    painter: Painter,
    /// By the address of the pixels, which are kept alive beside it.
    ready: HashMap<usize, (Arc<[u8]>, gst::Buffer)>,
}

impl Blender {
    /// Draws with `painter`.
    pub fn new(painter: Painter) -> Self {
        Self { painter, ready: HashMap::new() }
    }

    /// The frame's buffer with `evidence` drawn on it.
    ///
    /// # Errors
    /// Where the frame is not one of GStreamer's, or its memory cannot be written.
    pub fn draw(
        &mut self,
        frame: Frame,
        evidence: &FrameEvidence,
    ) -> Result<gst::Buffer, BlendError> {
        let seq = frame.id.seq;
        let fail = |reason| BlendError { seq, reason };
        let picture = frame.picture.into_any().downcast::<GstPicture>();
        let picture = picture.map_err(|_| fail("it is no GStreamer picture"))?;
        let info = picture.info();
        let mut buffer = match Arc::try_unwrap(picture) {
            Ok(own) => own.into_buffer(),
            Err(shared) => shared.buffer(),
        };
        let sprites = self.painter.draw(evidence, info.width(), info.height());
        self.blend(&mut buffer, &info, &sprites).map_err(fail)?;
        Ok(buffer)
    }

    /// A black picture of `info`'s size with `sprites` on it.
    ///
    /// # Errors
    /// Where there is no memory for it.
    pub fn on_black(
        &mut self,
        info: &gst_video::VideoInfo,
        sprites: &[Sprite],
    ) -> Result<gst::Buffer, BlendError> {
        let fail = |reason| BlendError { seq: 0, reason };
        let mut buffer =
            gst::Buffer::with_size(info.size()).map_err(|_| fail("there is no memory for it"))?;
        {
            let buffer = buffer.make_mut();
            let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer, info)
                .map_err(|_| fail("its memory cannot be written"))?;
            for plane in 0..info.n_planes() {
                let grey = if plane == 0 { 16 } else { 128 };
                frame.plane_data_mut(plane).map(|p| p.fill(grey)).map_err(|_| fail("no plane"))?;
            }
        }
        self.blend(&mut buffer, info, sprites).map_err(fail)?;
        // A slate's sprite is large and says something else every second: not worth keeping.
        self.ready.clear();
        Ok(buffer)
    }

    fn blend(
        &mut self,
        buffer: &mut gst::Buffer,
        info: &gst_video::VideoInfo,
        sprites: &[Sprite],
    ) -> Result<(), &'static str> {
        let rectangles: Vec<_> = sprites.iter().filter_map(|s| self.rectangle(s)).collect();
        if rectangles.is_empty() {
            return Ok(());
        }
        let composition = gst_video::VideoOverlayComposition::new(rectangles.iter())
            .map_err(|_| "no composition can be made")?;
        let mut target =
            gst_video::VideoFrameRef::from_buffer_ref_writable(buffer.make_mut(), info)
                .map_err(|_| "its memory cannot be written")?;
        composition.blend(&mut target).map_err(|_| "blending failed")
    }

    fn rectangle(&mut self, sprite: &Sprite) -> Option<gst_video::VideoOverlayRectangle> {
        if self.ready.len() > KEPT {
            self.ready.clear();
        }
        let (_, buffer) = self
            .ready
            .entry(sprite.pixels.as_ptr().addr())
            .or_insert_with(|| (Arc::clone(&sprite.pixels), pixels_buffer(sprite)));
        let place = sprite.place;
        Some(gst_video::VideoOverlayRectangle::new_raw(
            buffer,
            place.x,
            place.y,
            place.w,
            place.h,
            gst_video::VideoOverlayFormatFlags::PREMULTIPLIED_ALPHA,
        ))
    }
}

fn pixels_buffer(sprite: &Sprite) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_slice(Arc::clone(&sprite.pixels));
    if let Some(buffer) = buffer.get_mut() {
        // Adding a video meta cannot fail for a whole plane of the right size.
        let _ = gst_video::VideoMeta::add(
            buffer,
            gst_video::VideoFrameFlags::empty(),
            gst_video::VideoFormat::Bgra,
            sprite.width,
            sprite.height,
        );
    }
    buffer
}
