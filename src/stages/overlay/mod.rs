//! From evidence to things to blend over a picture.
//!
//! Takes what is known of one frame's faces and the picture's size; gives [`Sprite`]s: small
//! pictures with a place each, in the order in which they are to be blended. Promises: sprites lie
//! wholly inside the picture; the same frames give the same sprites; boxes are four thin strips and
//! never one large empty picture, as blending costs per pixel; text stays legible from 320 × 240 to
//! 4K; state is said by colour and by shape. [`blend`] then changes the samples under them, in the
//! picture's own format.
//!
//! Nothing here waits, decodes or runs a model.

pub mod blend;
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
pub mod slate;
mod style;
mod text;

use std::sync::Arc;

pub use draw::Painter;
pub use style::{Opacity, Style};

/// Where a sprite goes, in pixels of the picture; always inside it.
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

/// A small picture to blend over the video.
#[derive(Clone, PartialEq, Eq)]
pub struct Sprite {
    /// Premultiplied B, G, R, A bytes, row by row without padding: 4 × `width` × `height`. Shared
    /// between frames while the content stays the same, so that a blender may keep what it made
    /// of it.
    pub pixels: Arc<[u8]>,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Where it goes. Its size may differ from the sprite's: the blender scales (only heatmaps ask
    /// for that, and they are smooth).
    pub place: Place,
}

impl std::fmt::Debug for Sprite {
    // Pixels say nothing in a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sprite({}x{} at {:?})", self.width, self.height, self.place)
    }
}
