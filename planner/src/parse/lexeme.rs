//! Text to tokens that know where they stand: sqlparser's tokenizer with byte and character offsets
//! added.

use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Tokenizer};

use crate::error::{Cause, PlanError};
use crate::parse::depth;
use crate::parse::dialect::Grammar;

/// A token that means something: no white space, no comment.
#[derive(Clone, Debug)]
pub struct Lexeme {
    /// The token with its line and column.
    pub token: TokenWithSpan,
    /// Its first byte in the text.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
    /// Its first character, counted from 1.
    pub position: u32,
}

impl Lexeme {
    /// Whether it is this word, unquoted, in any case. `word` is in uppercase.
    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.token.token, Token::Word(found)
            if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
    }

    /// Whether it is this token.
    pub fn is(&self, token: &Token) -> bool {
        self.token.token == *token
    }
}

/// The tokens of a text.
///
/// # Errors
/// [`Cause::Syntax`] for an unterminated string, comment or quoted name.
pub fn lexemes(text: &str) -> Result<Vec<Lexeme>, PlanError> {
    let dialect = Grammar;
    let tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| {
            let position = Walk::new(text).to(error.location).1;
            PlanError::new(Cause::Syntax {
                near: near(text, position),
            })
            .at(position)
            .detail(format!("{}.", error.message))
        })?;
    let tokens = tokens.into_iter().flat_map(operators);
    let mut walk = Walk::new(text);
    let mut lexemes = Vec::new();
    for token in tokens {
        let (start, position) = walk.to(token.span.start);
        let (end, _) = walk.to(token.span.end);
        if !matches!(token.token, Token::Whitespace(_) | Token::EOF) {
            lexemes.push(Lexeme {
                token,
                start,
                end,
                position,
            });
        }
    }
    depth::check(&lexemes)?;
    Ok(lexemes)
}

/// An operator as PostgreSQL reads it: one of several characters ends with a sign only if it has
/// one of those that no other SQL has, so that `x>-1` compares.
fn operators(token: TokenWithSpan) -> Vec<TokenWithSpan> {
    let Token::CustomBinaryOperator(text) = &token.token else {
        return vec![token];
    };
    let rare = |c: char| "~!@#%^&|`?".contains(c);
    let signs = text.chars().rev().take_while(|c| matches!(c, '+' | '-'));
    let signs = signs.count();
    let (operator, signs) = text.split_at(text.len() - signs);
    if signs.is_empty() || text.contains(rare) {
        return vec![token];
    }
    let first = match operator {
        "" => None,
        "<" => Some(Token::Lt),
        ">" => Some(Token::Gt),
        "=" => Some(Token::Eq),
        "<=" => Some(Token::LtEq),
        ">=" => Some(Token::GtEq),
        "<>" => Some(Token::Neq),
        "*" => Some(Token::Mul),
        "/" => Some(Token::Div),
        _ => return vec![token],
    };
    let mut at = token.span.start;
    let mut next = |length: usize| {
        let start = at;
        at.column += length as u64;
        Span::new(start, at)
    };
    let first = first.map(|first| TokenWithSpan::new(first, next(operator.len())));
    let signs = signs.chars().map(|sign| match sign {
        '+' => Token::Plus,
        _ => Token::Minus,
    });
    let signs: Vec<_> = signs
        .map(|sign| TokenWithSpan::new(sign, next(1)))
        .collect();
    first.into_iter().chain(signs).collect()
}

/// The character, counted from 1, at a line and column of `text`.
pub fn position_of(text: &str, line: u64, column: u64) -> u32 {
    Walk::new(text).to(Location { line, column }).1
}

/// The word at a character of `text`, for messages.
fn near(text: &str, position: u32) -> Option<String> {
    let rest: String = text.chars().skip(position as usize - 1).take(20).collect();
    rest.split_whitespace().next().map(str::to_owned)
}

/// Goes through a text once, forwards, from line and column to offsets.
struct Walk<'a> {
    rest: std::str::Chars<'a>,
    at: Location,
    byte: usize,
    position: u32,
}

impl<'a> Walk<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.chars(),
            at: Location { line: 1, column: 1 },
            byte: 0,
            position: 1,
        }
    }

    /// Byte offset and character number of `target`, which is not before an earlier target.
    fn to(&mut self, target: Location) -> (usize, u32) {
        while (self.at.line, self.at.column) < (target.line, target.column) {
            let Some(next) = self.rest.next() else { break };
            self.byte += next.len_utf8();
            self.position += 1;
            if next == '\n' {
                self.at = Location {
                    line: self.at.line + 1,
                    column: 1,
                };
            } else {
                self.at.column += 1;
            }
        }
        (self.byte, self.position)
    }
}
