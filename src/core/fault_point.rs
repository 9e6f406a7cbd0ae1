//! Fault injection: makes a stage panic or hang, for the chaos tests.
//!
//! Built with the feature `chaos` only. `LOCUTOR_CHAOS=track=panic@100` makes the stage `track`
//! panic at its hundredth item; `hang` makes it hang forever. A fault happens once in a process.

/// A point in a stage where a fault can be injected.
#[cfg(feature = "chaos")]
#[derive(Debug)]
pub(crate) struct FaultPoint {
    fault: Option<(bool, u64)>,
    hits: u64,
}

#[cfg(feature = "chaos")]
impl FaultPoint {
    /// A fault point in `stage`.
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

    /// Called once per item.
    pub(crate) fn hit(&mut self) {
        self.hits += 1;
        match self.fault {
            Some((hang, after)) if self.hits == after => {
                assert!(hang, "an injected fault");
                loop {
                    std::thread::park();
                }
            }
            _ => {}
        }
    }
}

/// Without the feature `chaos`: does nothing.
#[cfg(not(feature = "chaos"))]
#[derive(Debug)]
pub(crate) struct FaultPoint;

#[cfg(not(feature = "chaos"))]
impl FaultPoint {
    /// A fault point in `stage`.
    pub(crate) const fn new(_: &str) -> Self {
        Self
    }

    /// Called once per item.
    pub(crate) const fn hit(&mut self) {}
}
