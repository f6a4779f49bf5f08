//! Which options of a file sink are taken, and how the others are refused.

use rtsap_stream::registry::Options;

use super::{Root, SinkOptions};

fn read(path: &str, extra: &[(&str, &str)]) -> Result<SinkOptions, String> {
    let mut options = Options::default();
    for (key, value) in [
        ("connector", "filesystem"),
        ("path", path),
        ("format", "parquet"),
    ]
    .iter()
    .chain(extra)
    {
        options.0.insert((*key).to_owned(), (*value).to_owned());
    }
    options.0.retain(|_, value| !value.is_empty());
    SinkOptions::read("sink \"s\"", &options).map_err(|error| {
        let more = error.detail.or(error.hint).unwrap_or_default();
        format!("{} | {more}", error.message)
    })
}

#[test]
fn paths_are_directories_or_buckets() {
    for path in ["/data/out", "file:///data/out"] {
        let Root::Local(found) = read(path, &[]).unwrap().root else {
            panic!("{path}")
        };
        assert_eq!(found, std::path::Path::new("/data/out"));
    }
    let options = read(
        "s3://b/p/q/",
        &[("s3.endpoint", "http://e"), ("s3.region", "r")],
    );
    let Root::S3 {
        bucket,
        prefix,
        settings,
    } = options.unwrap().root
    else {
        panic!("it is a bucket")
    };
    assert_eq!((bucket.as_str(), prefix.as_str()), ("b", "p/q"));
    assert_eq!(settings[0], ("aws_endpoint", "http://e".to_owned()));
}

/// Path, further options, words of the refusal.
type Refusal = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
);

#[test]
fn wrong_options_are_refused() {
    let cases: &[Refusal] = &[
        ("", &[], "option \"path\" of sink \"s\" is missing"),
        (
            "out",
            &[],
            "option \"path\" of sink \"s\" cannot be \"out\" | It is relative",
        ),
        (
            "ftp://x/y",
            &[],
            "option \"path\" of sink \"s\" cannot be \"ftp://x/y\"",
        ),
        (
            "s3:///y",
            &[],
            "option \"path\" of sink \"s\" cannot be \"s3:///y\"",
        ),
        (
            "/x",
            &[("s3.region", "r")],
            "option \"path\" of sink \"s\" is local, and",
        ),
        (
            "/x",
            &[("format", "csv")],
            "option \"format\" of sink \"s\" cannot be \"csv\"",
        ),
        (
            "/x",
            &[("parquet.compression", "brotli")],
            "option \"parquet.compression\" of sink",
        ),
        (
            "/x",
            &[("compression", "zstd")],
            "unknown option \"compression\" of sink \"s\"",
        ),
    ];
    for (path, extra, wanted) in cases {
        let Err(refusal) = read(path, extra) else {
            panic!("{path} {extra:?}")
        };
        assert!(refusal.starts_with(wanted), "{refusal}\n{wanted}");
    }
}
