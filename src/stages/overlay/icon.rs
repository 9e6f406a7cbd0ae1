//! The shapes on a label: bars, rounded backgrounds, a microphone and a face.
//!
//! Input: a pixmap, a position and a colour. Icons are drawn on a grid of ten units per capital
//! height, and no stroke is thinner than a pixel, so that they stay distinct at the smallest text
//! size. They are paths, as the font has no such characters.

use tiny_skia::{FillRule, LineCap, Paint, PathBuilder, Pixmap, Rect, Stroke, Transform};

use super::palette::Rgb;

/// A filled rectangle by its left, top, right and bottom; draws nothing if it is empty.
pub(super) fn draw_bar(map: &mut Pixmap, [x1, y1, x2, y2]: [f32; 4], colour: Rgb, opacity: f32) {
    let mut paint = Paint { anti_alias: false, ..Paint::default() };
    paint.set_color(colour.skia(opacity));
    if let Some(rect) = Rect::from_ltrb(x1, y1, x2, y2) {
        map.fill_rect(rect, &paint, Transform::identity(), None);
    }
}

/// A filled path with antialiased edges.
pub(super) fn fill_path(map: &mut Pixmap, path: &tiny_skia::Path, colour: tiny_skia::Color) {
    let mut paint = Paint::default();
    paint.set_color(colour);
    map.fill_path(path, &paint, FillRule::Winding, Transform::identity(), None);
}

/// A rectangle with corners of `radius`.
pub(super) fn rounded_rect([x1, y1, x2, y2]: [f32; 4], radius: f32) -> Option<tiny_skia::Path> {
    let r = radius.min((x2 - x1) / 2.0).min((y2 - y1) / 2.0).max(0.0);
    let mut path = PathBuilder::new();
    path.move_to(x1 + r, y1);
    path.line_to(x2 - r, y1);
    path.quad_to(x2, y1, x2, y1 + r);
    path.line_to(x2, y2 - r);
    path.quad_to(x2, y2, x2 - r, y2);
    path.line_to(x1 + r, y2);
    path.quad_to(x1, y2, x1, y2 - r);
    path.line_to(x1, y1 + r);
    path.quad_to(x1, y1, x1 + r, y1);
    path.close();
    path.finish()
}

/// A microphone `cap` high with its upper left corner at (`x`, `y`): capsule, cradle, foot.
pub(super) fn draw_microphone(map: &mut Pixmap, (x, y): (f32, f32), cap: f32, colour: Rgb) {
    let unit = cap / 10.0;
    let middle = x + 4.0 * unit;
    let capsule = [middle - 2.2 * unit, y - 0.5 * unit, middle + 2.2 * unit, y + 5.8 * unit];
    if let Some(path) = rounded_rect(capsule, 2.2 * unit) {
        fill_path(map, &path, colour.skia(1.0));
    }
    let mut path = PathBuilder::new();
    path.move_to(middle - 3.7 * unit, y + 4.2 * unit);
    path.quad_to(middle - 3.7 * unit, y + 7.8 * unit, middle, y + 7.8 * unit);
    path.quad_to(middle + 3.7 * unit, y + 7.8 * unit, middle + 3.7 * unit, y + 4.2 * unit);
    path.move_to(middle, y + 7.8 * unit);
    path.line_to(middle, y + 9.6 * unit);
    path.move_to(middle - 2.4 * unit, y + 9.6 * unit);
    path.line_to(middle + 2.4 * unit, y + 9.6 * unit);
    let mut paint = Paint::default();
    paint.set_color(colour.skia(1.0));
    let stroke =
        Stroke { width: (1.1 * unit).max(1.0), line_cap: LineCap::Round, ..Stroke::default() };
    if let Some(path) = path.finish() {
        map.stroke_path(&path, &paint, &stroke, Transform::identity(), None);
    }
}

/// A face `cap` high with its upper left corner at (`x`, `y`).
pub(super) fn draw_smile(map: &mut Pixmap, (x, y): (f32, f32), cap: f32, colour: Rgb) {
    let unit = cap / 10.0;
    let (middle, centre) = (x + 5.0 * unit, y + 5.0 * unit);
    let mut eyes = PathBuilder::new();
    for side in [-1.8, 1.8] {
        eyes.push_circle(middle + side * unit, centre - 1.4 * unit, unit.max(0.7));
    }
    if let Some(eyes) = eyes.finish() {
        fill_path(map, &eyes, colour.skia(1.0));
    }
    let mut lines = PathBuilder::new();
    lines.push_circle(middle, centre, 4.5 * unit);
    lines.move_to(middle - 2.4 * unit, centre + 1.2 * unit);
    lines.quad_to(middle, centre + 3.8 * unit, middle + 2.4 * unit, centre + 1.2 * unit);
    let mut paint = Paint::default();
    paint.set_color(colour.skia(1.0));
    let stroke = Stroke { width: unit.max(1.0), ..Stroke::default() };
    if let Some(lines) = lines.finish() {
        map.stroke_path(&lines, &paint, &stroke, Transform::identity(), None);
    }
}
