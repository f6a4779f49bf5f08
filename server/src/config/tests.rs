//! Configuration is taken as written or refused.

use std::path::Path;
use std::time::Duration;

use super::Config;
use crate::cli::{CommonArgs, ServeArgs};

fn read(text: &str) -> Result<Config, String> {
    let mut config = Config::default();
    config
        .read(text, Path::new("test.toml"))
        .map_err(|error| error.to_string())?;
    Ok(config)
}

#[test]
fn every_documented_key_is_understood() {
    let config = read(
        "data_dir = '/d'\n[pg]\nlisten = '127.0.0.1:1'\n[flight]\nlisten = '127.0.0.1:2'\n\
         [http]\nlisten = '127.0.0.1:3'\n[log]\nfilter = 'debug'\njson = true\n\
         [checkpoint]\nurl = 's3://b/p'\ninterval_ms = 250\n",
    )
    .unwrap();
    assert_eq!(config.data_dir, Path::new("/d"));
    assert_eq!(
        (config.pg.port(), config.flight.port(), config.http.port()),
        (1, 2, 3)
    );
    assert_eq!(config.checkpoint_url.as_deref(), Some("s3://b/p"));
    assert_eq!(config.checkpoint_interval, Duration::from_millis(250));
    assert!(config.log_json);
}

#[test]
fn an_unknown_key_is_refused() {
    assert!(
        read("[pg]\nport = 5433\n")
            .unwrap_err()
            .contains("unknown field `port`")
    );
}

#[test]
fn an_open_address_needs_the_word() {
    let args = ServeArgs {
        common: CommonArgs::default(),
        ..ServeArgs::default()
    };
    let mut config = Config::load(&args).unwrap();
    config.pg = "0.0.0.0:5433".parse().unwrap();
    assert!(
        config
            .check()
            .unwrap_err()
            .to_string()
            .contains("without TLS")
    );
    config.insecure_listen = true;
    assert!(config.check().is_ok());
}

#[test]
fn arguments_go_before_the_file() {
    let mut config = read("[pg]\nlisten = '127.0.0.1:1'\n").unwrap();
    config.apply(&CommonArgs {
        pg_port: Some(9),
        ..CommonArgs::default()
    });
    assert_eq!(config.pg.port(), 9);
}
