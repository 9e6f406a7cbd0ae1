//! A decoded GStreamer buffer as an [`Image`], without a copy.

use std::any::Any;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use crate::core::frame::{Chroma, Frame, Image, ImageView, LumaRange, Plane};
use crate::core::time::Rate;

/// A mapped video buffer in I420 or NV12.
pub(crate) struct GstImage {
    frame: gst_video::VideoFrame<gst_video::video_frame::Readable>,
    interleaved: bool,
}

/// The raw formats that [`GstImage`] can map, for caps filters.
pub(crate) const FORMATS: [gst_video::VideoFormat; 2] =
    [gst_video::VideoFormat::I420, gst_video::VideoFormat::Nv12];

impl GstImage {
    /// Maps `buffer` as described by `info`; `None` if the format is neither I420 nor NV12, or the
    /// memory cannot be mapped.
    pub(crate) fn map(buffer: gst::Buffer, info: &gst_video::VideoInfo) -> Option<Self> {
        let interleaved = match info.format() {
            gst_video::VideoFormat::I420 => false,
            gst_video::VideoFormat::Nv12 => true,
            _ => return None,
        };
        let frame = gst_video::VideoFrame::from_buffer_readable(buffer, info).ok()?;
        Some(Self { frame, interleaved })
    }

    /// The frame's format and size.
    pub(crate) fn info(&self) -> gst_video::VideoInfo {
        self.frame.info().clone()
    }

    /// The buffer.
    pub(crate) fn into_buffer(self) -> gst::Buffer {
        self.frame.into_buffer()
    }

    /// A reference to the buffer.
    pub(crate) fn buffer(&self) -> gst::Buffer {
        self.frame.buffer_owned()
    }

    fn plane(&self, index: u32) -> Plane<'_> {
        let stride = self.frame.plane_stride()[index as usize].unsigned_abs() as usize;
        Plane { data: self.frame.plane_data(index).unwrap_or_default(), stride }
    }
}

impl Image for GstImage {
    fn view(&self) -> ImageView<'_> {
        let colorimetry = self.frame.info().colorimetry();
        let chroma = if self.interleaved {
            Chroma::Interleaved(self.plane(1))
        } else {
            Chroma::Planar { u: self.plane(1), v: self.plane(2) }
        };
        ImageView {
            width: self.frame.width() as usize,
            height: self.frame.height() as usize,
            luma: self.plane(0),
            chroma,
            range: luma_range(&colorimetry),
            bt709: colorimetry.matrix() == gst_video::VideoColorMatrix::Bt709,
        }
    }

    fn byte_size(&self) -> usize {
        self.frame.buffer().size()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// The range of luma values. Unknown counts as limited, the default of cameras and encoders.
pub(crate) fn luma_range(colorimetry: &gst_video::VideoColorimetry) -> LumaRange {
    match colorimetry.range() {
        gst_video::VideoColorRange::Range0_255 => LumaRange::Full,
        _ => LumaRange::Limited,
    }
}

/// A buffer of raw pixels.
pub(crate) type RawBuffer = gst::Buffer;

/// The format of raw frames, for an encoder.
#[derive(Clone, Debug)]
pub(crate) struct RawFormat {
    info: gst_video::VideoInfo,
}

impl RawFormat {
    /// I420 of `size` (width, height) at `rate`.
    pub(crate) fn i420(size: (u32, u32), rate: Option<Rate>) -> Self {
        let builder = gst_video::VideoInfo::builder(
            gst_video::VideoFormat::I420,
            size.0.max(2),
            size.1.max(2),
        );
        let integer = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        let fps = rate.map_or((25, 1), |r| (integer(r.num()), integer(r.den())));
        let info = builder.fps(gst::Fraction::new(fps.0, fps.1)).build();
        // Such a format always exists; a test creates one.
        Self { info: info.expect("I420 has every size from two by two on") }
    }

    /// The format of a decoded frame.
    pub(crate) fn of(frame: &Frame) -> Option<Self> {
        let image = Arc::clone(&frame.image).into_any().downcast::<GstImage>().ok()?;
        Some(Self { info: image.info() })
    }

    /// Width and height in pixels.
    pub(crate) fn size(&self) -> (u32, u32) {
        (self.info.width(), self.info.height())
    }

    /// GStreamer's description.
    pub(crate) const fn info(&self) -> &gst_video::VideoInfo {
        &self.info
    }

    /// Frames per second, if known.
    pub(crate) fn rate(&self) -> Option<Rate> {
        let fps = self.info.fps();
        let integer = |n: i32| u32::try_from(n).ok();
        Rate::new(integer(fps.numer())?, integer(fps.denom())?)
    }

    /// The format as caps.
    pub(crate) fn caps(&self) -> gst::Caps {
        self.info.to_caps().unwrap_or_else(|_| gst::Caps::new_any())
    }

    /// Whether an encoder for this format accepts frames of `other`.
    pub(crate) fn is_compatible(&self, other: &Self) -> bool {
        let same = |a: &gst_video::VideoInfo, b: &gst_video::VideoInfo| {
            a.format() == b.format() && (a.width(), a.height()) == (b.width(), b.height())
        };
        same(&self.info, &other.info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_i420_format_has_its_size_and_rate() {
        crate::gst::start().expect("GStreamer");
        let format = RawFormat::i420((1280, 720), Rate::new(30_000, 1_001));
        assert_eq!((format.size(), format.rate()), ((1280, 720), Rate::new(30_000, 1_001)));
        assert!(format.is_compatible(&RawFormat::i420((1280, 720), None)));
        assert!(!format.is_compatible(&RawFormat::i420((640, 360), None)));
    }
}
