//! `first_value(x IGNORE NULLS) OVER …`, where sqlparser knows `first_value(x) IGNORE NULLS OVER
//! …`.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

fn is_word(token: &TokenWithSpan, wanted: &str) -> bool {
    matches!(&token.token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted))
}

/// The tokens with `IGNORE NULLS` and `RESPECT NULLS` behind the arguments that they end.
pub(super) fn plain(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    for at in 1..tokens.len().saturating_sub(2) {
        let [before, treatment, nulls, end] = &tokens[at - 1..=at + 2] else {
            continue;
        };
        let treats = is_word(treatment, "IGNORE") || is_word(treatment, "RESPECT");
        let ends = matches!(end.token, Token::RParen);
        let behind_argument = !matches!(before.token, Token::LParen | Token::Comma);
        if treats && is_word(nulls, "NULLS") && ends && behind_argument {
            tokens[at..=at + 2].rotate_right(1);
        }
    }
    tokens
}
