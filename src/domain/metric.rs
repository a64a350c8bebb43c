//! Every metric's name, once. Dashboards lean on these from the first release; `docs/OPERATIONS.md` explains them.

/// Turns by `bearer` and `outcome`.
pub const TURNS_TOTAL: &str = "matamat_turns_total";
/// How long a turn took, in seconds, by `bearer`.
pub const TURN_SECONDS: &str = "matamat_turn_seconds";
/// Items put into a queue, counted in the store.
pub const QUEUE_IN_TOTAL: &str = "matamat_queue_in_total";
/// Items that reached the other side.
pub const QUEUE_DONE_TOTAL: &str = "matamat_queue_done_total";
/// Dead letters that a person dropped.
pub const QUEUE_DROPPED_TOTAL: &str = "matamat_queue_dropped_total";
/// Items that gave way to a newer one under the same id.
pub const QUEUE_REPLACED_TOTAL: &str = "matamat_queue_replaced_total";
/// Items that nobody needed any more, by `reason`.
pub const QUEUE_SUPPRESSED_TOTAL: &str = "matamat_queue_suppressed_total";
/// Items that wait now, claimed ones included: the queue's size.
pub const QUEUE_WAITING: &str = "matamat_queue_waiting";
/// Dead letters now.
pub const QUEUE_DEAD: &str = "matamat_queue_dead";
/// How long the item that has been due longest is overdue, in seconds.
pub const QUEUE_OLDEST_SECONDS: &str = "matamat_queue_oldest_seconds";
/// Callbacks refused at the door, by `reason`.
pub const REFUSED_TOTAL: &str = "matamat_refused_total";
/// fsyncs of the embedded store: far fewer than commits.
pub const STORE_FSYNCS_TOTAL: &str = "matamat_store_fsyncs_total";
/// Faults of a flow met while running (an error in a condition, a text that fell back), by `flow` and `kind`.
pub const FLOW_FAULTS_TOTAL: &str = "matamat_flow_faults_total";
/// Sends to a vendor, by `channel` and `outcome`: `accepted`, `throttled`, `retry`, `permanent`, `configuration`, `unknown`.
pub const SENDS_TOTAL: &str = "matamat_sends_total";
/// From an MT's commit (or its due time, when that is later) to the start of its request, in seconds, by `channel`.
pub const SEND_DELAY_SECONDS: &str = "matamat_send_delay_seconds";
/// Receipts, by `channel` and `outcome`: `moved`, `known`, `joined` (its MT is not known yet), `forged`, `full`.
pub const RECEIPTS_TOTAL: &str = "matamat_receipts_total";
/// 1 while a channel rests because its vendor refuses us, by `channel`.
pub const CHANNEL_RESTS: &str = "matamat_channel_rests";
/// Callbacks that wait in the spool.
pub const SPOOL_WAITING: &str = "matamat_spool_waiting";
/// Callbacks in the spool that could not be replayed; they are tried again at the next start.
pub const SPOOL_ASIDE: &str = "matamat_spool_aside";
