//! Objects of JSON with fields of known types, whose other fields are kept as they were written. A refusal names the
//! field, and no list grows beyond its limit.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde_json::value::RawValue;

/// The most fields of one object that are not known.
const MAX_UNKNOWN: usize = 256;

/// The fields of an object that this version does not know, as they were written.
#[derive(Clone, Debug, Default)]
pub(super) struct Unknown(BTreeMap<String, Box<RawValue>>);

impl PartialEq for Unknown {
    fn eq(&self, other: &Unknown) -> bool {
        self.texts().eq(other.texts())
    }
}

impl Unknown {
    fn texts(&self) -> impl Iterator<Item = (&String, &str)> {
        self.0.iter().map(|(name, value)| (name, value.get()))
    }

    fn read<'de, A: MapAccess<'de>>(&mut self, name: String, map: &mut A) -> Result<(), A::Error> {
        if self.0.len() == MAX_UNKNOWN {
            return Err(A::Error::custom(format!("more than {MAX_UNKNOWN} fields that are not known")));
        }
        match self.0.insert(name, map.next_value()?) {
            None => Ok(()),
            Some(_) => Err(A::Error::custom("a field that is not known stands there twice")),
        }
    }

    /// Writes the fields, behind those that are known.
    pub(super) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        self.0.iter().try_for_each(|(name, value)| map.serialize_entry(name, value))
    }
}

/// An object with fields of known types.
pub(super) trait Object: Default {
    /// Reads the value of the field `name` from `map`. Returns whether there is such a field.
    fn read<'de, A: MapAccess<'de>>(&mut self, name: &str, map: &mut A) -> Result<bool, A::Error>;

    /// The other fields.
    fn unknown(&mut self) -> &mut Unknown;
}

/// Reads an [`Object`].
#[derive(Debug, Default)]
pub(super) struct Read<T>(pub(super) T);

impl<'de, T: Object> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Read<T>, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Object> Visitor<'de> for Fields<T> {
            type Value = Read<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Read<T>, A::Error> {
                let mut object = T::default();
                while let Some(name) = map.next_key::<String>()? {
                    let known = object.read(&name, &mut map);
                    if !known.map_err(|cause| A::Error::custom(format!("{name}: {cause}")))? {
                        object.unknown().read(name, &mut map)?;
                    }
                }
                Ok(Read(object))
            }
        }
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

/// Reads the value of a known field into `slot`. Returns that the field is known.
pub(super) fn put<'de, T, A>(slot: &mut Option<T>, map: &mut A) -> Result<bool, A::Error>
where
    T: Deserialize<'de>,
    A: MapAccess<'de>,
{
    match slot.replace(map.next_value()?) {
        None => Ok(true),
        Some(_) => Err(A::Error::custom("this field stands there twice")),
    }
}

/// A list of at most `N` values.
#[derive(Debug)]
pub(super) struct AtMost<T, const N: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for AtMost<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<AtMost<T, N>, D::Error> {
        struct Items<T, const N: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const N: usize> Visitor<'de> for Items<T, N> {
            type Value = AtMost<T, N>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {N}")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<AtMost<T, N>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() == N {
                        return Err(A::Error::custom(format!("at most {N} are allowed")));
                    }
                    items.push(item);
                }
                Ok(AtMost(items))
            }
        }
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

/// A value that is written as text.
#[derive(Debug)]
pub(super) struct Text<T>(pub(super) T);

impl<'de, T: FromStr<Err: fmt::Display>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<T>, D::Error> {
        struct Words<T>(PhantomData<T>);
        impl<T: FromStr<Err: fmt::Display>> Visitor<'_> for Words<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<T>, E> {
                text.parse().map(Text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Words(PhantomData))
    }
}
