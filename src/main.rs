//! The `locutor` program.

fn main() {}
