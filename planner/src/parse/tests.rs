//! Statements keep their text and place.

use super::parse;
use crate::statement::StatementKind;

#[test]
fn each_statement_keeps_its_own_text_and_span() {
    let sql = " SELECT 'ä;' ; /* ; */ FLUSH;\n-- end\n";
    let statements = parse(sql).unwrap();
    let texts: Vec<&str> = statements
        .iter()
        .map(|statement| statement.text.as_str())
        .collect();
    assert_eq!(texts, ["SELECT 'ä;'", "FLUSH"]);
    for statement in &statements {
        assert_eq!(&sql[statement.span.clone()], statement.text);
    }
}

#[test]
fn nothing_but_comments_is_no_statement() {
    assert!(parse("-- nothing\n ; /* at all */ ;").unwrap().is_empty());
}

#[test]
fn a_views_query_is_kept_as_written_with_its_offset() {
    let sql = "CREATE STREAMING VIEW v AS\n  SELECT a  FROM t -- why\n EMIT CHANGES";
    let mut statements = parse(sql).unwrap();
    let StatementKind::CreateView(view) = statements.remove(0).kind else {
        panic!("no view")
    };
    assert_eq!(view.query, "SELECT a  FROM t -- why\n EMIT CHANGES");
    let offset = view.query_offset as usize;
    assert!(sql[offset..].starts_with(&view.query));
}

#[test]
fn positions_count_characters_not_bytes() {
    let error = parse("SELECT 'äöü€';\nSELECT a,, b").unwrap_err();
    assert_eq!(error.position(), Some(25));
    let error = parse("FLUSH; 'ä").unwrap_err();
    assert_eq!(error.position(), Some(8));
}

#[test]
fn deep_nesting_is_refused_and_not_fatal() {
    let sql = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    let error = parse(&sql).unwrap_err();
    assert_eq!(error.code(), "RT0102");
}

#[test]
fn any_prefix_of_a_statement_is_an_answer_and_not_a_panic() {
    let sql = "CREATE SOURCE s (a INT NOT NULL, b AS a + 1, ts TIMESTAMP(3) METADATA FROM \
               'timestamp', \
               c ARRAY<STRUCT<x INT>>, WATERMARK FOR ts AS ts - INTERVAL '1' SECOND, PRIMARY \
               KEY (a)) \
               WITH ('connector' = 'kafka', a.b-c = 1) FORMAT PLAIN ENCODE JSON; \
               CREATE STREAMING VIEW v (a, b) WITH (x = 1) AS SELECT * FROM TUMBLE(TABLE t, \
               DESCRIPTOR(ts), \
               INTERVAL '1' MINUTE) GROUP BY 1 EMIT ON WINDOW CLOSE WITH DELAY INTERVAL '1' \
               SECOND; \
               COPY (SUBSCRIBE TO (SELECT 1) WITH (PROGRESS)) TO STDOUT WITH (FORMAT csv, HEADER)";
    for end in 0..=sql.len() {
        let _ = parse(&sql[..end]);
        let _ = parse(&sql[end..]);
    }
}
