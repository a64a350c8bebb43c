//! The flows that come with the gateway, compiled in: used when there is no folder of flows.

use crate::findings::Source;

/// The engine's own texts.
pub fn texts() -> Source {
    Source::new("flows/texts.toml", include_str!("../../flows/texts.toml"))
}

/// Every bundled flow.
pub fn flows() -> Vec<Source> {
    vec![Source::new("flows/hospital-visit.toml", include_str!("../../flows/hospital-visit.toml"))]
}
