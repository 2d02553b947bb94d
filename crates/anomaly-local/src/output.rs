//! The files a run writes: alerts, scores and rejects. Each can be cut back to where a state was saved.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Component, Path, PathBuf};

use crate::detect::DetectError;
use crate::input::Source;

/// The first line of a file of scores.
const SCORES_HEADER: &str = "timestamp,value,anomaly_score,alert,score,series";

/// A file that is written line by line.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) path: PathBuf,
    file: BufWriter<File>,
    /// Its length, with what is not flushed yet.
    pub(crate) bytes: u64,
}

/// Where to go on in a file that an earlier run wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// It is new: whatever stands there is replaced.
    New,
    /// Behind this many bytes; what follows was written after the state was saved, and will be written again.
    At(u64),
}

impl Output {
    pub(crate) fn open(path: &Path, begin: Begin) -> Result<Output, DetectError> {
        let open = || {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let replace = begin == Begin::New;
            let mut file = OpenOptions::new().write(true).create(true).truncate(replace).open(path)?;
            if let Begin::At(bytes) = begin
                && file.metadata()?.len() > bytes
            {
                file.set_len(bytes)?;
            }
            let bytes = if replace { 0 } else { file.seek(SeekFrom::End(0))? };
            Ok(Output { path: path.to_owned(), file: BufWriter::new(file), bytes })
        };
        open().map_err(|source| DetectError::Output { path: path.to_owned(), source })
    }

    /// A file of scores, with its header.
    pub(crate) fn open_scores(path: &Path, begin: Begin) -> Result<Output, DetectError> {
        let mut scores = Output::open(path, begin)?;
        if scores.bytes == 0 {
            scores.line(SCORES_HEADER)?;
        }
        Ok(scores)
    }

    pub(crate) fn line(&mut self, line: &str) -> Result<(), DetectError> {
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.write_all(b"\n"));
        self.bytes += line.len() as u64 + 1;
        self.checked(written)
    }

    pub(crate) fn flush(&mut self) -> Result<(), DetectError> {
        let flushed = self.file.flush();
        self.checked(flushed)
    }

    /// Makes sure that the disk has it all.
    pub(crate) fn sync(&mut self) -> Result<(), DetectError> {
        self.flush()?;
        match self.file.get_ref().sync_data() {
            // A pipe or a terminal cannot be synced.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            other => self.checked(other),
        }
    }

    fn checked(&self, done: io::Result<()>) -> Result<(), DetectError> {
        done.map_err(|source| DetectError::Output { path: self.path.clone(), source })
    }
}

/// A CSV cell, quoted where it must be.
pub(crate) fn cell(text: &str) -> Cow<'_, str> {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")).into(),
        false => text.into(),
    }
}

/// Where the scores of each source go: `to` itself for one, a folder for several (or if it is one already),
/// in which they stand as their sources stand to each other.
pub(crate) fn score_paths(to: &Path, sources: &[Source]) -> Vec<PathBuf> {
    if sources.len() == 1 && !to.is_dir() {
        return vec![to.to_owned()];
    }
    let places: Vec<Vec<String>> = sources.iter().map(place).collect();
    let folders = || places.iter().map(|p| &p[..p.len() - 1]);
    let shared = folders()
        .reduce(|shared, folder| {
            let same = shared.iter().zip(folder).take_while(|(a, b)| a == b).count();
            &shared[..same]
        })
        .map_or(0, <[String]>::len);
    places.iter().map(|p| p[shared..].iter().fold(to.to_owned(), |path, name| path.join(name))).collect()
}

/// The names on the way to a source, from the root; the last one ends in `.csv`.
fn place(source: &Source) -> Vec<String> {
    let Some(path) = source.path() else { return vec![format!("{}.csv", source.name)] };
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).with_extension("csv");
    let mut names: Vec<String> = Vec::new();
    for component in absolute.components() {
        match component {
            Component::Normal(name) => names.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => drop(names.pop()),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    if names.is_empty() { vec![format!("{}.csv", source.series)] } else { names }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_mirror_their_sources() {
        let paths = |given: &[&str]| {
            let sources = Source::all(&given.iter().map(PathBuf::from).collect::<Vec<_>>());
            let paths = score_paths(Path::new("out"), &sources);
            paths.iter().map(|p| p.display().to_string()).collect::<Vec<_>>()
        };
        assert_eq!(paths(&["data/a/x.csv"]), ["out"]);
        assert_eq!(paths(&["data/a/x.csv", "./data/b/y.jsonl"]), ["out/a/x.csv", "out/b/y.csv"]);
        assert_eq!(paths(&["data/a/x.csv", "data/a/y.csv"]), ["out/x.csv", "out/y.csv"]);
        assert_eq!(paths(&["/r/a/x.csv", "/r/b/../c/d/y.csv"]), ["out/a/x.csv", "out/c/d/y.csv"]);
        assert_eq!(paths(&["/r/x.csv", "-"]), ["out/r/x.csv", "out/stdin.csv"]);
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        let shown = ["1.5", "a,b", "say \"x\"", "two\nlines"].map(|text| cell(text).into_owned());
        assert_eq!(shown, ["1.5", "\"a,b\"", "\"say \"\"x\"\"\"", "\"two\nlines\""]);
    }
}
