//! Blending compared with plain arithmetic, one pixel at a time.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::stages::overlay::ColourTable;

const LIMITED: Colorimetry = Colorimetry { range: LumaRange::Limited, bt709: false };

fn sprite(width: u32, height: u32, bgra: &[u8]) -> Sprite {
    let rect = PixelRect { x: 0, y: 0, w: width, h: height };
    Sprite { content: SpriteContent::Pixels(Arc::from(bgra)), rect }
}

fn plain(width: u32, height: u32, bgra: [u8; 4]) -> Sprite {
    sprite(width, height, &bgra.repeat((width * height) as usize))
}

#[test]
fn colours_are_those_of_the_standards() {
    // Rec. ITU-R BT.601 and BT.709: red, green, blue and white at full strength.
    let samples = |bgra: [u8; 4], colour| {
        let yuv = YuvSprite::new(&plain(1, 1, bgra), colour);
        yuv.planes().map(|plane| plane[0])
    };
    assert_eq!(samples([0, 0, 255, 255], LIMITED), [81, 90, 240, 255]);
    assert_eq!(samples([0, 255, 0, 255], LIMITED), [145, 54, 34, 255]);
    assert_eq!(samples([255, 255, 255, 255], LIMITED), [235, 128, 128, 255]);
    let full = Colorimetry { range: LumaRange::Full, bt709: true };
    assert_eq!(samples([255, 0, 0, 255], full), [18, 255, 116, 255]);
    assert_eq!(samples([255, 255, 255, 255], full), [255, 128, 128, 255]);
    // Half-transparent white: half of everything, as it is premultiplied.
    assert_eq!(samples([128, 128, 128, 128], LIMITED), [118, 64, 64, 128]);
    assert_eq!(samples([0, 0, 0, 0], LIMITED), [0; 4]);
}

#[test]
fn a_sprite_covers_its_rect_and_nothing_else() {
    let yuv = YuvSprite::new(&plain(3, 2, [255, 255, 255, 255]), LIMITED);
    let mut data = vec![50u8; 8 * 6];
    blend_luma(
        &mut PlaneMut { data: &mut data, stride: 8 },
        &yuv,
        PixelRect { x: 2, y: 3, w: 3, h: 2 },
    );
    for (at, sample) in data.iter().enumerate() {
        let inside = (2..5).contains(&(at % 8)) && (3..5).contains(&(at / 8));
        assert_eq!(*sample, if inside { 235 } else { 50 }, "{at}");
    }
}

/// The reference for `blend_chroma`, pixel by pixel in floating point.
fn reference_chroma(
    under: u8,
    yuv: &YuvSprite,
    channel: &[u8],
    rect: PixelRect,
    at: (usize, usize),
    size: (usize, usize),
) -> f32 {
    let (mut sum, mut alpha) = (0.0, 0.0);
    for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let x = (2 * at.0 + dx).min(size.0 - 1);
        let y = (2 * at.1 + dy).min(size.1 - 1);
        let (x, y) = (x.checked_sub(rect.x as usize), y.checked_sub(rect.y as usize));
        if let (Some(x), Some(y)) = (x, y)
            && x < yuv.width
            && y < yuv.height
        {
            sum += f32::from(channel[y * yuv.width + x]) / 4.0;
            alpha += f32::from(yuv.planes()[3][y * yuv.width + x]) / 4.0;
        }
    }
    sum + f32::from(under) * (255.0 - alpha) / 255.0
}

proptest! {
    #[test]
    fn chroma_is_blended_with_the_mean_of_the_pixels_over_it(
        (width, height) in (4usize..13, 4usize..13),
        (x, y, w, h) in (0i32..4, 0i32..4, 1u32..10, 1u32..10),
        seed in prop::collection::vec(any::<u8>(), 400),
        interleaved in any::<bool>(),
    ) {
        let w = w.min(width as u32 - x as u32);
        let h = h.min(height as u32 - y as u32);
        let bgra: Vec<u8> = seed
            .chunks_exact(4)
            .take((w * h) as usize)
            .flat_map(|p| [p[0].min(p[3]), p[1].min(p[3]), p[2].min(p[3]), p[3]])
            .collect();
        let yuv = YuvSprite::new(&sprite(w, h, &bgra), LIMITED);
        let rect = PixelRect { x, y, w, h };
        let (columns, rows) = (width.div_ceil(2), height.div_ceil(2));
        let mut sums = ChromaSums::default();
        let step = if interleaved { 2 } else { 1 };
        let stride = columns * step + 3;
        let before: Vec<u8> = (0..stride * rows).map(|i| (i * 37 % 251) as u8).collect();
        let mut blended = before.clone();
        let mut other = before.clone();
        let plane = PlaneMut { data: &mut blended, stride };
        let mut planes = if interleaved {
            Chroma::Interleaved(plane)
        } else {
            Chroma::Planar(PlaneMut { data: &mut other, stride }, plane)
        };
        blend_chroma(&mut planes, &yuv, rect, (width, height), &mut sums);
        for at in 0..rows * columns {
            let (column, row) = (at % columns, at / columns);
            let index = row * stride + column * step + (step - 1);
            let (under, at) = (before[index], (column, row));
            let expected =
                reference_chroma(under, &yuv, yuv.planes()[2], rect, at, (width, height));
            let got = f32::from(blended[index]);
            prop_assert!((got - expected).abs() <= 2.0, "{column}, {row}: {got} for {expected}");
        }
        // Bytes between rows stay as they were.
        for row in 0..rows {
            let gap = row * stride + columns * step..(row + 1) * stride;
            prop_assert_eq!(&blended[gap.clone()], &before[gap]);
        }
    }

    #[test]
    fn indexed_content_looks_like_its_pixels(
        values in prop::collection::vec(any::<u8>(), 12),
        colours in prop::collection::vec(any::<[u8; 4]>(), 256),
        bt709 in any::<bool>(),
    ) {
        let colours: Vec<[u8; 4]> =
            colours.into_iter().map(|[b, g, r, a]| [b.min(a), g.min(a), r.min(a), a]).collect();
        let rect = PixelRect { x: 0, y: 0, w: 4, h: 3 };
        let colours: ColourTable = colours.try_into().expect("256 of them");
        let (values, colours) = (Arc::new(values), Arc::new(colours));
        let content = SpriteContent::Indexed { values, colours };
        let pixels = SpriteContent::Pixels(content.bgra().into());
        let colour = Colorimetry { bt709, ..LIMITED };
        let indexed = YuvSprite::new(&Sprite { content, rect }, colour);
        // The buffer held a sprite of another size.
        let mut yuv = YuvSprite::new(&plain(9, 2, [40; 4]), colour);
        yuv.fill(&Sprite { content: pixels, rect }, colour);
        prop_assert_eq!(indexed, yuv);
    }
}
