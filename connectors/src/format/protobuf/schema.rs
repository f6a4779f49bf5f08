//! `.proto` schemas, parsed: messages, enums and fields, of proto2 and proto3. Options, services
//! and extensions are gone over.

use std::collections::HashMap;

use super::syntax::{Word, words};

/// Nesting at which a schema is refused.
const DEPTH_MAX: usize = 64;

/// Messages and enums by their full names.
#[derive(Debug, Default)]
pub(super) struct Schema {
    messages: HashMap<String, Message>,
    enums: HashMap<String, Vec<(i64, String)>>,
    /// The messages of the text itself, in order.
    top: Vec<String>,
}

/// A message type.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) name: String,
    pub(super) fields: Vec<Field>,
    /// The full names of the messages declared in it, in order.
    nested: Vec<String>,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) number: u64,
    pub(super) repeated: bool,
    /// Whether its absence is known from its default.
    pub(super) has_presence: bool,
    /// As written: `int32`, `market.Side`.
    of: String,
}

/// The type of a field.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Double,
    Float,
    /// Int32, int64.
    Int,
    /// Uint32, uint64.
    Unsigned,
    /// Sint32, sint64.
    Zigzag,
    Fixed32,
    Fixed64,
    SignedFixed32,
    SignedFixed64,
    Bool,
    Text,
    Bytes,
    /// Names by number.
    Enum(Vec<(i64, String)>),
    /// By its full name.
    Message(String),
    /// A map, or a type that is not known.
    Other(String),
}

impl Schema {
    /// Parses a schema; the texts in `imports` define names that it uses.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str, imports: &[String]) -> Result<Self, String> {
        let mut schema = Self::default();
        for text in imports.iter().map(String::as_str).chain([text]) {
            schema.top.clear();
            Parser::new(text)?.file(&mut schema)?;
        }
        Ok(schema)
    }

    /// The full name of the first message.
    pub(super) fn first(&self) -> Option<String> {
        self.top.first().cloned()
    }

    /// The message called `name`, in full or without its package.
    pub(super) fn find(&self, name: &str) -> Option<&Message> {
        let short = format!(".{name}");
        let found = self.top.iter().find(|full| full.ends_with(&short));
        self.messages
            .get(name)
            .or_else(|| self.messages.get(found?))
    }

    /// The message at a place: the index at each level.
    pub(super) fn at(&self, path: &[i64]) -> Option<&Message> {
        let mut level = &self.top;
        let mut found = None;
        for index in path {
            let message = self
                .messages
                .get(level.get(usize::try_from(*index).ok()?)?)?;
            level = &message.nested;
            found = Some(message);
        }
        found
    }

    /// The type of `field` of the message called `of`.
    pub(super) fn kind(&self, of: &str, field: &Field) -> Kind {
        match field.of.as_str() {
            "double" => Kind::Double,
            "float" => Kind::Float,
            "int32" | "int64" => Kind::Int,
            "uint32" | "uint64" => Kind::Unsigned,
            "sint32" | "sint64" => Kind::Zigzag,
            "fixed32" => Kind::Fixed32,
            "fixed64" => Kind::Fixed64,
            "sfixed32" => Kind::SignedFixed32,
            "sfixed64" => Kind::SignedFixed64,
            "bool" => Kind::Bool,
            "string" => Kind::Text,
            "bytes" => Kind::Bytes,
            name => self.named(of, name),
        }
    }

    /// A name is looked for in the message, then in what is around it, outwards.
    fn named(&self, of: &str, name: &str) -> Kind {
        let known = |full: &str| {
            if let Some(values) = self.enums.get(full) {
                return Some(Kind::Enum(values.clone()));
            }
            let exists = self.messages.contains_key(full) || full.starts_with("google.protobuf.");
            exists.then(|| Kind::Message(full.to_owned()))
        };
        if let Some(full) = name.strip_prefix('.') {
            return known(full).unwrap_or_else(|| Kind::Other(name.to_owned()));
        }
        let mut around = of;
        loop {
            let full = match around.is_empty() {
                true => name.to_owned(),
                false => format!("{around}.{name}"),
            };
            if let Some(kind) = known(&full) {
                return kind;
            }
            if around.is_empty() {
                return Kind::Other(name.to_owned());
            }
            around = around.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
    }

    /// The message called `full`.
    pub(super) fn message(&self, full: &str) -> Option<&Message> {
        self.messages.get(full)
    }
}

struct Parser {
    words: Vec<Word>,
    at: usize,
    /// In proto3 a field without a label has no presence.
    proto3: bool,
}

impl Parser {
    fn new(text: &str) -> Result<Self, String> {
        Ok(Self {
            words: words(text)?,
            at: 0,
            proto3: false,
        })
    }

    fn next(&mut self) -> Option<Word> {
        let word = self.words.get(self.at).cloned();
        self.at += 1;
        word
    }

    fn eat(&mut self, sign: char) -> bool {
        let found = self.words.get(self.at) == Some(&Word::Sign(sign));
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: char) -> Result<(), String> {
        match self.eat(sign) {
            true => Ok(()),
            false => Err(format!(
                "expected '{sign}', found {:?}",
                self.words.get(self.at)
            )),
        }
    }

    fn name(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Word::Name(name)) => Ok(name),
            other => Err(format!("expected a name, found {other:?}")),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let negative = self.eat('-');
        let text = self.name()?;
        let value = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
            Some(digits) => i64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        let value = value.map_err(|_| format!("\"{text}\" is no number"))?;
        Ok(if negative { -value } else { value })
    }

    /// Goes over a statement to its `;`, or over its block.
    fn skip(&mut self) -> Result<(), String> {
        let mut depth = 0_usize;
        while let Some(word) = self.next() {
            match word {
                Word::Sign('{' | '[') => depth += 1,
                Word::Sign('}') if depth == 1 => return Ok(()),
                Word::Sign('}' | ']') => depth = depth.saturating_sub(1),
                Word::Sign(';') if depth == 0 => return Ok(()),
                _ => {}
            }
        }
        Err("a statement has no end".to_owned())
    }

    fn file(&mut self, schema: &mut Schema) -> Result<(), String> {
        let mut package = String::new();
        while self.at < self.words.len() {
            if self.eat(';') {
                continue;
            }
            match self.name()?.as_str() {
                "syntax" => {
                    self.expect('=')?;
                    self.proto3 = self.next() == Some(Word::Text("proto3".to_owned()));
                    self.expect(';')?;
                }
                "package" => {
                    package = self.name()?;
                    self.expect(';')?;
                }
                "message" => {
                    let full = self.message(schema, &package, 0)?;
                    schema.top.push(full);
                }
                "enum" => self.enumeration(schema, &package)?,
                _ => self.skip()?,
            }
        }
        Ok(())
    }

    fn message(
        &mut self,
        schema: &mut Schema,
        around: &str,
        depth: usize,
    ) -> Result<String, String> {
        if depth > DEPTH_MAX {
            return Err("messages are nested too deeply".to_owned());
        }
        let full = joined(around, &self.name()?);
        let mut message = Message {
            name: full.clone(),
            ..Message::default()
        };
        self.expect('{')?;
        while !self.eat('}') {
            if self.eat(';') {
                continue;
            }
            let word = self.name()?;
            match word.as_str() {
                "message" => message.nested.push(self.message(schema, &full, depth + 1)?),
                "enum" => self.enumeration(schema, &full)?,
                "option" | "reserved" | "extensions" | "extend" => self.skip()?,
                "oneof" => self.choice(&mut message)?,
                "optional" | "required" | "repeated" => {
                    let of = self.name()?;
                    let field = self.field(&word, of)?;
                    message.fields.push(field);
                }
                "map" if self.eat('<') => {
                    // A map is a list of pairs; no column takes one.
                    while !self.eat('>') {
                        self.next().ok_or("a map has no end")?;
                    }
                    let field = self.field("repeated", "map".to_owned())?;
                    message.fields.push(field);
                }
                _ => {
                    let field = self.field("", word)?;
                    message.fields.push(field);
                }
            }
        }
        schema.messages.insert(full.clone(), message);
        Ok(full)
    }

    /// The fields of a `oneof`: each knows of its presence.
    fn choice(&mut self, message: &mut Message) -> Result<(), String> {
        self.name()?;
        self.expect('{')?;
        while !self.eat('}') {
            if self.eat(';') {
                continue;
            }
            let of = self.name()?;
            if of == "option" {
                self.skip()?;
                continue;
            }
            let field = self.field("optional", of)?;
            message.fields.push(field);
        }
        Ok(())
    }

    fn field(&mut self, label: &str, of: String) -> Result<Field, String> {
        if of == "group" {
            return Err("groups are not supported".to_owned());
        }
        let name = self.name()?;
        self.expect('=')?;
        let number = self.number()?;
        let number =
            u64::try_from(number).map_err(|_| format!("field \"{name}\" has no number"))?;
        if self.eat('[') {
            let mut depth = 1_usize;
            while depth > 0 {
                match self.next().ok_or("a field's options have no end")? {
                    Word::Sign('[' | '{') => depth += 1,
                    Word::Sign(']' | '}') => depth -= 1,
                    _ => {}
                }
            }
        }
        self.expect(';')?;
        Ok(Field {
            name,
            number,
            repeated: label == "repeated",
            has_presence: label == "optional" || (!self.proto3 && label != "repeated"),
            of,
        })
    }

    fn enumeration(&mut self, schema: &mut Schema, around: &str) -> Result<(), String> {
        let full = joined(around, &self.name()?);
        let mut values = Vec::new();
        self.expect('{')?;
        while !self.eat('}') {
            if self.eat(';') {
                continue;
            }
            let name = self.name()?;
            if name == "option" || name == "reserved" {
                self.skip()?;
                continue;
            }
            self.expect('=')?;
            values.push((self.number()?, name));
            // Up to the `;`, options included.
            self.skip()?;
        }
        schema.enums.insert(full, values);
        Ok(())
    }
}

fn joined(around: &str, name: &str) -> String {
    match around.is_empty() {
        true => name.to_owned(),
        false => format!("{around}.{name}"),
    }
}
