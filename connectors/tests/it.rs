//! Tests of the connectors against the systems they connect to, in one binary. Each module says
//! what it needs; what is not there is skipped loudly.

/// The tests, one module a system, in the folder of this name.
#[cfg(test)]
mod it {
    mod datagen;
    mod files_sink;
    mod formats;
    mod kafka;
    mod kafka_sink;
    mod timescale;
}
