//! The sizes of an index.

/// The sizes of an index. None of them is part of the stored form: an index written with one shape can be
/// read with any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Entries of the memtable at which it should be flushed.
    pub memtable_entries: usize,
    /// Entries of a page: what one lookup reads and decodes. At most 65,535.
    pub page_entries: usize,
    /// Pages of a group: what is written in one go, and what shares a filter.
    pub group_pages: usize,
    /// Runs of one level that are merged into one run of the next.
    pub fan_out: usize,
    /// Pages that a merge or a scan over all runs reads ahead, over all its runs together; at least one
    /// page of every run.
    pub read_ahead_pages: usize,
    /// Pages deleted in one go.
    pub sweep_pages: u32,
    /// Runs at which [`Index::is_behind`](super::Index::is_behind) asks for a pause.
    pub runs_max: usize,
}

/// What production uses. A group is about 350 KB of rows; a merge holds about 2 MB.
impl Default for Shape {
    fn default() -> Self {
        Self {
            memtable_entries: 131_072,
            page_entries: 512,
            group_pages: 32,
            fan_out: 8,
            read_ahead_pages: 64,
            sweep_pages: 128,
            runs_max: 256,
        }
    }
}

impl Shape {
    /// # Panics
    /// When a size makes no sense.
    pub(super) fn check(&self) {
        assert!(self.memtable_entries >= 1, "a memtable holds something");
        assert!(
            (1..=usize::from(u16::MAX)).contains(&self.page_entries),
            "a page counts in 16 bits"
        );
        assert!(self.group_pages >= 1 && self.sweep_pages >= 1, "slices hold something");
        assert!(self.fan_out >= 2, "a merge must make fewer runs");
        assert!(self.runs_max >= 4 * self.fan_out, "several levels fit below the bound");
    }

    /// Entries of a full group.
    pub(super) fn group_entries(&self) -> usize {
        self.page_entries * self.group_pages
    }
}
