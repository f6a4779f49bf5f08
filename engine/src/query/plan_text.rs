//! DataFusion's errors of planning that are only texts: which of PostgreSQL's they are.

/// The SQLSTATE of a text in lower case.
pub(super) fn sqlstate(text: &str) -> &'static str {
    /// Words of the text, each with what PostgreSQL calls it; the first that fits counts.
    const STATES: [(&str, &str); 16] = [
        ("aggregate functions are not allowed", "42803"),
        ("must be in group by", "42803"),
        ("must appear in the group by", "42803"),
        ("aggregate function calls cannot", "42803"),
        ("nested aggregate", "42803"),
        ("window functions are not allowed", "42P20"),
        ("window function calls cannot", "42P20"),
        ("is not in select list", "42P10"),
        ("must match initial order by", "42P10"),
        ("must appear in select list", "42P10"),
        ("cannot find column with position", "42P10"),
        ("names given as column alias", "42P10"),
        ("predicate must return boolean", "42804"),
        ("cannot create filter with non-boolean predicate", "42804"),
        ("same number of columns", "42601"),
        ("should only return one column", "42601"),
    ];
    let found = STATES.iter().find(|(words, _)| text.contains(words));
    let call = ["no function matches", "function"];
    let operator = [
        "cannot infer common argument type",
        "cannot coerce arithmetic expression",
        "cannot get result type for arithmetic operation",
    ];
    match found {
        Some((_, state)) => state,
        None if operator.iter().any(|words| text.contains(words)) => "42883",
        None if call.iter().any(|words| text.contains(words)) => "42883",
        None if text.contains("group by") => "42803",
        None => "42000",
    }
}

/// The text without what is for the developers of DataFusion.
pub(super) fn for_users(text: &str) -> String {
    const ENDS: [&str; 2] = [
        "This issue was likely caused by a bug in DataFusion's code",
        "Please help us to resolve this by filing a bug report",
    ];
    let end = ENDS.iter().filter_map(|end| text.find(end)).min();
    let text = end.map_or(text, |end| &text[..end]);
    let text = text.trim().trim_end_matches(['.', ',']);
    text.replace("internal error: ", "")
        .replace("Internal error: ", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_postgresqls_states() {
        let cases = [
            (
                "column in select must be in group by or an aggregate function: while …",
                "42803",
            ),
            (
                "no function matches the given name and argument types",
                "42883",
            ),
            (
                "cannot infer common argument type for comparison operation boolean = utf8",
                "42883",
            ),
            ("something else", "42000"),
        ];
        for (text, state) in cases {
            assert_eq!(sqlstate(text), state, "{text}");
        }
    }

    #[test]
    fn nobody_is_asked_to_file_a_report_elsewhere() {
        let text = "Internal error: Function 'avg' failed to match any signature.\\nThis issue was \
                    likely caused by a bug in DataFusion's code. Please help us to resolve this by \
                    filing a bug report";
        let kept = for_users(text);
        assert!(kept.starts_with("Function 'avg' failed"), "{kept}");
        assert!(!kept.contains("DataFusion"), "{kept}");
    }
}
