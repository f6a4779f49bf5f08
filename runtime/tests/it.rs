//! Tests of the operators through their public face, in one binary.

/// Scripts of one operator, and stream against batch; the other modules are their tools.
#[cfg(test)]
mod it {
    mod drive;
    mod ended;
    mod generate;
    mod indicators;
    mod joins;
    mod operator;
    mod over;
    mod plans;
    mod rows;
    mod saves;
    mod script;
    mod session;
    mod stream_equals_batch;
    mod top_n;
}
