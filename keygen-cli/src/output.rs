//! What is printed: one answer on stdout, everything said on the way on stderr.

use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;
use serde_json::{Value, json};

use crate::refusal::{OrRefuse, Refusal};

/// Exit code of a request that policy denied.
pub(crate) const DENIED: u8 = 3;

/// Exit code of a request that waits for time or people.
pub(crate) const WAITING: u8 = 6;

/// What a command has to say at its end.
pub(crate) struct Answer {
    json: Value,
    words: String,
    code: u8,
    silent: bool,
}

impl Answer {
    /// An answer as an object for programs and as words for people.
    ///
    /// # Errors
    /// A [`Refusal`] where `object` cannot be written as JSON.
    pub(crate) fn new(object: &impl Serialize, words: impl Into<String>) -> Result<Self, Refusal> {
        let json = serde_json::to_value(object).or_internal("writing the answer")?;
        Ok(Self { json, words: words.into(), code: 0, silent: false })
    }

    /// Printed nowhere: the command used stdout itself.
    pub(crate) fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// The same answer with another exit code.
    pub(crate) fn code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }
}

/// Where to print, and how.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints a command's answer.
    pub(crate) fn answer(self, answer: &Answer) -> ExitCode {
        if answer.silent {
            return ExitCode::from(answer.code);
        }
        if self.json {
            line(io::stdout().lock(), &answer.json.to_string());
        } else if !answer.words.is_empty() {
            line(io::stdout().lock(), &answer.words);
        }
        ExitCode::from(answer.code)
    }

    /// Prints why there is none. In JSON it is still one object on stdout.
    pub(crate) fn refusal(self, refusal: &Refusal) -> ExitCode {
        if self.json {
            line(io::stdout().lock(), &json!({ "error": refusal }).to_string());
        } else {
            line(io::stderr().lock(), &refusal.words());
        }
        ExitCode::from(refusal.kind.exit_code())
    }

    /// Part of a story that is told while it happens: stdout for people, stderr where stdout is for a program.
    pub(crate) fn say(self, text: &str) {
        if self.json {
            line(io::stderr().lock(), text);
        } else {
            line(io::stdout().lock(), text);
        }
    }

    /// A remark beside the answer.
    pub(crate) fn note(self, text: &str) {
        line(io::stderr().lock(), text);
    }
}

fn line(mut to: impl Write, text: &str) {
    // A reader that went away (`quorate wallet list | head`) is no failure of the command.
    let _ = writeln!(to, "{text}");
}

/// Columns for people: each as wide as its widest cell, two spaces apart.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut widths = vec![0; head.len()];
    for row in std::iter::once(&head).chain(rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let lines = std::iter::once(&head).chain(rows).map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_trailing_space() {
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec!["long".to_owned(), String::new()]];
        assert_eq!(table(&["x", "y"], &rows), "x     y\na     b\nlong");
    }
}
