//! placeholder until the text room has it
use crate::domain::message::Coding;
/// x
pub fn segments(_text: &str) -> (Coding, u16) {
    (Coding::Gsm7, 1)
}
