//! The inputs of a run: their names, and the names their series get.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::stream::{Stop, Stream};
use super::{InputError, is_stdin};

/// One input: a file, or standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// As it was given; `stdin` for standard input.
    pub name: String,
    /// The series its readings belong to, where no column tells.
    pub series: String,
    path: Option<PathBuf>,
}

/// An opened source.
pub(crate) struct Opened {
    pub(crate) from: Box<dyn Read + Send>,
    /// Its size, if it is a file.
    pub(crate) bytes: Option<u64>,
}

impl Source {
    /// The sources of `paths`; `-` is standard input.
    ///
    /// A file's series is named after its stem, or after its path where another file has the same stem: two
    /// files are two series unless a column or the configuration says otherwise.
    pub fn all(paths: &[PathBuf]) -> Vec<Source> {
        let stems: Vec<String> = paths.iter().map(|path| stem(path)).collect();
        let name = |(path, own): (&PathBuf, &String)| match is_stdin(path) {
            true => Source { name: "stdin".to_owned(), series: "stdin".to_owned(), path: None },
            false => {
                let shared = stems.iter().filter(|stem| *stem == own).count() > 1;
                let series = if shared { plain(&path.with_extension("")) } else { own.clone() };
                Source {
                    name: path.display().to_string(),
                    series: printable(&series),
                    path: Some(path.clone()),
                }
            }
        };
        paths.iter().zip(&stems).map(name).collect()
    }

    /// The file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    pub(crate) fn open(&self, stop: &Stop) -> Result<Opened, InputError> {
        let Some(path) = &self.path else {
            return Ok(Opened { from: Box::new(Stream::new(io::stdin(), stop.clone())), bytes: None });
        };
        let fail = |error: io::Error| InputError::new(&self.name, format_args!("cannot be opened: {error}"));
        let metadata = std::fs::metadata(path).map_err(fail)?;
        if metadata.is_dir() {
            let files = path.join("*.csv");
            let error = InputError::new(&self.name, "it is a directory");
            return Err(error.hint(format!("give the files in it: anomaly detect {}", files.display())));
        }
        let file = File::open(path).map_err(fail)?;
        Ok(match metadata.is_file() {
            true => Opened { from: Box::new(file), bytes: Some(metadata.len()) },
            // A named pipe, a terminal: it may fall silent.
            false => Opened { from: Box::new(Stream::new(file, stop.clone())), bytes: None },
        })
    }
}

/// The file at `path`, from `offset` on.
pub(crate) fn open_at(path: &Path, offset: u64) -> io::Result<Box<dyn Read + Send>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    Ok(Box::new(file))
}

fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// `path` without `.`, `..` and a root, with `/` between.
fn plain(path: &Path) -> String {
    let names = path.components().filter_map(|c| match c {
        Component::Normal(name) => Some(name.to_string_lossy()),
        _ => None,
    });
    names.collect::<Vec<_>>().join("/")
}

/// A name a series can have: 1 to 256 bytes (the end of a longer one), no control characters, no `/` first.
fn printable(name: &str) -> String {
    let clean: String = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    let from = clean.len().saturating_sub(256);
    let from = (from..=clean.len()).find(|i| clean.is_char_boundary(*i)).unwrap_or_default();
    match clean[from..].trim_start_matches('/') {
        "" => "series".to_owned(),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_told_apart() {
        let paths = ["a/x.csv", "b/y.csv", "/r/../b/x.csv", "-"].map(PathBuf::from);
        let series: Vec<String> = Source::all(&paths).into_iter().map(|s| s.series).collect();
        assert_eq!(series, ["a/x", "y", "r/b/x", "stdin"]);
        assert_eq!(printable("a\tb"), "a?b");
        assert_eq!(printable(&"é".repeat(200)).len(), 256);
    }
}
