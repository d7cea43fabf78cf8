//! A JSON object taken apart without being understood: the order, the numbers and the escapes of what is
//! not looked at stay as they were written, and nothing of it is copied.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

/// Objects and arrays that have more members are left closed: taken apart they could need many times
/// the memory of their text.
const MAX_MEMBERS: usize = 4096;

/// The members of an object, each name once.
#[derive(Debug, Default)]
pub struct Fields<'a>(Vec<(Key<'a>, Node<'a>)>);

/// A value, closed or opened.
#[derive(Debug)]
pub enum Node<'a> {
    Raw(&'a RawValue),
    Object(Fields<'a>),
    Array(Vec<Node<'a>>),
}

#[derive(Debug)]
struct Key<'a>(Cow<'a, str>);

impl<'a> Fields<'a> {
    /// None where `json` is no object, has a name twice or too many members.
    pub fn parse(json: &'a str) -> Option<Self> {
        serde_json::from_str(json).ok()
    }

    /// The member as it was written; none when it is absent or was opened.
    pub fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0
            .iter()
            .find(|(key, _)| key.0 == name)
            .and_then(|(_, node)| match node {
                Node::Raw(raw) => Some(*raw),
                Node::Object(_) | Node::Array(_) => None,
            })
    }

    /// The member read as `T`; none when it is absent or no `T`.
    pub fn get<T: Deserialize<'a>>(&self, name: &str) -> Option<T> {
        serde_json::from_str(self.raw(name)?.get()).ok()
    }

    /// The member as it was written, if it is a string.
    pub fn string(&self, name: &str) -> Option<&'a RawValue> {
        self.raw(name).filter(|raw| raw.get().starts_with('"'))
    }

    /// Takes a member out.
    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let raw = self.raw(name)?;
        self.0.retain(|(key, _)| key.0 != name);
        Some(raw)
    }

    /// Takes a member out, if it is a string.
    pub fn take_string(&mut self, name: &str) -> Option<&'a RawValue> {
        self.string(name)?;
        self.take(name)
    }

    /// Opens a member that is an object.
    pub fn open(&mut self, name: &str) -> Option<&mut Fields<'a>> {
        self.0.iter_mut().find(|(key, _)| key.0 == name)?.1.open()
    }

    /// Opens a member that is an array.
    pub fn open_array(&mut self, name: &str) -> Option<&mut Vec<Node<'a>>> {
        let node = &mut self.0.iter_mut().find(|(key, _)| key.0 == name)?.1;
        if let Node::Raw(raw) = node {
            *node = Node::Array(serde_json::from_str::<Members>(raw.get()).ok()?.0);
        }
        match node {
            Node::Array(members) => Some(members),
            Node::Raw(_) | Node::Object(_) => None,
        }
    }
}

impl<'a> Node<'a> {
    /// Opens an object.
    pub fn open(&mut self) -> Option<&mut Fields<'a>> {
        if let Node::Raw(raw) = self {
            *self = Node::Object(Fields::parse(raw.get())?);
        }
        match self {
            Node::Object(fields) => Some(fields),
            Node::Raw(_) | Node::Array(_) => None,
        }
    }
}

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, node) in &self.0 {
            map.serialize_entry(&key.0, node)?;
        }
        map.end()
    }
}

impl Serialize for Node<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Node::Raw(raw) => raw.serialize(serializer),
            Node::Object(fields) => fields.serialize(serializer),
            Node::Array(members) => serializer.collect_seq(members),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;

        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Vec<(Key<'de>, Node<'de>)>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Self::Value = Vec::new();
                while let Some((key, raw)) = map.next_entry()? {
                    if members.len() == MAX_MEMBERS {
                        return Err(de::Error::custom("too many members"));
                    }
                    members.push((key, Node::Raw(raw)));
                }
                Ok(members)
            }
        }

        let members = deserializer.deserialize_map(ObjectVisitor)?;
        let names: HashSet<&str> = members.iter().map(|(key, _)| key.0.as_ref()).collect();
        if names.len() < members.len() {
            return Err(de::Error::custom("a name stands twice"));
        }
        Ok(Fields(members))
    }
}

/// The members of an array.
struct Members<'a>(Vec<Node<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ArrayVisitor;

        impl<'de> Visitor<'de> for ArrayVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(raw) = seq.next_element()? {
                    if members.len() == MAX_MEMBERS {
                        return Err(de::Error::custom("too many members"));
                    }
                    members.push(Node::Raw(raw));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_seq(ArrayVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

/// True where every usual JSON reader reads the same from `json`: no lone surrogates, no number beyond
/// a double, no nesting that a reader may refuse, no carriage return between the tokens, no name that
/// serde_json takes for its own.
pub fn is_plain(json: &str) -> bool {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    !json.trim_end().contains('\r')
        && Plain { levels: MAX_DEPTH }
            .deserialize(&mut deserializer)
            .is_ok()
}

/// Readers refuse from 128 levels on, and an event adds some around what it carries.
const MAX_DEPTH: usize = 100;

/// An object with such a name is no object to serde_json, which our own readers use: it reads another
/// value from it, or none.
const SERDE_JSON_PRIVATE: &str = "$serde_json::private::";

/// Reads a value for nothing but the errors.
#[derive(Clone, Copy)]
struct Plain {
    levels: usize,
}

impl Plain {
    fn inside<E: de::Error>(self) -> Result<Plain, E> {
        let levels = self
            .levels
            .checked_sub(1)
            .ok_or_else(|| E::custom("too deep"))?;
        Ok(Plain { levels })
    }
}

impl<'de> DeserializeSeed<'de> for Plain {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plain {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("plain JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        if text.starts_with(SERDE_JSON_PRIVATE) {
            Err(E::custom("a name of serde_json's own"))
        } else {
            Ok(())
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while seq.next_element_seed(inside)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let inside = self.inside()?;
        while map.next_key_seed(inside)?.is_some() {
            map.next_value_seed(inside)?;
        }
        Ok(())
    }
}
