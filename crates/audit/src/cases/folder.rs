//! A folder as an operating system keeps it: names lead to files, and whoever has a file open goes on writing into
//! it, whatever it is called by then.

use std::collections::BTreeMap;

use super::parts::Shared;
use crate::stage::Actor;

/// A folder. Its files hold ASCII.
#[derive(Clone)]
pub(super) struct Folder(Shared<Entries>);

#[derive(Default)]
struct Entries {
    /// Name → place in `files`.
    names: BTreeMap<&'static str, usize>,
    /// Whoever holds a place has the file open.
    files: Vec<String>,
}

impl Entries {
    /// Opens a file to write it: it is created, or emptied.
    fn open(&mut self, name: &'static str) -> usize {
        if let Some(file) = self.names.get(name) {
            self.files[*file].clear();
            return *file;
        }
        self.files.push(String::new());
        self.names.insert(name, self.files.len() - 1);
        self.files.len() - 1
    }

    fn write(&mut self, file: usize, at: usize, text: &str) {
        let content = &mut self.files[file];
        // What nobody wrote reads as zeros.
        while content.len() < at {
            content.push('\0');
        }
        let end = content.len().min(at + text.len());
        content.replace_range(at..end, text);
    }

    /// Whether there was something of that name.
    fn rename(&mut self, from: &'static str, to: &'static str) -> bool {
        let file = self.names.remove(from);
        file.is_some_and(|file| {
            self.names.insert(to, file);
            true
        })
    }

    fn content(&self, name: &'static str) -> Option<&str> {
        self.names.get(name).map(|file| self.files[*file].as_str())
    }
}

impl Folder {
    /// A folder with one file.
    pub(super) fn with(name: &'static str, content: &str) -> Self {
        let mut entries = Entries::default();
        let file = entries.open(name);
        entries.write(file, 0, content);
        Self(Shared::new(entries))
    }

    /// Everything in it, without an await: for whoever only watches.
    pub(super) fn shown(&self) -> String {
        let entries = self.0.lock();
        let file =
            |name: &&'static str| format!("{name}: {}", entries.content(name).unwrap_or("-"));
        entries.names.keys().map(file).collect::<Vec<_>>().join(", ")
    }

    /// The content of a file that is always there.
    pub(super) async fn read(&self, actor: &Actor, name: &'static str) -> String {
        actor.step().await;
        let text = self.0.lock().content(name).map(str::to_owned);
        let text = text.expect("it is replaced, and never removed");
        actor.says(|| format!("reads {text}"));
        text
    }

    /// Writes a file: the old content is gone before the new one has come, half by half.
    pub(super) async fn write(&self, actor: &Actor, name: &'static str, halves: [&str; 2]) {
        actor.step().await;
        let file = {
            let mut entries = self.0.lock();
            let file = entries.open(name);
            entries.write(file, 0, halves[0]);
            file
        };
        actor.says(|| format!("opens {name}, writes the first half"));
        actor.step().await;
        self.0.lock().write(file, halves[0].len(), halves[1]);
        actor.says(|| "writes the second half".to_owned());
    }

    /// Writes elsewhere, then `os.replace`.
    pub(super) async fn replace(
        &self,
        actor: &Actor,
        (name, temporary): (&'static str, &'static str),
        halves: [&str; 2],
    ) {
        self.write(actor, temporary, halves).await;
        actor.step().await;
        let is_there = self.0.lock().rename(temporary, name);
        actor.says(|| match is_there {
            true => format!("renames {temporary} to {name}"),
            false => format!("finds no {temporary} to rename"),
        });
    }
}
