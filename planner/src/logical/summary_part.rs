//! Calls whose names an aggregate and a part of a summary share, `stddev(x)`: marked in
//! sqlparser's tree, so that the type of the argument decides which of them is meant.
//!
//! The last change before the tree becomes a plan, since nothing else knows a marked call.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArguments, Statement, visit_expressions_mut,
};
use rtsap_udfs::overload::{PART, is_shared};

use super::function_spelling::{arguments, field};
use super::spelling::function_name;

/// Marks the calls of a statement.
pub fn mark(statement: &mut Statement) {
    let _: ControlFlow<()> = visit_expressions_mut(statement, |expr| {
        if let Expr::Function(function) = &*expr
            && may_be_part(function)
        {
            *expr = field(expr.clone(), PART);
        }
        ControlFlow::Continue(())
    });
}

/// Whether nothing but its name and arguments by position is written of a call.
fn may_be_part(function: &Function) -> bool {
    let is_plain = match &function.args {
        FunctionArguments::List(list) => {
            list.duplicate_treatment.is_none() && list.clauses.is_empty()
        }
        _ => false,
    };
    is_plain
        && function.over.is_none()
        && function.filter.is_none()
        && function.null_treatment.is_none()
        && function.within_group.is_empty()
        && arguments(function).is_some_and(|arguments| !arguments.is_empty())
        && function_name(function).is_some_and(|name| is_shared(&name))
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;
    use rtsap_udfs::overload::PART;

    use super::mark;

    fn check(query: &str, expected: &str) {
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, query);
        let mut statement = parsed.unwrap().remove(0);
        mark(&mut statement);
        assert_eq!(statement.to_string().replace(PART, "?"), expected);
    }

    #[test]
    fn only_calls_that_may_mean_a_part_are_marked() {
        check(
            "SELECT Stddev(s) + sum(x.s) FROM t GROUP BY k HAVING avg((SELECT max(v) FROM t)) > 1",
            "SELECT Stddev(s)['?'] + sum(x.s)['?'] FROM t GROUP BY k HAVING avg((SELECT max(v) \
             FROM t))['?'] > 1",
        );
        let others = "SELECT count(s), sum(DISTINCT s), sum(s) FILTER (WHERE b), sum(s) OVER (), \
                      stddev(), f.sum(s), sum(x => s), sum(*) FROM t";
        check(others, others);
        check(
            "SELECT sum(sum(x)) OVER () FROM t",
            "SELECT sum(sum(x)['?']) OVER () FROM t",
        );
    }
}
