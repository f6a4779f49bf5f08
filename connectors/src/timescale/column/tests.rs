//! Which columns of an existing table will do.

use super::*;

/// The modifier of `numeric(precision, scale)`.
fn numeric(precision: i32, scale: i32) -> i32 {
    ((precision << 16) | (scale & 0x7FF)) + 4
}

#[test]
fn a_column_fits_if_it_holds_every_value_exactly() {
    let price = PgType::Numeric(18, 4);
    let cases = [
        (price.clone(), "numeric", -1, true),
        (price.clone(), "numeric", numeric(18, 4), true),
        (price.clone(), "numeric", numeric(20, 6), true),
        (price.clone(), "numeric", numeric(18, 5), false),
        (price.clone(), "numeric", numeric(30, 2), false),
        (price.clone(), "numeric", numeric(18, -2), false),
        (price.clone(), "float8", -1, false),
        (PgType::Int4, "int8", -1, true),
        (PgType::Int4, "int2", -1, false),
        (PgType::Int8, "numeric", numeric(19, 0), true),
        (PgType::Int8, "numeric", numeric(18, 0), false),
        (PgType::Float4, "float8", -1, true),
        (PgType::Float8, "float4", -1, false),
        (PgType::Text, "varchar", -1, true),
        (PgType::Text, "varchar", 14, false),
        (PgType::Timestamp(3), "timestamp", 3, true),
        (PgType::Timestamp(6), "timestamp", 3, false),
        (PgType::TimestampTz(6), "timestamp", -1, false),
        (PgType::Array(Box::new(PgType::Int4)), "_int4", -1, true),
        (
            PgType::Array(Box::new(price)),
            "_numeric",
            numeric(18, 2),
            false,
        ),
        (PgType::Jsonb, "json", -1, true),
        (PgType::Bool, "int4", -1, false),
    ];
    for (needed, typname, modifier, expected) in cases {
        assert_eq!(
            needed.fits(typname, modifier),
            expected,
            "{needed:?} in {typname} {modifier}"
        );
    }
}
