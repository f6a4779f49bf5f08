//! Configuration is taken as written or refused.

use std::path::Path;
use std::time::Duration;

use clap::{CommandFactory, Parser};

use super::Config;
use crate::cli::{Cli, Command, CommonArgs, ServeArgs};

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

#[test]
fn an_address_of_the_command_line_keeps_its_port_unless_that_is_given_too() {
    let args = ServeArgs {
        pg_listen: Some("127.0.0.2:7".parse().unwrap()),
        flight_listen: Some("127.0.0.2:8".parse().unwrap()),
        common: CommonArgs {
            flight_port: Some(9),
            ..CommonArgs::default()
        },
        ..ServeArgs::default()
    };
    let config = Config::load(&args).unwrap();
    assert_eq!(config.pg.to_string(), "127.0.0.2:7");
    assert_eq!(config.flight.to_string(), "127.0.0.2:9");
}

fn clone() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

#[test]
fn the_deployed_configurations_are_read_and_fail_closed() {
    for file in ["k8s/base/rtsap.toml", "k8s/overlays/production/rtsap.toml"] {
        let args = |insecure_listen| ServeArgs {
            config: Some(clone().join(file)),
            insecure_listen,
            ..ServeArgs::default()
        };
        let refused = Config::load(&args(false)).unwrap_err().to_string();
        assert!(refused.contains("without TLS"), "{file}: {refused}");
        let config = Config::load(&args(true)).unwrap();
        assert_eq!(config.pg.to_string(), "0.0.0.0:5433", "{file}");
        assert_eq!(config.data_dir, Path::new("/var/lib/rtsap"), "{file}");
    }
}

#[test]
fn the_composed_server_is_given_what_it_understands() {
    let text = std::fs::read_to_string(clone().join("compose.yaml")).unwrap();
    let compose: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
    let server = &compose["services"]["rtsap"];
    let words = server["command"].as_sequence().unwrap().iter();
    let words = words.map(|word| word.as_str().unwrap().to_owned());
    let cli = Cli::try_parse_from(std::iter::once("rtsap".to_owned()).chain(words)).unwrap();
    assert!(matches!(cli.command, Command::Serve(args) if args.insecure_listen));
    let serve = Cli::command();
    let serve = serve.find_subcommand("serve").unwrap();
    let known: Vec<_> = serve.get_arguments().filter_map(|a| a.get_env()).collect();
    for name in server["environment"].as_mapping().unwrap().keys() {
        let name = name.as_str().unwrap();
        assert!(known.iter().any(|each| *each == name), "{name} is not read");
    }
}
