//! What holds for each relation: its columns, its event time, whether its rows change.

use super::{
    As, Base, Call, Emit, Group, Join, Kind, Over, OverCall, Purpose, Rel, Select, Shape, Subquery,
    Top, Unnest, Window,
};
use crate::expr::Expr;
use crate::value::Type;

impl Rel {
    /// What holds for it, over `bases`.
    pub fn shape(&self, bases: &[Base]) -> Shape {
        match self {
            Self::Base(index) => {
                let base = &bases[*index];
                Shape {
                    types: base.columns.iter().map(|(_, of)| *of).collect(),
                    time: base.time.filter(|_| base.key.is_none()),
                    append: base.time.is_some() && base.key.is_none(),
                }
            }
            Self::Stored(from, emit) => {
                let shape = from.shape(bases);
                match (from.as_ref(), emit) {
                    (Self::Window(_), Emit::Default | Emit::Changes) => Shape {
                        time: None,
                        append: false,
                        ..shape
                    },
                    _ => shape,
                }
            }
            Self::Select(select) => select.shape(bases),
            Self::Union(inputs, all) => union(inputs, *all, bases),
            Self::Group(group) => group.shape(),
            Self::Window(window) => window.shape(bases),
            Self::Assigned(from, ..) => {
                let from = from.shape(bases);
                Shape {
                    time: from.append.then_some(from.types.len()),
                    types: [from.types, vec![Type::Time, Type::Time]].concat(),
                    append: from.append,
                }
            }
            Self::Join(join) => join.shape(bases),
            Self::Asof(asof) => {
                let (left, right) = (asof.left.shape(bases), asof.right.shape(bases));
                Shape {
                    types: [left.types, right.types].concat(),
                    time: left.time,
                    append: true,
                }
            }
            Self::Top(top) => top.shape(bases),
            Self::Over(over) => over.shape(bases),
            Self::Sets(sets) => Shape {
                time: None,
                append: false,
                ..sets.left.shape(bases)
            },
            Self::Unnest(unnest) => unnest.shape(bases),
            Self::Subquery(subquery) => subquery.shape(bases),
        }
    }
}

fn union(inputs: &[Rel], all: bool, bases: &[Base]) -> Shape {
    let shapes: Vec<Shape> = inputs.iter().map(|input| input.shape(bases)).collect();
    let time = shapes[0].time;
    let append = shapes.iter().all(|shape| shape.append);
    let same = append && all && shapes.iter().all(|shape| shape.time == time);
    Shape {
        types: shapes[0].types.clone(),
        time: time.filter(|_| same),
        append,
    }
}

impl Group {
    fn shape(&self) -> Shape {
        Shape {
            types: types(self.keys.iter().map(|(_, of)| *of), &self.calls),
            time: None,
            append: false,
        }
    }
}

impl Window {
    fn shape(&self, bases: &[Base]) -> Shape {
        let from = self.from.shape(bases);
        let keys = self.keys.iter().map(|key| from.types[*key]);
        let keys = [Type::Time, Type::Time].into_iter().chain(keys);
        Shape {
            types: types(keys, &self.calls),
            time: from.append.then_some(0),
            append: from.append,
        }
    }
}

impl Unnest {
    fn shape(&self, bases: &[Base]) -> Shape {
        let mut shape = self.from.shape(bases);
        shape.types.push(self.of);
        if self.numbered {
            shape.types.push(Type::Int);
        }
        shape
    }
}

impl Subquery {
    fn shape(&self, bases: &[Base]) -> Shape {
        let mut types = self.from.shape(bases).types;
        match &self.purpose {
            Purpose::Test(_, As::Condition | As::Or(_)) => {}
            Purpose::Test(_, As::Column) => types.push(Type::Bool),
            Purpose::Value(call) => types.push(call.result()),
            Purpose::First(..) => types.extend(self.inner.shape(bases).types),
        }
        Shape {
            types,
            time: None,
            append: false,
        }
    }
}

impl Top {
    fn shape(&self, bases: &[Base]) -> Shape {
        let mut shape = self.from.shape(bases);
        if self.numbered {
            shape.types.push(Type::Int);
        }
        Shape {
            time: None,
            append: false,
            ..shape
        }
    }
}

impl Over {
    fn shape(&self, bases: &[Base]) -> Shape {
        let mut shape = self.from.shape(bases);
        shape.types.extend(self.calls.iter().map(OverCall::result));
        shape
    }
}

impl Select {
    fn shape(&self, bases: &[Base]) -> Shape {
        let from = self.from.shape(bases);
        let place = |time: usize| {
            let is_time = |(expr, _): &(Expr, Type)| matches!(expr, Expr::Column(c) if *c == time);
            match self.columns.as_slice() {
                [] => Some(time),
                columns => columns.iter().position(is_time),
            }
        };
        Shape {
            time: from.time.filter(|_| !self.distinct).and_then(place),
            types: match self.columns.as_slice() {
                [] => from.types,
                columns => columns.iter().map(|(_, of)| *of).collect(),
            },
            append: from.append,
        }
    }
}

impl Join {
    /// Whether rows meet only while event time is near them, by interval or by window.
    pub fn ends(&self) -> bool {
        let windows = |rel: &Rel| matches!(rel, Rel::Assigned(..) | Rel::Window(_));
        self.near.is_some() || windows(&self.left) && windows(&self.right)
    }

    fn shape(&self, bases: &[Base]) -> Shape {
        let (left, right) = (self.left.shape(bases), self.right.shape(bases));
        let both = left.append && right.append;
        let width = left.types.len();
        let append = match self.kind {
            _ if self.ends() => true,
            Kind::Inner | Kind::Semi => both,
            _ => false,
        };
        let time = match self.kind {
            Kind::Full => None,
            Kind::Right => right.time.map(|time| time + width),
            _ => left.time,
        };
        Shape {
            types: match self.kind {
                Kind::Semi | Kind::Anti => left.types,
                _ => [left.types, right.types].concat(),
            },
            time: time.filter(|_| append),
            append,
        }
    }
}

fn types(keys: impl Iterator<Item = Type>, calls: &[Call]) -> Vec<Type> {
    keys.chain(calls.iter().map(Call::result)).collect()
}
