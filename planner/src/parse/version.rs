//! `JOIN rates FOR SYSTEM_TIME AS OF t.ts AS r ON …`: the version that was valid at a time; with
//! `PROCTIME()`, what is there when a row comes.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::PlanError;
use crate::logical::join_marker::{ARRIVAL, VERSION};
use crate::parse::join::{Rewriter, ends, words};

impl Rewriter<'_> {
    /// After `JOIN`: a relation `FOR SYSTEM_TIME AS OF t.ts`, if it is one.
    pub(super) fn version(&mut self) -> Result<(), PlanError> {
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
        let arrival = self.is_now(time);
        self.at = match arrival {
            true => time + 3,
            false => self.time_end(time)?,
        };
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
        let marker = if arrival { ARRIVAL } else { VERSION };
        self.push(Token::make_word(marker, None), anchor);
        self.push(Token::LParen, anchor);
        self.push(Token::LParen, anchor);
        self.rewrite(start, end)?;
        self.push(Token::RParen, anchor);
        if !arrival {
            self.push(Token::Comma, anchor);
            self.rewrite(time, time_end)?;
        }
        self.push(Token::RParen, anchor);
        self.at = end;
        Ok(())
    }

    /// Whether `PROCTIME()` or `NOW()` stands at `at`.
    fn is_now(&self, at: usize) -> bool {
        let is = |at: usize, token| self.tokens.get(at).is_some_and(|next| next.is(&token));
        let call = is(at + 1, Token::LParen) && is(at + 2, Token::RParen);
        call && ["PROCTIME", "NOW"]
            .iter()
            .any(|name| words(self.tokens, at, &[name]))
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
}
