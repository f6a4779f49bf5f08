//! Relations as SQL: one common table expression an operator, columns `c0`, `c1`, ….

use crate::expr::Expr;
use crate::rel::{
    Asof, Base, Call, Emit, Family, Function, Group, Join, Kind, Rel, Select, Sets, Window,
};
use crate::value::Type;

mod rank;
mod subquery;

/// Writes queries over `bases`.
pub struct Writer<'a> {
    bases: &'a [Base],
    /// Whether times have a zone.
    zoned: bool,
    /// What the views of this one begin with.
    prefix: &'a str,
    steps: Vec<(String, String)>,
    /// Views that must be created first, and how.
    views: Vec<(String, String)>,
    next: usize,
}

fn column(index: usize) -> String {
    format!("c{index}")
}

fn names(prefix: &str, width: usize) -> Vec<String> {
    (0..width)
        .map(|index| format!("{prefix}c{index}"))
        .collect()
}

fn interval(us: i64) -> String {
    if us % 1_000_000 == 0 {
        format!("INTERVAL '{}' SECOND", us / 1_000_000)
    } else {
        format!("INTERVAL '{}' MILLISECOND", us / 1_000)
    }
}

/// The statements that create `rel` as view `name`, those of the views that it reads first.
pub fn statements(
    rel: &Rel,
    emit: Emit,
    name: &str,
    bases: &[Base],
    zoned: bool,
) -> Vec<(String, String)> {
    let mut writer = Writer {
        bases,
        zoned,
        prefix: name,
        steps: Vec::new(),
        views: Vec::new(),
        next: 0,
    };
    let body = writer.whole(rel);
    let mut views = writer.views;
    views.push((name.to_owned(), create(name, rel, &body, emit)));
    views
}

fn create(name: &str, rel: &Rel, body: &str, emit: Emit) -> String {
    let regular = |rel: &Rel| matches!(rel, Rel::Join(join) if !join.ends());
    let here = |rel: &Rel| any_here(rel, &regular);
    let ttl = if here(rel) {
        " WITH (state_ttl = '100 days')"
    } else {
        ""
    };
    format!("CREATE STREAMING VIEW {name}{ttl} AS {body}{}", emit.sql())
}

/// Whether `test` holds for `rel` or for what it reads in the same view.
fn any_here(rel: &Rel, test: &dyn Fn(&Rel) -> bool) -> bool {
    let inputs = rel.inputs().into_iter();
    test(rel)
        || inputs
            .filter(|input| !matches!(input, Rel::Stored(..)))
            .any(|input| any_here(input, test))
}

impl Writer<'_> {
    /// A whole query, with its WITH clause.
    fn whole(&mut self, rel: &Rel) -> String {
        let before = std::mem::take(&mut self.steps);
        let last = self.query(rel);
        let steps = std::mem::replace(&mut self.steps, before);
        if steps.is_empty() {
            return last;
        }
        let steps = steps
            .iter()
            .map(|(name, query)| format!("{name} AS ({query})"));
        format!("WITH {} {last}", steps.collect::<Vec<_>>().join(", "))
    }

    /// The name of a relation, which becomes a step.
    fn name(&mut self, rel: &Rel) -> String {
        if let Rel::Stored(from, emit) = rel {
            let name = format!("{}_{}", self.prefix, self.views.len() + 1);
            let body = self.whole(from);
            let name = format!("{name}_{}", self.views.len());
            let text = create(&name, from, &body, *emit);
            self.views.push((name.clone(), text));
            return name;
        }
        let query = self.query(rel);
        self.next += 1;
        let name = format!("q{}", self.next);
        self.steps.push((name.clone(), query));
        name
    }

    fn width(&self, rel: &Rel) -> usize {
        rel.shape(self.bases).types.len()
    }

    fn expr(&self, expr: &Expr) -> String {
        expr.sql(&column, self.zoned)
    }

    fn query(&mut self, rel: &Rel) -> String {
        match rel {
            Rel::Base(index) => {
                let base = &self.bases[*index];
                let columns = base.columns.iter().enumerate();
                let columns = columns.map(|(index, (name, _))| format!("{name} AS c{index}"));
                let columns: Vec<String> = columns.collect();
                format!("SELECT {} FROM {}", columns.join(", "), base.name)
            }
            Rel::Stored(..) => format!("SELECT * FROM {}", self.name(rel)),
            Rel::Select(select) => self.select(select),
            Rel::Union(inputs, all) => {
                let word = if *all { " UNION ALL " } else { " UNION " };
                let inputs: Vec<String> = inputs
                    .iter()
                    .map(|input| format!("SELECT * FROM {}", self.name(input)))
                    .collect();
                inputs.join(word)
            }
            Rel::Group(group) => self.group(group),
            Rel::Window(window) => self.window(window),
            Rel::Assigned(from, time, family) => {
                let width = self.width(from);
                let from = self.name(from);
                let columns = names("", width).join(", ");
                let function = function(&from, *time, *family, "");
                format!(
                    "SELECT {columns}, window_start AS c{width}, window_end AS c{} FROM {function}",
                    width + 1
                )
            }
            Rel::Join(join) => self.join(join),
            Rel::Asof(asof) => self.asof(asof),
            Rel::Top(top) => self.top(top),
            Rel::Over(over) => self.over(over),
            Rel::Sets(sets) => self.sets(sets),
            Rel::Unnest(unnest) => self.unnest(unnest),
            Rel::Subquery(subquery) => self.subquery(subquery),
        }
    }

    fn select(&mut self, select: &Select) -> String {
        let from = self.name(&select.from);
        let columns = match select.columns.as_slice() {
            [] => "*".to_owned(),
            columns => self.aliased(columns),
        };
        let distinct = if select.distinct { "DISTINCT " } else { "" };
        let filter = match &select.filter {
            Some(filter) => format!(" WHERE {}", self.expr(filter)),
            None => String::new(),
        };
        format!("SELECT {distinct}{columns} FROM {from}{filter}")
    }

    fn aliased(&self, columns: &[(Expr, Type)]) -> String {
        let columns = columns.iter().enumerate();
        let columns = columns.map(|(index, (expr, _))| format!("{} AS c{index}", self.expr(expr)));
        columns.collect::<Vec<_>>().join(", ")
    }

    fn calls(&self, calls: &[Call], first: usize, width: usize) -> Vec<String> {
        let calls = calls.iter().enumerate();
        calls
            .map(|(index, call)| format!("{} AS c{}", self.call(call, width), first + index))
            .collect()
    }

    fn call(&self, call: &Call, width: usize) -> String {
        let order = || format!(" ORDER BY {}", names("", width).join(", "));
        let argument = match &call.argument {
            None => "*".to_owned(),
            Some((argument, _)) => self.expr(argument),
        };
        let distinct = if call.distinct { "DISTINCT " } else { "" };
        let text = match call.function {
            Function::Count => format!("count({distinct}{argument})"),
            Function::Sum => format!("sum({distinct}{argument})"),
            Function::Min => format!("min({argument})"),
            Function::Max => format!("max({argument})"),
            Function::Avg => format!("avg({argument})"),
            Function::First => format!("first_value({argument}{})", order()),
            Function::Last => format!("last_value({argument}{})", order()),
            Function::Array => format!("array_agg({argument}{})", order()),
            Function::Text => format!("string_agg({argument}, ','{})", order()),
            Function::All => format!("bool_and({argument})"),
        };
        match &call.filter {
            Some(filter) => format!("{text} FILTER (WHERE {})", self.expr(filter)),
            None => text,
        }
    }

    /// A condition over the result of an aggregation, which stands around it.
    fn having(&self, query: String, having: Option<&Expr>) -> String {
        match having {
            None => query,
            Some(having) => format!("SELECT * FROM ({query}) WHERE {}", self.expr(having)),
        }
    }

    fn group(&mut self, group: &Group) -> String {
        let width = self.width(&group.from);
        let from = self.name(&group.from);
        let mut columns: Vec<String> = Vec::new();
        let mut keys = Vec::new();
        for (index, (key, _)) in group.keys.iter().enumerate() {
            columns.push(format!("{} AS c{index}", self.expr(key)));
            keys.push(self.expr(key));
        }
        columns.extend(self.calls(&group.calls, keys.len(), width));
        let listed = |set: &Vec<usize>| {
            let keys: Vec<&str> = set.iter().map(|key| keys[*key].as_str()).collect();
            format!("({})", keys.join(", "))
        };
        let by = match (keys.is_empty(), &group.sets) {
            (true, _) => String::new(),
            (false, Sets::All) => format!(" GROUP BY {}", keys.join(", ")),
            (false, Sets::Rollup) => format!(" GROUP BY ROLLUP ({})", keys.join(", ")),
            (false, Sets::Cube) => format!(" GROUP BY CUBE ({})", keys.join(", ")),
            (false, Sets::These(sets)) => {
                let sets: Vec<String> = sets.iter().map(listed).collect();
                format!(" GROUP BY GROUPING SETS ({})", sets.join(", "))
            }
        };
        let query = format!("SELECT {} FROM {from}{by}", columns.join(", "));
        self.having(query, group.having.as_ref())
    }

    fn window(&mut self, window: &Window) -> String {
        let width = self.width(&window.from);
        let from = self.name(&window.from);
        let mut columns = vec![
            "window_start AS c0".to_owned(),
            "window_end AS c1".to_owned(),
        ];
        let keys = window.keys.iter().enumerate();
        columns.extend(keys.map(|(index, key)| format!("c{key} AS c{}", index + 2)));
        columns.extend(self.calls(&window.calls, window.keys.len() + 2, width));
        let keys: Vec<String> = window.keys.iter().map(|key| column(*key)).collect();
        let partition = match (window.family, keys.is_empty()) {
            (Family::Session(_), false) => format!(" PARTITION BY {}", keys.join(", ")),
            _ => String::new(),
        };
        let by = [
            vec!["window_start".to_owned(), "window_end".to_owned()],
            keys,
        ]
        .concat();
        let function = function(&from, window.time, window.family, &partition);
        let query = format!(
            "SELECT {} FROM {function} GROUP BY {}",
            columns.join(", "),
            by.join(", ")
        );
        self.having(query, window.having.as_ref())
    }

    fn join(&mut self, join: &Join) -> String {
        let (left_width, right_width) = (self.width(&join.left), self.width(&join.right));
        let (left, right) = (self.name(&join.left), self.name(&join.right));
        let mut on: Vec<String> = join
            .keys
            .iter()
            .map(|(left, right)| format!("l.c{left} = r.c{right}"))
            .collect();
        if let Some(near) = join.near {
            on.push(format!(
                "l.c{} BETWEEN r.c{} {} AND r.c{} {}",
                near.left,
                near.right,
                signed(near.lower),
                near.right,
                signed(near.upper)
            ));
        }
        if let Some(residual) = &join.residual {
            let name = |index: usize| match index.checked_sub(left_width) {
                None => format!("l.c{index}"),
                Some(index) => format!("r.c{index}"),
            };
            on.push(residual.sql(&name, self.zoned));
        }
        let on = on.join(" AND ");
        let own = names("l.", left_width);
        let other = names("r.", right_width);
        match join.kind {
            Kind::Semi | Kind::Anti => {
                let not = if join.kind == Kind::Anti { "NOT " } else { "" };
                let own = aliased(&own);
                format!(
                    "SELECT {own} FROM {left} AS l WHERE {not}EXISTS \
                     (SELECT 1 FROM {right} AS r WHERE {on})"
                )
            }
            kind => {
                let word = match kind {
                    Kind::Left => "LEFT JOIN",
                    Kind::Right => "RIGHT JOIN",
                    Kind::Full => "FULL JOIN",
                    _ => "JOIN",
                };
                let columns = aliased(&[own, other].concat());
                format!("SELECT {columns} FROM {left} AS l {word} {right} AS r ON {on}")
            }
        }
    }

    fn asof(&mut self, asof: &Asof) -> String {
        let own = names("l.", self.width(&asof.left));
        let other = names("r.", self.width(&asof.right));
        let (left, right) = (self.name(&asof.left), self.name(&asof.right));
        let word = if asof.outer { "LEFT " } else { "" };
        let sign = if asof.strict { ">" } else { ">=" };
        let tolerance = match asof.tolerance {
            Some(us) => format!(" TOLERANCE {}", interval(us)),
            None => String::new(),
        };
        format!(
            "SELECT {} FROM {left} AS l ASOF {word}JOIN {right} AS r \
             ON l.c{} = r.c{} AND l.c{} {sign} r.c{}{tolerance}",
            aliased(&[own, other].concat()),
            asof.key.0,
            asof.key.1,
            asof.times.0,
            asof.times.1
        )
    }

    fn argument(&self, call: &Call) -> String {
        match &call.argument {
            Some((argument, _)) => self.expr(argument),
            None => "*".to_owned(),
        }
    }
}

fn aliased(columns: &[String]) -> String {
    let columns = columns.iter().enumerate();
    let columns = columns.map(|(index, name)| format!("{name} AS c{index}"));
    columns.collect::<Vec<_>>().join(", ")
}

fn signed(us: i64) -> String {
    let sign = if us < 0 { '-' } else { '+' };
    format!("{sign} {}", interval(us.abs()))
}

/// The call of a window function.
fn function(from: &str, time: usize, family: Family, partition: &str) -> String {
    let table = format!("TABLE {from}{partition}, DESCRIPTOR(c{time})");
    match family {
        Family::Tumble(size, 0) => format!("TUMBLE({table}, {})", interval(size)),
        Family::Tumble(size, offset) => {
            format!("TUMBLE({table}, {}, {})", interval(size), interval(offset))
        }
        Family::Hop(slide, size) => {
            format!("HOP({table}, {}, {})", interval(slide), interval(size))
        }
        Family::Cumulate(step, size) => {
            format!("CUMULATE({table}, {}, {})", interval(step), interval(size))
        }
        Family::Session(gap) => format!("SESSION({table}, {})", interval(gap)),
    }
}
