//! What the parts written here cost, each by itself: no decoder, no encoder, no inference.
//!
//! Takes made-up frames, audio, faces and maps in the sizes that real ones have; prints times a
//! call. `cargo bench --bench parts` takes about a minute, `cargo bench --bench parts -- crop` what
//! has that in its name. Under `cargo test` each part runs once.

/// What is drawn and blended.
mod draw;
/// Evidence maps.
mod explain;
/// Faces from frame to frame.
mod follow;
/// Crops, the detector's input, shot cuts.
mod front_end;
/// Windows for the head, and a whole scorer.
mod head_runner;
/// Rows of audio.
mod hear;
/// Frames and faces to work on.
mod kit;
/// Queues between threads.
mod queues;

fn main() {
    divan::main();
}
