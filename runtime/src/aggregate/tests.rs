//! Kernels against DataFusion's own accumulators, and their state across merge.
