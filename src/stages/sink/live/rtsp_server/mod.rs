//! The RTSP server of a process. Each served stream is a mount, encoded once for all readers.
//!
//! Takes the configuration and the packets of every mount; serves them as RTP, inside the RTSP
//! connection or by UDP, with a login and TLS where configured. Promises: one media for all readers
//! of a mount; a reader that does not read is disconnected and does not slow others; no more
//! readers than allowed; no access from other machines without a login, unless that is configured.

pub(crate) mod error;
pub(crate) mod gst;

pub(crate) use gst::RtspServer;
