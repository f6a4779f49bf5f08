//! `TRIM([BOTH | LEADING | TRAILING] FROM x)`: without characters it means blanks, which sqlparser
//! wants written.

use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::symmetric::is_keyword;

/// The tokens with a blank before each such `FROM`.
pub(super) fn plain(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let sides = [Keyword::BOTH, Keyword::LEADING, Keyword::TRAILING];
    let opens = |at: Option<usize>| {
        let [trim, open] = [at.and_then(|at| at.checked_sub(1)), at];
        let trims = trim.is_some_and(|at| is_keyword(&tokens[at], Keyword::TRIM));
        trims && open.is_some_and(|at| tokens[at].token == Token::LParen)
    };
    let bare = |at: &usize| {
        let before = at.checked_sub(1);
        let side = before.filter(|at| sides.iter().any(|side| is_keyword(&tokens[*at], *side)));
        let open = side.map_or(before, |at| at.checked_sub(1));
        is_keyword(&tokens[*at], Keyword::FROM) && opens(open)
    };
    let places: Vec<usize> = (0..tokens.len()).filter(bare).collect();
    let mut plain = Vec::with_capacity(tokens.len() + places.len());
    for (at, token) in tokens.into_iter().enumerate() {
        if places.contains(&at) {
            let blank = Token::SingleQuotedString(" ".to_owned());
            plain.push(TokenWithSpan::new(blank, token.span));
        }
        plain.push(token);
    }
    plain
}
