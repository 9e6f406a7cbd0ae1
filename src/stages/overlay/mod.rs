//! From evidence to things to blend over a frame.
//!
//! Takes what is known of one frame's faces and the frame's size; gives [`Sprite`]s: small
//! frames with a place each, in the order in which they are to be blended. Promises: sprites lie
//! wholly inside the frame; the same frames give the same sprites; boxes are thin strips and
//! never one large empty frame, as blending costs per pixel; text stays legible from 320 × 240 to
//! 4K; state is said by colour and by shape. [`blend`] then changes the samples under them, in the
//! frame's own format.
//!
//! Nothing here waits, decodes or runs a model.

pub mod blend;
mod box_stabilizer;
mod cache;
mod draw;
mod frame_box;
#[cfg(feature = "gst")]
pub mod gst;
mod heat;
mod icon;
mod label;
mod layout;
pub mod palette;
mod part;
pub mod slate;
mod style;
mod text;

use std::sync::Arc;

pub use draw::Painter;
pub use frame_box::Strip;
pub use style::{Opacity, Style};

/// Where a sprite goes, in pixels of the frame; always inside it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width, at least 1.
    pub w: u32,
    /// Height, at least 1.
    pub h: u32,
}

/// What a sprite shows, row by row without padding. Shared between frames while the content stays
/// the same, so that a blender may keep what it made of it.
#[derive(Clone, PartialEq, Eq)]
pub enum Paint {
    /// Premultiplied B, G, R, A bytes.
    Pixels(Arc<[u8]>),
    /// A strip of a face's box, of rectangles in one colour each: made where it is blended, as a box
    /// is another one with every frame.
    Strip(Strip),
    /// A value a pixel, and the premultiplied B, G, R, A of each of 256 values: a heatmap.
    Shades {
        /// The values.
        values: Arc<Vec<u8>>,
        /// Their colours.
        colours: Arc<Shades>,
    },
}

/// Premultiplied B, G, R, A of each of 256 values.
pub type Shades = [[u8; 4]; 256];

impl Paint {
    /// Premultiplied B, G, R, A of every pixel.
    pub fn bgra(&self) -> Vec<u8> {
        match self {
            Self::Pixels(pixels) => pixels.to_vec(),
            Self::Strip(strip) => strip.bgra(),
            Self::Shades { values, colours } => {
                values.iter().flat_map(|v| colours[usize::from(*v)]).collect()
            }
        }
    }

    /// Whether both are one and the same, without looking at pixels.
    pub fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pixels(a), Self::Pixels(b)) => Arc::ptr_eq(a, b),
            (Self::Strip(a), Self::Strip(b)) => a == b,
            (Self::Shades { values: a, .. }, Self::Shades { values: b, .. }) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// A small frame to blend over the video, as large as its place.
#[derive(Clone, PartialEq, Eq)]
pub struct Sprite {
    /// What it shows.
    pub paint: Paint,
    /// Where it goes.
    pub place: Place,
}

impl std::fmt::Debug for Sprite {
    // Pixels say nothing in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sprite({:?})", self.place)
    }
}
