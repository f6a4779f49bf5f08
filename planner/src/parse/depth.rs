//! How deep a statement may be: chains of operators nest as deep as they are long, and every part
//! of planning goes down them.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Cause, PlanError};
use crate::parse::lexeme::Lexeme;

/// Operators that may lie above each other.
const OPERATORS_MAX: usize = 2_000;

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
}

/// Refuses a statement whose chains of operators, those around them included, are too long.
///
/// # Errors
/// [`Cause::TooDeep`] at the operator that is one too many.
pub fn check(lexemes: &[Lexeme]) -> Result<(), PlanError> {
    let mut around: Vec<Open> = Vec::new();
    let mut here = Open::default();
    let mut total = 0_usize;
    for lexeme in lexemes {
        match &lexeme.token.token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                around.push(std::mem::take(&mut here));
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                if let Some(outer) = around.pop() {
                    total -= here.operators + here.steps;
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
}
