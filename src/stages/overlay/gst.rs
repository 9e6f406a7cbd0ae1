//! Sprites blended into GStreamer's frames.

use std::collections::HashMap;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use super::blend::{Chroma, Colour, Ink, PlaneMut, Sums, chroma, luma};
use super::{Painter, Sprite};
use crate::core::evidence::FrameEvidence;
use crate::core::picture::Frame;
use crate::gst::picture::{GstPicture, range};

/// Bytes of sprites kept ready; labels and boxes repeat from frame to frame.
const KEPT_BYTES: usize = 8 << 20;

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
    /// Sprites in the picture's colour, by the address of their pixels, which are kept alive beside
    /// them.
    ready: HashMap<usize, (Arc<[u8]>, Ink)>,
    ready_bytes: usize,
    colour: Option<Colour>,
    /// The sprite that is enlarged, and the colour samples that are blended right now.
    scaled: Ink,
    sums: Sums,
}

impl Blender {
    /// Draws with `painter`.
    pub fn new(painter: Painter) -> Self {
        Self {
            painter,
            ready: HashMap::new(),
            ready_bytes: 0,
            colour: None,
            scaled: Ink::default(),
            sums: Sums::default(),
        }
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
        self.forget();
        Ok(buffer)
    }

    fn forget(&mut self) {
        self.ready.clear();
        self.ready_bytes = 0;
    }

    fn blend(
        &mut self,
        buffer: &mut gst::Buffer,
        info: &gst_video::VideoInfo,
        sprites: &[Sprite],
    ) -> Result<(), &'static str> {
        if sprites.is_empty() {
            return Ok(());
        }
        let colorimetry = info.colorimetry();
        let bt709 = colorimetry.matrix() == gst_video::VideoColorMatrix::Bt709;
        let colour = Colour { range: range(&colorimetry), bt709 };
        if self.colour.replace(colour) != Some(colour) {
            self.forget();
        }
        let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer.make_mut(), info)
            .map_err(|_| "its memory cannot be written")?;
        for sprite in sprites {
            self.lay(&mut frame, sprite, colour)?;
        }
        Ok(())
    }

    fn lay(
        &mut self,
        frame: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
        sprite: &Sprite,
        colour: Colour,
    ) -> Result<(), &'static str> {
        if self.ready_bytes > KEPT_BYTES {
            self.forget();
        }
        let Self { ready, ready_bytes, scaled, sums, .. } = self;
        let (_, own) = ready.entry(sprite.pixels.as_ptr().addr()).or_insert_with(|| {
            let ink = Ink::new(sprite, colour);
            *ready_bytes += ink.byte_size() + sprite.pixels.len();
            (Arc::clone(&sprite.pixels), ink)
        });
        let place = sprite.place;
        let ink = if (place.w, place.h) == (sprite.width, sprite.height) {
            &*own
        } else {
            scaled.scale(own, place.w as usize, place.h as usize);
            &*scaled
        };
        let size = (frame.width() as usize, frame.height() as usize);
        let planes: &[Chroma] = match frame.format() {
            gst_video::VideoFormat::I420 => &[Chroma::Blue, Chroma::Red],
            gst_video::VideoFormat::Nv12 => &[Chroma::Both],
            _ => return Err("it is neither I420 nor NV12"),
        };
        luma(&mut plane(frame, 0)?, ink, place);
        for (n, which) in (1..).zip(planes) {
            chroma(&mut plane(frame, n)?, *which, ink, place, size, sums);
        }
        Ok(())
    }
}

fn plane<'a>(
    frame: &'a mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
    index: u32,
) -> Result<PlaneMut<'a>, &'static str> {
    let stride = frame.plane_stride()[index as usize].unsigned_abs() as usize;
    let data = frame.plane_data_mut(index).map_err(|_| "a plane is missing")?;
    Ok(PlaneMut { data, stride })
}
