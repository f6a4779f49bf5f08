//! `x BETWEEN SYMMETRIC a AND b`, which sqlparser does not know: its tokens become those of
//! `x BETWEEN symmetric_bound(a) AND b`, and the tree gets both orders of the bounds.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::logical::function_spelling::SYMMETRIC_BOUND;

pub(super) fn is_keyword(token: &TokenWithSpan, wanted: Keyword) -> bool {
    matches!(&token.token, Token::Word(word) if word.keyword == wanted)
}

/// The tokens with each lower bound as a call; one without an `AND` behind it stays as it is.
pub(super) fn plain(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let follows = |at: &usize| {
        *at > 0
            && is_keyword(&tokens[*at], Keyword::SYMMETRIC)
            && is_keyword(&tokens[*at - 1], Keyword::BETWEEN)
    };
    let places: Vec<(usize, usize)> = (0..tokens.len())
        .filter(follows)
        .filter_map(|at| Some((at, end(&tokens, at + 1)?)))
        .collect();
    if places.is_empty() {
        return tokens;
    }
    let mut plain = Vec::with_capacity(tokens.len() + places.len() * 2);
    for (index, token) in tokens.into_iter().enumerate() {
        let span = token.span;
        let as_it = |token| TokenWithSpan::new(token, span);
        if places.iter().any(|(_, end)| *end == index) {
            plain.push(as_it(Token::RParen));
        }
        if places.iter().any(|(at, _)| *at == index) {
            plain.push(as_it(Token::make_word(SYMMETRIC_BOUND, None)));
            plain.push(as_it(Token::LParen));
        } else {
            plain.push(token);
        }
    }
    plain
}

/// The `AND` that ends the bound which begins at `from`: the first outside of all parentheses.
fn end(tokens: &[TokenWithSpan], from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(from) {
        match &token.token {
            Token::LParen | Token::LBracket => depth += 1,
            Token::RParen | Token::RBracket => depth = depth.checked_sub(1)?,
            _ if is_keyword(token, Keyword::CASE) => depth += 1,
            _ if is_keyword(token, Keyword::END) => depth = depth.checked_sub(1)?,
            _ if depth == 0 && is_keyword(token, Keyword::AND) => return Some(index),
            _ => {}
        }
    }
    None
}
