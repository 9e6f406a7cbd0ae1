//! Where results leave the program: files and records.

pub mod atomic_file;
mod file_error;
pub mod records;
