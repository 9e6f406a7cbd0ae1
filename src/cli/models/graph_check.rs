//! Proving a package's graphs against its manifest, where there is a runtime to do it with.

use crate::models::Package;

/// What is known of a package's graphs.
#[derive(Debug)]
#[cfg_attr(not(feature = "onnx"), allow(dead_code, reason = "only a runtime proves anything"))]
pub enum GraphCheck {
    /// So many graphs are what the manifest says.
    Verified {
        /// How many.
        graphs: usize,
    },
    /// Nobody here can open a graph.
    NoRuntime(String),
    /// A graph is not what it should be; the text names both sides.
    Mismatch(String),
}

/// Opens every graph of `package` on the CPU and compares it with the manifest.
#[cfg(feature = "onnx")]
pub fn check_graphs(package: &Package) -> GraphCheck {
    use crate::models::device::Device;
    use crate::onnx::session::{SessionError, SessionOptions, open};

    let options = SessionOptions { device: Device::Cpu, intra_threads: 1 };
    let contracts = package.manifest().model.contracts();
    for contract in &contracts {
        match open(package, &contract.file, &options) {
            Ok(_) => {}
            Err(SessionError::Runtime(error)) => return GraphCheck::NoRuntime(error.to_string()),
            Err(error) => return GraphCheck::Mismatch(error.to_string()),
        }
    }
    GraphCheck::Verified { graphs: contracts.len() }
}

/// Says that this build opens no graphs.
#[cfg(not(feature = "onnx"))]
pub fn check_graphs(_package: &Package) -> GraphCheck {
    GraphCheck::NoRuntime("this program was built without the feature `onnx`".to_owned())
}
