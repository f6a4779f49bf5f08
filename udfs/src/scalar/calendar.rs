//! Exchange calendars: `session_date`, `is_trading_time`, `next_session_open`.
//!
//! A time without a zone is one in UTC. Outside of the years that a calendar knows the answer is
//! null, never a guess.

mod sessions;

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, TimestampSecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion::arrow::datatypes::{Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature,
};

use super::columnar::columnar;
use crate::arguments::{Call, named};
use crate::error::FunctionError;
use crate::registry::{self, FunctionDoc, FunctionKind};
use sessions::Calendar;

/// Whose calendars these are.
const REFERENCE: &str = "exchange_calendars";

/// What is asked of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Question {
    SessionDate,
    IsTradingTime,
    NextSessionOpen,
}

const ALL: [Question; 3] = [
    Question::SessionDate,
    Question::IsTradingTime,
    Question::NextSessionOpen,
];

/// What a person wants to know about them.
pub(crate) const DOCS: [FunctionDoc; 3] = [
    FunctionDoc {
        name: "session_date",
        kind: FunctionKind::Scalar,
        signature: "session_date(ts timestamp, exchange) -> date",
        description: "The date of the trading session that a time belongs to.",
        formula: "the session that is open, or else the one that opens next; null outside of the \
                  years 2000 to 2030; exchange is one of CMES, XAMS, XASX, XETR, XHKG, XLON, XNYS \
                  (also XNAS, ARCX, BATS), XPAR, XSWX, XTKS, XTSE; CMES sessions open the evening \
                  before their date",
        reference: REFERENCE,
        example: "SELECT session_date(ts, 'XNYS') AS session, count(*) FROM trades GROUP BY \
                  session",
    },
    FunctionDoc {
        name: "is_trading_time",
        kind: FunctionKind::Scalar,
        signature: "is_trading_time(ts timestamp, exchange) -> boolean",
        description: "Whether an exchange is open at a time.",
        formula: "open <= ts < close of a session, outside of its lunch break; early closes and \
                  holidays are known; null outside of the years 2000 to 2030",
        reference: REFERENCE,
        example: "SELECT symbol, price, is_trading_time(ts, 'XNYS') FROM trades",
    },
    FunctionDoc {
        name: "next_session_open",
        kind: FunctionKind::Scalar,
        signature: "next_session_open(ts timestamp, exchange) -> timestamp",
        description: "When an exchange opens for the next time.",
        formula: "the first opening after ts; null outside of the years 2000 to 2030",
        reference: REFERENCE,
        example: "SELECT next_session_open(ts, 'XLON') FROM trades",
    },
];

/// Makes the functions.
pub(crate) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    ALL.into_iter().map(|question| {
        Arc::new(ScalarUDF::new_from_impl(Asked {
            question,
            signature: named(vec!["ts", "exchange"]),
        }))
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Asked {
    question: Question,
    signature: Signature,
}

impl Asked {
    fn call(&self) -> Call {
        let (function, signature) = match self.question {
            Question::SessionDate => ("session_date", "session_date(ts, exchange)"),
            Question::IsTradingTime => ("is_trading_time", "is_trading_time(ts, exchange)"),
            Question::NextSessionOpen => ("next_session_open", "next_session_open(ts, exchange)"),
        };
        Call {
            function,
            signature,
        }
    }

    fn coerce(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let call = self.call();
        call.count(types, 2, 2)?;
        let is_text = matches!(
            types[1],
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
        );
        if !is_text {
            return call.wrong_type("exchange", "a text", &types[1]);
        }
        Ok(vec![call.time("ts", &types[0])?, DataType::Utf8])
    }

    fn calendar(&self, name: &str) -> Result<&'static Calendar> {
        Calendar::find(name).ok_or_else(|| {
            FunctionError::OutOfRange {
                function: self.call().function,
                argument: "exchange",
                value: name.to_owned(),
                range: Calendar::names().into(),
            }
            .into()
        })
    }

    fn data_type(&self, time: &DataType) -> DataType {
        match self.question {
            Question::SessionDate => DataType::Date32,
            Question::IsTradingTime => DataType::Boolean,
            Question::NextSessionOpen => time.clone(),
        }
    }

    /// Answers for times in seconds, each with the calendar that is asked.
    fn answers(
        &self,
        rows: impl Iterator<Item = Option<(i64, &'static Calendar)>>,
        time: &DataType,
    ) -> Result<ArrayRef> {
        Ok(match self.question {
            Question::SessionDate => {
                let dates = rows.map(|row| {
                    let (second, calendar) = row?;
                    calendar.session_at(second).map(|session| session.date)
                });
                Arc::new(dates.collect::<Date32Array>())
            }
            Question::IsTradingTime => {
                let answers = rows.map(|row| {
                    let (second, calendar) = row?;
                    let session = calendar.session_at(second)?;
                    Some(session.is_open(second))
                });
                Arc::new(answers.collect::<BooleanArray>())
            }
            Question::NextSessionOpen => {
                let opens = rows.map(|row| {
                    let (second, calendar) = row?;
                    calendar.opens_after(second).map(|session| session.open())
                });
                let opens = opens.collect::<TimestampSecondArray>();
                let zone = match time {
                    DataType::Timestamp(_, zone) => zone.clone(),
                    _ => None,
                };
                cast(&opens.with_timezone_opt(zone), time)?
            }
        })
    }
}

impl ScalarUDFImpl for Asked {
    fn name(&self) -> &str {
        self.call().function
    }

    fn documentation(&self) -> Option<&Documentation> {
        registry::documentation(self.name(), FunctionKind::Scalar)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        // DataFusion turns an error from here into text; `return_type` repeats it with its type.
        Ok(self.coerce(types).unwrap_or_else(|_| types.to_vec()))
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let coerced = self.coerce(types)?;
        Ok(self.data_type(&coerced[0]))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<_> = args
            .arg_fields
            .iter()
            .map(|field| field.data_type().clone())
            .collect();
        let data_type = self.return_type(&types)?;
        // An exchange written as a literal is checked before any row is read.
        if let Some(Some(ScalarValue::Utf8(Some(name)))) = args.scalar_arguments.get(1) {
            self.calendar(name)?;
        }
        Ok(Arc::new(Field::new(self.name(), data_type, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        columnar(&args, |columns, row_count| {
            let times = Arc::clone(&columns[0]);
            let time = times.data_type().clone();
            // Truncated towards the past: a session opens at a whole second.
            let per_second = match &time {
                DataType::Timestamp(TimeUnit::Second, _) => 1,
                DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000,
                DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000_000,
                _ => 1_000_000_000,
            };
            let times = cast(&times, &DataType::Int64)?;
            let times = times.as_primitive::<Int64Type>();
            let names = Arc::clone(&columns[1]);
            let names = names.as_string::<i32>();
            // Usually one name for all rows.
            let mut last: Option<(&str, &'static Calendar)> = None;
            let mut rows = Vec::with_capacity(row_count);
            for row in 0..row_count {
                if times.is_null(row) || names.is_null(row) {
                    rows.push(None);
                    continue;
                }
                let name = names.value(row);
                let calendar = match last {
                    Some((known, calendar)) if known == name => calendar,
                    _ => self.calendar(name)?,
                };
                last = Some((name, calendar));
                rows.push(Some((times.value(row).div_euclid(per_second), calendar)));
            }
            let result = self.answers(rows.into_iter(), &time)?;
            Ok(result)
        })
    }
}

#[cfg(test)]
mod tests;
