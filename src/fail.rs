//! Named places where a crash test kills the process with signal 9. Without the feature `fail-points`, nothing.
//!
//! `MATAMAT_FAIL_POINT=before-commit` makes the process die there the first time it comes by.

/// A place where a process may be made to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailPoint {
    /// The turn was decided and nothing was sent to the store.
    BeforeCommit,
    /// The store has committed and nobody was answered.
    AfterCommit,
    /// The vendor has answered that it has the MT, and nothing was written.
    AfterSend,
    /// The vendor's id is kept, and the MT was not settled.
    BeforeSettle,
    /// The department has the completion, and it was not settled.
    AfterForward,
    /// A timer was claimed, and its turn has not begun.
    TimerFired,
}

impl FailPoint {
    /// The name in `MATAMAT_FAIL_POINT`.
    pub fn name(self) -> &'static str {
        match self {
            FailPoint::BeforeCommit => "before-commit",
            FailPoint::AfterCommit => "after-commit",
            FailPoint::AfterSend => "after-send",
            FailPoint::BeforeSettle => "before-settle",
            FailPoint::AfterForward => "after-forward",
            FailPoint::TimerFired => "timer-fired",
        }
    }

    /// Dies here, if this is the place that was named.
    pub fn pass(self) {
        #[cfg(feature = "fail-points")]
        if std::env::var_os("MATAMAT_FAIL_POINT").is_some_and(|named| named == self.name()) {
            // SAFETY: kill and getpid have no preconditions; the process ends here, as a power cut would end it.
            unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
        }
    }
}
