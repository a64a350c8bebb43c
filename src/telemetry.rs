//! The roof: log lines and metrics, set up once for a process.

use crate::{config::LogSettings, domain::metric};
use chrono::Utc;
use chrono_tz::Tz;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::{fmt, io, time::Duration};
use tracing_subscriber::{
    EnvFilter,
    fmt::{format::Writer, time::FormatTime},
};

/// How often the metrics are tidied; without it histograms grow.
pub const UPKEEP: Duration = Duration::from_secs(5);
/// The histogram's edges, in seconds: from a turn in memory to a deadline.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Writes log lines to standard error from now on: standard output belongs to what a command prints.
pub fn start_logs(log: LogSettings, timezone: Tz) {
    let filter = EnvFilter::new(format!("warn,matamat={}", log.level.as_str().to_lowercase()));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(io::stderr)
        .with_timer(Local(timezone));
    // A second start in one process (tests) keeps the first.
    let _ = match log.json {
        true => builder.json().flatten_event(true).try_init(),
        false => builder.with_ansi(false).try_init(),
    };
}

/// Moments in the operators' zone, with their offset.
struct Local(Tz);

impl FormatTime for Local {
    fn format_time(&self, w: &mut Writer<'_>) -> fmt::Result {
        write!(w, "{}", Utc::now().with_timezone(&self.0).format("%Y-%m-%dT%H:%M:%S%.3f%:z"))
    }
}

/// Counts from now on; the handle renders what was counted.
pub fn start_metrics() -> Result<PrometheusHandle, BuildError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Full(metric::TURN_SECONDS.into()), &SECONDS)?;
    builder.install_recorder()
}
