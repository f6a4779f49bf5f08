//! How deep a statement may be: chains of operators nest as deep as they are long, and every part
//! of planning goes down them.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Cause, PlanError};
use crate::parse::lexeme::Lexeme;

/// Operators that may lie above each other.
const OPERATORS_MAX: usize = 2_000;

/// How deep expressions may nest which sqlparser tries twice, in one form and then in another: each
/// level takes twice the time of the one inside of it.
const TRIED_MAX: usize = 16;

/// Words before a parenthesis or a bracket of such an expression.
const TRIED: [&str; 5] = ["ARRAY", "CAST", "NOT", "SAFE_CAST", "TRY_CAST"];

/// Words between operands.
const OPERATORS: [&str; 3] = ["AND", "OR", "NOT"];

/// Words between queries and between relations, which a comma does not end.
const STEPS: [&str; 4] = ["UNION", "EXCEPT", "INTERSECT", "JOIN"];

/// What lies above each other inside of one parenthesis.
#[derive(Clone, Copy, Default)]
struct Open {
    /// Operators of this element of its list.
    operators: usize,
    /// Steps from its beginning.
    steps: usize,
    /// Whether it is of an expression that is tried twice.
    tried: bool,
}

/// Refuses a statement whose chains of operators, those around them included, are too long.
///
/// # Errors
/// [`Cause::TooDeep`] at the operator that is one too many.
pub fn check(lexemes: &[Lexeme]) -> Result<(), PlanError> {
    let mut around: Vec<Open> = Vec::new();
    let mut here = Open::default();
    let mut total = 0_usize;
    let mut tried = 0_usize;
    let mut before: Option<&Lexeme> = None;
    for lexeme in lexemes {
        let last = before.replace(lexeme);
        match &lexeme.token.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                around.push(std::mem::take(&mut here));
                here.tried = last.is_some_and(|last| is_tried(last, lexeme));
                tried += usize::from(here.tried);
                check_tried(tried, lexeme)?;
            }
            Token::Word(_) if lexeme.is_word("CASE") => {
                tried += 1;
                check_tried(tried, lexeme)?;
            }
            Token::Word(_) if lexeme.is_word("END") => tried = tried.saturating_sub(1),
            Token::RParen | Token::RBracket | Token::RBrace => {
                if let Some(outer) = around.pop() {
                    total -= here.operators + here.steps;
                    tried = tried.saturating_sub(usize::from(here.tried));
                    here = outer;
                }
            }
            Token::Comma => total -= std::mem::take(&mut here.operators),
            _ => {
                if STEPS.iter().any(|word| lexeme.is_word(word)) {
                    here.steps += 1;
                } else if is_operator(lexeme) {
                    here.operators += 1;
                } else {
                    continue;
                }
                total += 1;
                if total > OPERATORS_MAX {
                    let error = PlanError::new(Cause::TooDeep { max: OPERATORS_MAX });
                    let hint = "Write x IN (…) for x = … OR x = …, or several statements.";
                    return Err(error.at(lexeme.position).hint(hint));
                }
            }
        }
    }
    Ok(())
}

fn is_tried(before: &Lexeme, open: &Lexeme) -> bool {
    let nested = open.is(&Token::LBracket) && before.is(&Token::LBracket);
    nested || TRIED.iter().any(|word| before.is_word(word))
}

fn check_tried(tried: usize, lexeme: &Lexeme) -> Result<(), PlanError> {
    if tried <= TRIED_MAX {
        return Ok(());
    }
    let error = PlanError::new(Cause::TooDeep { max: TRIED_MAX });
    let hint = "Compute the inner parts in a query in FROM or in WITH.";
    Err(error.at(lexeme.position).hint(hint))
}

fn is_operator(lexeme: &Lexeme) -> bool {
    let sign = matches!(
        lexeme.token.token,
        Token::Plus
            | Token::Minus
            | Token::Mul
            | Token::Div
            | Token::Mod
            | Token::StringConcat
            | Token::Caret
            | Token::Ampersand
            | Token::Pipe
            | Token::DoubleColon
            | Token::Arrow
            | Token::LongArrow
            | Token::HashArrow
            | Token::HashLongArrow
            | Token::ExclamationMark
            | Token::Tilde
            | Token::ShiftLeft
            | Token::ShiftRight
            | Token::CustomBinaryOperator(_)
    );
    sign || OPERATORS.iter().any(|word| lexeme.is_word(word))
}

#[cfg(test)]
mod tests {
    use crate::parse::lexeme::lexemes;

    fn is_too_deep(text: &str) -> bool {
        lexemes(text).is_err()
    }

    #[test]
    fn chains_count_and_lists_do_not() {
        let chain = |count: usize| vec!["x"; count].join(" OR ");
        assert!(!is_too_deep(&chain(2_001)));
        assert!(is_too_deep(&chain(2_002)));
        assert!(is_too_deep(&format!(
            "{} AND ({})",
            chain(1_500),
            chain(502)
        )));
        assert!(!is_too_deep(&format!(
            "({}) AND ({})",
            chain(1_500),
            chain(501)
        )));
        assert!(!is_too_deep(&vec!["1 + 1"; 5_000].join(", ")));
        assert!(!is_too_deep(&vec!["(1 + 1, 2)"; 5_000].join(", ")));
        assert!(is_too_deep(&vec!["SELECT 1, 2"; 2_002].join(" UNION ALL ")));
    }

    #[test]
    fn what_is_tried_twice_nests_less_deep() {
        let nested = |open: &str, close: &str, count: usize| {
            format!("{}x{}", open.repeat(count), close.repeat(count))
        };
        for (open, close) in [
            ("CAST(", " AS INT)"),
            ("ARRAY[", "]"),
            ("NOT (", ")"),
            ("CASE WHEN a THEN ", " END"),
        ] {
            assert!(!is_too_deep(&nested(open, close, 16)), "{open}");
            assert!(is_too_deep(&nested(open, close, 17)), "{open}");
        }
        assert!(!is_too_deep(&nested("(", ")", 100)));
        assert!(!is_too_deep(
            &vec!["CASE WHEN a THEN 1 END"; 100].join(", ")
        ));
        assert!(!is_too_deep(&vec!["ARRAY[CAST(1 AS INT)]"; 100].join(", ")));
    }
}
