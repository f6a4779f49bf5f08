//! What a rule found: where, which rule, and how to mend it.

use std::fmt;

/// One place that breaks one rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// Path from the root of the workspace, with `/`.
    pub path: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Name of the rule.
    pub rule: &'static str,
    /// What is wrong there.
    pub message: String,
    /// What to do about it, in full sentences.
    pub mend: String,
}

impl Finding {
    /// A finding of `rule` at `path`:`line`.
    pub fn new(
        rule: &'static str,
        path: &str,
        line: usize,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule,
            message: message.into(),
            mend: mend.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            rule,
            message,
            mend,
        } = self;
        write!(f, "{path}:{line}: [{rule}] {message}\n    {mend}")
    }
}
