//! `json -> key`, `->>`, `#>` and `#>>`: a part of a JSON text, as it was written there.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::error::FunctionError;
use crate::postgres::cast::elements;

pub(crate) mod build;
pub(crate) mod scan;

/// Which operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum JsonOperator {
    /// `->`: a member or an element, as JSON.
    Get,
    /// `->>`: the same as text.
    GetText,
    /// `#>`: what lies at a path, as JSON.
    Path,
    /// `#>>`: the same as text.
    PathText,
}

impl JsonOperator {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "json_get",
            Self::GetText => "json_get_text",
            Self::Path => "json_path",
            Self::PathText => "json_path_text",
        }
    }

    fn gives_text(self) -> bool {
        matches!(self, Self::GetText | Self::PathText)
    }

    fn takes_path(self) -> bool {
        matches!(self, Self::Path | Self::PathText)
    }
}

/// The part of `json` that `operator` finds at `place`.
pub(crate) fn part(operator: JsonOperator, json: Expr, place: Expr) -> Expr {
    let signature = Signature::user_defined(Volatility::Immutable);
    let function = JsonPart {
        operator,
        signature,
    };
    ScalarUDF::new_from_impl(function).call(vec![json, place])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct JsonPart {
    operator: JsonOperator,
    signature: Signature,
}

impl ScalarUDFImpl for JsonPart {
    fn name(&self) -> &str {
        self.operator.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let is_text = |t: &DataType| {
            use DataType as T;
            matches!(t, T::Utf8 | T::LargeUtf8 | T::Utf8View | T::Null)
        };
        let [json, place] = types else {
            return Ok(types.to_vec());
        };
        let text_list = DataType::new_list(DataType::Utf8, true);
        let place = match place {
            t if t.is_integer() && !self.operator.takes_path() => DataType::Int64,
            DataType::List(_) if self.operator.takes_path() => text_list,
            t if is_text(t) => DataType::Utf8,
            other => return Err(no_operator(json, other).into()),
        };
        match is_text(json) {
            true => Ok(vec![DataType::Utf8, place]),
            false => Err(no_operator(json, &place).into()),
        }
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_scalar = args
            .args
            .iter()
            .all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if is_scalar { 1 } else { args.number_rows };
        let texts = args.args[0].to_array(rows)?;
        let places = args.args[1].to_array(rows)?;
        let found: ArrayRef = Arc::new(self.find(texts.as_string(), &places)?);
        if is_scalar {
            let value = ScalarValue::try_from_array(&found, 0)?;
            return Ok(ColumnarValue::Scalar(value));
        }
        Ok(ColumnarValue::Array(found))
    }
}

impl JsonPart {
    fn find(&self, texts: &StringArray, places: &ArrayRef) -> Result<StringArray> {
        let mut builder = StringBuilder::new();
        let mut steps: Vec<Step> = Vec::new();
        for row in 0..texts.len() {
            if texts.is_null(row) || places.is_null(row) {
                builder.append_null();
                continue;
            }
            steps.clear();
            let text = texts.value(row);
            let known = self.steps(places, row, &mut steps)?;
            let found = match known {
                true => at(text, &steps).map_err(|()| wrong_json())?,
                false => None,
            };
            match found {
                Some(part) if !self.operator.gives_text() => builder.append_value(part),
                Some("null") | None => builder.append_null(),
                Some(part) => match scan::unquoted(part) {
                    Some(text) => builder.append_value(text),
                    None => builder.append_value(part),
                },
            }
        }
        Ok(builder.finish())
    }

    /// Writes the way to the part in `row` into `steps`; false if it leads nowhere.
    fn steps(&self, places: &ArrayRef, row: usize, steps: &mut Vec<Step>) -> Result<bool> {
        if let Some(index) = places.as_any().downcast_ref::<Int64Array>() {
            steps.push(Step::Index(index.value(row)));
            return Ok(true);
        }
        let path = match places.data_type() {
            DataType::List(_) => places.as_list::<i32>().value(row),
            _ if !self.operator.takes_path() => {
                steps.push(Step::Key(places.as_string::<i32>().value(row).to_owned()));
                return Ok(true);
            }
            _ => path_of(places.as_string::<i32>().value(row))?,
        };
        let path = cast(&path, &DataType::Utf8)?;
        for step in path.as_string::<i32>() {
            // A null step leads nowhere.
            let Some(step) = step else { return Ok(false) };
            steps.push(match step.trim().parse() {
                Ok(index) => Step::Either(index, step.to_owned()),
                Err(_) => Step::Key(step.to_owned()),
            });
        }
        Ok(true)
    }
}

/// One step into a document.
enum Step {
    /// Into an object.
    Key(String),
    /// Into an array; negative from its end.
    Index(i64),
    /// Into whichever it is.
    Either(i64, String),
}

/// What lies at `steps` of `text`; an error if it is no JSON.
fn at<'a>(text: &'a str, steps: &[Step]) -> Result<Option<&'a str>, ()> {
    if !scan::whole(text) {
        return Err(());
    }
    let mut part = text.trim();
    for step in steps {
        let found = match (step, part.as_bytes().first()) {
            (Step::Key(key) | Step::Either(_, key), Some(b'{')) => scan::member(part, key),
            (Step::Index(index) | Step::Either(index, _), Some(b'[')) => {
                scan::element(part, *index)
            }
            _ => None,
        };
        match found {
            Some(found) => part = found,
            None => return Ok(None),
        }
    }
    Ok(Some(part))
}

/// A path written as `{a,0,b}`.
fn path_of(text: &str) -> Result<ArrayRef> {
    Ok(Arc::new(StringArray::from(elements(text)?)))
}

fn wrong_json() -> FunctionError {
    FunctionError::value("22P02", "invalid input syntax for type json".to_owned())
}

fn no_operator(left: &DataType, right: &DataType) -> FunctionError {
    let name = crate::postgres::type_name;
    let message = format!("operator does not exist: {} -> {}", name(left), name(right));
    FunctionError::value("42883", message)
        .detail("JSON operators take a key, an index or a path.".to_owned())
}

#[cfg(test)]
mod tests;
