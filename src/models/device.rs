//! Where a model runs: `auto`, `cpu`, `cuda[:N]` or `tensorrt[:N]`, the last two on request with
//! less precision: `cuda[:N]+tf32`, `tensorrt[:N]+half`.
//!
//! A device that was asked for by name and cannot be had is an error, never a silent fallback to
//! another one; only `auto` may choose, and what it chose is reported. Precision is given up on
//! request alone, as scores then differ from the published ones.

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
    /// An NVIDIA GPU, through CUDA.
    Cuda {
        /// Its number.
        gpu: u16,
        /// Products of 32-bit numbers on tensor cores, with 10 bits of mantissa.
        tf32: bool,
    },
    /// An NVIDIA GPU, through TensorRT.
    TensorRt {
        /// Its number.
        gpu: u16,
        /// 16-bit numbers wherever TensorRT finds them faster.
        half: bool,
    },
}

/// A text that names no device.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum NoDevice {
    /// Nothing that is known.
    #[error(
        "`{0}` is no device; use auto, cpu, cuda, cuda:N, tensorrt or tensorrt:N (N = GPU number), \
         and for less precision cuda+tf32 or tensorrt+half"
    )]
    Unknown(String),
    /// A precision that the device does not have.
    #[error(
        "`{text}`: {wish} is to be had with {with} alone; use {with}+{wish} or {with}:N+{wish}"
    )]
    Precision {
        /// What was given.
        text: String,
        /// The precision.
        wish: &'static str,
        /// The device that has it.
        with: &'static str,
    },
}

impl FromStr for Device {
    type Err = NoDevice;

    fn from_str(text: &str) -> Result<Self, NoDevice> {
        let unknown = || NoDevice::Unknown(text.to_owned());
        let (place, wish) = match text.split_once('+') {
            Some((place, wish)) => (place, Some(wish)),
            None => (text, None),
        };
        let (name, number) = match place.split_once(':') {
            Some((name, number)) => (name, Some(number.parse::<u16>().map_err(|_| unknown())?)),
            None => (place, None),
        };
        let gpu = number.unwrap_or(0);
        match (name, number, wish) {
            ("auto", None, None) => Ok(Self::Auto),
            ("cpu", None, None) => Ok(Self::Cpu),
            ("cuda", _, None) => Ok(Self::Cuda { gpu, tf32: false }),
            ("cuda", _, Some("tf32")) => Ok(Self::Cuda { gpu, tf32: true }),
            ("tensorrt", _, None) => Ok(Self::TensorRt { gpu, half: false }),
            ("tensorrt", _, Some("half")) => Ok(Self::TensorRt { gpu, half: true }),
            ("auto" | "cpu" | "cuda" | "tensorrt", _, Some(wish @ ("tf32" | "half"))) => {
                let tf32 = wish == "tf32";
                let (wish, with) = if tf32 { ("tf32", "cuda") } else { ("half", "tensorrt") };
                Err(NoDevice::Precision { text: text.to_owned(), wish, with })
            }
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let less = |less: bool, wish: &'static str| if less { wish } else { "" };
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda { gpu, tf32 } => write!(f, "cuda:{gpu}{}", less(*tf32, "+tf32")),
            Self::TensorRt { gpu, half } => write!(f, "tensorrt:{gpu}{}", less(*half, "+half")),
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
    fn what_names_no_device_is_refused() {
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
            assert!(error.to_string().starts_with(&format!("`{text}` is no device; use auto,")));
        }
    }

    #[test]
    fn a_precision_is_refused_where_it_means_nothing() {
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
