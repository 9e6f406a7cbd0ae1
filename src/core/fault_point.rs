//! Faults on purpose: a stage that panics or hangs, for the suite that shows what happens then.
//!
//! Built with the feature `chaos` only. `LOCUTOR_CHAOS=track=panic@100` makes the stage `track`
//! panic when it has worked a hundred times; `hang` makes it stop there for good. Each happens once
//! in a process.

/// A place in a stage where a fault can happen.
#[cfg(feature = "chaos")]
#[derive(Debug)]
pub(crate) struct FaultPoint {
    fault: Option<(bool, u64)>,
    hits: u64,
}

#[cfg(feature = "chaos")]
impl FaultPoint {
    /// A place in `stage`.
    pub(crate) fn new(stage: &str) -> Self {
        use std::sync::atomic::{AtomicBool, Ordering};
        static DONE: AtomicBool = AtomicBool::new(false);
        let setting = std::env::var("LOCUTOR_CHAOS").unwrap_or_default();
        let fault =
            setting.split_once('=').filter(|(name, _)| *name == stage).and_then(|(_, what)| {
                let (kind, after) = what.split_once('@')?;
                Some((kind == "hang", after.parse().ok()?))
            });
        let fault = fault.filter(|_| !DONE.swap(true, Ordering::Relaxed));
        Self { fault, hits: 0 }
    }

    /// The stage passes here.
    pub(crate) fn hit(&mut self) {
        self.hits += 1;
        match self.fault {
            Some((hang, after)) if self.hits == after => {
                assert!(hang, "a fault on purpose");
                loop {
                    std::thread::park();
                }
            }
            _ => {}
        }
    }
}

/// Without the feature there are no faults on purpose.
#[cfg(not(feature = "chaos"))]
#[derive(Debug)]
pub struct FaultPoint;

#[cfg(not(feature = "chaos"))]
impl FaultPoint {
    /// A place in `stage`.
    pub const fn new(_: &str) -> Self {
        Self
    }

    /// The stage passes here.
    pub const fn hit(&mut self) {}
}
