//! A decoded frame as the thinking part sees it: planes, never a media library's buffer.

use std::any::Any;
use std::ops::Range;
use std::sync::Arc;

use super::time::{FrameRef, Span};

/// What a luma value means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LumaRange {
    /// 16 is black, 235 is white (broadcast; what most video carries).
    Limited,
    /// 0 is black, 255 is white.
    Full,
}

/// One plane of 8-bit samples.
#[derive(Clone, Copy)]
pub struct Plane<'a> {
    /// The samples, row by row; row `y` starts at `y * stride`.
    pub data: &'a [u8],
    /// Bytes from one row to the next.
    pub stride: usize,
}

/// What memory gives at once.
const CACHE_LINE_BYTES: usize = 64;

impl Plane<'_> {
    /// Has the machine fetch these `rows` from byte to byte, as far as there are any. Changes nothing
    /// but the time that who reads them next will take: a frame that lay in memory for seconds has
    /// left the caches, and here all of it is asked for at once, where a loop that works on one row
    /// after the other waits for each.
    pub fn prefetch(&self, rows: Range<usize>, bytes: Range<usize>) {
        let row =
            |y: usize| self.data.get(y * self.stride + bytes.start..y * self.stride + bytes.end);
        let lines = |row| <[u8]>::iter(row).step_by(CACHE_LINE_BYTES).chain(row.last());
        let touched = rows.filter_map(row).flat_map(lines).fold(0, |all, byte| all ^ byte);
        std::hint::black_box(touched);
    }
}

impl<'a> Plane<'a> {
    /// From byte `x` of row `y` on, to the end.
    fn from(self, x: usize, y: usize) -> Self {
        Self { data: self.data.get(y * self.stride + x..).unwrap_or(&[]), ..self }
    }
}

/// A part of a frame, in luma samples: whole, and beginning at even ones, where a sample of colour
/// begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Samples from the left edge, even.
    pub x: usize,
    /// Samples from the top edge, even.
    pub y: usize,
    /// Width.
    pub width: usize,
    /// Height.
    pub height: usize,
}

/// The colour of a frame, at half the luma's resolution both ways.
#[derive(Clone, Copy)]
pub enum Chroma<'a> {
    /// Separate planes (I420).
    Planar {
        /// Blue difference.
        u: Plane<'a>,
        /// Red difference.
        v: Plane<'a>,
    },
    /// One plane, u and v by turns (NV12).
    Interleaved(Plane<'a>),
}

/// A frame's planes, borrowed.
#[derive(Clone, Copy)]
pub struct ImageView<'a> {
    /// Width in luma samples.
    pub width: usize,
    /// Height in luma samples.
    pub height: usize,
    /// Brightness.
    pub luma: Plane<'a>,
    /// Colour.
    pub chroma: Chroma<'a>,
    /// How luma is to be read.
    pub range: LumaRange,
    /// Whether the colour matrix is BT.709 (else BT.601).
    pub bt709: bool,
}

impl ImageView<'_> {
    /// What lies within `part`, which must lie within the frame: the same memory.
    #[must_use]
    pub fn part(&self, Part { x, y, width, height }: Part) -> Self {
        let chroma = match self.chroma {
            Chroma::Planar { u, v } => {
                Chroma::Planar { u: u.from(x / 2, y / 2), v: v.from(x / 2, y / 2) }
            }
            Chroma::Interleaved(uv) => Chroma::Interleaved(uv.from(x / 2 * 2, y / 2)),
        };
        Self { width, height, luma: self.luma.from(x, y), chroma, ..*self }
    }
}

/// A decoded frame, whoever owns its memory.
pub trait Image: Any + Send + Sync {
    /// The frame's planes.
    fn view(&self) -> ImageView<'_>;
    /// Memory held, in bytes.
    fn byte_size(&self) -> usize;
    /// The owner as `Any`, so that the sink can get its own buffer back without a copy.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A frame whose colour nobody looks at, for tests.
#[cfg(test)]
#[derive(Clone)]
pub(crate) struct Grey {
    width: usize,
    height: usize,
    samples: Vec<u8>,
}

#[cfg(test)]
impl Grey {
    /// A square of one brightness.
    pub(crate) fn new(side: usize, brightness: u8) -> Self {
        Self::painted((side, side), |_, _| brightness)
    }

    /// `brightness` at each x and y.
    pub(crate) fn painted(
        (width, height): (usize, usize),
        brightness: impl Fn(usize, usize) -> u8,
    ) -> Self {
        let samples = (0..width * height).map(|i| brightness(i % width, i / width)).collect();
        Self { width, height, samples }
    }
}

#[cfg(test)]
impl Image for Grey {
    fn view(&self) -> ImageView<'_> {
        let plane = Plane { data: &self.samples, stride: self.width };
        ImageView {
            width: self.width,
            height: self.height,
            luma: plane,
            chroma: Chroma::Interleaved(plane),
            range: LumaRange::Full,
            bt709: false,
        }
    }

    fn byte_size(&self) -> usize {
        self.samples.len()
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// A decoded source frame on its way.
#[derive(Clone)]
pub struct Frame {
    /// Which frame it is.
    pub id: FrameRef,
    /// How long it is shown, where the source says so.
    pub span: Option<Span>,
    /// Its frame.
    pub image: Arc<dyn Image>,
}

impl std::fmt::Debug for Frame {
    // Pixels are left out: a frame in a log is its identity and shape.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let view = self.image.view();
        write!(f, "Frame({:?}, {}x{})", self.id, view.width, view.height)
    }
}
