//! The joins that sqlparser or DataFusion lack, brought into a form that both know: an ordinary
//! join whose condition is wrapped in a function of [`crate::logical::join_marker`].
//!
//! `LEFT ASOF JOIN q MATCH_CONDITION (t.ts >= q.ts) ON t.k = q.k TOLERANCE INTERVAL '5' SECOND`
//! becomes `LEFT JOIN q ON __asof_join((t.k = q.k) AND (t.ts >= q.ts), INTERVAL …)`;
//! `ASOF JOIN q USING (k, ts)` becomes `JOIN q ON __asof_join(t.k = q.k AND t.ts >= q.ts, NULL, k,
//! ts)`, of which [`crate::logical::using`] takes the names off;
//! `JOIN r FOR SYSTEM_TIME AS OF t.ts AS x ON …` becomes `JOIN r AS x ON __version_join((…),
//! t.ts)`. `HORIZON JOIN` is in [`super::horizon`].

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use crate::duration::nanos_of;
use crate::error::{Cause, PlanError};
use crate::logical::join_marker::{ASOF, IMPLIED};
use crate::parse::lexeme::Lexeme;

/// The words that end a join's condition.
const ENDS: [&str; 27] = [
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
    "LATEST",
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
        let what = if let Some(prefix) = asof_prefix(tokens, index) {
            match prefix.past {
                Past::Asof => "ASOF JOIN outside of a streaming view",
                Past::Lt => "LT JOIN outside of a streaming view",
                Past::Horizon => "HORIZON JOIN outside of a streaming view",
            }
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

pub(super) struct Rewriter<'a> {
    pub(super) tokens: &'a [Lexeme],
    pub(super) at: usize,
    pub(super) out: Vec<Lexeme>,
}

/// How the latest row of a relation is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    Asof,
    /// `LT JOIN`: the latest row before, not at, the time.
    Lt,
    /// `HORIZON JOIN`: at several distances from the time.
    Horizon,
}

/// The words before the relation of an ASOF join.
struct Prefix {
    past: Past,
    outer: bool,
    count: usize,
}

/// What stands behind the relation of an ASOF join.
#[derive(Default)]
struct Condition {
    /// Conditions, as ranges of tokens.
    parts: Vec<(usize, usize)>,
    /// Columns of `USING (a, b)` and `ON (a, b)`.
    columns: Vec<Lexeme>,
    /// Whether each of the columns shows once, as the left one.
    shared: bool,
    /// Whether the last column is the time, as DuckDB and ClickHouse have it: at or after the
    /// other side's, not equal to it.
    ends_with_time: bool,
}

pub(super) fn words(tokens: &[Lexeme], at: usize, wanted: &[&str]) -> bool {
    let rest = tokens.get(at..).unwrap_or_default();
    rest.len() >= wanted.len()
        && wanted
            .iter()
            .zip(rest)
            .all(|(word, next)| next.is_word(word))
}

fn asof_prefix(tokens: &[Lexeme], at: usize) -> Option<Prefix> {
    const FORMS: [(&[&str], Past, bool); 11] = [
        (&["ASOF", "JOIN"], Past::Asof, false),
        (&["ASOF", "INNER", "JOIN"], Past::Asof, false),
        (&["INNER", "ASOF", "JOIN"], Past::Asof, false),
        (&["ASOF", "LEFT", "JOIN"], Past::Asof, true),
        (&["ASOF", "LEFT", "OUTER", "JOIN"], Past::Asof, true),
        (&["LEFT", "ASOF", "JOIN"], Past::Asof, true),
        (&["LEFT", "OUTER", "ASOF", "JOIN"], Past::Asof, true),
        (&["RIGHT", "ASOF", "JOIN"], Past::Asof, true),
        (&["FULL", "ASOF", "JOIN"], Past::Asof, true),
        (&["LT", "JOIN"], Past::Lt, true),
        (&["HORIZON", "JOIN"], Past::Horizon, true),
    ];
    let found = FORMS.iter().find(|(form, ..)| words(tokens, at, form));
    found.map(|(form, past, outer)| Prefix {
        past: *past,
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
            return self.past(first, &prefix);
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

    /// After `ASOF JOIN`, `LT JOIN`, `HORIZON JOIN`.
    fn past(&mut self, anchor: &Lexeme, prefix: &Prefix) -> Result<(), PlanError> {
        let (start, end) = (self.at, self.relation_end());
        let right = name_of(self.tokens.get(start..end).unwrap_or_default());
        let left = self
            .left_relation()
            .and_then(|from| name_of(&self.out[from..]));
        self.at = end;
        let condition = self.condition(prefix.past)?;
        let mut parts = condition.parts.iter();
        let compared =
            condition.ends_with_time || parts.any(|(start, end)| self.compares(*start, *end));
        if prefix.past == Past::Horizon {
            if compared {
                let error = PlanError::unsupported("HORIZON JOIN with a condition on time");
                let hint = "Write ON t.symbol = q.symbol alone: the event times are compared.";
                return Err(error.at(anchor.position).hint(hint));
            }
            self.horizon(anchor)?;
        }
        // Without a condition on time it is QuestDB's join, which keeps every left row.
        if prefix.outer || !compared {
            self.push_word("LEFT", anchor);
        }
        self.push_word("JOIN", anchor);
        self.rewrite(start, end)?;
        self.push_word("ON", anchor);
        let marker = if compared { ASOF } else { IMPLIED };
        self.push(Token::make_word(marker, None), anchor);
        self.push(Token::LParen, anchor);
        self.conjunction(&condition, [left, right], anchor)?;
        if !compared {
            self.push(Token::Comma, anchor);
            let strict = if prefix.past == Past::Lt {
                "TRUE"
            } else {
                "FALSE"
            };
            self.push_word(strict, anchor);
        }
        let tolerance = words(self.tokens, self.at, &["TOLERANCE"]);
        if tolerance {
            self.at += 1;
            self.push(Token::Comma, anchor);
            self.tolerance()?;
        } else if !compared || condition.shared {
            self.push(Token::Comma, anchor);
            self.push_word("NULL", anchor);
        }
        if compared && condition.shared {
            for column in condition.columns {
                self.push(Token::Comma, anchor);
                self.out.push(column);
            }
        }
        self.push(Token::RParen, anchor);
        Ok(())
    }

    fn relation_end(&self) -> usize {
        self.find(self.at, |next| {
            let ends_it = ["MATCH_CONDITION", "ON", "USING", "RANGE", "LIST"];
            ends_it.iter().any(|word| next.is_word(word)) || ends(next)
        })
    }

    /// Takes the condition behind a relation.
    fn condition(&mut self, past: Past) -> Result<Condition, PlanError> {
        let mut condition = Condition::default();
        if words(self.tokens, self.at, &["MATCH_CONDITION"]) {
            let open = self.at + 1;
            let Some(close) = self.closing(open) else {
                return Err(self.expected(open, "Expected (t.ts >= q.ts) after MATCH_CONDITION."));
            };
            condition.parts.push((open, close + 1));
            self.at = close + 1;
        }
        let using = words(self.tokens, self.at, &["USING"]);
        if using && past != Past::Asof {
            let error = PlanError::unsupported("USING of an LT or HORIZON JOIN");
            let hint = "Write ON (symbol): the event times are compared by themselves.";
            return Err(error.at(self.tokens[self.at].position).hint(hint));
        }
        if using || words(self.tokens, self.at, &["ON"]) {
            condition.ends_with_time = using && condition.parts.is_empty();
            condition.shared = using;
            let start = self.at + 1;
            let mut end = self.condition_end(start);
            if past == Past::Horizon {
                end = end.min(self.range_at(start));
            }
            match self.columns(start, end) {
                Some(columns) if condition.ends_with_time && columns.len() == 1 => {
                    let error = PlanError::unsupported("USING of one column in an ASOF JOIN");
                    let hint = "Write USING (symbol, ts), ON t.ts >= q.ts, or ON (symbol).";
                    return Err(error.at(columns[0].position).hint(hint));
                }
                Some(columns) => condition.columns = columns,
                None if using => return Err(self.expected(start, "Expected (column, …).")),
                None => condition.parts.push((start, end)),
            }
            self.at = end;
        }
        Ok(condition)
    }

    /// `(a, b)`: nothing but names of columns.
    fn columns(&self, start: usize, end: usize) -> Option<Vec<Lexeme>> {
        let inside = self.closing(start).filter(|close| close + 1 == end)?;
        let tokens = self.tokens.get(start + 1..inside)?;
        let is_name = |next: &Lexeme| matches!(next.token.token, Token::Word(_));
        let alternate = tokens
            .iter()
            .enumerate()
            .all(|(index, next)| match index % 2 {
                0 => is_name(next),
                _ => next.is(&Token::Comma),
            });
        (alternate && tokens.len() % 2 == 1).then(|| tokens.iter().step_by(2).cloned().collect())
    }

    /// Whether a condition compares by order.
    fn compares(&self, start: usize, end: usize) -> bool {
        let orders = [Token::Gt, Token::GtEq, Token::Lt, Token::LtEq];
        let tokens = self.tokens.get(start..end).unwrap_or_default();
        let between = |next: &Lexeme| next.is_word("BETWEEN");
        tokens
            .iter()
            .any(|next| between(next) || orders.contains(&next.token.token))
    }

    fn conjunction(
        &mut self,
        condition: &Condition,
        sides: [Option<Lexeme>; 2],
        anchor: &Lexeme,
    ) -> Result<(), PlanError> {
        let mut count = 0;
        for (start, end) in &condition.parts {
            if count > 0 {
                self.push_word("AND", anchor);
            }
            self.push(Token::LParen, anchor);
            self.rewrite(*start, *end)?;
            self.push(Token::RParen, anchor);
            count += 1;
        }
        for (place, column) in condition.columns.iter().enumerate() {
            let [Some(left), Some(right)] = &sides else {
                let error = PlanError::unsupported("names of columns alone in this join");
                return Err(error
                    .at(column.position)
                    .hint("Write ON t.symbol = q.symbol."));
            };
            if count > 0 {
                self.push_word("AND", anchor);
            }
            let dot = |rewriter: &mut Self| rewriter.push(Token::Period, anchor);
            self.out.push(left.clone());
            dot(self);
            self.out.push(column.clone());
            let is_time = condition.ends_with_time && place + 1 == condition.columns.len();
            self.push(if is_time { Token::GtEq } else { Token::Eq }, anchor);
            self.out.push(right.clone());
            dot(self);
            self.out.push(column.clone());
            count += 1;
        }
        if count == 0 {
            self.push_word("TRUE", anchor);
        }
        Ok(())
    }

    /// Where, among the tokens made so far, the one relation left of a join begins; `None` where
    /// there are several.
    pub(super) fn left_relation(&self) -> Option<usize> {
        let mut depth = 0usize;
        for at in (0..self.out.len()).rev() {
            let next = &self.out[at];
            match next.token.token {
                Token::RParen => depth += 1,
                Token::LParen => depth = depth.checked_sub(1)?,
                Token::Comma if depth == 0 => return None,
                _ if depth == 0 && next.is_word("FROM") => return Some(at + 1),
                _ if depth == 0 && ends(next) => return None,
                _ => {}
            }
        }
        None
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

    /// The end of the condition that starts at `start`.
    pub(super) fn condition_end(&self, start: usize) -> usize {
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
    pub(super) fn find(&self, start: usize, is_end: impl Fn(&Lexeme) -> bool) -> usize {
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
    pub(super) fn rewrite(&mut self, start: usize, end: usize) -> Result<(), PlanError> {
        let part = self.tokens.get(start..end).unwrap_or_default();
        self.out.extend(plain_joins(part)?);
        Ok(())
    }

    pub(super) fn push_word(&mut self, word: &str, anchor: &Lexeme) {
        self.push(Token::make_keyword(word), anchor);
    }

    pub(super) fn push(&mut self, token: Token, anchor: &Lexeme) {
        self.out.push(Lexeme {
            token: TokenWithSpan::new(token, anchor.token.span),
            ..anchor.clone()
        });
    }

    pub(super) fn expected(&self, at: usize, detail: &str) -> PlanError {
        let found = self.tokens.get(at).or(self.tokens.last());
        let near = self.tokens.get(at).map(|next| next.token.token.to_string());
        let error = PlanError::new(Cause::Syntax { near }).detail(detail);
        match found {
            Some(found) => error.at(found.position),
            None => error,
        }
    }
}

/// The name by which columns of a relation are called: its alias, or its own name.
pub(super) fn name_of(relation: &[Lexeme]) -> Option<Lexeme> {
    let last = relation.last()?;
    matches!(last.token.token, Token::Word(_)).then(|| last.clone())
}

pub(super) fn ends(next: &Lexeme) -> bool {
    ENDS.iter().any(|word| next.is_word(word))
}
