//! Names, units and help of every metric of this crate. Labels come from bounded sets: topics that
//! sources name.

/// Messages taken from Kafka, by topic.
pub const KAFKA_MESSAGES_TOTAL: &str = "rtsap_connectors_kafka_messages_total";

/// Batches they came in, by topic.
pub const KAFKA_BATCHES_TOTAL: &str = "rtsap_connectors_kafka_batches_total";

/// Outages reported because no broker could be reached for some seconds, by topic.
pub const KAFKA_OUTAGES_TOTAL: &str = "rtsap_connectors_kafka_outages_total";

/// Tells the installed recorder what the metrics mean. Call it once at start.
pub fn describe() {
    use metrics::{Unit, describe_counter};
    describe_counter!(
        KAFKA_MESSAGES_TOTAL,
        Unit::Count,
        "messages taken from Kafka"
    );
    describe_counter!(
        KAFKA_BATCHES_TOTAL,
        Unit::Count,
        "batches of messages taken from Kafka"
    );
    describe_counter!(
        KAFKA_OUTAGES_TOTAL,
        Unit::Count,
        "times that no Kafka broker could be reached for some seconds"
    );
}
