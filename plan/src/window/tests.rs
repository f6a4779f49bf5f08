//! A point's windows, by definition and by formula.

use super::{Nanos, Window, WindowSpec};

fn by_definition(spec: &WindowSpec, time: i64) -> Vec<Window> {
    (-300..300)
        .map(|index| spec.offset_nanos() + index * spec.slide_nanos())
        .filter(|start| *start <= time && time < start + spec.size_nanos())
        .map(|start| Window {
            start,
            end: start + spec.size_nanos(),
        })
        .collect()
}

#[test]
fn windows_of_agrees_with_the_definition() {
    for (size, slide) in [(10, 10), (10, 5), (10, 3), (7, 10), (1, 1), (60, 1)] {
        for offset in [0, 1, 4] {
            let spec = WindowSpec::Hop {
                size_nanos: size,
                slide_nanos: slide,
                offset_nanos: offset,
            };
            for time in -50..50 {
                let got: Vec<Window> = spec.windows_of(time).collect();
                assert_eq!(
                    got,
                    by_definition(&spec, time),
                    "size {size} slide {slide} time {time}"
                );
            }
        }
    }
}

#[test]
fn slices_start_at_or_before_the_point_and_are_aligned() {
    let spec = WindowSpec::Hop {
        size_nanos: 10,
        slide_nanos: 4,
        offset_nanos: 1,
    };
    assert_eq!(spec.slice_nanos(), 2);
    for time in -20..20 {
        let start = spec.slice_start(time);
        assert!(start <= time && time < start + 2);
        assert_eq!((start - 1).rem_euclid(2), 0);
    }
}

#[test]
fn durations_print_in_the_largest_unit() {
    assert_eq!(Nanos(90_000_000_000).to_string(), "90s");
    assert_eq!(Nanos(3_600_000_000_000).to_string(), "1h");
    assert_eq!(Nanos(0).to_string(), "0ns");
}

/// The windows of a point are those of its period that end after it.
#[test]
fn cumulating_windows_end_one_after_the_other() {
    let spec = WindowSpec::Cumulate {
        step_nanos: 10,
        size_nanos: 30,
        offset_nanos: 5,
    };
    for time in -100..100 {
        let start = (time - 5_i64).div_euclid(30) * 30 + 5;
        let ends = [start + 10, start + 20, start + 30];
        let expected = ends.into_iter().filter(|end| *end > time);
        let expected: Vec<Window> = expected.map(|end| Window { start, end }).collect();
        assert_eq!(
            spec.windows_of(time).collect::<Vec<_>>(),
            expected,
            "{time}"
        );
        let next = spec.end_after(time);
        assert_eq!(next, i128::from(expected[0].end), "{time}");
    }
    assert_eq!(
        spec.to_string(),
        "cumulate(step 10ns, size 30ns) offset 5ns"
    );
}
