//! The rules of this repository that no compiler keeps: where media libraries may be named, how
//! long files and functions may be, what may not be written or stored, and that the README is true.
//!
//! Each rule lists every place that breaks it. There is no list of exceptions: mend the place.

/// Words that no file holds, and files that are not stored.
mod forbidden;
/// Which module may import which.
mod layers;
/// Every pipeline file is one.
mod pipelines;
/// What the documents say exists: commands, options, files.
mod readme;
/// Which files may name the media and inference libraries.
mod seams;
/// How long files and functions may be.
mod sizes;
/// The repository's files.
mod tree;
