//! A case: what happens to some sources and tables, and the views that watch.

use crate::rel::{Base, Emit, Rel};
use crate::sql;
use crate::value::{Row, Type, Value};

/// Which base is the first stream, the second stream, the table of rows, the table of keyed rows,
/// that of keyed rows with event time.
pub const STREAMS: usize = 2;
/// See [`STREAMS`].
pub const TABLE: usize = 2;
/// See [`STREAMS`].
pub const KEYED: usize = 3;
/// The table of keyed rows that have event time: nothing is ever late for it, no window closes.
pub const MOVING: usize = 4;

/// A case.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it was made from.
    pub seed: u64,
    /// Whether rows may be late: both streams are tables then, and one write is one step.
    pub late: bool,
    /// Whether times have a zone.
    pub zoned: bool,
    /// How late rows of each stream may be within their split, in microseconds.
    pub delays: [i64; STREAMS],
    /// Digits of the seconds of each stream's time.
    pub digits: [u8; STREAMS],
    /// Splits of each stream.
    pub splits: [usize; STREAMS],
    /// What happens.
    pub actions: Vec<Action>,
    /// Who watches.
    pub views: Vec<View>,
}

/// A view of a case.
#[derive(Clone, Debug)]
pub struct View {
    /// Its query.
    pub rel: Rel,
    /// When it shows its rows.
    pub emit: Emit,
    /// Before which action it is created.
    pub at: usize,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Action {
    /// Rows of a split of a stream can be read.
    Arrive(usize, usize, Vec<Row>),
    /// Rows are inserted into a table.
    Insert(usize, Vec<Row>),
    /// Rows of a table are changed.
    Change(usize, Change),
    /// The server stops and starts.
    Restart,
    /// The server is replaced without having stopped.
    Crash,
}

/// What becomes of the rows of a table whose number leaves `rest` when divided by `modulus`.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// See [`Change`].
    pub modulus: i64,
    /// See [`Change`].
    pub rest: i64,
    /// What is added to the number that they carry; without it they are deleted.
    pub add: Option<i64>,
}

impl Change {
    /// The columns of a table that tell its rows apart and that carry a number.
    const fn columns(base: usize) -> (usize, usize) {
        match base {
            TABLE | MOVING => (0, 2),
            _ => (1, 1),
        }
    }

    /// The statement.
    pub fn text(self, base: usize) -> String {
        let base_def = &bases()[base];
        let (by, number) = Self::columns(base);
        let name = |column: usize| base_def.columns[column].0;
        let Self { modulus, rest, .. } = self;
        let condition = format!("{} % {modulus} = {rest}", name(by));
        let number = name(number);
        match self.add {
            Some(more) => {
                format!(
                    "UPDATE {} SET {number} = {number} + {more} WHERE {condition}",
                    base_def.name
                )
            }
            None => format!("DELETE FROM {} WHERE {condition}", base_def.name),
        }
    }

    fn apply(self, base: usize, rows: &mut Vec<Row>) {
        let (by, number) = Self::columns(base);
        let concerns =
            |row: &Row| matches!(row[by], Value::Int(value) if value % self.modulus == self.rest);
        match self.add {
            None => rows.retain(|row| !concerns(row)),
            Some(more) => {
                for row in rows.iter_mut().filter(|row| concerns(row)) {
                    if let Value::Int(value) = &mut row[number] {
                        *value += more;
                    }
                }
            }
        }
    }
}

/// The sources and tables of every case.
pub fn bases() -> Vec<Base> {
    use Type::{Bool, Decimal, Int, Real, Text, Time};
    vec![
        Base {
            name: "a",
            columns: vec![
                ("id", Int),
                ("k", Text),
                ("v", Int),
                ("f", Real),
                ("ts", Time),
            ],
            time: Some(4),
            key: None,
        },
        Base {
            name: "b",
            columns: vec![
                ("id", Int),
                ("k", Text),
                ("w", Int),
                ("p", Decimal),
                ("ok", Bool),
                ("ts", Time),
            ],
            time: Some(5),
            key: None,
        },
        Base {
            name: "t",
            columns: vec![("id", Int), ("k", Text), ("n", Int)],
            time: None,
            key: None,
        },
        Base {
            name: "u",
            columns: vec![("k", Text), ("m", Int), ("g", Text)],
            time: None,
            key: Some(0),
        },
        Base {
            name: "w",
            columns: vec![("id", Int), ("k", Text), ("x", Int), ("ts", Time)],
            time: Some(3),
            key: Some(0),
        },
    ]
}

impl Case {
    /// The statements that create sources and tables.
    pub fn definitions(&self) -> Vec<String> {
        let bases = bases();
        let define = |(index, base): (usize, &Base)| {
            let of = |of: Type| match of {
                Type::Bool => "BOOLEAN".to_owned(),
                Type::Int => "BIGINT".to_owned(),
                Type::Real => "DOUBLE PRECISION".to_owned(),
                Type::Decimal => "DECIMAL(10,2)".to_owned(),
                Type::Text | Type::List => "TEXT".to_owned(),
                Type::Time => {
                    let zone = if self.zoned { " WITH TIME ZONE" } else { "" };
                    let digits = self.digits.get(index).unwrap_or(&6);
                    format!("TIMESTAMP({digits}){zone}")
                }
            };
            let mut columns: Vec<String> = base
                .columns
                .iter()
                .enumerate()
                .map(|(place, (name, kind))| {
                    let key = if base.key == Some(place) {
                        " PRIMARY KEY"
                    } else {
                        ""
                    };
                    format!("{name} {}{key}", of(*kind))
                })
                .collect();
            if base.time.is_none() {
                return format!("CREATE TABLE {} ({})", base.name, columns.join(", "));
            }
            let delay = self.delays.get(index).map_or(3_600_000, |us| us / 1_000);
            columns.push(format!(
                "WATERMARK FOR ts AS ts - INTERVAL '{delay}' MILLISECOND"
            ));
            if self.late || base.key.is_some() {
                return format!("CREATE TABLE {} ({})", base.name, columns.join(", "));
            }
            format!(
                "CREATE SOURCE {} ({}) WITH ('connector' = 'script')",
                base.name,
                columns.join(", ")
            )
        };
        bases.iter().enumerate().map(define).collect()
    }

    /// The statements that create a view with what it reads, by name.
    pub fn statements(&self, view: usize) -> Vec<(String, String)> {
        let View { rel, emit, .. } = &self.views[view];
        sql::statements(rel, *emit, &format!("v{view}"), &bases(), self.zoned)
    }

    /// The rows that are there at the end, by base.
    pub fn rows(&self) -> Vec<Vec<Row>> {
        let bases = bases();
        let mut out = vec![Vec::new(); bases.len()];
        for action in &self.actions {
            let (base, rows) = match action {
                Action::Arrive(base, _, rows) | Action::Insert(base, rows) => (*base, rows),
                Action::Change(base, change) => {
                    change.apply(*base, &mut out[*base]);
                    continue;
                }
                Action::Restart | Action::Crash => continue,
            };
            for row in rows {
                if let Some(key) = bases[base].key {
                    out[base].retain(|known: &Row| !known[key].same(&row[key]));
                }
                out[base].push(row.clone());
            }
        }
        out
    }

    /// Whether rows of one key and time lie in different splits of a stream: which of them comes
    /// last is not defined.
    pub fn has_ties(&self, stream: usize) -> bool {
        let Some(time) = bases()[stream].time else {
            return false;
        };
        let splits = self.split_rows(stream);
        let tied = |a: &Row, b: &Row| a[1].same(&b[1]) && a[time].same(&b[time]);
        splits.iter().enumerate().any(|(index, rows)| {
            let others = splits[index + 1..].iter().flatten();
            others
                .into_iter()
                .any(|other| rows.iter().any(|row| tied(row, other)))
        })
    }

    /// All rows of each split of a stream, in order.
    pub fn split_rows(&self, stream: usize) -> Vec<Vec<Row>> {
        let mut out = vec![Vec::new(); self.splits[stream]];
        for action in &self.actions {
            if let Action::Arrive(base, split, rows) = action
                && *base == stream
            {
                out[*split].extend(rows.iter().cloned());
            }
        }
        out
    }

    /// The case as somebody would type it.
    pub fn text(&self) -> String {
        let mut out = format!("-- seed {}, splits {:?}\n", self.seed, self.splits);
        for definition in self.definitions() {
            out += &format!("{definition};\n");
        }
        for index in 0..=self.actions.len() {
            for view in (0..self.views.len()).filter(|view| self.views[*view].at == index) {
                for (_, text) in self.statements(view) {
                    out += &format!("{text};\n");
                }
            }
            let Some(action) = self.actions.get(index) else {
                continue;
            };
            out += &match action {
                Action::Arrive(base, split, rows) => {
                    let name = bases()[*base].name;
                    format!("-- {name}, split {split}: {}\n", self.values(rows))
                }
                Action::Insert(base, rows) => {
                    format!(
                        "INSERT INTO {} VALUES {};\n",
                        bases()[*base].name,
                        self.values(rows)
                    )
                }
                Action::Change(base, change) => format!("{};\n", change.text(*base)),
                Action::Restart => "-- restart\n".to_owned(),
                Action::Crash => "-- crash\n".to_owned(),
            };
        }
        out
    }

    /// Rows as a VALUES list.
    pub fn values(&self, rows: &[Row]) -> String {
        let rows = rows.iter().map(|row| {
            let cells = row.iter().map(|value| match value {
                Value::Int(value) => value.to_string(),
                Value::Real(value) => format!("{value:?}"),
                Value::Null => "NULL".to_owned(),
                value => crate::expr::literal(value, Type::Text, self.zoned),
            });
            format!("({})", cells.collect::<Vec<_>>().join(", "))
        });
        rows.collect::<Vec<_>>().join(", ")
    }
}
