//! Throughput, latency, memory and recovery, as ratios measured side by side.
