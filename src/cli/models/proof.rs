//! Proving a package's graphs against its manifest, where there is a runtime to do it with.

use crate::models::Package;

/// What is known of a package's graphs.
#[derive(Debug)]
#[cfg_attr(not(feature = "onnx"), allow(dead_code, reason = "only a runtime proves anything"))]
pub enum Proof {
    /// So many graphs are what the manifest says.
    Proven {
        /// How many.
        graphs: usize,
    },
    /// Nobody here can open a graph.
    NoRuntime(String),
    /// A graph is not what it should be; the text names both sides.
    Wrong(String),
}

/// Opens every graph of `package` on the CPU and compares it with the manifest.
#[cfg(feature = "onnx")]
pub fn prove(package: &Package) -> Proof {
    use crate::models::device::Device;
    use crate::onnx::session::{SessionError, SessionOptions, open};

    let options = SessionOptions { device: Device::Cpu, intra_threads: 1 };
    let contracts = package.manifest().model.contracts();
    for contract in &contracts {
        match open(package, &contract.file, &options) {
            Ok(_) => {}
            Err(SessionError::Runtime(error)) => return Proof::NoRuntime(error.to_string()),
            Err(error) => return Proof::Wrong(error.to_string()),
        }
    }
    Proof::Proven { graphs: contracts.len() }
}

/// Says that this build opens no graphs.
#[cfg(not(feature = "onnx"))]
pub fn prove(_package: &Package) -> Proof {
    Proof::NoRuntime("this program was built without the feature `onnx`".to_owned())
}
