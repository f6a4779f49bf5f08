//! Names and connection settings.

use super::*;

#[test]
fn table_names_are_read_as_postgresql_reads_them() {
    let cases = [
        ("ohlc", Ok("\"public\".\"ohlc\"")),
        ("Market.OHLC", Ok("\"market\".\"ohlc\"")),
        ("\"Market\".\"a.\"\"b\"", Ok("\"Market\".\"a.\"\"b\"")),
        ("a.b.c", Err(())),
        ("a.", Err(())),
        ("", Err(())),
        ("1a", Err(())),
        ("a b", Err(())),
        ("a;DROP TABLE x", Err(())),
        ("\"open", Err(())),
        ("\"a\"b", Err(())),
    ];
    for (text, expected) in cases {
        let found = TableName::parse(text).map(|name| name.sql());
        assert_eq!(found.as_deref().map_err(|_| ()), expected, "{text}");
    }
}

fn read(pairs: &[(&str, &str)]) -> Result<SinkOptions, ConnectorError> {
    let all = pairs
        .iter()
        .chain(&[("connector", "timescaledb"), ("table", "t")]);
    let options = all
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    SinkOptions::read("sink \"s\"", &Options(options))
}

#[test]
fn a_server_is_named_by_url_or_by_parts() {
    let by_url = read(&[("url", "postgres://me:secret@db:5433/market")]).unwrap();
    assert_eq!(by_url.place, "db:5433/market");
    let parts = [
        ("host", "db"),
        ("database", "market"),
        ("user", "me"),
        ("password", "secret"),
    ];
    let by_parts = read(&parts).unwrap();
    assert_eq!(by_parts.place, "db:5432/market");
    assert!(by_parts.hypertable && by_parts.create && !by_parts.round_to_micros);
}

#[test]
fn wrong_settings_are_refused_without_giving_the_password_away() {
    let url = "postgres://me:secret@db/market";
    let cases: [&[(&str, &str)]; 9] = [
        &[],
        &[("url", "postgres://me:secret@db:port/market")],
        &[("url", url), ("host", "db")],
        &[("url", url), ("sslmode", "require")],
        &[("url", "postgres://me:secret@db/market?sslmode=require")],
        &[("url", url), ("sslmod", "disable")],
        &[("url", url), ("create", "perhaps")],
        &[("url", url), ("timestamp_precision", "ns")],
        &[("host", "db"), ("database", "market")],
    ];
    for pairs in cases {
        let error = read(pairs).err().unwrap();
        assert_eq!(
            error.kind,
            rtsap_stream::error::ErrorKind::Invalid,
            "{pairs:?}"
        );
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
    let tls = read(&[("url", url), ("sslmode", "require")]).err().unwrap();
    assert!(tls.message.contains("does not speak TLS"), "{tls:?}");
}
