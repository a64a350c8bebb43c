//! `yes-no`: yes is 1, no is 2.

/// A question to be answered with yes or no.
#[derive(Debug)]
pub struct YesNo {
    /// A yes lets a department see the number, where its route asks for it (`consent = "msisdn"`).
    pub consents_msisdn: bool,
}
