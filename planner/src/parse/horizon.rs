//! `HORIZON JOIN q ON t.k = q.k RANGE FROM -5s TO 60s STEP 5s AS h`: the left relation as
//! `__horizon((SELECT * FROM trades t), 'h', '-5000000000,…')`, which
//! [`crate::logical::horizon_node`] plans.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::duration::{nanos_of, unit_nanos};
use crate::error::PlanError;
use crate::logical::horizon_node::HORIZON;
use crate::parse::join::{Rewriter, words};
use crate::parse::lexeme::Lexeme;

/// How many distances a row may be looked at from: each costs a row.
const OFFSETS_MAX: usize = 10_000;

impl Rewriter<'_> {
    /// Takes `RANGE … AS h` or `LIST (…) AS h`, and puts the left relation into a horizon.
    pub(super) fn horizon(&mut self, anchor: &Lexeme) -> Result<(), PlanError> {
        let offsets = self.offsets(anchor)?;
        if !words(self.tokens, self.at, &["AS"]) {
            return Err(self.expected(self.at, "Expected AS and a name, such as AS h."));
        }
        let alias = match self.tokens.get(self.at + 1).map(|next| &next.token.token) {
            Some(Token::Word(word)) => match word.quote_style {
                Some(_) => word.value.clone(),
                None => word.value.to_lowercase(),
            },
            _ => return Err(self.expected(self.at + 1, "Expected a name, such as h.")),
        };
        self.at += 2;
        let Some(from) = self.left_relation() else {
            let error = PlanError::unsupported("HORIZON JOIN behind another join");
            let hint = "Put the other join into a subquery: FROM (SELECT … JOIN …) AS t HORIZON \
                        JOIN q ….";
            return Err(error.at(anchor.position).hint(hint));
        };
        let relation = self.out.split_off(from);
        self.push(Token::make_word(HORIZON, None), anchor);
        self.push(Token::LParen, anchor);
        self.push(Token::LParen, anchor);
        self.push_word("SELECT", anchor);
        self.push(Token::Mul, anchor);
        self.push_word("FROM", anchor);
        self.out.extend(relation);
        self.push(Token::RParen, anchor);
        self.push(Token::Comma, anchor);
        self.push(Token::SingleQuotedString(alias), anchor);
        self.push(Token::Comma, anchor);
        let offsets: Vec<String> = offsets.iter().map(ToString::to_string).collect();
        self.push(Token::SingleQuotedString(offsets.join(",")), anchor);
        self.push(Token::RParen, anchor);
        Ok(())
    }

    /// Where the distances of a horizon are told, from `start` on.
    pub(super) fn range_at(&self, start: usize) -> usize {
        let mut depth = 0usize;
        for at in start..self.tokens.len() {
            let list = words(self.tokens, at, &["LIST"])
                && self
                    .tokens
                    .get(at + 1)
                    .is_some_and(|next| next.is(&Token::LParen));
            match self.tokens[at].token.token {
                _ if depth == 0 && (list || words(self.tokens, at, &["RANGE", "FROM"])) => {
                    return at;
                }
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        self.tokens.len()
    }

    fn offsets(&mut self, anchor: &Lexeme) -> Result<Vec<i64>, PlanError> {
        const FORM: &str = "Expected RANGE FROM -5s TO 60s STEP 5s AS h, or LIST (0s, 5s) AS h.";
        let mut offsets = Vec::new();
        if words(self.tokens, self.at, &["LIST"]) {
            self.at += 1;
            loop {
                // The parenthesis or the comma.
                self.at += 1;
                offsets.push(self.length(FORM)?);
                match self.tokens.get(self.at).map(|next| &next.token.token) {
                    Some(Token::Comma) => {}
                    Some(Token::RParen) => break,
                    _ => return Err(self.expected(self.at, FORM)),
                }
            }
            self.at += 1;
        } else if words(self.tokens, self.at, &["RANGE", "FROM"]) {
            self.at += 2;
            let first = self.length(FORM)?;
            let last = self.after("TO", FORM)?;
            let step = self.after("STEP", FORM)?;
            if step <= 0 || last < first {
                return Err(self.expected(self.at, "The steps lead from FROM to TO."));
            }
            let steps = usize::try_from(last.abs_diff(first) / step.unsigned_abs());
            let steps = steps.unwrap_or(OFFSETS_MAX).min(OFFSETS_MAX);
            offsets.extend((0..=steps as i64).map(|index| first + index * step));
        } else {
            return Err(self.expected(self.at, FORM));
        }
        if offsets.len() > OFFSETS_MAX {
            let what = format!("HORIZON JOIN with more than {OFFSETS_MAX} distances");
            let error = PlanError::unsupported(what).at(anchor.position);
            return Err(error.hint("Choose a longer step."));
        }
        offsets.sort_unstable();
        offsets.dedup();
        Ok(offsets)
    }

    fn after(&mut self, word: &str, form: &str) -> Result<i64, PlanError> {
        if !words(self.tokens, self.at, &[word]) {
            return Err(self.expected(self.at, form));
        }
        self.at += 1;
        self.length(form)
    }

    /// `-5s`, `0`, `'5 seconds'`, `INTERVAL '5' SECOND`.
    fn length(&mut self, form: &str) -> Result<i64, PlanError> {
        let at = |ahead: usize| self.tokens.get(self.at + ahead);
        let minus = at(0).is_some_and(|next| next.is(&Token::Minus));
        let mut taken = usize::from(minus);
        let interval = at(taken).is_some_and(|next| next.is_word("INTERVAL"));
        taken += usize::from(interval);
        let Some(first) = at(taken) else {
            return Err(self.expected(self.at + taken, form));
        };
        let unit = at(taken + 1).and_then(|next| match &next.token.token {
            Token::Word(word) => unit_of(&word.value),
            _ => None,
        });
        let nanos = match &first.token.token {
            Token::Number(number, _) => match unit {
                Some(unit) => nanos_of(number, Some(unit)),
                None if number == "0" => Ok(0),
                None => return Err(self.expected(self.at + taken + 1, form)),
            },
            Token::SingleQuotedString(text) => nanos_of(text, unit),
            _ => return Err(self.expected(self.at + taken, form)),
        };
        let nanos = nanos.map_err(|error| error.at(first.position))?;
        self.at += taken + 1 + usize::from(unit.is_some());
        Ok(if minus { -nanos } else { nanos })
    }
}

/// A unit of fixed length, QuestDB's letters included.
pub(super) fn unit_of(word: &str) -> Option<&str> {
    match word {
        "T" => Some("ms"),
        "U" => Some("us"),
        "N" => Some("ns"),
        // Months and years.
        "M" | "y" | "Y" => None,
        _ => unit_nanos(word).map(|_| word),
    }
}
