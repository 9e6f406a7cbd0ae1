//! The device of a model: `auto`, `cpu`, `cuda[:N]` or `tensorrt[:N]`, the last two optionally with
//! reduced precision: `cuda[:N]+tf32`, `tensorrt[:N]+half`.
//!
//! A requested device that is unavailable is an error, without fallback. Only `auto` chooses, and
//! its choice is reported. Precision is reduced only on request, as scores then differ from the
//! published ones.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The requested device of a model.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Device {
    /// CUDA if the runtime supports it and a GPU is available, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// An NVIDIA GPU, through CUDA.
    Cuda {
        /// Its number.
        gpu: u16,
        /// TF32: 32-bit products on tensor cores, with 10 bits of mantissa.
        tf32: bool,
    },
    /// An NVIDIA GPU, through TensorRT.
    TensorRt {
        /// Its number.
        gpu: u16,
        /// FP16 wherever TensorRT finds it faster.
        half: bool,
    },
}

/// Not the name of a device.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum DeviceParseError {
    /// An unknown name.
    #[error(
        "`{0}` is not a device; use auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N (N = GPU number), \
         and for reduced precision cuda+tf32 or tensorrt+half"
    )]
    Unknown(String),
    /// A precision that the device does not support.
    #[error(
        "`{text}`: only {with} supports {precision}; use {with}+{precision} or {with}:N+{precision}"
    )]
    Precision {
        /// The text.
        text: String,
        /// The precision.
        precision: &'static str,
        /// The device that supports it.
        with: &'static str,
    },
}

impl FromStr for Device {
    type Err = DeviceParseError;

    fn from_str(text: &str) -> Result<Self, DeviceParseError> {
        let unknown = || DeviceParseError::Unknown(text.to_owned());
        let (location, precision) = match text.split_once('+') {
            Some((location, precision)) => (location, Some(precision)),
            None => (text, None),
        };
        let (name, number) = match location.split_once(':') {
            Some((name, number)) => (name, Some(number.parse::<u16>().map_err(|_| unknown())?)),
            None => (location, None),
        };
        let gpu = number.unwrap_or(0);
        match (name, number, precision) {
            ("auto", None, None) => Ok(Self::Auto),
            ("cpu", None, None) => Ok(Self::Cpu),
            ("cuda", _, None) => Ok(Self::Cuda { gpu, tf32: false }),
            ("cuda", _, Some("tf32")) => Ok(Self::Cuda { gpu, tf32: true }),
            ("tensorrt", _, None) => Ok(Self::TensorRt { gpu, half: false }),
            ("tensorrt", _, Some("half")) => Ok(Self::TensorRt { gpu, half: true }),
            ("auto" | "cpu" | "cuda" | "tensorrt", _, Some(precision @ ("tf32" | "half"))) => {
                let tf32 = precision == "tf32";
                let (precision, with) = if tf32 { ("tf32", "cuda") } else { ("half", "tensorrt") };
                Err(DeviceParseError::Precision { text: text.to_owned(), precision, with })
            }
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let suffix = |reduced: bool, text: &'static str| if reduced { text } else { "" };
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda { gpu, tf32 } => write!(f, "cuda:{gpu}{}", suffix(*tf32, "+tf32")),
            Self::TensorRt { gpu, half } => write!(f, "tensorrt:{gpu}{}", suffix(*half, "+half")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_parses_back_from_its_text() {
        for (text, device) in [
            ("auto", Device::Auto),
            ("cpu", Device::Cpu),
            ("cuda", Device::Cuda { gpu: 0, tf32: false }),
            ("cuda:3", Device::Cuda { gpu: 3, tf32: false }),
            ("cuda+tf32", Device::Cuda { gpu: 0, tf32: true }),
            ("tensorrt:1", Device::TensorRt { gpu: 1, half: false }),
            ("tensorrt:2+half", Device::TensorRt { gpu: 2, half: true }),
        ] {
            assert_eq!(text.parse(), Ok(device));
            assert_eq!(device.to_string().parse(), Ok(device));
        }
    }

    #[test]
    fn an_unknown_device_is_rejected() {
        for text in [
            "",
            "gpu",
            "cpu:1",
            "auto:0",
            "cuda:",
            "cuda:-1",
            "cuda:70000",
            "CUDA",
            "+half",
            "cuda+",
        ] {
            let error = text.parse::<Device>().expect_err(text);
            assert!(error.to_string().starts_with(&format!("`{text}` is not a device; use auto,")));
        }
    }

    #[test]
    fn an_unsupported_precision_is_rejected() {
        for (text, with) in [
            ("cpu+half", "tensorrt+half"),
            ("auto+half", "tensorrt+half"),
            ("cuda:1+half", "tensorrt+half"),
            ("tensorrt+tf32", "cuda+tf32"),
            ("cpu+tf32", "cuda+tf32"),
        ] {
            let error = text.parse::<Device>().expect_err(text).to_string();
            assert!(error.starts_with(&format!("`{text}`: ")), "{error}");
            assert!(error.contains(&format!("; use {with} or ")), "{error}");
        }
    }
}
