//! The rows of a channel, one after the other, in bounded memory.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anomaly_core::exchange::recordio::{self, Example};
use flate2::read::MultiGzDecoder;

use super::Failure;
use super::channel::{Channel, Form, Place};
use crate::input::Stop;
use crate::input::stream::Stream;
use crate::serve::request::number;

/// The most bytes of a row: 10,000 numbers with all their digits take a quarter of it.
const ROW_BYTES_MAX: usize = 1 << 20;

/// What begins everything that is compressed with gzip (RFC 1952, section 2.3.1), and neither CSV nor a record.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Reads all rows of `channel`, each `width` finite numbers, and gives `each` its place and itself, or why it is none.
///
/// # Errors
/// A file cannot be read, or is no sequence of records: then nothing says where the next one begins. Or `stop` was asked.
pub(super) fn read(
    channel: &Channel,
    width: usize,
    stop: &Stop,
    each: &mut dyn FnMut(&str, Result<Example, String>),
) -> Result<(), Failure> {
    let named = |error: String| Failure::from(format!("channel {}: {error}", channel.name));
    let files = channel.files().map_err(|error| named(format!("cannot be read: {error}")))?;
    if files.is_empty() {
        return Err(named("there are no files".to_owned()));
    }
    for path in files {
        let name = name_of(&path, channel);
        let mut from = open(&path, channel, stop);
        let mut row = 0_u64;
        while let Some(example) = next(&mut from, channel.form, width)
            .map_err(|error| named(format!("{name}: row {}: {error}", row + 1)))?
        {
            if stop.is_requested() {
                return Err(Failure::Stopped);
            }
            row += 1;
            each(&format!("{name}: row {row}"), example.and_then(|example| checked(example, width)));
        }
        if stop.is_requested() {
            return Err(Failure::Stopped);
        }
    }
    Ok(())
}

fn name_of(path: &Path, channel: &Channel) -> String {
    let inside = match &channel.place {
        Place::Folder(folder) => path.strip_prefix(folder).unwrap_or(path),
        Place::Pipe(_) => path,
    };
    inside.display().to_string()
}

/// A pipe is opened by the thread that reads it: that waits for somebody at its other end, and a request to stop must be
/// heard meanwhile.
///
/// A file that is compressed with gzip is unpacked: SageMaker does that for pipes only.
fn open(path: &Path, channel: &Channel, stop: &Stop) -> BufReader<Box<dyn Read>> {
    let file = Opening { path: path.to_owned(), file: None };
    if let Place::Pipe(_) = channel.place {
        return BufReader::new(Box::new(Stream::new(file, stop.clone())));
    }
    let mut packed = BufReader::new(file);
    // What cannot be read is told when it is read again.
    let is_packed = packed.fill_buf().is_ok_and(|bytes| bytes.starts_with(&GZIP));
    BufReader::new(if is_packed { Box::new(MultiGzDecoder::new(packed)) } else { Box::new(packed) })
}

/// A file that is opened when it is first read.
struct Opening {
    path: PathBuf,
    file: Option<File>,
}

impl Read for Opening {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.read(into),
            None => self.file.insert(File::open(&self.path)?).read(into),
        }
    }
}

/// The next row: `Ok(None)` at the end, `Err` if nothing can be read any more, and inside of it why it is no row.
type Next = Result<Option<Result<Example, String>>, String>;

fn next(from: &mut impl BufRead, form: Form, width: usize) -> Next {
    match form {
        Form::Csv { is_labelled } => next_line(from, is_labelled),
        Form::RecordIo => next_record(from, width),
    }
}

fn next_line(from: &mut impl BufRead, is_labelled: bool) -> Next {
    loop {
        let mut line = Vec::new();
        let read = from.take(ROW_BYTES_MAX as u64 + 1).read_until(b'\n', &mut line);
        if read.map_err(|error| error.to_string())? == 0 {
            return Ok(None);
        }
        if line.len() > ROW_BYTES_MAX {
            return Err(format!("longer than {ROW_BYTES_MAX} bytes"));
        }
        let line = String::from_utf8_lossy(&line);
        match line.trim_start_matches('\u{feff}').trim() {
            "" => continue,
            line => return Ok(Some(of_line(line, is_labelled))),
        }
    }
}

fn of_line(line: &str, is_labelled: bool) -> Result<Example, String> {
    let numbers = line.split(',').enumerate().map(|(column_idx, cell)| {
        let cell: String = cell.trim().chars().take(40).collect();
        number(&cell).ok_or_else(|| match cell.as_str() {
            "" => format!("column {} is empty", column_idx + 1),
            _ => format!("column {} is not a number: {cell:?}", column_idx + 1),
        })
    });
    let mut row = numbers.collect::<Result<Vec<f64>, String>>()?;
    let label = is_labelled.then(|| row.remove(0));
    Ok(Example { row, label })
}

fn next_record(from: &mut impl BufRead, width: usize) -> Next {
    let mut head = Vec::new();
    let io = |error: io::Error| error.to_string();
    from.take(recordio::HEAD_BYTES as u64).read_to_end(&mut head).map_err(io)?;
    let Some(whole) = head.first_chunk() else {
        // The words for what is cut short are those of the format's own reader.
        return match head.is_empty() {
            true => Ok(None),
            false => Err(recordio::examples(&head, width).map_or_else(|error| error.why, |_| String::new())),
        };
    };
    let length = recordio::frame_bytes(*whole)?;
    if length > ROW_BYTES_MAX {
        return Err(format!("longer than {ROW_BYTES_MAX} bytes"));
    }
    let mut frame = head;
    from.take((length - frame.len()) as u64).read_to_end(&mut frame).map_err(io)?;
    let mut examples = recordio::examples(&frame, width).map_err(|error| error.why)?;
    Ok(examples.pop().map(Ok))
}

fn checked(example: Example, width: usize) -> Result<Example, String> {
    let found = example.row.len();
    if found != width {
        return Err(format!("{found} numbers where feature_dim is {width}"));
    }
    let all = example.row.iter().chain(&example.label);
    match all.clone().find(|number| !number.is_finite()) {
        Some(number) => Err(format!("{number} is not finite")),
        None => Ok(example),
    }
}
