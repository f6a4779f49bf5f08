//! Clauses of QuestDB that sqlparser lacks, in a form that it knows.
//!
//! `SAMPLE BY 1m FILL(PREV)` becomes `GROUP BY __sample('1m', 'prev', …)`, which
//! [`crate::logical::sample`] reads; `LATEST ON ts PARTITION BY k` becomes
//! `QUALIFY ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts DESC) = 1`.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::error::{Cause, PlanError};
use crate::logical::sample::SAMPLE;
use crate::parse::horizon::unit_of;
use crate::parse::join::words;
use crate::parse::lexeme::Lexeme;

/// The tokens with these clauses rewritten.
///
/// # Errors
/// [`Cause::Syntax`]; [`Cause::Unsupported`] for forms that are known and refused.
pub fn plain_clauses(tokens: &[Lexeme]) -> Result<Vec<Lexeme>, PlanError> {
    let mut rewriter = Clauses {
        tokens,
        at: 0,
        out: Vec::with_capacity(tokens.len() + 16),
        grouped: vec![false],
    };
    while let Some(next) = tokens.get(rewriter.at) {
        if words(tokens, rewriter.at, &["SAMPLE", "BY"]) {
            rewriter.sample(next)?;
        } else if words(tokens, rewriter.at, &["LATEST", "ON"]) {
            rewriter.latest(next)?;
        } else if words(tokens, rewriter.at, &["LATEST", "BY"]) {
            let error = PlanError::unsupported("LATEST BY").at(next.position);
            return Err(error.hint("Write LATEST ON ts PARTITION BY symbol."));
        } else {
            rewriter.copy(next);
        }
    }
    Ok(rewriter.out)
}

/// Refuses the clauses that only a streaming view can have.
///
/// # Errors
/// [`Cause::Unsupported`].
pub fn refuse(tokens: &[Lexeme]) -> Result<(), PlanError> {
    let at = (0..tokens.len()).find(|at| words(tokens, *at, &["SAMPLE", "BY"]));
    let Some(at) = at else { return Ok(()) };
    let error = PlanError::unsupported("SAMPLE BY outside of a streaming view");
    let error = error.at(tokens[at].position);
    Err(error.hint("Write GROUP BY time_bucket('1 minute', ts), or read a view that samples."))
}

struct Clauses<'a> {
    tokens: &'a [Lexeme],
    at: usize,
    out: Vec<Lexeme>,
    /// By open parenthesis, whether the SELECT there has a GROUP BY.
    grouped: Vec<bool>,
}

impl Clauses<'_> {
    fn copy(&mut self, next: &Lexeme) {
        match next.token.token {
            Token::LParen => self.grouped.push(false),
            Token::RParen if self.grouped.len() > 1 => {
                self.grouped.pop();
            }
            _ => {}
        }
        let group = words(self.tokens, self.at, &["GROUP", "BY"]);
        let other = ["SELECT", "UNION", "EXCEPT", "INTERSECT"]
            .iter()
            .any(|word| next.is_word(word));
        if let Some(here) = self.grouped.last_mut()
            && (group || other)
        {
            *here = group;
        }
        self.out.push(next.clone());
        self.at += 1;
    }

    fn is(&self, token: &Token) -> bool {
        self.tokens.get(self.at).is_some_and(|next| next.is(token))
    }

    /// `SAMPLE BY 1m [FILL (…)] [ALIGN TO CALENDAR [TIME ZONE '…'] [WITH OFFSET '…']]`.
    fn sample(&mut self, anchor: &Lexeme) -> Result<(), PlanError> {
        self.at += 2;
        let length = self.length()?;
        if words(self.tokens, self.at, &["FROM"]) || words(self.tokens, self.at, &["TO"]) {
            let error = PlanError::unsupported("SAMPLE BY … FROM … TO");
            let hint = "Write WHERE ts >= '…' AND ts < '…' before SAMPLE BY.";
            return Err(error.at(self.position()).hint(hint));
        }
        let mut parts = vec![length];
        parts.push(match words(self.tokens, self.at, &["FILL"]) {
            true => self.fill()?,
            false => String::new(),
        });
        parts.extend(self.alignment()?);
        let grouped = self.grouped.last().copied().unwrap_or(false);
        match grouped {
            true => self.push(Token::Comma, anchor),
            false => {
                self.push(Token::make_keyword("GROUP"), anchor);
                self.push(Token::make_keyword("BY"), anchor);
            }
        }
        self.push(Token::make_word(SAMPLE, None), anchor);
        self.push(Token::LParen, anchor);
        for (index, part) in parts.into_iter().enumerate() {
            if index > 0 {
                self.push(Token::Comma, anchor);
            }
            self.push(Token::SingleQuotedString(part), anchor);
        }
        self.push(Token::RParen, anchor);
        Ok(())
    }

    /// `1m`, as a text that durations are read from.
    fn length(&mut self) -> Result<String, PlanError> {
        const FORM: &str = "Expected a number and a unit, such as SAMPLE BY 1m.";
        let number = match self.tokens.get(self.at).map(|next| &next.token.token) {
            Some(Token::Number(number, _)) => number.clone(),
            // `SAMPLE BY m` is one of them.
            Some(Token::Word(_)) => "1".to_owned(),
            _ => return Err(self.expected(FORM)),
        };
        let named = self
            .tokens
            .get(self.at)
            .is_some_and(|next| matches!(next.token.token, Token::Word(_)));
        self.at += usize::from(!named);
        let unit = match self.tokens.get(self.at).map(|next| &next.token.token) {
            Some(Token::Word(unit)) => unit.value.clone(),
            _ => return Err(self.expected(FORM)),
        };
        let unit = match unit.as_str() {
            "M" => "months",
            "y" | "Y" => "years",
            word => match unit_of(word) {
                Some(unit) => unit,
                None => return Err(self.expected(FORM)),
            },
        };
        let length = format!("{number}{unit}");
        self.at += 1;
        Ok(length)
    }

    /// `FILL (NULL | PREV | LINEAR | NONE | number, …)`, joined by commas.
    fn fill(&mut self) -> Result<String, PlanError> {
        const FORM: &str = "Expected FILL(NULL), FILL(PREV), FILL(LINEAR), FILL(NONE) or FILL(0).";
        self.at += 1;
        if !self.is(&Token::LParen) {
            return Err(self.expected(FORM));
        }
        let mut fills = Vec::new();
        loop {
            self.at += 1;
            let minus = self.is(&Token::Minus);
            self.at += usize::from(minus);
            let fill = match self.tokens.get(self.at).map(|next| &next.token.token) {
                Some(Token::Number(number, _)) if minus => format!("-{number}"),
                Some(Token::Number(number, _)) => number.clone(),
                Some(Token::Word(word)) if !minus => word.value.to_lowercase(),
                _ => return Err(self.expected(FORM)),
            };
            let known = ["null", "prev", "linear", "none"].contains(&fill.as_str());
            if !known && fill.parse::<f64>().is_err() {
                return Err(self.expected(FORM));
            }
            fills.push(fill);
            self.at += 1;
            match self.tokens.get(self.at).map(|next| &next.token.token) {
                Some(Token::Comma) => {}
                Some(Token::RParen) => break,
                _ => return Err(self.expected(FORM)),
            }
        }
        self.at += 1;
        if fills.iter().any(|fill| fill == "none") {
            if fills.len() > 1 {
                let error = PlanError::unsupported("FILL(NONE) beside other fills");
                return Err(error.at(self.position()).hint("Write FILL(NONE) alone."));
            }
            return Ok(String::new());
        }
        Ok(fills.join(","))
    }

    /// The time zone and the offset of `ALIGN TO CALENDAR`.
    fn alignment(&mut self) -> Result<[String; 2], PlanError> {
        let (mut zone, mut offset) = (String::new(), String::new());
        if !words(self.tokens, self.at, &["ALIGN", "TO"]) {
            return Ok([zone, offset]);
        }
        if words(self.tokens, self.at + 2, &["FIRST", "OBSERVATION"]) {
            let error = PlanError::unsupported("ALIGN TO FIRST OBSERVATION");
            let hint = "Leave it out: buckets are aligned to the calendar.";
            return Err(error.at(self.position()).hint(hint));
        }
        self.at += 2;
        if !words(self.tokens, self.at, &["CALENDAR"]) {
            return Err(self.expected("Expected ALIGN TO CALENDAR."));
        }
        self.at += 1;
        if words(self.tokens, self.at, &["TIME", "ZONE"]) {
            self.at += 2;
            zone = self.text("Expected a time zone, such as 'Europe/Berlin'.")?;
        }
        if words(self.tokens, self.at, &["WITH", "OFFSET"]) {
            self.at += 2;
            offset = self.text("Expected an offset, such as '00:15'.")?;
        }
        Ok([zone, offset])
    }

    fn text(&mut self, form: &str) -> Result<String, PlanError> {
        match self.tokens.get(self.at).map(|next| &next.token.token) {
            Some(Token::SingleQuotedString(text)) => {
                self.at += 1;
                Ok(text.clone())
            }
            _ => Err(self.expected(form)),
        }
    }

    /// `LATEST ON ts PARTITION BY a, b`.
    fn latest(&mut self, anchor: &Lexeme) -> Result<(), PlanError> {
        self.at += 2;
        let time = self.column_end(self.at);
        let columns = self.tokens.get(self.at..time).unwrap_or_default().to_vec();
        if columns.is_empty() || !words(self.tokens, time, &["PARTITION", "BY"]) {
            self.at = time;
            return Err(self.expected("Expected LATEST ON ts PARTITION BY symbol."));
        }
        let start = time + 2;
        let mut end = self.column_end(start);
        while end > start
            && self
                .tokens
                .get(end)
                .is_some_and(|next| next.is(&Token::Comma))
        {
            end = self.column_end(end + 1);
        }
        if end == start {
            self.at = start;
            return Err(self.expected("Expected the columns of PARTITION BY."));
        }
        let keyword = |word: &str| Token::make_keyword(word);
        for token in [
            keyword("QUALIFY"),
            Token::make_word("row_number", None),
            Token::LParen,
            Token::RParen,
            keyword("OVER"),
            Token::LParen,
            keyword("PARTITION"),
            keyword("BY"),
        ] {
            self.push(token, anchor);
        }
        self.out.extend(self.tokens[start..end].iter().cloned());
        self.push(keyword("ORDER"), anchor);
        self.push(keyword("BY"), anchor);
        self.out.extend(columns);
        self.push(keyword("DESC"), anchor);
        self.push(Token::RParen, anchor);
        self.push(Token::Eq, anchor);
        self.push(Token::Number("1".to_owned(), false), anchor);
        self.at = end;
        Ok(())
    }

    /// The end of a column's name, `t.ts` or `ts`, that begins at `start`.
    fn column_end(&self, start: usize) -> usize {
        let token = |at: usize| self.tokens.get(at).map(|next| &next.token.token);
        let mut end = start;
        while matches!(token(end), Some(Token::Word(_))) {
            end += 1;
            if token(end) != Some(&Token::Period) {
                break;
            }
            end += 1;
        }
        end
    }

    fn push(&mut self, token: Token, anchor: &Lexeme) {
        self.out.push(Lexeme {
            token: TokenWithSpan::new(token, anchor.token.span),
            ..anchor.clone()
        });
    }

    fn position(&self) -> u32 {
        let next = self.tokens.get(self.at).or(self.tokens.last());
        next.map_or(1, |next| next.position)
    }

    fn expected(&self, detail: &str) -> PlanError {
        let near = self
            .tokens
            .get(self.at)
            .map(|next| next.token.token.to_string());
        let error = PlanError::new(Cause::Syntax { near });
        error.at(self.position()).detail(detail)
    }
}
