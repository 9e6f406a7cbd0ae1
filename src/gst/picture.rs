//! A decoded GStreamer buffer seen as a [`Picture`], without a copy.

use std::any::Any;
use std::sync::Arc;

use gstreamer as gst;
use gstreamer_video as gst_video;
use gstreamer_video::prelude::*;

use crate::core::picture::{Chroma, LumaRange, Picture, PictureView, Plane};

/// A mapped video buffer in one of the two layouts that the program reads: I420 or NV12.
pub struct GstPicture {
    frame: gst_video::VideoFrame<gst_video::video_frame::Readable>,
    interleaved: bool,
}

/// The raw formats that [`GstPicture`] can read, for caps filters.
pub const FORMATS: [gst_video::VideoFormat; 2] =
    [gst_video::VideoFormat::I420, gst_video::VideoFormat::Nv12];

impl GstPicture {
    /// Maps `buffer` as described by `info`; `None` where the format is neither I420 nor NV12 or
    /// the memory cannot be mapped.
    pub fn map(buffer: gst::Buffer, info: &gst_video::VideoInfo) -> Option<Self> {
        let interleaved = match info.format() {
            gst_video::VideoFormat::I420 => false,
            gst_video::VideoFormat::Nv12 => true,
            _ => return None,
        };
        let frame = gst_video::VideoFrame::from_buffer_readable(buffer, info).ok()?;
        Some(Self { frame, interleaved })
    }

    /// The picture's format and size.
    pub fn info(&self) -> gst_video::VideoInfo {
        self.frame.info().clone()
    }

    /// The buffer itself, for the sink.
    pub fn into_buffer(self) -> gst::Buffer {
        self.frame.into_buffer()
    }

    /// The buffer, shared with this picture.
    pub fn buffer(&self) -> gst::Buffer {
        self.frame.buffer_owned()
    }

    fn plane(&self, index: u32) -> Plane<'_> {
        let stride = self.frame.plane_stride()[index as usize].unsigned_abs() as usize;
        Plane { data: self.frame.plane_data(index).unwrap_or_default(), stride }
    }
}

impl Picture for GstPicture {
    fn view(&self) -> PictureView<'_> {
        let colorimetry = self.frame.info().colorimetry();
        let chroma = if self.interleaved {
            Chroma::Interleaved(self.plane(1))
        } else {
            Chroma::Planar { u: self.plane(1), v: self.plane(2) }
        };
        PictureView {
            width: self.frame.width() as usize,
            height: self.frame.height() as usize,
            luma: self.plane(0),
            chroma,
            // Unknown means limited: that is what cameras and encoders write when they say nothing.
            range: match colorimetry.range() {
                gst_video::VideoColorRange::Range0_255 => LumaRange::Full,
                _ => LumaRange::Limited,
            },
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
