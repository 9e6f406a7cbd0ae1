//! A bell at an edge: wakes whoever waits there without sending anything.
//!
//! A stage that waits for its inputs, and has work under way elsewhere, must not sleep when that is
//! done. A bell is no sender: an edge ends with its last sender, however many bells there are.

use std::fmt;
use std::sync::Arc;

/// What hangs at the edge.
pub(super) trait Wake: Send + Sync {
    fn notify(&self);
}

/// A handle that wakes whoever waits in [`super::bounded::Receiver::recv_or_notified`].
#[derive(Clone)]
pub struct Notify(pub(super) Arc<dyn Wake>);

impl Notify {
    /// Wakes the receiver; where it does not wait now, its next wait ends at once.
    pub fn notify(&self) {
        self.0.notify();
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
    }
}
