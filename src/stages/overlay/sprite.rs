//! Sprites: small images to blend over a frame, and the kinds of their pixels.

use std::sync::Arc;

use super::box_outline::Strip;
use super::pixel_rect::PixelRect;

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
