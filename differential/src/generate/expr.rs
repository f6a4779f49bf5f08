//! Random expressions of a type over columns.

use crate::expr::{Arithmetic, Compare, Expr};
use crate::random::Random;
use crate::value::{START_US, Type, Value};

/// An expression of type `of` over columns of `types`.
pub fn some(random: &mut Random, types: &[Type], of: Type, depth: usize) -> Expr {
    let column = column_of(random, types, of);
    if depth == 0 || random.one_in(3) {
        return match column {
            Some(column) if !random.one_in(6) => Expr::Column(column),
            _ => literal(random, of),
        };
    }
    let mut part = |of: Type| Box::new(some(random, types, of, depth - 1));
    let (a, b) = (part(of), part(of));
    match of {
        Type::Bool => truth(random, types, depth),
        Type::Int | Type::Real | Type::Decimal => match random.below(5) {
            0 => Expr::Arithmetic(Arithmetic::Add, a, b),
            1 => Expr::Arithmetic(Arithmetic::Subtract, a, b),
            2 if of == Type::Int => {
                let divisor = Value::Int(random.between(2, 5));
                let divisor = Box::new(Expr::Literal(divisor, Type::Int));
                Expr::Arithmetic(Arithmetic::Modulo, a, divisor)
            }
            3 => Expr::Coalesce(a, b),
            _ => Expr::Case(Box::new(truth(random, types, depth)), a, b),
        },
        Type::Text => match random.below(4) {
            0 => Expr::Concat(a, b),
            1 => Expr::Coalesce(a, b),
            2 => Expr::Case(Box::new(truth(random, types, depth)), a, b),
            _ => *a,
        },
        Type::Time | Type::List => match column {
            Some(column) => Expr::Column(column),
            None => literal(random, of),
        },
    }
}

/// A condition.
pub fn truth(random: &mut Random, types: &[Type], depth: usize) -> Expr {
    let plain: Vec<Type> = types
        .iter()
        .copied()
        .filter(|of| *of != Type::List)
        .collect();
    let of = match plain.as_slice() {
        [] => Type::Int,
        types => random.one_of(types),
    };
    let depth = depth.saturating_sub(1);
    let choice = random.below(9);
    let mut part = |of: Type| Box::new(some(random, types, of, depth));
    match choice {
        0 if depth > 0 => Expr::Logic(true, part(Type::Bool), part(Type::Bool)),
        1 if depth > 0 => Expr::Logic(false, part(Type::Bool), part(Type::Bool)),
        2 if depth > 0 => Expr::Not(part(Type::Bool)),
        3 => {
            let value = part(of);
            Expr::IsNull(value, random.one_in(2))
        }
        4 if matches!(of, Type::Int | Type::Text) => {
            let value = part(of);
            let list = (0..1 + random.below(3)).map(|_| constant(random, of));
            let list = list.map(|value| (value, of)).collect();
            Expr::In(value, list, !random.one_in(3))
        }
        _ => {
            let (a, b) = (part(of), part(of));
            let op = random.one_of(&[
                Compare::Equal,
                Compare::NotEqual,
                Compare::Less,
                Compare::LessEqual,
                Compare::Greater,
                Compare::GreaterEqual,
                Compare::Same,
            ]);
            Expr::Compare(op, a, b)
        }
    }
}

/// One of the columns of a type.
pub fn column_of(random: &mut Random, types: &[Type], of: Type) -> Option<usize> {
    let fitting: Vec<usize> = (0..types.len())
        .filter(|index| types[*index] == of)
        .collect();
    match fitting.as_slice() {
        [] => None,
        columns => Some(random.one_of(columns)),
    }
}

fn constant(random: &mut Random, of: Type) -> Value {
    match of {
        Type::Bool => Value::Bool(random.one_in(2)),
        Type::Int => Value::Int(random.between(-3, 15)),
        Type::Real => Value::Real(random.between(-8, 30) as f64 * 0.25),
        Type::Decimal => Value::Decimal(i128::from(random.between(-500, 9_000))),
        Type::Text => Value::Text(random.one_of(&["a", "b", "c", "x"]).to_owned()),
        Type::Time => Value::Time(START_US + random.between(0, 40) * 1_000_000),
        Type::List => Value::Null,
    }
}

/// A constant as an expression; sometimes null.
pub fn literal(random: &mut Random, of: Type) -> Expr {
    let value = match of != Type::Time && random.one_in(12) {
        true => Value::Null,
        false => constant(random, of),
    };
    Expr::Literal(value, of)
}
