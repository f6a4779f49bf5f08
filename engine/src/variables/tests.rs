//! Setting, refusing and resetting variables.

use super::*;

fn check(name: &str, value: &str, expected: Result<&str, &str>) {
    let (mut variables, refused) = Variables::new(&[]);
    assert!(refused.is_empty());
    let result = variables
        .set(name, Some(value), false)
        .map(|()| variables.get(name));
    match (result, expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), Some(expected), "{name}"),
        (Err(error), Err(code)) => assert_eq!(error.sqlstate_hint, Some(code), "{name}"),
        (result, expected) => panic!("{name} = {value}: {result:?}, not {expected:?}"),
    }
}

#[test]
fn values_are_checked_and_normalised() {
    check("timezone", "europe/berlin", Ok("Europe/Berlin"));
    check("TimeZone", "+02:00", Ok("+02:00"));
    check("TimeZone", "Mars/Olympus", Err("22023"));
    check("client_encoding", "utf-8", Ok("UTF8"));
    check("client_encoding", "latin1", Err("22023"));
    check("datestyle", "ISO, DMY", Ok("ISO, MDY"));
    check("datestyle", "German", Err("22023"));
    check("rtsap.read_consistency", "COMMITTED", Ok("committed"));
    check("rtsap.read_consistency", "stale", Err("22023"));
    check("rtsap.nonsense", "1", Err("42704"));
    check("myapp.user", "7", Ok("7"));
    check("nonsense", "1", Err("42704"));
    check("server_version", "9.6", Err("55P02"));
    check("statement_timeout", "1500ms", Ok("1500ms"));
    check("statement_timeout", "soon", Err("22023"));
    check("jit", "false", Ok("off"));
}

#[test]
fn local_values_end_with_the_block_and_reset_goes_back_to_the_start() {
    let (mut variables, _) = Variables::new(&[("TimeZone".into(), "Asia/Tokyo".into())]);
    variables.set("TimeZone", Some("UTC"), true).unwrap();
    assert_eq!(variables.get("timezone").unwrap(), "UTC");
    variables.end_block();
    assert_eq!(variables.get("timezone").unwrap(), "Asia/Tokyo");
    variables.set("TimeZone", Some("UTC"), false).unwrap();
    variables.set("TimeZone", None, false).unwrap();
    assert_eq!(variables.get("timezone").unwrap(), "Asia/Tokyo");
}

#[test]
fn a_timeout_of_zero_is_none() {
    let (mut variables, _) = Variables::new(&[]);
    assert_eq!(variables.statement_timeout(), None);
    variables
        .set("statement_timeout", Some("2s"), false)
        .unwrap();
    assert_eq!(variables.statement_timeout(), Some(Duration::from_secs(2)));
}
