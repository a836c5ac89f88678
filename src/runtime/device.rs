//! The device on which the graphs run.
//!
//! In: `cpu`, `cuda[:n]` or `auto`. Out: a [`Device`], the request, and a [`DeviceUsed`], which
//! device was used and why.

use std::str::FromStr;

use crate::error::Error;

/// The device that the caller requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// ONNX Runtime's CPU provider.
    Cpu,
    /// CUDA device n; an error if it cannot start.
    Cuda(u32),
    /// CUDA device 0 if it starts, else the CPU; a fallback is recorded.
    #[default]
    Auto,
}

impl FromStr for Device {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let cuda = |n: &str| n.parse().ok().map(Device::Cuda);
        let device = match text {
            "cpu" => Some(Device::Cpu),
            "auto" => Some(Device::Auto),
            "cuda" => Some(Device::Cuda(0)),
            _ => text.strip_prefix("cuda:").and_then(cuda),
        };
        device.ok_or_else(|| {
            Error::Argument(format!(
                "found device {text:?}, expected cpu, cuda, cuda:N or auto. Choose one of these"
            ))
        })
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Device::Cpu => f.write_str("cpu"),
            Device::Cuda(n) => write!(f, "cuda:{n}"),
            Device::Auto => f.write_str("auto"),
        }
    }
}

/// The device that is used.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceUsed {
    /// The device that was requested.
    pub requested: String,
    /// `cpu` or `cuda:n`.
    pub used: String,
    /// Why `auto` fell back to the CPU; `None` if it did not, or if a device was named.
    pub fallback: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names_are_parsed() {
        for (text, device) in [
            ("cpu", Device::Cpu),
            ("cuda", Device::Cuda(0)),
            ("cuda:3", Device::Cuda(3)),
            ("auto", Device::Auto),
        ] {
            assert_eq!(text.parse::<Device>().unwrap(), device);
        }
        for text in ["", "gpu", "cuda:", "cuda:-1", "CPU"] {
            assert!(
                text.parse::<Device>()
                    .unwrap_err()
                    .to_string()
                    .contains("expected cpu, cuda, cuda:N or auto")
            );
        }
    }
}
