//! The overlay: turns evidence into sprites and blends them over a frame.
//!
//! Input: the evidence of one frame and the frame's size. Output: [`Sprite`]s, which are small
//! images with a position, in blending order. Sprites lie wholly inside the frame. The same frames
//! give the same sprites. A box is drawn as thin strips, not as one large transparent image, as
//! blending costs per pixel. Text stays legible from 320 × 240 to 4K. Colour and shape both show
//! the state. [`blend`] changes the samples under the sprites in the frame's own format.
//!
//! Nothing here blocks, decodes or runs a model.

pub mod blend;
mod box_outline;
mod box_stabilizer;
mod cache;
mod draw;
#[cfg(feature = "gst")]
pub mod gst;
mod heat;
mod icon;
mod label;
mod label_part;
mod layout;
pub mod palette;
pub mod slate;
mod style;
mod text;

use std::sync::Arc;

pub use box_outline::Strip;
pub use draw::Painter;
pub use style::{Opacity, Style};

/// A sprite's position and size in pixels of the frame; always inside it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct PixelRect {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width, at least 1.
    pub w: u32,
    /// Height, at least 1.
    pub h: u32,
}

/// A sprite's pixels, row by row without padding. Frames share them while they stay the same, so
/// that a blender can cache its conversion.
#[derive(Clone, PartialEq, Eq)]
pub enum SpriteContent {
    /// Premultiplied B, G, R, A bytes.
    Pixels(Arc<[u8]>),
    /// A strip of a face's box: rectangles of one colour each. Rendered when it is blended, as
    /// boxes change with every frame.
    Strip(Strip),
    /// One value per pixel and a colour table: a heatmap.
    Indexed {
        /// The values.
        values: Arc<Vec<u8>>,
        /// Their colours.
        colours: Arc<ColourTable>,
    },
}

/// Premultiplied B, G, R, A of each of 256 values.
pub type ColourTable = [[u8; 4]; 256];

impl SpriteContent {
    /// Premultiplied B, G, R, A of every pixel.
    pub fn bgra(&self) -> Vec<u8> {
        match self {
            Self::Pixels(pixels) => pixels.to_vec(),
            Self::Strip(strip) => strip.bgra(),
            Self::Indexed { values, colours } => {
                values.iter().flat_map(|v| colours[usize::from(*v)]).collect()
            }
        }
    }

    /// Whether both are identical; compares pointers, not pixels.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Pixels(a), Self::Pixels(b)) => Arc::ptr_eq(a, b),
            (Self::Strip(a), Self::Strip(b)) => a == b,
            (Self::Indexed { values: a, .. }, Self::Indexed { values: b, .. }) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// A small image to blend over the video, as large as its rectangle.
#[derive(Clone, PartialEq, Eq)]
pub struct Sprite {
    /// Its pixels.
    pub content: SpriteContent,
    /// Where it goes.
    pub rect: PixelRect,
}

impl std::fmt::Debug for Sprite {
    // Pixels are of no use in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sprite({:?})", self.rect)
    }
}
