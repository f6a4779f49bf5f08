//! Avro schemas, parsed (specification 1.12). Types refer to each other by index, so that a type
//! may contain itself.

use std::collections::HashMap;

use serde_json::Value;

/// Depth at which a schema is refused.
const DEPTH_MAX: usize = 64;

/// Types by index.
#[derive(Debug, Default)]
pub(super) struct Schema {
    pub(super) types: Vec<Type>,
    pub(super) root: usize,
    names: HashMap<String, usize>,
}

/// A type.
#[derive(Debug)]
pub(super) struct Type {
    pub(super) kind: Kind,
    pub(super) logical: Logical,
}

/// How a type is written.
#[derive(Debug)]
pub(super) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Enum(Vec<String>),
    Fixed(usize),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<(String, usize)>),
}

/// What a type means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logical {
    None,
    Decimal {
        scale: u32,
    },
    Date,
    /// Units of 10^-digits seconds since midnight.
    Time,
    /// Units of 10^-digits seconds since the epoch.
    Timestamp {
        digits: u8,
        local: bool,
    },
}

impl Schema {
    /// Parses a schema; the texts in `references` define names that it uses.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str, references: &[String]) -> Result<Self, String> {
        let mut schema = Self::default();
        for text in references.iter().map(String::as_str).chain([text]) {
            let json: Value = match serde_json::from_str(text) {
                Ok(json) => json,
                // A primitive type may stand bare: `string`.
                Err(_) if text.trim().chars().all(char::is_alphanumeric) => {
                    Value::String(text.trim().to_owned())
                }
                Err(error) => return Err(format!("it is no JSON: {error}")),
            };
            schema.root = schema.add(&json, "", 0)?;
        }
        Ok(schema)
    }

    fn push(&mut self, kind: Kind, logical: Logical) -> usize {
        self.types.push(Type { kind, logical });
        self.types.len() - 1
    }

    fn add(&mut self, json: &Value, namespace: &str, depth: usize) -> Result<usize, String> {
        if depth > DEPTH_MAX {
            return Err("it is nested too deeply".to_owned());
        }
        match json {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter();
                let branches = branches.map(|branch| self.add(branch, namespace, depth + 1));
                let kind = Kind::Union(branches.collect::<Result<_, _>>()?);
                Ok(self.push(kind, Logical::None))
            }
            Value::Object(_) => self.complex(json, namespace, depth),
            other => Err(format!("{other} is no type")),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<usize, String> {
        let kind = match name {
            "null" => Kind::Null,
            "boolean" => Kind::Boolean,
            "int" => Kind::Int,
            "long" => Kind::Long,
            "float" => Kind::Float,
            "double" => Kind::Double,
            "bytes" => Kind::Bytes,
            "string" => Kind::Text,
            _ => {
                let found = self.names.get(&full_name(name, namespace));
                let found = found.or_else(|| self.names.get(name));
                return found
                    .copied()
                    .ok_or_else(|| format!("there is no type \"{name}\""));
            }
        };
        Ok(self.push(kind, Logical::None))
    }

    fn complex(&mut self, json: &Value, namespace: &str, depth: usize) -> Result<usize, String> {
        let text = |key: &str| json.get(key).and_then(Value::as_str);
        let part = |key: &str| {
            json.get(key)
                .ok_or_else(|| format!("a type has no \"{key}\""))
        };
        let kind = match part("type")? {
            Value::String(kind) => kind.as_str(),
            // `{"type": {"type": "long", …}}`
            nested => return self.add(nested, namespace, depth + 1),
        };
        match kind {
            "array" => {
                let items = self.add(part("items")?, namespace, depth + 1)?;
                Ok(self.push(Kind::Array(items), Logical::None))
            }
            "map" => {
                let values = self.add(part("values")?, namespace, depth + 1)?;
                Ok(self.push(Kind::Map(values), Logical::None))
            }
            "record" | "error" | "enum" | "fixed" => {
                let name = text("name").ok_or("a named type has no \"name\"")?;
                let full = full_name(name, text("namespace").unwrap_or(namespace));
                let inner = full
                    .rsplit_once('.')
                    .map_or("", |(inner, _)| inner)
                    .to_owned();
                // The name is known inside of the type.
                let index = self.push(Kind::Null, Logical::None);
                self.names.insert(full, index);
                let (kind, logical) = match kind {
                    "enum" => (Kind::Enum(symbols(part("symbols")?)?), Logical::None),
                    "fixed" => {
                        let size = part("size")?.as_u64().and_then(|size| size.try_into().ok());
                        let size = size.ok_or("a fixed type's \"size\" is no number")?;
                        (Kind::Fixed(size), logical(json, "fixed"))
                    }
                    _ => (self.record(part("fields")?, &inner, depth)?, Logical::None),
                };
                self.types[index] = Type { kind, logical };
                Ok(index)
            }
            primitive => {
                let index = self.named(primitive, namespace)?;
                // Only a type that was made just now may be given a meaning.
                if index + 1 == self.types.len() && is_primitive(primitive) {
                    self.types[index].logical = logical(json, primitive);
                }
                Ok(index)
            }
        }
    }

    fn record(&mut self, fields: &Value, namespace: &str, depth: usize) -> Result<Kind, String> {
        let fields = fields
            .as_array()
            .ok_or("a record's \"fields\" is no list")?;
        let mut read = Vec::with_capacity(fields.len());
        for field in fields {
            let name = field.get("name").and_then(Value::as_str);
            let name = name.ok_or("a field has no \"name\"")?;
            let of = field
                .get("type")
                .ok_or_else(|| format!("field \"{name}\" has no type"))?;
            read.push((name.to_owned(), self.add(of, namespace, depth + 1)?));
        }
        Ok(Kind::Record(read))
    }
}

fn is_primitive(name: &str) -> bool {
    matches!(name, "int" | "long" | "bytes" | "string")
}

fn symbols(json: &Value) -> Result<Vec<String>, String> {
    let symbols = json.as_array().into_iter().flatten();
    let symbols = symbols.map(|symbol| symbol.as_str().map(str::to_owned));
    symbols
        .collect::<Option<_>>()
        .ok_or_else(|| "an enum's symbols are no texts".to_owned())
}

/// What a type means; an unknown meaning is no meaning, as the specification says.
fn logical(json: &Value, kind: &str) -> Logical {
    let Some(name) = json.get("logicalType").and_then(Value::as_str) else {
        return Logical::None;
    };
    let stamp = |digits, local| Logical::Timestamp { digits, local };
    match (name, kind) {
        ("decimal", "bytes" | "fixed") => {
            let scale = json.get("scale").and_then(Value::as_u64).unwrap_or(0);
            u32::try_from(scale).map_or(Logical::None, |scale| Logical::Decimal { scale })
        }
        ("date", "int") => Logical::Date,
        ("time-millis", "int") | ("time-micros", "long") => Logical::Time,
        ("timestamp-millis", "long") => stamp(3, false),
        ("timestamp-micros", "long") => stamp(6, false),
        ("timestamp-nanos", "long") => stamp(9, false),
        ("local-timestamp-millis", "long") => stamp(3, true),
        ("local-timestamp-micros", "long") => stamp(6, true),
        ("local-timestamp-nanos", "long") => stamp(9, true),
        _ => Logical::None,
    }
}

fn full_name(name: &str, namespace: &str) -> String {
    match name.contains('.') || namespace.is_empty() {
        true => name.trim_start_matches('.').to_owned(),
        false => format!("{namespace}.{name}"),
    }
}
