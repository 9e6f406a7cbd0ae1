//! What the parts written here cost, each by itself: no decoder, no encoder, no inference.
//!
//! Takes made-up pictures, sound, faces and maps in the sizes that real ones have; prints times a
//! call. `cargo bench --bench parts` takes about a minute, `cargo bench --bench parts -- crop` what
//! has that in its name. Under `cargo test` each part runs once.

/// What is drawn and blended.
mod draw;
/// Queues between threads.
mod edges;
/// Evidence maps.
mod explain;
/// Faces from frame to frame.
mod follow;
/// Rows of sound.
mod hear;
/// Windows for the head, and a whole scorer.
mod judge;
/// Pictures and faces to work on.
mod kit;
/// Crops, the detector's input, shot cuts.
mod look;

fn main() {
    divan::main();
}
