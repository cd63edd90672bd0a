//! Tables in Markdown, printed row by row: some rows take minutes.

/// A table whose header is printed.
pub struct Table<const N: usize>;

impl<const N: usize> Table<N> {
    /// Begins a table with these columns.
    pub fn begin(columns: [&str; N]) -> Self {
        let table = Self;
        table.row(columns.map(str::to_owned));
        println!("|{}", "---|".repeat(N));
        table
    }

    /// Prints a row.
    pub fn row(&self, cells: [String; N]) {
        println!("| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | "));
    }
}
