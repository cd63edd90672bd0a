//! A configuration's text, and what is wrong with it, where.
//!
//! A [`Section`] is asked for its keys one by one; what was asked for is what is known, so that the list of
//! known keys in a message cannot differ from what is read. Mistakes are collected, not returned: one does
//! not hide the next. Only a mistake in the syntax does, because the rest would be guesswork.

use std::{cell::RefCell, fmt};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::kinds::{Read, must_be_structure};

/// Where in a text: both from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl Place {
    fn of(text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        Self { line, column: before[line_start..].chars().count() + 1 }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where; `None` if it is not in the text.
    pub place: Option<Place>,
    /// Which key, what is wrong with it, and what would be right.
    pub says: String,
}

/// Everything that is wrong. Displayed with one line each: `interlock.toml:7:1: unknown key …`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Mistakes {
    name: String,
    list: Vec<Mistake>,
}

impl Mistakes {
    pub(super) fn new(name: &str, mut list: Vec<Mistake>) -> Self {
        list.sort_by_key(|mistake| mistake.place);
        Self { name: name.to_owned(), list }
    }

    pub(super) fn one(name: &str, mistake: Mistake) -> Self {
        Self::new(name, vec![mistake])
    }

    /// The mistakes, in the order of the text.
    #[must_use]
    pub fn list(&self) -> &[Mistake] {
        &self.list
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.list.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:", self.name)?;
            if let Some(Place { line, column }) = mistake.place {
                write!(f, "{line}:{column}:")?;
            }
            write!(f, " {}", mistake.says)?;
        }
        Ok(())
    }
}

/// A text that is being read.
pub(super) struct Document<'a> {
    text: &'a str,
    root: Option<Spanned<DeTable<'a>>>,
    mistakes: RefCell<Vec<Mistake>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let mut document = Self { text, root: None, mistakes: RefCell::default() };
        match DeTable::parse(text) {
            Ok(root) => document.root = Some(root),
            Err(error) => {
                // Only the message: the rest of the error repeats the line, which may hold a secret.
                document.mistake(error.span().map(|span| span.start), error.message().to_owned());
            }
        }
        document
    }

    /// The section that everything is in; `None` if the text could not be read.
    pub(super) fn root(&self) -> Option<Section<'_>> {
        let root = self.root.as_ref()?;
        Some(Section {
            document: self,
            name: String::new(),
            table: root.get_ref(),
            at: None,
            known: Vec::new(),
        })
    }

    /// Notes a mistake there.
    pub(super) fn mistake(&self, at: At, says: String) {
        let place = self.place(at);
        self.mistakes.borrow_mut().push(Mistake { place, says });
    }

    pub(super) fn place(&self, at: At) -> Option<Place> {
        at.map(|byte| Place::of(self.text, byte))
    }

    /// The line of something that is in the text.
    pub(super) fn line(&self, at: At) -> usize {
        self.place(at).expect("values read from a text are in it").line
    }

    /// Whether nothing wrong has been found so far.
    pub(super) fn is_clean(&self) -> bool {
        self.mistakes.borrow().is_empty()
    }

    pub(super) fn into_mistakes(self) -> Vec<Mistake> {
        self.mistakes.into_inner()
    }
}

/// The byte at which something stands in the text; `None`: it is not there.
pub(super) type At = Option<usize>;

pub(super) fn at<T>(spanned: &Spanned<T>) -> At {
    Some(spanned.span().start)
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found<T> {
    pub(super) value: T,
    pub(super) at: At,
}

/// A section that is being read: every key is asked for by name, then [`Section::finish`] refuses the rest.
pub(super) struct Section<'a> {
    document: &'a Document<'a>,
    /// As in messages: `streams`, `streams.engines[0]`; empty for the root.
    name: String,
    table: &'a DeTable<'a>,
    at: At,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Reads a key that need not be there.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        kind: impl Fn(&DeValue<'_>) -> Read<T>,
    ) -> Option<Found<T>> {
        let value = self.get(key)?;
        match kind(value.get_ref()) {
            Ok(read) => Some(Found { value: read, at: at(value) }),
            Err(says) => {
                self.document.mistake(at(value), format!("{} {says}", self.path(key)));
                None
            }
        }
    }

    /// Reads a key that has a default.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        kind: impl Fn(&DeValue<'_>) -> Read<T>,
        default: T,
    ) -> T {
        self.optional(key, kind).map_or(default, |found| found.value)
    }

    /// Reads a key that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        kind: impl Fn(&DeValue<'_>) -> Read<T>,
    ) -> Option<Found<T>> {
        if self.get(key).is_none() {
            self.document.mistake(self.at, format!("{} needs a {key}", self.name));
        }
        self.optional(key, kind)
    }

    /// A section within this one.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'a>> {
        let value = self.get(key)?;
        self.item(self.path(key), value)
    }

    /// A list of sections within this one, or nothing.
    pub(super) fn sections(&mut self, key: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let name = self.path(key);
        let Some(list) = value.get_ref().as_array() else {
            let says =
                must_be_structure(&format!("a list of sections: [[{name}]]"), value.get_ref());
            self.document.mistake(at(value), format!("{name} {says}"));
            return Vec::new();
        };
        let named = list.iter().enumerate().map(|(index, item)| (format!("{name}[{index}]"), item));
        named.filter_map(|(name, item)| self.item(name, item)).collect()
    }

    /// A key's value, whatever it is.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// All keys with their values, for sections whose keys are the user's own. Not to be finished.
    pub(super) fn entries(
        &self,
    ) -> impl Iterator<Item = (Found<&'a str>, &'a Spanned<DeValue<'a>>)> {
        self.table.iter().map(|(name, value)| {
            let key = Found { value: name.get_ref().as_ref(), at: at(name) };
            (key, value)
        })
    }

    /// What messages call a key of this section.
    pub(super) fn path(&self, key: &str) -> String {
        match self.name.as_str() {
            "" => key.to_owned(),
            name => format!("{name}.{key}"),
        }
    }

    /// The text that this is a section of.
    pub(super) fn document(&self) -> &'a Document<'a> {
        self.document
    }

    /// Refuses every key that nobody has asked for.
    pub(super) fn finish(self) {
        let known = self.known.join(", ");
        let place = match self.name.as_str() {
            "" => String::new(),
            name => format!(" in [{name}]"),
        };
        for (name, _) in self.table.iter() {
            let key = name.get_ref().as_ref();
            if !self.known.contains(&key) {
                let says = format!("unknown key {key:?}{place}; known: {known}");
                self.document.mistake(at(name), says);
            }
        }
    }

    /// A value within this section as a section of that name.
    pub(super) fn item(
        &self,
        name: String,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Option<Section<'a>> {
        let Some(table) = value.get_ref().as_table() else {
            let says = must_be_structure(&format!("a section: [{name}]"), value.get_ref());
            self.document.mistake(at(value), format!("{name} {says}"));
            return None;
        };
        let document = self.document;
        Some(Section { document, name, table, at: at(value), known: Vec::new() })
    }
}
