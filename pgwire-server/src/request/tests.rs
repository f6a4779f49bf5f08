//! Frames that lie about what they hold.

use bytes::Bytes;

use super::Request;
use crate::socket::Frame;

fn read(tag: u8, body: &'static [u8]) -> Result<Request, String> {
    let frame = Frame {
        tag,
        body: Bytes::from_static(body),
    };
    Request::read(frame).map_err(|failure| failure.sqlstate.to_owned())
}

#[test]
fn counts_and_lengths_that_lie_are_errors() {
    let bodies: [(u8, &'static [u8]); 8] = [
        (b'Q', b"select 1"),
        (b'P', b"\0\0\xff\xff"),
        (b'B', b"\0\0\0\0\xff\xff"),
        (b'B', b"\0\0\0\0\0\x01\x7f\xff\xff\xff"),
        (b'B', b"\0\0\0\0\0\x01\xff\xff\xff\xfe"),
        (b'E', b"\0\0"),
        (b'D', b""),
        (b'S', b"more"),
    ];
    for (tag, body) in bodies {
        assert_eq!(read(tag, body), Err("08P01".to_owned()), "{tag} {body:?}");
    }
    assert_eq!(read(b'Q', b"\xff\0"), Err("22021".to_owned()));
}

#[test]
fn zero_and_negative_limits_of_rows_mean_all() {
    let limit = |body| match read(b'E', body) {
        Ok(Request::Execute { rows_max, .. }) => rows_max,
        other => panic!("{other:?}"),
    };
    assert_eq!(limit(b"\0\0\0\0\0"), None);
    assert_eq!(limit(b"\0\xff\xff\xff\xff"), None);
    assert_eq!(limit(b"\0\x7f\xff\xff\xff"), Some(2_147_483_647));
}
