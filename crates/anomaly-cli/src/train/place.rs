//! Where a model is written: beside everything that must not be written over, and whole or not at all.

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anomaly_core::calibration::Calibration;
use anomaly_detect::Model;
use anomaly_local::input::Stop;
use anyhow::{Context, ensure};

/// What every file that is compressed with gzip begins with (RFC 1952, section 2.3.1), so every model too.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// `path`, if a model can be written there: not a device, a folder, one of the histories or anything but a model.
/// A link stays a link: the path is that of the file behind it.
///
/// # Errors
/// Why it cannot.
pub(crate) fn of_model(path: &Path, histories: &[PathBuf]) -> anyhow::Result<PathBuf> {
    ensure!(
        !is_std(path),
        "the model cannot go to standard output, where the summary goes\nhint: -o model.tar.gz"
    );
    check_folder(path)?;
    let Ok(there) = fs::metadata(path) else { return Ok(path.to_owned()) };
    let refused = |why: &str| format!("cannot write {}: {why}\nhint: -o model.tar.gz", path.display());
    ensure!(there.is_file(), refused(if there.is_dir() { "it is a folder" } else { "it is no plain file" }));
    let is_same = |history: &PathBuf| metadata_of(history).is_ok_and(|history| is_one(&history, &there));
    ensure!(!histories.iter().any(is_same), refused("it is the history that is to be learned"));
    ensure!(
        there.len() == 0 || begins_with_gzip(path)?,
        refused("it holds something else than a model, which would be lost")
    );
    fs::canonicalize(path).with_context(|| format!("cannot write {}", path.display()))
}

/// Whether a calibration can be written to `path`: beside the model, and over nothing else than a calibration.
///
/// # Errors
/// Why it cannot.
pub(crate) fn check_calibration(path: &Path, model: &Path, histories: &[PathBuf]) -> anyhow::Result<()> {
    if is_std(path) {
        return Ok(());
    }
    check_folder(path)?;
    let is_same = |history: &PathBuf| match (metadata_of(history), fs::metadata(path)) {
        (Ok(history), Ok(there)) => is_one(&history, &there),
        _ => false,
    };
    ensure!(
        !histories.iter().any(is_same),
        "cannot write {}: it is the history that is to be learned",
        path.display()
    );
    ensure!(
        path != model && fs::canonicalize(path).ok().is_none_or(|path| path != model),
        "{} is where the model goes\nhint: give the calibration a file of its own",
        path.display()
    );
    let is_ours = |text: &str| text.is_empty() || text.starts_with(Calibration::HEADER);
    ensure!(
        fs::read_to_string(path).as_deref().map_or(!path.exists(), is_ours),
        "{} holds something else than {}, and would be written over\n\
         hint: give a file of its own, or `-`, and paste what it says",
        path.display(),
        Calibration::HEADER
    );
    Ok(())
}

/// Writes beside `path` and renames, so that whoever reads it never sees half a model; nothing, if `stop` is asked.
///
/// # Errors
/// What the system says; nothing is left behind then.
pub(crate) fn write(model: &Model, path: &Path, stop: &Stop) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default();
    let beside = path.with_file_name(format!(".{}.{}.part", name.display(), std::process::id()));
    let whole = |()| match stop.is_requested() {
        true => Err(io::ErrorKind::Interrupted.into()),
        false => fs::rename(&beside, path),
    };
    let written = write_to(model, &beside).and_then(whole);
    if written.is_err() {
        // What failed is the error to tell; the part is only litter.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn write_to(model: &Model, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create_new(path)?);
    model.write(&mut file)?;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Whether it stands for standard input or output.
pub(crate) fn is_std(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn check_folder(path: &Path) -> anyhow::Result<()> {
    ensure!(path.file_name().is_some(), "cannot write {}: it is not the name of a file", path.display());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    ensure!(folder.is_dir(), "cannot write {}: there is no folder {}", path.display(), folder.display());
    Ok(())
}

/// Of a file that is redirected to standard input too.
fn metadata_of(history: &Path) -> io::Result<Metadata> {
    fs::metadata(if is_std(history) { Path::new("/dev/stdin") } else { history })
}

/// By any name, or link.
fn is_one(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

fn begins_with_gzip(path: &Path) -> anyhow::Result<bool> {
    let mut magic = [0; GZIP.len()];
    let mut file = File::open(path).with_context(|| format!("cannot write {}", path.display()))?;
    match io::Read::read_exact(&mut file, &mut magic) {
        Ok(()) => Ok(magic == GZIP),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.display())),
    }
}
