//! Blends sprites into GStreamer's frames.

use std::collections::HashMap;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use super::blend::{
    Chroma, ChromaSums, Colorimetry, PlaneMut, YuvSprite, blend_chroma, blend_luma,
};
use super::draw::Painter;
use super::sprite::{Sprite, SpriteContent};
use crate::core::evidence::FrameEvidence;
use crate::core::frame::Frame;
use crate::gst::image::{GstImage, luma_range};

/// Maximum size of the cache of converted sprites; labels repeat from frame to frame.
const MAX_CACHE_BYTES: usize = 8 << 20;

/// A frame could not be drawn on.
#[derive(Debug, Clone, thiserror::Error)]
#[error("frame {seq} cannot be drawn on: {reason}")]
pub struct BlendError {
    seq: u64,
    reason: &'static str,
}

/// Draws evidence on frames.
pub(crate) struct Blender {
    painter: Painter,
    /// Sprites in the frame's colorimetry, by the address of their pixels, which the entry keeps
    /// alive.
    cache: HashMap<usize, (Arc<[u8]>, YuvSprite)>,
    cache_bytes: usize,
    colorimetry: Option<Colorimetry>,
    /// Buffers for a sprite that changes with every frame, and for the chroma being blended.
    scratch: YuvSprite,
    sums: ChromaSums,
    counts: BlendCounts,
}

/// How frames were handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlendCounts {
    /// Frames that passed through.
    pub frames: u64,
    /// Frames copied whole before drawing, as a decoder still reads them.
    pub copied: u64,
}

impl Blender {
    /// Draws with `painter`.
    pub(crate) fn new(painter: Painter) -> Self {
        Self {
            painter,
            cache: HashMap::new(),
            cache_bytes: 0,
            colorimetry: None,
            scratch: YuvSprite::default(),
            sums: ChromaSums::default(),
            counts: BlendCounts::default(),
        }
    }

    /// How frames were handled so far.
    pub(crate) const fn counts(&self) -> BlendCounts {
        self.counts
    }

    /// The frame's buffer with `evidence` drawn on it.
    ///
    /// # Errors
    /// If the frame is not one of GStreamer's, or its memory cannot be written.
    pub(crate) fn draw(
        &mut self,
        frame: Frame,
        evidence: &FrameEvidence,
    ) -> Result<gst::Buffer, BlendError> {
        let seq = frame.id.seq;
        let fail = |reason| BlendError { seq, reason };
        let image = frame.image.into_any().downcast::<GstImage>();
        let image = image.map_err(|_| fail("it is not a GStreamer frame"))?;
        let info = image.info();
        let mut buffer = match Arc::try_unwrap(image) {
            Ok(own) => own.into_buffer(),
            Err(shared) => shared.buffer(),
        };
        self.counts.frames += 1;
        let sprites = self.painter.draw(evidence, info.width(), info.height());
        self.blend(&mut buffer, &info, &sprites).map_err(fail)?;
        self.painter.recycle(sprites);
        Ok(buffer)
    }

    /// A black frame of `info`'s size with `sprites` on it.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(crate) fn draw_on_black(
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
        // A slate's sprite is large and changes every second: not worth caching.
        self.clear_cache();
        Ok(buffer)
    }

    fn clear_cache(&mut self) {
        self.cache.clear();
        self.cache_bytes = 0;
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
        let colorimetry = Colorimetry { range: luma_range(&colorimetry), bt709 };
        if self.colorimetry.replace(colorimetry) != Some(colorimetry) {
            self.clear_cache();
        }
        let before = frame_address(buffer, info);
        let mut frame = gst_video::VideoFrameRef::from_buffer_ref_writable(buffer.make_mut(), info)
            .map_err(|_| "its memory cannot be written")?;
        let after = frame.plane_data(0).ok().map(address);
        self.counts.copied += u64::from(before != after);
        for sprite in sprites {
            self.blend_sprite(&mut frame, sprite, colorimetry)?;
        }
        Ok(())
    }

    fn blend_sprite(
        &mut self,
        frame: &mut gst_video::VideoFrameRef<&mut gst::BufferRef>,
        sprite: &Sprite,
        colorimetry: Colorimetry,
    ) -> Result<(), &'static str> {
        if self.cache_bytes > MAX_CACHE_BYTES {
            self.clear_cache();
        }
        let Self { cache, cache_bytes, scratch, sums, .. } = self;
        let yuv = match &sprite.content {
            SpriteContent::Pixels(pixels) => {
                let convert = || {
                    let yuv = YuvSprite::new(sprite, colorimetry);
                    *cache_bytes += yuv.byte_size() + pixels.len();
                    (Arc::clone(pixels), yuv)
                };
                &cache.entry(pixels.as_ptr().addr()).or_insert_with(convert).1
            }
            SpriteContent::Strip(_) | SpriteContent::Indexed { .. } => {
                scratch.fill(sprite, colorimetry);
                &*scratch
            }
        };
        let (rect, size) = (sprite.rect, (frame.width() as usize, frame.height() as usize));
        let strides = [0, 1, 2].map(|n| {
            frame.plane_stride().get(n).map_or(0, |stride| stride.unsigned_abs() as usize)
        });
        let format = frame.format();
        let [y, u, v, _] = frame.planes_data_mut();
        let plane = |data, n: usize| PlaneMut { data, stride: strides[n] };
        let mut chroma_planes = match format {
            gst_video::VideoFormat::I420 => Chroma::Planar(plane(u, 1), plane(v, 2)),
            gst_video::VideoFormat::Nv12 => Chroma::Interleaved(plane(u, 1)),
            _ => return Err("it is neither I420 nor NV12"),
        };
        blend_luma(&mut plane(y, 0), yuv, rect);
        blend_chroma(&mut chroma_planes, yuv, rect, size, sums);
        Ok(())
    }
}

/// The address of the frame's first plane.
fn frame_address(buffer: &gst::BufferRef, info: &gst_video::VideoInfo) -> Option<usize> {
    let frame = gst_video::VideoFrameRef::from_buffer_ref_readable(buffer, info).ok()?;
    frame.plane_data(0).ok().map(address)
}

fn address(plane: &[u8]) -> usize {
    plane.as_ptr().addr()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::evidence::{FaceEvidence, TrackId, Unknown, Verdict};
    use crate::core::geometry::{Landmarks, Rect};
    use crate::core::time::{Epoch, FrameRef, Pts};
    use crate::gst::image::RawFormat;
    use crate::stages::overlay::Style;

    fn grey(info: &gst_video::VideoInfo) -> gst::Buffer {
        gst::Buffer::from_mut_slice(vec![90_u8; info.size()])
    }

    fn frame(buffer: gst::Buffer, info: &gst_video::VideoInfo) -> Frame {
        let image = GstImage::map(buffer, info).expect("I420");
        let id = FrameRef { epoch: Epoch(0), seq: 0, pts: Pts::ZERO };
        Frame { id, duration: None, image: Arc::new(image) }
    }

    fn evidence(faces: usize) -> FrameEvidence {
        let face = |i: usize| FaceEvidence {
            track: TrackId(1),
            rect: Rect::new(40.0, 40.0 + i as f32, 80.0, 90.0),
            landmarks: Landmarks::default(),
            detected: true,
            verdict: Verdict::Unknown(Unknown::NotScored),
            heat: None,
            talk_seconds: 0.0,
        };
        let frame = FrameRef { epoch: Epoch(0), seq: 0, pts: Pts::ZERO };
        FrameEvidence { frame, faces: (0..faces).map(face).collect(), floor: None }
    }

    #[test]
    fn a_frame_is_copied_only_while_it_has_another_reader() {
        crate::gst::start().expect("GStreamer");
        let info = RawFormat::i420((160, 120), None).info().clone();
        let mut blender = Blender::new(Painter::new(Style::default()));
        let own = blender.draw(frame(grey(&info), &info), &evidence(1)).expect("drawn");
        assert_eq!(blender.counts(), BlendCounts { frames: 1, copied: 0 });
        let read = grey(&info);
        let copy = blender.draw(frame(read.clone(), &info), &evidence(1)).expect("drawn");
        assert_eq!(blender.counts(), BlendCounts { frames: 2, copied: 1 });
        // No faces: nothing is drawn or copied.
        blender.draw(frame(read.clone(), &info), &evidence(0)).expect("passed on");
        assert_eq!(blender.counts(), BlendCounts { frames: 3, copied: 1 });
        let bytes = |buffer: &gst::Buffer| buffer.map_readable().expect("memory").to_vec();
        assert!(bytes(&read).iter().all(|v| *v == 90), "the reader's frame changed");
        assert!(bytes(&own).iter().any(|v| *v != 90));
        assert_eq!(bytes(&own), bytes(&copy));
    }
}
