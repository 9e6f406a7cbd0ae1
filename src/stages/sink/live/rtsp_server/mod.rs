//! The RTSP server of a process: every stream that wants it has a mount there, encoded once for all
//! readers.
//!
//! Takes what is configured and the packets of every mount; serves them as RTP, inside the RTSP
//! connection or by UDP, with a login and TLS where those are configured. Promises: one media for
//! all readers of a mount; a reader that does not read is dropped and slows nobody; no more readers
//! than allowed; nobody reads from another machine without a login.

pub mod error;
pub mod gst;

pub use gst::RtspServer;
