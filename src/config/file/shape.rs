//! Shapes of TOML values: a value with its place, alternatives, one or many, tables by name.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, Range};

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{DeserializeOwned, Error, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

/// A byte range in the file.
pub(crate) type Span = Range<usize>;

/// A value and its place in the file.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
}

impl<T> At<T> {
    pub(crate) fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

impl<T> Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for At<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(deserializer)?;
        Ok(Self { span: spanned.span(), value: spanned.into_inner() })
    }
}

/// A string, or a value of another type.
#[derive(Debug, Clone)]
pub(crate) enum TextOr<T> {
    Text(String),
    Other(T),
}

/// A string, or a list of strings.
#[derive(Debug, Clone)]
pub(crate) struct OneOrMany(pub(crate) Vec<At<String>>);

/// A number, or a list of numbers.
#[derive(Debug, Clone)]
pub(crate) struct OneOrManyNumbers {
    pub(crate) numbers: Vec<At<i64>>,
    pub(crate) span: Span,
}

/// A table, or a list of tables. A string in the list is kept, for an error that says what to write.
#[derive(Debug, Clone)]
pub(crate) enum TableOrTables<T> {
    One(T),
    List(Vec<At<TextOr<T>>>),
}

/// A string, a table, or a list of tables.
#[derive(Debug, Clone)]
pub(crate) enum TextOrTables<T> {
    Text(String),
    Tables(TableOrTables<T>),
}

/// `true`, `false`, or a table.
#[derive(Debug, Clone)]
pub(crate) enum FlagOr<T> {
    Flag(bool),
    Table(T),
}

/// `true`, `false`, or a string.
#[derive(Debug, Clone)]
pub(crate) enum FlagOrText {
    Flag(bool),
    Text(String),
}

/// A table, or a list of tables.
#[derive(Debug, Clone)]
pub(crate) struct OneOrManyTables<T>(pub(crate) Vec<T>);

/// A number, or a string with a unit.
#[derive(Debug, Clone)]
pub(crate) enum Size {
    Number(i64),
    Text(String),
}

/// A user or a group: its name, or its number as text.
#[derive(Debug, Clone)]
pub(crate) struct NameOrNumber(String);

impl fmt::Display for NameOrNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What [`Named`] expects; used in error messages.
pub(crate) const TABLES: &str = "a table of tables";

/// Tables by name, in the order of the file.
#[derive(Debug)]
pub(crate) struct Named<T>(pub(crate) Vec<(At<String>, T)>);

/// A visitor that accepts the TOML types that the shape accepts.
struct ShapeVisitor<S>(PhantomData<S>);

/// Builds a shape from a TOML value; `None` is a type error.
trait Shape: Sized {
    const EXPECTED: &'static str;

    fn text(_: &str) -> Option<Self> {
        None
    }

    fn flag(_: bool) -> Option<Self> {
        None
    }

    fn number(_: i64) -> Option<Self> {
        None
    }

    fn table<'de, D: Deserializer<'de>>(_: D) -> Option<Result<Self, D::Error>> {
        None
    }

    fn list<'de, D: Deserializer<'de>>(_: D) -> Option<Result<Self, D::Error>> {
        None
    }
}

impl<'de, S: Shape> Visitor<'de> for ShapeVisitor<S> {
    type Value = S;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(S::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<S, E> {
        S::text(text).ok_or_else(|| E::invalid_type(serde::de::Unexpected::Str(""), &self))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<S, E> {
        S::flag(flag).ok_or_else(|| E::invalid_type(serde::de::Unexpected::Bool(flag), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<S, E> {
        S::number(number)
            .ok_or_else(|| E::invalid_type(serde::de::Unexpected::Signed(number), &self))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<S, A::Error> {
        S::table(MapAccessDeserializer::new(map))
            .unwrap_or_else(|| Err(A::Error::invalid_type(serde::de::Unexpected::Map, &self)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<S, A::Error> {
        S::list(SeqAccessDeserializer::new(list))
            .unwrap_or_else(|| Err(A::Error::invalid_type(serde::de::Unexpected::Seq, &self)))
    }
}

impl<T: DeserializeOwned> Shape for TextOr<T> {
    const EXPECTED: &'static str = "a string or a table";

    fn text(text: &str) -> Option<Self> {
        Some(Self::Text(text.to_owned()))
    }

    fn table<'de, D: Deserializer<'de>>(table: D) -> Option<Result<Self, D::Error>> {
        Some(T::deserialize(table).map(Self::Other))
    }
}

impl<T: DeserializeOwned> Shape for TableOrTables<T> {
    const EXPECTED: &'static str = "a table or a list of tables";

    fn table<'de, D: Deserializer<'de>>(table: D) -> Option<Result<Self, D::Error>> {
        Some(T::deserialize(table).map(Self::One))
    }

    fn list<'de, D: Deserializer<'de>>(list: D) -> Option<Result<Self, D::Error>> {
        Some(Vec::deserialize(list).map(Self::List))
    }
}

impl<T: DeserializeOwned> Shape for TextOrTables<T> {
    const EXPECTED: &'static str = "a string, a table or a list of tables";

    fn text(text: &str) -> Option<Self> {
        Some(Self::Text(text.to_owned()))
    }

    fn table<'de, D: Deserializer<'de>>(table: D) -> Option<Result<Self, D::Error>> {
        <TableOrTables<T> as Shape>::table(table).map(|tables| tables.map(Self::Tables))
    }

    fn list<'de, D: Deserializer<'de>>(list: D) -> Option<Result<Self, D::Error>> {
        <TableOrTables<T> as Shape>::list(list).map(|tables| tables.map(Self::Tables))
    }
}

impl<T: DeserializeOwned> Shape for FlagOr<T> {
    const EXPECTED: &'static str = "`false` or a table";

    fn flag(flag: bool) -> Option<Self> {
        Some(Self::Flag(flag))
    }

    fn table<'de, D: Deserializer<'de>>(table: D) -> Option<Result<Self, D::Error>> {
        Some(T::deserialize(table).map(Self::Table))
    }
}

impl Shape for FlagOrText {
    const EXPECTED: &'static str = "`true`, `false` or a string";

    fn flag(flag: bool) -> Option<Self> {
        Some(Self::Flag(flag))
    }

    fn text(text: &str) -> Option<Self> {
        Some(Self::Text(text.to_owned()))
    }
}

impl<T: DeserializeOwned> Shape for OneOrManyTables<T> {
    const EXPECTED: &'static str = "a table or a list of tables";

    fn table<'de, D: Deserializer<'de>>(table: D) -> Option<Result<Self, D::Error>> {
        Some(T::deserialize(table).map(|table| Self(vec![table])))
    }

    fn list<'de, D: Deserializer<'de>>(list: D) -> Option<Result<Self, D::Error>> {
        Some(Vec::deserialize(list).map(Self))
    }
}

impl Shape for Size {
    const EXPECTED: &'static str = "a number or a size such as `\"1GiB\"`";

    fn text(text: &str) -> Option<Self> {
        Some(Self::Text(text.to_owned()))
    }

    fn number(number: i64) -> Option<Self> {
        Some(Self::Number(number))
    }
}

impl Shape for NameOrNumber {
    const EXPECTED: &'static str = "a name or a number";

    fn text(text: &str) -> Option<Self> {
        Some(Self(text.to_owned()))
    }

    fn number(number: i64) -> Option<Self> {
        Some(Self(number.to_string()))
    }
}

/// The same as [`OneOrMany`], but a single string has no place yet: it gets the place of the [`At`]
/// around it.
enum TextOrList {
    Text(String),
    List(Vec<At<String>>),
}

impl Shape for TextOrList {
    const EXPECTED: &'static str = "a string or a list of strings";

    fn text(text: &str) -> Option<Self> {
        Some(Self::Text(text.to_owned()))
    }

    fn list<'de, D: Deserializer<'de>>(list: D) -> Option<Result<Self, D::Error>> {
        Some(Vec::deserialize(list).map(Self::List))
    }
}

/// The same for [`OneOrManyNumbers`].
enum NumberOrList {
    Number(i64),
    List(Vec<At<i64>>),
}

impl Shape for NumberOrList {
    const EXPECTED: &'static str = "a number or a list of numbers";

    fn number(number: i64) -> Option<Self> {
        Some(Self::Number(number))
    }

    fn list<'de, D: Deserializer<'de>>(list: D) -> Option<Result<Self, D::Error>> {
        Some(Vec::deserialize(list).map(Self::List))
    }
}

/// Every shape is read by its visitor.
macro_rules! read_by_visitor {
    ($($shape:ident $(<$other:ident>)?),*) => {$(
        impl<'de $(, $other: DeserializeOwned)?> Deserialize<'de> for $shape $(<$other>)? {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(ShapeVisitor(PhantomData))
            }
        }
    )*};
}

read_by_visitor!(
    TextOr<T>,
    FlagOr<T>,
    OneOrManyTables<T>,
    TableOrTables<T>,
    TextOrTables<T>,
    FlagOrText,
    TextOrList,
    NumberOrList,
    Size,
    NameOrNumber
);

impl<'de> Deserialize<'de> for OneOrManyNumbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let At { value, span } = At::deserialize(deserializer)?;
        let numbers = match value {
            NumberOrList::Number(number) => vec![At::new(number, span.clone())],
            NumberOrList::List(list) => list,
        };
        Ok(Self { numbers, span })
    }
}

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let At { value, span } = At::deserialize(deserializer)?;
        Ok(Self(match value {
            TextOrList::Text(text) => vec![At::new(text, span)],
            TextOrList::List(list) => list,
        }))
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamedVisitor(PhantomData))
    }
}

struct NamedVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for NamedVisitor<T> {
    type Value = Named<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TABLES)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
        let mut tables = Vec::new();
        while let Some((name, table)) = map.next_entry::<At<String>, T>()? {
            tables.push((name, table));
        }
        tables.sort_by_key(|(name, _)| name.span.start);
        Ok(Named(tables))
    }
}
