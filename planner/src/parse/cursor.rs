//! A position in the tokens of one statement, and the small questions a recursive-descent parser
//! asks.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::{Cause, PlanError, nearest};
use crate::parse::lexeme::Lexeme;
use crate::statement::{Name, WithOption, WithOptions};

/// A position in the tokens of one statement.
#[derive(Clone)]
pub struct Cursor<'a> {
    text: &'a str,
    lexemes: &'a [Lexeme],
    next: usize,
}

impl<'a> Cursor<'a> {
    /// At the first of `lexemes`, which were cut from `text`.
    pub fn new(text: &'a str, lexemes: &'a [Lexeme]) -> Self {
        Self {
            text,
            lexemes,
            next: 0,
        }
    }

    /// The token here, if any is left.
    pub fn peek(&self) -> Option<&'a Lexeme> {
        self.peek_at(0)
    }

    /// The token `ahead` after the one here.
    pub fn peek_at(&self, ahead: usize) -> Option<&'a Lexeme> {
        self.lexemes.get(self.next + ahead)
    }

    /// Whether nothing is left.
    pub fn is_done(&self) -> bool {
        self.peek().is_none()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [Lexeme] {
        &self.lexemes[self.next..]
    }

    /// Goes over `count` tokens.
    pub fn advance(&mut self, count: usize) {
        self.next = (self.next + count).min(self.lexemes.len());
    }

    /// The next token, gone over.
    pub fn take(&mut self) -> Option<&'a Lexeme> {
        let lexeme = self.peek()?;
        self.next += 1;
        Some(lexeme)
    }

    /// The whole text the tokens were cut from.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The text from the token here to the last one.
    pub fn rest_text(&self) -> &'a str {
        slice(self.text, self.rest())
    }

    /// Position of the token here, or of the end.
    pub fn position(&self) -> u32 {
        match self.peek() {
            Some(lexeme) => lexeme.position,
            None => self.lexemes.last().map_or(1, |last| {
                let width = self.text[last.start..last.end].chars().count();
                last.position + u32::try_from(width).unwrap_or(0)
            }),
        }
    }

    /// Whether these words come next.
    pub fn at(&self, words: &[&str]) -> bool {
        let mut ahead = self.rest().iter();
        words
            .iter()
            .all(|word| ahead.next().is_some_and(|lexeme| lexeme.is_word(word)))
    }

    /// Goes over these words if they come next.
    pub fn eat(&mut self, words: &[&str]) -> bool {
        let found = self.at(words);
        if found {
            self.next += words.len();
        }
        found
    }

    /// Goes over these words.
    ///
    /// # Errors
    /// [`Cause::Syntax`] if something else comes.
    pub fn expect(&mut self, words: &[&str]) -> Result<(), PlanError> {
        for word in words {
            if !self.eat(&[word]) {
                return Err(self.unexpected(&format!("Expected {word}.")));
            }
        }
        Ok(())
    }

    /// Whether this token comes next.
    pub fn at_token(&self, token: &Token) -> bool {
        self.peek().is_some_and(|lexeme| lexeme.is(token))
    }

    /// Goes over this token if it comes next.
    pub fn eat_token(&mut self, token: &Token) -> bool {
        let found = self.at_token(token);
        if found {
            self.next += 1;
        }
        found
    }

    /// Goes over this token.
    ///
    /// # Errors
    /// [`Cause::Syntax`] if something else comes.
    pub fn expect_token(&mut self, token: &Token) -> Result<(), PlanError> {
        if self.eat_token(token) {
            return Ok(());
        }
        Err(self.unexpected(&format!("Expected \"{token}\".")))
    }

    /// The error for a token here that does not fit; `detail` says what would.
    pub fn unexpected(&self, detail: &str) -> PlanError {
        let near = self
            .peek()
            .map(|lexeme| self.text[lexeme.start..lexeme.end].to_owned());
        PlanError::new(Cause::Syntax { near })
            .at(self.position())
            .detail(detail)
    }

    /// The error for a word here that is none of `known`, with the nearest of them as hint.
    pub fn unexpected_word(&self, detail: &str, known: &[&str]) -> PlanError {
        let hint = match self.peek().map(|lexeme| &lexeme.token.token) {
            Some(Token::Word(word)) => nearest(&word.value, known.iter().copied()),
            _ => None,
        };
        self.unexpected(detail).maybe_hint(hint)
    }

    /// The error for a feature that is known and refused, at the token here.
    pub fn unsupported(&self, what: &str) -> PlanError {
        PlanError::unsupported(what).at(self.position())
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// [`Cause::Syntax`] at the first token that is left.
    pub fn done(&self) -> Result<(), PlanError> {
        if self.is_done() {
            Ok(())
        } else {
            Err(self.unexpected("Expected the end of the statement."))
        }
    }

    /// A name without dots, folded, with its position.
    ///
    /// # Errors
    /// [`Cause::Syntax`] if no name comes; `what` says which one is wanted: `a column name`.
    pub fn identifier(&mut self, what: &str) -> Result<(String, u32), PlanError> {
        let Some(Token::Word(word)) = self.peek().map(|lexeme| &lexeme.token.token) else {
            return Err(self.unexpected(&format!("Expected {what}.")));
        };
        let folded = match word.quote_style {
            Some(_) => word.value.clone(),
            None => word.value.to_ascii_lowercase(),
        };
        let position = self.position();
        self.next += 1;
        Ok((folded, position))
    }

    /// The name of an object: `v`, `public.v`, `rtsap.public.v`.
    ///
    /// # Errors
    /// [`Cause::Syntax`] if no name comes.
    pub fn name(&mut self, what: &str) -> Result<Name, PlanError> {
        let (mut name, position) = self.identifier(what)?;
        let mut schema = None;
        while self.eat_token(&Token::Period) {
            schema = Some(name);
            (name, _) = self.identifier(what)?;
        }
        Ok(Name {
            schema,
            name,
            position,
        })
    }

    /// One or more names of objects, separated by commas.
    ///
    /// # Errors
    /// [`Cause::Syntax`] if no name comes.
    pub fn names(&mut self, what: &str) -> Result<Vec<Name>, PlanError> {
        let mut names = vec![self.name(what)?];
        while self.eat_token(&Token::Comma) {
            names.push(self.name(what)?);
        }
        Ok(names)
    }

    /// `(a, b)`: names of columns with positions.
    ///
    /// # Errors
    /// [`Cause::Syntax`] if they are not there.
    pub fn column_list(&mut self) -> Result<Vec<(String, u32)>, PlanError> {
        self.expect_token(&Token::LParen)?;
        let mut columns = vec![self.identifier("a column name")?];
        while self.eat_token(&Token::Comma) {
            columns.push(self.identifier("a column name")?);
        }
        self.expect_token(&Token::RParen)?;
        Ok(columns)
    }

    /// A string, if one comes.
    pub fn eat_string(&mut self) -> Option<String> {
        let text = match &self.peek()?.token.token {
            Token::SingleQuotedString(text)
            | Token::EscapedStringLiteral(text)
            | Token::UnicodeStringLiteral(text) => text.clone(),
            Token::DollarQuotedString(text) => text.value.clone(),
            _ => return None,
        };
        self.next += 1;
        Some(text)
    }

    /// A string.
    ///
    /// # Errors
    /// [`Cause::Syntax`] if something else comes; `what` says what the string is: `the path`.
    pub fn string(&mut self, what: &str) -> Result<String, PlanError> {
        self.eat_string()
            .ok_or_else(|| self.unexpected(&format!("Expected {what} as a string.")))
    }

    /// A whole number.
    ///
    /// # Errors
    /// [`Cause::Syntax`] if something else comes.
    pub fn whole_number(&mut self, what: &str) -> Result<u64, PlanError> {
        let parsed = match self.peek().map(|lexeme| &lexeme.token.token) {
            Some(Token::Number(digits, _)) => digits.parse().ok(),
            _ => None,
        };
        let number = parsed.ok_or_else(|| self.unexpected(&format!("Expected {what}.")))?;
        self.next += 1;
        Ok(number)
    }

    /// `(key = value, …)`. Keys may be quoted or not, values may be strings, numbers or words; a
    /// key without a value means `true`.
    ///
    /// # Errors
    /// [`Cause::Syntax`], or [`Cause::Conflict`] for a key given twice.
    pub fn options(&mut self) -> Result<WithOptions, PlanError> {
        self.expect_token(&Token::LParen)?;
        let mut options = WithOptions::new();
        loop {
            let position = self.position();
            let key = self.option_key()?;
            let has_value = self.eat_token(&Token::Eq);
            let value = if has_value {
                self.option_value()?
            } else {
                "true".to_owned()
            };
            if options
                .insert(key.clone(), WithOption { value, position })
                .is_some()
            {
                let clause = format!("\"{key}\"");
                return Err(PlanError::new(Cause::Conflict { clause }).at(position));
            }
            if self.eat_token(&Token::RParen) {
                return Ok(options);
            }
            self.expect_token(&Token::Comma)?;
        }
    }

    fn option_key(&mut self) -> Result<String, PlanError> {
        if let Some(key) = self.eat_string() {
            return Ok(key.to_lowercase());
        }
        Ok(self.dashed_word("an option's name")?.to_lowercase())
    }

    /// Words joined by `.` and `-`: `scan.startup.mode`, `earliest-offset`.
    fn dashed_word(&mut self, what: &str) -> Result<String, PlanError> {
        let (mut word, _) = self.identifier(what)?;
        loop {
            let joint = match self.peek().map(|lexeme| &lexeme.token.token) {
                Some(Token::Period) => '.',
                Some(Token::Minus) => '-',
                _ => return Ok(word),
            };
            self.next += 1;
            word.push(joint);
            word.push_str(&self.identifier("the rest of the word")?.0);
        }
    }

    /// Goes over `>`, `>>` or more of them, and returns how many.
    pub fn eat_closing_angles(&mut self) -> Option<usize> {
        let lexeme = self.peek()?;
        let angles = &self.text[lexeme.start..lexeme.end];
        let only = !angles.is_empty() && angles.bytes().all(|byte| byte == b'>');
        only.then(|| {
            self.next += 1;
            angles.len()
        })
    }

    /// A value as text: string, number with sign, or word.
    ///
    /// # Errors
    /// [`Cause::Syntax`] if nothing of that comes.
    pub fn option_value(&mut self) -> Result<String, PlanError> {
        if let Some(text) = self.eat_string() {
            return Ok(text);
        }
        let sign = if self.eat_token(&Token::Minus) {
            "-"
        } else {
            ""
        };
        match self.peek().map(|lexeme| &lexeme.token.token) {
            Some(Token::Number(digits, _)) => {
                self.next += 1;
                Ok(format!("{sign}{digits}"))
            }
            Some(Token::Word(_)) if sign.is_empty() => self.dashed_word("a value"),
            _ => Err(self.unexpected("Expected a value: a string, a number or a word.")),
        }
    }

    /// Goes over an expression up to a comma or closing parenthesis of the level here, or the end,
    /// and returns its tokens.
    ///
    /// # Errors
    /// [`Cause::Syntax`] if there is none.
    pub fn expression(&mut self, what: &str) -> Result<&'a [Lexeme], PlanError> {
        let start = self.next;
        let mut depth = 0usize;
        while let Some(lexeme) = self.peek() {
            match lexeme.token.token {
                Token::LParen | Token::LBracket | Token::LBrace => depth += 1,
                Token::RParen | Token::RBracket | Token::RBrace if depth == 0 => break,
                Token::RParen | Token::RBracket | Token::RBrace => depth -= 1,
                Token::Comma if depth == 0 => break,
                _ => {}
            }
            self.next += 1;
        }
        if self.next == start {
            return Err(self.unexpected(&format!("Expected {what}.")));
        }
        Ok(&self.lexemes[start..self.next])
    }

    /// Goes over `( … )` and returns the tokens between.
    ///
    /// # Errors
    /// [`Cause::Syntax`] if no balanced pair comes.
    pub fn parenthesised(&mut self) -> Result<&'a [Lexeme], PlanError> {
        self.expect_token(&Token::LParen)?;
        let start = self.next;
        let mut depth = 1usize;
        while let Some(lexeme) = self.take() {
            match lexeme.token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Ok(&self.lexemes[start..self.next - 1]);
            }
        }
        Err(self.unexpected("Expected \")\"."))
    }
}

/// The text from the first to the last of `lexemes`.
pub fn slice<'a>(text: &'a str, lexemes: &[Lexeme]) -> &'a str {
    match (lexemes.first(), lexemes.last()) {
        (Some(first), Some(last)) => &text[first.start..last.end],
        _ => "",
    }
}
