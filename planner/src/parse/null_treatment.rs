//! `first_value(x IGNORE NULLS) OVER …`, where sqlparser knows `first_value(x) IGNORE NULLS OVER
//! …`.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::symmetric::is_keyword;

/// The tokens with `IGNORE NULLS` and `RESPECT NULLS` behind the arguments that they end.
pub(super) fn plain(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    for at in 1..tokens.len().saturating_sub(2) {
        let [before, treatment, nulls, end] = &tokens[at - 1..=at + 2] else {
            continue;
        };
        let treats =
            is_keyword(treatment, Keyword::IGNORE) || is_keyword(treatment, Keyword::RESPECT);
        let ends = matches!(end.token, Token::RParen);
        let behind_argument = !matches!(before.token, Token::LParen | Token::Comma);
        if treats && is_keyword(nulls, Keyword::NULLS) && ends && behind_argument {
            tokens[at..=at + 2].rotate_right(1);
        }
    }
    tokens
}
