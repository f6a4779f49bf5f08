//! Every spelling has one canonical text, and that text reads back as the same type.

use super::SqlType;

fn canonical(text: &str) -> String {
    match SqlType::read(text) {
        Ok(parsed) => {
            let text = parsed.to_string();
            assert_eq!(SqlType::read(&text).unwrap(), parsed, "{text}");
            text
        }
        Err(error) => format!("{}: {error}", error.code()),
    }
}

#[test]
fn spellings_have_one_canonical_text() {
    let cases = [
        ("VARCHAR(20)", "text"),
        ("character varying", "text"),
        ("STRING", "text"),
        ("INT8", "bigint"),
        ("DOUBLE", "double precision"),
        ("float4", "real"),
        ("NUMERIC", "numeric(38,10)"),
        ("decimal(18)", "numeric(18,0)"),
        ("DECIMAL(18, 8)", "numeric(18,8)"),
        ("TIMESTAMP", "timestamp(6)"),
        (
            "TIMESTAMP(3) WITH LOCAL TIME ZONE",
            "timestamp(3) with time zone",
        ),
        ("TIMESTAMP_LTZ(9)", "timestamp(9) with time zone"),
        ("timestamptz", "timestamp(6) with time zone"),
        ("timestamp(0) without time zone", "timestamp(0)"),
        ("TIME", "time(6)"),
        ("BYTES", "bytea"),
        ("text[]", "text[]"),
        ("ARRAY<ARRAY<INT>>", "integer[][]"),
        ("INT ARRAY", "integer[]"),
        ("ROW(a INT, b TEXT)", "struct<\"a\" integer, \"b\" text>"),
        (
            "STRUCT<a ARRAY<STRUCT<b INT>>>",
            "struct<\"a\" struct<\"b\" integer>[]>",
        ),
        ("numeric(39,2)", "RT0205: numeric(39,2) is out of range"),
        ("timestamp(1)", "timestamp(3)"),
        ("timestamp(4)", "timestamp(6)"),
        (
            "INTERVAL",
            "RT0102: type INTERVAL of a column is not supported in this version",
        ),
        ("strng", "RT0205: type \"strng\" does not exist"),
        ("ARRAY<INT", "RT0101: syntax error at end of input"),
    ];
    for (text, expected) in cases {
        assert_eq!(canonical(text), expected, "{text}");
    }
}
