//! Lists, sets, labels and objects inside objects.

use std::{
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
    ops::RangeInclusive,
};

use interlock_kernel::limits;
use serde_json::{Value, json};

use super::{Cause, Fault, Shape, Text, scalars::string, text};
use crate::{
    json::{Kind, Node},
    request::{Request, object_schema},
};

/// Values in a row.
#[derive(Debug, Clone)]
pub struct List<S> {
    item: S,
    count: RangeInclusive<usize>,
}

/// Values in a row, as many as `count` says.
pub fn list<S: Shape>(item: S, count: RangeInclusive<usize>) -> List<S> {
    List { item, count }
}

impl<S: Shape> Shape for List<S> {
    type Out = Vec<S::Out>;

    fn read(&self, node: Node<'_>) -> Result<Self::Out, Fault> {
        if node.kind() != Kind::Array {
            return Err(Fault::wrong_type("an array", node));
        }
        let mut values = Vec::new();
        for (index, item) in node.items().enumerate() {
            check_most(&self.count, index + 1)?;
            values.push(self.item.read(item).map_err(|fault| fault.at(index))?);
        }
        check_least(&self.count, values.len())?;
        Ok(values)
    }

    /// Parted by commas.
    fn parse(&self, text: &str) -> Result<Self::Out, Fault> {
        let mut values = Vec::new();
        for (index, item) in text.split(',').enumerate() {
            check_most(&self.count, index + 1)?;
            values.push(self.item.parse(item.trim()).map_err(|fault| fault.at(index))?);
        }
        check_least(&self.count, values.len())?;
        Ok(values)
    }

    fn schema(&self) -> Value {
        json!({
            "type": "array", "items": self.item.schema(),
            "minItems": self.count.start(), "maxItems": self.count.end(),
        })
    }
}

/// Distinct values in any order.
#[derive(Debug, Clone)]
pub struct Set<S>(List<S>);

/// Distinct values in any order, as many as `count` says.
pub fn set<S: Shape>(item: S, count: RangeInclusive<usize>) -> Set<S>
where
    S::Out: Ord,
{
    Set(list(item, count))
}

impl<S: Shape> Shape for Set<S>
where
    S::Out: Ord,
{
    type Out = BTreeSet<S::Out>;

    fn read(&self, node: Node<'_>) -> Result<Self::Out, Fault> {
        let mut values = BTreeSet::new();
        for (index, value) in self.0.read(node)?.into_iter().enumerate() {
            if !values.insert(value) {
                return Err(Fault::new(Cause::BadValue, "is there twice").at(index));
            }
        }
        Ok(values)
    }

    fn schema(&self) -> Value {
        let mut schema = self.0.schema();
        schema["uniqueItems"] = true.into();
        schema
    }
}

/// Labels: names with values, both visible text.
#[derive(Debug, Clone)]
pub struct Labels(Text);

/// Labels: at most [`limits::LABELS`] names with values, both visible text.
#[must_use]
pub fn labels() -> Labels {
    Labels(text(1..=limits::LABEL_CHARS))
}

impl Shape for Labels {
    type Out = BTreeMap<String, String>;

    fn read(&self, node: Node<'_>) -> Result<Self::Out, Fault> {
        if node.kind() != Kind::Object {
            return Err(Fault::wrong_type("an object", node));
        }
        let mut labels = BTreeMap::new();
        for (index, (name, value)) in node.members().enumerate() {
            check_most(&(0..=limits::LABELS), index + 1)?;
            let name = string(name)?;
            let read = |node| self.0.read(node);
            let value = read(value).map_err(|fault| fault.inside(&name))?;
            let name = self.0.parse(&name).map_err(Fault::of_a_label)?;
            if labels.contains_key(&name) {
                let twice = Fault::new(Cause::DuplicateField, "is there twice");
                return Err(twice.inside(&name));
            }
            labels.insert(name, value);
        }
        Ok(labels)
    }

    fn schema(&self) -> Value {
        json!({
            "type": "object", "maxProperties": limits::LABELS,
            "propertyNames": self.0.schema(), "additionalProperties": self.0.schema(),
        })
    }
}

/// An object with declared fields, inside another.
#[derive(Debug, Clone, Copy)]
pub struct Object<R>(PhantomData<R>);

/// An object with declared fields, inside another.
#[must_use]
pub fn object<R: Request>() -> Object<R> {
    Object(PhantomData)
}

impl<R: Request> Shape for Object<R> {
    type Out = R;

    fn read(&self, node: Node<'_>) -> Result<R, Fault> {
        R::from_node(node)
    }

    fn schema(&self) -> Value {
        object_schema(&R::fields())
    }
}

impl Fault {
    /// The same fault, found in the name of a label. A path cannot show an empty name, and would be taken
    /// for that of the label's value.
    fn of_a_label(self) -> Self {
        Self { says: format!("has a label whose name {}", self.says), ..self }
    }
}

fn check_most(count: &RangeInclusive<usize>, seen: usize) -> Result<(), Fault> {
    if seen <= *count.end() {
        return Ok(());
    }
    Err(Fault::new(Cause::OutOfRange, format!("must hold at most {}", count.end())))
}

fn check_least(count: &RangeInclusive<usize>, seen: usize) -> Result<(), Fault> {
    if seen >= *count.start() {
        return Ok(());
    }
    Err(Fault::new(Cause::OutOfRange, format!("must hold at least {}", count.start())))
}
