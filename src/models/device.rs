//! Where a model runs: `auto`, `cpu`, `cuda[:N]` or `tensorrt[:N]`.
//!
//! A device that was asked for by name and cannot be had is an error, never a silent fallback to
//! another one; only `auto` may choose, and what it chose is reported.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The device that models are asked to run on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Device {
    /// The best that is there: CUDA where the runtime has it and a GPU answers, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The NVIDIA GPU of this number, through CUDA.
    Cuda(u16),
    /// The NVIDIA GPU of this number, through TensorRT.
    TensorRt(u16),
}

/// A text that names no device.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("`{0}` is no device; use auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N (N = GPU number)")]
pub struct NoDevice(String);

impl FromStr for Device {
    type Err = NoDevice;

    fn from_str(text: &str) -> Result<Self, NoDevice> {
        let wrong = || NoDevice(text.to_owned());
        let (name, number) = match text.split_once(':') {
            Some((name, number)) => (name, Some(number.parse::<u16>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        match (name, number) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("cuda", n) => Ok(Self::Cuda(n.unwrap_or(0))),
            ("tensorrt", n) => Ok(Self::TensorRt(n.unwrap_or(0))),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(n) => write!(f, "cuda:{n}"),
            Self::TensorRt(n) => write!(f, "tensorrt:{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_reads_back_as_it_was_written() {
        for (text, device) in [
            ("auto", Device::Auto),
            ("cpu", Device::Cpu),
            ("cuda", Device::Cuda(0)),
            ("cuda:3", Device::Cuda(3)),
            ("tensorrt:1", Device::TensorRt(1)),
        ] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string().parse(), Ok(device));
        }
    }

    #[test]
    fn what_names_no_device_is_refused() {
        for text in ["", "gpu", "cpu:1", "auto:0", "cuda:", "cuda:-1", "cuda:70000", "CUDA"] {
            let error = text.parse::<Device>().expect_err(text);
            assert!(error.to_string().starts_with(&format!("`{text}` is no device; use auto,")));
        }
    }
}
