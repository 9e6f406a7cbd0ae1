//! A bell at an edge: wakes whoever waits there without sending anything.
//!
//! A stage that waits for its inputs, and has work under way elsewhere, must not sleep when that is
//! done. A bell is no sender: an edge ends with its last sender, however many bells there are.

use std::fmt;
use std::sync::Arc;

/// What hangs at the edge.
pub(super) trait Ring: Send + Sync {
    fn ring(&self);
}

/// A handle that wakes whoever waits in [`super::edge::Receiver::recv_or_rung`].
#[derive(Clone)]
pub struct Bell(pub(super) Arc<dyn Ring>);

impl Bell {
    /// Wakes the receiver; where it does not wait now, its next wait ends at once.
    pub fn ring(&self) {
        self.0.ring();
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bell")
    }
}
