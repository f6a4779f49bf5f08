//! The joins that sqlparser or DataFusion lack, brought into a form that both know: an ordinary join
//! whose condition is wrapped in a function of [`crate::logical::join_marker`].
//!
//! `LEFT ASOF JOIN q MATCH_CONDITION (t.ts >= q.ts) ON t.k = q.k TOLERANCE INTERVAL '5' SECOND`
//! becomes `LEFT JOIN q ON __asof_join((t.k = q.k) AND (t.ts >= q.ts), INTERVAL …)`;
//! `JOIN r FOR SYSTEM_TIME AS OF t.ts AS x ON …` becomes `JOIN r AS x ON __version_join((…), t.ts)`.

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::duration::nanos_of;
use crate::error::{Cause, PlanError};
use crate::logical::join_marker::{ASOF, VERSION};
use crate::parse::lexeme::Lexeme;

/// The words that end a join's condition.
const ENDS: [&str; 26] = [
    "JOIN",
    "INNER",
    "LEFT",
    "RIGHT",
    "FULL",
    "CROSS",
    "NATURAL",
    "ASOF",
    "WHERE",
    "GROUP",
    "HAVING",
    "WINDOW",
    "ORDER",
    "LIMIT",
    "OFFSET",
    "FETCH",
    "UNION",
    "EXCEPT",
    "INTERSECT",
    "QUALIFY",
    "EMIT",
    "TOLERANCE",
    "LT",
    "HORIZON",
    "SAMPLE",
    "ON",
];

/// The tokens with ASOF and temporal joins rewritten.
///
/// # Errors
/// [`Cause::Syntax`]; [`Cause::Unsupported`] for forms that are known and refused.
pub fn plain_joins(tokens: &[Lexeme]) -> Result<Vec<Lexeme>, PlanError> {
    let mut rewriter = Rewriter {
        tokens,
        at: 0,
        out: Vec::with_capacity(tokens.len() + 16),
    };
    while rewriter.at < tokens.len() {
        rewriter.step()?;
    }
    Ok(rewriter.out)
}

/// Refuses the joins that only a streaming view can have.
///
/// # Errors
/// [`Cause::Unsupported`].
pub fn refuse(tokens: &[Lexeme]) -> Result<(), PlanError> {
    for index in 0..tokens.len() {
        let asof = asof_prefix(tokens, index).is_some();
        let what = if asof {
            "ASOF JOIN outside of a streaming view"
        } else if words(tokens, index, &["FOR", "SYSTEM_TIME"]) {
            "FOR SYSTEM_TIME AS OF outside of a streaming view"
        } else {
            continue;
        };
        let error = PlanError::unsupported(what).at(tokens[index].position);
        return Err(error.hint("Put the query into CREATE STREAMING VIEW and read the view."));
    }
    Ok(())
}

struct Rewriter<'a> {
    tokens: &'a [Lexeme],
    at: usize,
    out: Vec<Lexeme>,
}

/// The words before the relation of an ASOF join.
struct Prefix {
    outer: bool,
    count: usize,
}

fn words(tokens: &[Lexeme], at: usize, wanted: &[&str]) -> bool {
    let rest = tokens.get(at..).unwrap_or_default();
    rest.len() >= wanted.len()
        && wanted
            .iter()
            .zip(rest)
            .all(|(word, next)| next.is_word(word))
}

fn asof_prefix(tokens: &[Lexeme], at: usize) -> Option<Prefix> {
    const FORMS: [(&[&str], bool); 9] = [
        (&["ASOF", "JOIN"], false),
        (&["ASOF", "INNER", "JOIN"], false),
        (&["INNER", "ASOF", "JOIN"], false),
        (&["ASOF", "LEFT", "JOIN"], true),
        (&["ASOF", "LEFT", "OUTER", "JOIN"], true),
        (&["LEFT", "ASOF", "JOIN"], true),
        (&["LEFT", "OUTER", "ASOF", "JOIN"], true),
        (&["RIGHT", "ASOF", "JOIN"], true),
        (&["FULL", "ASOF", "JOIN"], true),
    ];
    let found = FORMS.iter().find(|(form, _)| words(tokens, at, form));
    found.map(|(form, outer)| Prefix {
        outer: *outer,
        count: form.len(),
    })
}

impl Rewriter<'_> {
    fn step(&mut self) -> Result<(), PlanError> {
        let first = &self.tokens[self.at];
        if let Some(prefix) = asof_prefix(self.tokens, self.at) {
            if first.is_word("RIGHT") || first.is_word("FULL") {
                let error = PlanError::unsupported("RIGHT or FULL ASOF JOIN").at(first.position);
                return Err(error.hint("Write the relation whose rows all show on the left."));
            }
            self.at += prefix.count;
            if prefix.outer {
                self.push_word("LEFT", first);
            }
            self.push_word("JOIN", first);
            return self.asof(first);
        }
        if words(self.tokens, self.at, &["FOR", "SYSTEM_TIME"]) {
            let error = PlanError::unsupported("FOR SYSTEM_TIME AS OF without a join");
            let hint = "Write JOIN rates FOR SYSTEM_TIME AS OF t.ts AS r ON t.k = r.k.";
            return Err(error.at(first.position).hint(hint));
        }
        self.at += 1;
        self.out.push(first.clone());
        if first.is_word("JOIN") {
            self.version()?;
        }
        Ok(())
    }

    /// After `ASOF JOIN`.
    fn asof(&mut self, anchor: &Lexeme) -> Result<(), PlanError> {
        let end = self.find(self.at, |next| {
            ["MATCH_CONDITION", "ON", "USING"]
                .iter()
                .any(|word| next.is_word(word))
                || ends(next)
        });
        self.rewrite(self.at, end)?;
        self.at = end;
        let mut parts: Vec<(usize, usize)> = Vec::new();
        if words(self.tokens, self.at, &["MATCH_CONDITION"]) {
            let open = self.at + 1;
            let close = self.closing(open);
            let Some(close) = close else {
                return Err(self.expected(open, "Expected (t.ts >= q.ts) after MATCH_CONDITION."));
            };
            parts.push((open, close + 1));
            self.at = close + 1;
        }
        if words(self.tokens, self.at, &["USING"]) {
            let error = PlanError::unsupported("ASOF JOIN … USING");
            let hint = "Write ON t.symbol = q.symbol AND t.ts >= q.ts.";
            return Err(error.at(self.tokens[self.at].position).hint(hint));
        }
        if words(self.tokens, self.at, &["ON"]) {
            let start = self.at + 1;
            let end = self.condition_end(start);
            parts.push((start, end));
            self.at = end;
        }
        if parts.is_empty() {
            return Err(self.expected(self.at, "Expected ON t.symbol = q.symbol AND t.ts >= q.ts."));
        }
        self.push_word("ON", anchor);
        self.push(Token::make_word(ASOF, None), anchor);
        self.push(Token::LParen, anchor);
        for (index, (start, end)) in parts.into_iter().enumerate() {
            if index > 0 {
                self.push_word("AND", anchor);
            }
            self.push(Token::LParen, anchor);
            self.rewrite(start, end)?;
            self.push(Token::RParen, anchor);
        }
        if words(self.tokens, self.at, &["TOLERANCE"]) {
            self.at += 1;
            self.push(Token::Comma, anchor);
            self.tolerance()?;
        }
        self.push(Token::RParen, anchor);
        Ok(())
    }

    /// `INTERVAL '5' SECOND`, `'5 seconds'` or `5s`.
    fn tolerance(&mut self) -> Result<(), PlanError> {
        let Some(first) = self.tokens.get(self.at) else {
            return Err(self.expected(self.at, "Expected an interval."));
        };
        if first.is_word("INTERVAL") {
            let end = self.condition_end(self.at);
            self.rewrite(self.at, end)?;
            self.at = end;
            return Ok(());
        }
        let text = match &first.token.token {
            Token::SingleQuotedString(text) => text.clone(),
            Token::Number(number, _) => {
                let unit = self.tokens.get(self.at + 1).map(|next| &next.token.token);
                let Some(Token::Word(unit)) = unit else {
                    return Err(self.expected(self.at + 1, "Expected a unit, such as 5s."));
                };
                self.at += 1;
                format!("{number}{}", unit.value)
            }
            _ => return Err(self.expected(self.at, "Expected an interval.")),
        };
        self.at += 1;
        let nanos = nanos_of(&text, None).map_err(|error| error.at(first.position))?;
        self.push_word("INTERVAL", first);
        let text = format!("{nanos} nanoseconds");
        self.push(Token::SingleQuotedString(text), first);
        Ok(())
    }

    /// After `JOIN`: a relation `FOR SYSTEM_TIME AS OF t.ts`, if it is one.
    fn version(&mut self) -> Result<(), PlanError> {
        let end = self.find(self.at, |next| {
            next.is_word("ON") || next.is_word("USING") || ends(next) || next.is_word("FOR")
        });
        if !words(self.tokens, end, &["FOR", "SYSTEM_TIME"]) {
            return Ok(());
        }
        let anchor = &self.tokens[end];
        self.rewrite(self.at, end)?;
        self.at = end + 2;
        if !words(self.tokens, self.at, &["AS", "OF"]) {
            return Err(self.expected(self.at, "Expected AS OF and the time column of a row."));
        }
        let time = self.at + 2;
        self.at = self.time_end(time)?;
        let condition = self.find(self.at, |next| {
            next.is_word("ON") || next.is_word("USING") || ends(next)
        });
        self.rewrite(self.at, condition)?;
        if !words(self.tokens, condition, &["ON"]) {
            return Err(self.expected(condition, "Expected ON and the key of the table."));
        }
        let (start, time_end) = (condition + 1, self.at);
        let end = self.condition_end(start);
        self.push_word("ON", anchor);
        self.push(Token::make_word(VERSION, None), anchor);
        self.push(Token::LParen, anchor);
        self.push(Token::LParen, anchor);
        self.rewrite(start, end)?;
        self.push(Token::RParen, anchor);
        self.push(Token::Comma, anchor);
        self.rewrite(time, time_end)?;
        self.push(Token::RParen, anchor);
        self.at = end;
        Ok(())
    }

    /// After `FOR SYSTEM_TIME AS OF`: the end of a column's name.
    fn time_end(&self, start: usize) -> Result<usize, PlanError> {
        let is_name = |at: usize| {
            self.tokens
                .get(at)
                .is_some_and(|next| matches!(next.token.token, Token::Word(_)))
        };
        let call = self
            .tokens
            .get(start + 1)
            .is_some_and(|next| next.is(&Token::LParen));
        if !is_name(start) || call {
            let position = self.tokens.get(start).map(|next| next.position);
            let error = PlanError::unsupported("FOR SYSTEM_TIME AS OF a time that is no column");
            let error = error.hint("Write the event time of the left relation, such as t.ts.");
            return Err(match position {
                Some(position) => error.at(position),
                None => error,
            });
        }
        let mut end = start + 1;
        while self
            .tokens
            .get(end)
            .is_some_and(|next| next.is(&Token::Period))
            && is_name(end + 1)
        {
            end += 2;
        }
        Ok(end)
    }

    /// The end of the condition that starts at `start`.
    fn condition_end(&self, start: usize) -> usize {
        let mut at = start;
        loop {
            at = self.find(at, ends);
            // `left(text, 3)` is a function.
            let call = self
                .tokens
                .get(at + 1)
                .is_some_and(|next| next.is(&Token::LParen));
            let function = ["LEFT", "RIGHT"]
                .iter()
                .any(|word| words(self.tokens, at, &[word]));
            if !(call && function) {
                return at;
            }
            at += 1;
        }
    }

    /// The first token from `start` on, outside of parentheses, for which `is_end` holds; the
    /// parenthesis or comma that ends the part, or the end of the text.
    fn find(&self, start: usize, is_end: impl Fn(&Lexeme) -> bool) -> usize {
        let mut depth = 0usize;
        for at in start..self.tokens.len() {
            let next = &self.tokens[at];
            match next.token.token {
                Token::LParen => depth += 1,
                Token::RParen if depth == 0 => return at,
                Token::RParen => depth -= 1,
                Token::Comma | Token::SemiColon if depth == 0 => return at,
                _ if depth == 0 && is_end(next) => return at,
                _ => {}
            }
        }
        self.tokens.len()
    }

    fn closing(&self, open: usize) -> Option<usize> {
        self.tokens
            .get(open)
            .filter(|next| next.is(&Token::LParen))?;
        let mut depth = 0usize;
        for (at, next) in self.tokens.iter().enumerate().skip(open) {
            match next.token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(at);
            }
        }
        None
    }

    /// Appends the tokens from `start` to `end`, rewritten.
    fn rewrite(&mut self, start: usize, end: usize) -> Result<(), PlanError> {
        let part = self.tokens.get(start..end).unwrap_or_default();
        self.out.extend(plain_joins(part)?);
        Ok(())
    }

    fn push_word(&mut self, word: &str, anchor: &Lexeme) {
        self.push(Token::make_keyword(word), anchor);
    }

    fn push(&mut self, token: Token, anchor: &Lexeme) {
        self.out.push(Lexeme {
            token: TokenWithSpan::new(token, anchor.token.span),
            ..anchor.clone()
        });
    }

    fn expected(&self, at: usize, detail: &str) -> PlanError {
        let found = self.tokens.get(at).or(self.tokens.last());
        let near = self.tokens.get(at).map(|next| next.token.token.to_string());
        let error = PlanError::new(Cause::Syntax { near }).detail(detail);
        match found {
            Some(found) => error.at(found.position),
            None => error,
        }
    }
}

fn ends(next: &Lexeme) -> bool {
    ENDS.iter().any(|word| next.is_word(word))
}
