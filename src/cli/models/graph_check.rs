//! Checks a package's graphs against its manifest, if there is a runtime.

use crate::models::Package;

/// The result for a package's graphs.
#[derive(Debug)]
#[cfg_attr(not(feature = "onnx"), allow(dead_code, reason = "only a runtime checks graphs"))]
pub(crate) enum GraphCheck {
    /// All graphs match the manifest.
    Verified {
        /// Their number.
        graphs: usize,
    },
    /// There is no runtime to open a graph with.
    NoRuntime(String),
    /// A graph does not match the manifest; the text names both.
    Mismatch(String),
}

/// Opens every graph of `package` on the CPU and compares it with the manifest.
#[cfg(feature = "onnx")]
pub(crate) fn check_graphs(package: &Package) -> GraphCheck {
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

/// This build cannot open graphs.
#[cfg(not(feature = "onnx"))]
pub(crate) fn check_graphs(_package: &Package) -> GraphCheck {
    GraphCheck::NoRuntime("this program was built without the feature `onnx`".to_owned())
}
