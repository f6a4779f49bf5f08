//! Statements about the session: transactions, variables, and the resets that connection pools
//! send.

use datafusion::sql::sqlparser::tokenizer::Token;

use crate::error::PlanError;
use crate::parse::cursor::{Cursor, slice};
use crate::statement::{StatementKind, TransactionStatement};

/// `BEGIN`, `COMMIT`, `ROLLBACK` and their kin.
///
/// # Errors
/// [`crate::error::Cause::Syntax`], and two-phase commit is refused.
pub fn transaction(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    let statement = if cursor.eat(&["BEGIN"]) {
        optional_work(cursor);
        modes(cursor)?;
        TransactionStatement::Begin
    } else if cursor.eat(&["START"]) {
        cursor.expect(&["TRANSACTION"])?;
        modes(cursor)?;
        TransactionStatement::Begin
    } else if cursor.eat(&["SAVEPOINT"]) {
        TransactionStatement::Savepoint(cursor.identifier("a savepoint's name")?.0)
    } else if cursor.eat(&["RELEASE"]) {
        cursor.eat(&["SAVEPOINT"]);
        TransactionStatement::Release(cursor.identifier("a savepoint's name")?.0)
    } else if cursor.eat(&["COMMIT"]) || cursor.eat(&["END"]) {
        refuse_prepared(cursor)?;
        optional_work(cursor);
        no_chain(cursor)?;
        TransactionStatement::Commit
    } else {
        cursor.advance(1);
        refuse_prepared(cursor)?;
        optional_work(cursor);
        if cursor.eat(&["TO"]) {
            cursor.eat(&["SAVEPOINT"]);
            TransactionStatement::RollbackTo(cursor.identifier("a savepoint's name")?.0)
        } else {
            no_chain(cursor)?;
            TransactionStatement::Rollback
        }
    };
    Ok(StatementKind::Transaction(statement))
}

fn optional_work(cursor: &mut Cursor<'_>) {
    let _ = cursor.eat(&["WORK"]) || cursor.eat(&["TRANSACTION"]);
}

fn no_chain(cursor: &mut Cursor<'_>) -> Result<(), PlanError> {
    if cursor.at(&["AND", "CHAIN"]) {
        return Err(cursor.unsupported("AND CHAIN").hint("Send BEGIN after it."));
    }
    cursor.eat(&["AND", "NO", "CHAIN"]);
    Ok(())
}

fn refuse_prepared(cursor: &Cursor<'_>) -> Result<(), PlanError> {
    if cursor.at(&["PREPARED"]) {
        return Err(cursor.unsupported("two-phase commit"));
    }
    Ok(())
}

/// `ISOLATION LEVEL …`, `READ ONLY`, …: every mode means the same here, so they are read and
/// forgotten.
fn modes(cursor: &mut Cursor<'_>) -> Result<(), PlanError> {
    loop {
        let known = cursor.eat(&["ISOLATION", "LEVEL", "SERIALIZABLE"])
            || cursor.eat(&["ISOLATION", "LEVEL", "REPEATABLE", "READ"])
            || cursor.eat(&["ISOLATION", "LEVEL", "READ", "COMMITTED"])
            || cursor.eat(&["ISOLATION", "LEVEL", "READ", "UNCOMMITTED"])
            || cursor.eat(&["READ", "ONLY"])
            || cursor.eat(&["READ", "WRITE"])
            || cursor.eat(&["NOT", "DEFERRABLE"])
            || cursor.eat(&["DEFERRABLE"]);
        let comma = cursor.eat_token(&Token::Comma);
        if !known && comma {
            return Err(cursor.unexpected("Expected a transaction mode."));
        }
        if !known {
            return Ok(());
        }
    }
}

/// `SET`, `RESET`, `DISCARD`, `DEALLOCATE`, `UNLISTEN`.
///
/// # Errors
/// [`crate::error::Cause::Syntax`].
pub fn session(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    if cursor.eat(&["SET"]) {
        return set(cursor);
    }
    if cursor.eat(&["RESET"]) {
        let name = if cursor.eat(&["ALL"]) {
            None
        } else {
            Some(variable(cursor)?)
        };
        return Ok(StatementKind::Reset { name });
    }
    if cursor.eat(&["DISCARD"]) {
        let known = ["ALL", "PLANS", "SEQUENCES", "TEMP", "TEMPORARY"];
        let Some(what) = known.iter().find(|word| cursor.at(&[word])) else {
            let detail = "Expected ALL, PLANS, SEQUENCES or TEMP.";
            return Err(cursor.unexpected_word(detail, &known));
        };
        cursor.advance(1);
        return Ok(StatementKind::Discard {
            what: (*what).to_owned(),
        });
    }
    if cursor.eat(&["DEALLOCATE"]) {
        cursor.eat(&["PREPARE"]);
        let all = cursor.eat(&["ALL"]);
        let name = if all {
            None
        } else {
            Some(cursor.identifier("a prepared statement")?.0)
        };
        return Ok(StatementKind::Deallocate { name });
    }
    cursor.expect(&["UNLISTEN"])?;
    if !cursor.eat_token(&Token::Mul) {
        cursor.identifier("a channel's name")?;
    }
    Ok(StatementKind::Unlisten)
}

fn set(cursor: &mut Cursor<'_>) -> Result<StatementKind, PlanError> {
    if cursor.eat(&["SESSION", "CHARACTERISTICS", "AS", "TRANSACTION"])
        || cursor.eat(&["TRANSACTION"])
    {
        let value = Some(cursor.rest_text().to_lowercase());
        modes(cursor)?;
        let name = "transaction".to_owned();
        return Ok(StatementKind::Set {
            name,
            value,
            local: false,
        });
    }
    let local = cursor.eat(&["LOCAL"]);
    if !local {
        cursor.eat(&["SESSION"]);
    }
    if cursor.eat(&["TIME", "ZONE"]) {
        let value = value_list(cursor)?;
        let value = value.filter(|value| !value.eq_ignore_ascii_case("local"));
        return Ok(StatementKind::Set {
            name: "timezone".to_owned(),
            value,
            local,
        });
    }
    if cursor.eat(&["NAMES"]) {
        let value = value_list(cursor)?;
        return Ok(StatementKind::Set {
            name: "client_encoding".to_owned(),
            value,
            local,
        });
    }
    if cursor.at(&["SESSION", "AUTHORIZATION"])
        || cursor.at(&["AUTHORIZATION"])
        || cursor.at(&["ROLE"])
    {
        return Err(cursor.unsupported("changing the role of a session"));
    }
    let name = variable(cursor)?;
    if !cursor.eat_token(&Token::Eq) {
        cursor.expect(&["TO"])?;
    }
    let value = value_list(cursor)?;
    Ok(StatementKind::Set { name, value, local })
}

/// A variable's name with its dots, in lowercase.
///
/// # Errors
/// [`crate::error::Cause::Syntax`] if none comes.
pub fn variable(cursor: &mut Cursor<'_>) -> Result<String, PlanError> {
    let mut name = cursor.identifier("a variable's name")?.0;
    while cursor.eat_token(&Token::Period) {
        name.push('.');
        name.push_str(&cursor.identifier("the rest of the variable's name")?.0);
    }
    Ok(name.to_lowercase())
}

/// `value [, …]`; `None` for `DEFAULT`.
fn value_list(cursor: &mut Cursor<'_>) -> Result<Option<String>, PlanError> {
    if cursor.eat(&["DEFAULT"]) {
        return Ok(None);
    }
    let mut values = Vec::new();
    loop {
        if cursor.at(&["INTERVAL"]) {
            let tokens = cursor.expression("a value")?;
            values.push(slice(cursor.text(), tokens).to_owned());
        } else {
            values.push(cursor.option_value()?);
        }
        if !cursor.eat_token(&Token::Comma) {
            return Ok(Some(values.join(", ")));
        }
    }
}
