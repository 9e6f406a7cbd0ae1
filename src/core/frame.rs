//! A decoded frame as the analysis stages see it: planes, never a media library's buffer.

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

/// Size of a cache line.
const CACHE_LINE_BYTES: usize = 64;

impl Plane<'_> {
    /// Loads the given `bytes` of the existing `rows` into the cache. This only makes the next read
    /// faster: a frame that was in memory for seconds has left the caches. Here all cache lines are
    /// requested at once; a loop that works row by row would wait for each.
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

/// A part of a frame, in whole luma samples. It begins at even samples, where a chroma sample
/// begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
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
    /// One plane, u and v interleaved (NV12).
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
    /// The range of the luma values.
    pub range: LumaRange,
    /// Whether the colour matrix is BT.709 (else BT.601).
    pub bt709: bool,
}

impl ImageView<'_> {
    /// The view of a region, which must lie within the frame. Shares the memory.
    #[must_use]
    pub fn crop(&self, Region { x, y, width, height }: Region) -> Self {
        let chroma = match self.chroma {
            Chroma::Planar { u, v } => {
                Chroma::Planar { u: u.from(x / 2, y / 2), v: v.from(x / 2, y / 2) }
            }
            Chroma::Interleaved(uv) => Chroma::Interleaved(uv.from(x / 2 * 2, y / 2)),
        };
        Self { width, height, luma: self.luma.from(x, y), chroma, ..*self }
    }
}

/// A decoded image, independent of the owner of its memory.
pub trait Image: Any + Send + Sync {
    /// The frame's planes.
    fn view(&self) -> ImageView<'_>;
    /// Memory held, in bytes.
    fn byte_size(&self) -> usize;
    /// The owner as `Any`: the sink gets its own buffer back without a copy.
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// A grey image, for tests.
#[cfg(test)]
#[derive(Clone)]
pub(crate) struct GreyImage {
    width: usize,
    height: usize,
    samples: Vec<u8>,
}

#[cfg(test)]
impl GreyImage {
    /// A square of uniform brightness.
    pub(crate) fn new(side: usize, brightness: u8) -> Self {
        Self::from_fn((side, side), |_, _| brightness)
    }

    /// `brightness` at each x and y.
    pub(crate) fn from_fn(
        (width, height): (usize, usize),
        brightness: impl Fn(usize, usize) -> u8,
    ) -> Self {
        let samples = (0..width * height).map(|i| brightness(i % width, i / width)).collect();
        Self { width, height, samples }
    }
}

#[cfg(test)]
impl Image for GreyImage {
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

/// A decoded source frame with its identity.
#[derive(Clone)]
pub struct Frame {
    /// Which frame it is.
    pub id: FrameRef,
    /// How long it is shown, where the source says so.
    pub duration: Option<Span>,
    /// Its pixels.
    pub image: Arc<dyn Image>,
}

impl std::fmt::Debug for Frame {
    // Without pixels: a log needs the frame's identity and size.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let view = self.image.view();
        write!(f, "Frame({:?}, {}x{})", self.id, view.width, view.height)
    }
}
