//! The frameworks of controls that evidence is given for.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Whose requirements a report answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framework {
    Soc2,
    Iso27001,
    Hipaa,
    Pci,
    Nist,
    /// Every control.
    All,
}

impl Framework {
    pub const ALL: [Self; 6] = [Self::Soc2, Self::Iso27001, Self::Hipaa, Self::Pci, Self::Nist, Self::All];

    /// As it is typed and as records name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Soc2 => "soc2",
            Self::Iso27001 => "iso27001",
            Self::Hipaa => "hipaa",
            Self::Pci => "pci",
            Self::Nist => "nist",
            Self::All => "all",
        }
    }

    /// As its publisher calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Soc2 => "SOC 2",
            Self::Iso27001 => "ISO 27001",
            Self::Hipaa => "HIPAA",
            Self::Pci => "PCI-DSS",
            Self::Nist => "NIST 800-53",
            Self::All => "All frameworks",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|framework| framework.as_str() == text)
    }
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
