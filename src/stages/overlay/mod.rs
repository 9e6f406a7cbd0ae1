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
pub(crate) mod gst;
mod heat;
mod icon;
mod label;
mod layout;
pub(crate) mod palette;
mod pixel_rect;
pub(crate) mod slate;
mod sprite;
mod style;
mod text;

pub use box_outline::Strip;
pub use draw::Painter;
pub use pixel_rect::PixelRect;
pub use sprite::{ColourTable, Sprite, SpriteContent};
pub use style::{Opacity, Style};
