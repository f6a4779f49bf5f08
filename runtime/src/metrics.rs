//! Names, units and help of every metric of this crate.

/// Rows a view has taken from its inputs.
pub const ROWS_IN: &str = "rtsap_runtime_rows_in_total";
/// Rows that came too late for a view.
pub const LATE_ROWS: &str = "rtsap_runtime_late_rows_total";
/// Payloads of a source that could not be decoded.
pub const ERROR_ROWS: &str = "rtsap_runtime_error_rows_total";
/// Bytes of state and served rows of a view.
pub const STATE_BYTES: &str = "rtsap_runtime_state_bytes";
/// Seconds a publish took.
pub const PUBLISH_SECONDS: &str = "rtsap_runtime_publish_seconds";
/// Seconds a checkpoint took from its cut to its manifest.
pub const CHECKPOINT_SECONDS: &str = "rtsap_runtime_checkpoint_seconds";
/// The number of the last durable checkpoint.
pub const CHECKPOINT_EPOCH: &str = "rtsap_runtime_checkpoint_epoch";

/// Epochs that a sink has not applied yet.
pub const SINK_PENDING: &str = "rtsap_runtime_sink_pending_epochs";

/// Registers help and units with the installed recorder. Call once, after the recorder stands.
pub fn describe() {
    use ::metrics::Unit;
    ::metrics::describe_counter!(
        ROWS_IN,
        Unit::Count,
        "Rows a view has taken from its inputs"
    );
    ::metrics::describe_counter!(LATE_ROWS, Unit::Count, "Rows that came too late for a view");
    ::metrics::describe_counter!(
        ERROR_ROWS,
        Unit::Count,
        "Payloads that could not be decoded"
    );
    ::metrics::describe_gauge!(STATE_BYTES, Unit::Bytes, "State and served rows of a view");
    ::metrics::describe_histogram!(PUBLISH_SECONDS, Unit::Seconds, "Duration of a publish");
    ::metrics::describe_histogram!(
        CHECKPOINT_SECONDS,
        Unit::Seconds,
        "Duration from a checkpoint's cut to its durable manifest"
    );
    ::metrics::describe_gauge!(
        SINK_PENDING,
        Unit::Count,
        "Epochs that a sink has not applied yet"
    );
    ::metrics::describe_gauge!(CHECKPOINT_EPOCH, Unit::Count, "Last durable checkpoint");
}
