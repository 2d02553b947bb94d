//! [`postcard`]'s wire format with the entries of maps in order, so that the same state makes the same bytes.
//!
//! The forest keeps some counts in hash maps, whose order differs from one map to the next even in one process.
//! Model artifacts have to be reproducible byte for byte, so maps are written sorted by their encoded keys; a
//! reader cannot tell, and [`postcard`] reads the result.

use std::fmt;

use serde::ser::{self, Serialize};

/// The canonical bytes of `value`.
///
/// # Panics
/// If `value` serialises sequences of unknown length, or fails by itself: no type of this crate does.
pub(crate) fn to_vec(value: &impl Serialize) -> Vec<u8> {
    let mut encoder = Encoder { bytes: Vec::new() };
    value.serialize(&mut encoder).expect("plain data of known lengths can be written to memory");
    encoder.bytes
}

struct Encoder {
    bytes: Vec<u8>,
}

#[derive(Debug)]
struct Unwritable(String);

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unwritable {}

impl ser::Error for Unwritable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Unwritable(message.to_string())
    }
}

impl Encoder {
    /// A value without parts, in postcard's own encoding.
    fn plain(&mut self, value: impl Serialize) -> Result<(), Unwritable> {
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(&value, bytes).map_err(ser::Error::custom)?;
        Ok(())
    }

    fn length(&mut self, length: Option<usize>) -> Result<(), Unwritable> {
        let length = length.ok_or_else(|| Unwritable("a sequence of unknown length".to_owned()))?;
        self.plain(length)
    }
}

macro_rules! plain {
    ($($name:ident: $type:ty),* $(,)?) => {
        $(fn $name(self, value: $type) -> Result<(), Unwritable> {
            self.plain(value)
        })*
    };
}

impl<'a> ser::Serializer for &'a mut Encoder {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    plain! {
        serialize_bool: bool, serialize_char: char, serialize_str: &str, serialize_f32: f32, serialize_f64: f64,
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64, serialize_i128: i128,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64, serialize_u128: u128,
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unwritable> {
        self.plain(value.len())?;
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Unwritable> {
        self.plain(0u8)
    }

    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Unwritable> {
        self.plain(1u8)?;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unwritable> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unwritable> {
        Ok(())
    }

    fn serialize_unit_variant(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
    ) -> Result<(), Unwritable> {
        self.plain(variant)
    }

    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        self.plain(variant)?;
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Unwritable> {
        self.length(length)?;
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Unwritable> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Unwritable> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Unwritable> {
        self.plain(variant)?;
        Ok(self)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Entries<'a>, Unwritable> {
        self.length(length)?;
        Ok(Entries { encoder: self, entries: Vec::new() })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Unwritable> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        variant: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Unwritable> {
        self.plain(variant)?;
        Ok(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The parts of everything but a map follow one another.
macro_rules! in_order {
    ($($kind:ident $part:ident),* $(,)?) => {
        $(impl ser::$kind for &mut Encoder {
            type Ok = ();
            type Error = Unwritable;

            fn $part<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Unwritable> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Unwritable> {
                Ok(())
            }
        })*
    };
    (named $($kind:ident),* $(,)?) => {
        $(impl ser::$kind for &mut Encoder {
            type Ok = ();
            type Error = Unwritable;

            fn serialize_field<T: ?Sized + Serialize>(&mut self, _: &'static str, value: &T) -> Result<(), Unwritable> {
                value.serialize(&mut **self)
            }

            fn end(self) -> Result<(), Unwritable> {
                Ok(())
            }
        })*
    };
}

in_order! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeTupleVariant serialize_field,
}
in_order! { named SerializeStruct, SerializeStructVariant }

/// The entries of a map, each encoded by itself, until all are known and can be put in order.
struct Entries<'a> {
    encoder: &'a mut Encoder,
    entries: Vec<(Vec<u8>, Vec<u8>)>,
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Unwritable;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Unwritable> {
        let mut encoder = Encoder { bytes: Vec::new() };
        key.serialize(&mut encoder)?;
        self.entries.push((encoder.bytes, Vec::new()));
        Ok(())
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Unwritable> {
        let mut encoder = Encoder { bytes: Vec::new() };
        value.serialize(&mut encoder)?;
        let entry = self.entries.last_mut().ok_or_else(|| Unwritable("a value before its key".to_owned()))?;
        entry.1 = encoder.bytes;
        Ok(())
    }

    fn end(mut self) -> Result<(), Unwritable> {
        self.entries.sort_unstable();
        for (key, value) in &self.entries {
            self.encoder.bytes.extend_from_slice(key);
            self.encoder.bytes.extend_from_slice(value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::error::Error;

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Plain,
        One(u8),
        Two(u8, String),
        Named { a: i64, b: char },
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Everything {
        numbers: (u8, u64, usize, i32, f32, f64),
        maybe: [Option<bool>; 2],
        kinds: Vec<Kind>,
        text: String,
        nothing: (),
    }

    #[test]
    fn without_maps_the_bytes_are_postcards() -> Result<(), Box<dyn Error>> {
        let value = Everything {
            numbers: (200, u64::MAX, 300, -5, 1.5, -0.0),
            maybe: [None, Some(true)],
            kinds: vec![Kind::Plain, Kind::One(9), Kind::Two(1, "x".into()), Kind::Named { a: -1, b: 'é' }],
            text: "a series".into(),
            nothing: (),
        };
        assert_eq!(to_vec(&value), postcard::to_allocvec(&value)?);
        assert_eq!(postcard::from_bytes::<Everything>(&to_vec(&value))?, value);
        Ok(())
    }

    #[test]
    fn maps_are_in_order_whatever_their_hasher() -> Result<(), Box<dyn Error>> {
        let entries: Vec<(usize, HashMap<u8, f32>)> =
            (0..500).map(|n| (n * 7, (0..5).map(|k| (k, n as f32)).collect())).collect();
        let (one, other): (HashMap<_, _>, HashMap<_, _>) =
            (entries.iter().cloned().collect(), entries.iter().rev().cloned().collect());
        assert_eq!(to_vec(&one), to_vec(&other));
        assert_eq!(postcard::from_bytes::<HashMap<usize, HashMap<u8, f32>>>(&to_vec(&one))?, one);
        Ok(())
    }
}
