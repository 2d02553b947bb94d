//! A template's values: an ordered tree with CloudFormation's functions as nodes.
//!
//! Ordered, because a template is read by people: `Type` comes before `Properties`, and resources in the order
//! in which a record meets them.

/// One value of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Value>),
    Map(Vec<Entry>),
    /// A function in its short form: `!Ref`, `!GetAtt`, `!Sub`, `!If` …
    Call(&'static str, Box<Value>),
}

/// One line of a mapping, and why it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) comment: Option<&'static str>,
    pub(crate) key: String,
    pub(crate) value: Value,
}

impl Entry {
    pub(crate) fn new(key: impl Into<String>, value: impl Into<Value>) -> Self {
        Entry { comment: None, key: key.into(), value: value.into() }
    }
}

/// `map! { "Key": value, … }`: a mapping in the order written.
macro_rules! map {
    ($($key:literal: $value:expr),* $(,)?) => {
        $crate::value::Value::Map(vec![$($crate::value::Entry::new($key, $value)),*])
    };
}

/// `list![a, b, …]`: a list of values that need not have the same type.
macro_rules! list {
    ($($item:expr),* $(,)?) => {
        $crate::value::Value::List(vec![$($crate::value::Value::from($item)),*])
    };
}

pub(crate) use {list, map};

/// What `!Ref` yields for the resource or parameter `id`.
pub(crate) fn reference(id: &str) -> Value {
    Value::Call("Ref", Box::new(id.into()))
}

/// An attribute, as `Resource.Attribute`.
pub(crate) fn attribute(path: &str) -> Value {
    Value::Call("GetAtt", Box::new(path.into()))
}

/// Text with `${Name}` and `${Resource.Attribute}` filled in.
pub(crate) fn sub(text: &str) -> Value {
    Value::Call("Sub", Box::new(text.into()))
}

/// The items of `list` with `between` between them.
pub(crate) fn join(between: &str, list: Value) -> Value {
    Value::Call("Join", Box::new(list![between, list]))
}

/// The parts of `text` around each `at`.
pub(crate) fn split(at: &str, text: Value) -> Value {
    Value::Call("Split", Box::new(list![at, text]))
}

/// The item of `list` at `index`, counting from 0.
pub(crate) fn select(index: u32, list: Value) -> Value {
    Value::Call("Select", Box::new(list![index, list]))
}

/// The condition that `parameter` was given.
pub(crate) fn given(parameter: &str) -> Value {
    let empty = Value::Call("Equals", Box::new(list![reference(parameter), ""]));
    Value::Call("Not", Box::new(list![empty]))
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Self {
        Value::Number(value.into())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Value::Number(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Value::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Value::Text(value)
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Value::List(value)
    }
}

impl<const N: usize> From<[&str; N]> for Value {
    fn from(value: [&str; N]) -> Self {
        value.as_slice().into()
    }
}

impl From<&[&str]> for Value {
    fn from(value: &[&str]) -> Self {
        Value::List(value.iter().map(|item| Value::from(*item)).collect())
    }
}
