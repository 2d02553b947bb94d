//! The model as a file: `model.tar.gz`, as SageMaker keeps and unpacks models.
//!
//! ```text
//! model.json     what a person wants to know: version, features, readings a row, fingerprint of the history and
//!                what was left out of it, calibration, scales, seed, checksum of the trees
//! forest.bin     the trees, in the wire format of postcard 1
//! ```
//!
//! The same model makes the same bytes: entries in this order, no times, no owners, maps in order.

use std::fmt;
use std::io::{self, Read, Write};

use anomaly_core::calibration::{Calibration, Quantiles};
use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::canonical;
use crate::model::{LeftOut, Model};
use crate::scale::Scale;
use crate::trees::Trees;

/// The artifact's version that this build writes, and the newest that it reads. Version 1 had rows of one reading, no
/// quantiles and no fingerprint of the history.
const VERSION: u32 = 2;

const KIND: &str = "random-cut-forest";
const MANIFEST: &str = "model.json";
const FOREST: &str = "forest.bin";

/// Most bytes of the whole archive when unpacked: a forest of 1,000 trees of 2,048 rows of 10 features has about 400 MB.
const UNPACKED_BYTES_MAX: u64 = 1 << 30;

/// Most bytes of `model.json`: 10,000 features with long names.
const MANIFEST_BYTES_MAX: u64 = 8 << 20;

/// `model.json`, field by field.
#[derive(Serialize, Deserialize)]
struct Manifest {
    kind: String,
    version: u32,
    features: Vec<String>,
    #[serde(default = "one")]
    shingle: usize,
    rows_trained: u64,
    #[serde(default)]
    history_sha256: Option<String>,
    #[serde(default, skip_serializing_if = "is_nothing")]
    left_out: LeftOut,
    trees: usize,
    sample_size: usize,
    seed: u64,
    calibration: ManifestCalibration,
    scales: Vec<Scale>,
    forest_sha256: String,
}

#[derive(Serialize, Deserialize)]
struct ManifestCalibration {
    score_mean: f64,
    score_deviation: f64,
    #[serde(default)]
    score_quantiles: Option<Quantiles>,
}

fn is_nothing(left_out: &LeftOut) -> bool {
    *left_out == LeftOut::default()
}

fn one() -> usize {
    1
}

/// Only what can be read of every version, to say which one it is.
#[derive(Deserialize)]
struct AnyVersion {
    kind: String,
    version: u32,
}

impl Model {
    /// Writes the artifact, `model.tar.gz`. The same model makes the same bytes.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write(&self, to: impl Write) -> io::Result<()> {
        // 255 is "unknown operating system": by default the byte tells where the file was made.
        let gzip = GzBuilder::new().mtime(0).operating_system(255).write(to, Compression::new(6));
        let mut archive = tar::Builder::new(gzip);
        for (name, bytes) in self.files() {
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            archive.append_data(&mut header, name, bytes.as_slice())?;
        }
        archive.into_inner()?.finish()?.flush()
    }

    /// Reads what [`Model::write`] wrote.
    ///
    /// # Errors
    /// [`ArtifactError`]; an archive that unpacks to more than 1 GiB is refused on the way.
    pub fn read(from: impl Read) -> Result<Model, ArtifactError> {
        let (manifest, forest) = unpack(from)?;
        Model::from_files(&manifest, &forest)
    }

    /// The model in the contents of its two unpacked files, `model.json` and `forest.bin`: SageMaker unpacks the
    /// archive before it starts a container.
    ///
    /// # Errors
    /// [`ArtifactError::Newer`] or [`ArtifactError::Damaged`].
    pub fn from_files(manifest_bytes: &[u8], forest_bytes: &[u8]) -> Result<Model, ArtifactError> {
        let manifest = parse(manifest_bytes)?;
        if manifest.forest_sha256 != hex(&Sha256::digest(forest_bytes)) {
            return Err(damaged(FOREST, "its checksum is not the one in model.json"));
        }
        let trees: Trees = postcard::from_bytes(forest_bytes).map_err(|e| damaged(FOREST, &e.to_string()))?;
        let Manifest { features, scales, shingle, .. } = &manifest;
        let width = features.len().checked_mul(*shingle);
        if features.is_empty() || scales.len() != features.len() || width != Some(trees.width()) {
            return Err(damaged(MANIFEST, "its features, its scales and the forest differ in number"));
        }
        let ManifestCalibration { score_mean, score_deviation, score_quantiles } = manifest.calibration;
        let id = id_of(manifest_bytes);
        Ok(Model {
            features: manifest.features,
            shingle: manifest.shingle,
            rows_trained: manifest.rows_trained,
            history_sha256: manifest.history_sha256,
            left_out: manifest.left_out,
            seed: manifest.seed,
            trees_count: manifest.trees,
            sample_size: manifest.sample_size,
            calibration: Calibration {
                model: id.clone(),
                mean: score_mean,
                deviation: score_deviation,
                quantiles: score_quantiles,
            },
            scales: manifest.scales,
            trees,
            id,
        })
    }

    /// The model as files, as [`Model::from_files`] takes them: names and contents. SageMaker packs what a training
    /// container leaves.
    pub fn files(&self) -> [(&'static str, Vec<u8>); 2] {
        let (manifest, forest) = self.parts();
        [(MANIFEST, manifest), (FOREST, forest)]
    }

    /// The contents of `model.json` and `forest.bin`.
    fn parts(&self) -> (Vec<u8>, Vec<u8>) {
        let forest = canonical::to_vec(&self.trees);
        let manifest = Manifest {
            kind: KIND.to_owned(),
            version: VERSION,
            features: self.features.clone(),
            shingle: self.shingle,
            rows_trained: self.rows_trained,
            history_sha256: self.history_sha256.clone(),
            left_out: self.left_out.clone(),
            trees: self.trees_count,
            sample_size: self.sample_size,
            seed: self.seed,
            calibration: ManifestCalibration {
                score_mean: self.calibration.mean,
                score_deviation: self.calibration.deviation,
                score_quantiles: self.calibration.quantiles,
            },
            scales: self.scales.clone(),
            forest_sha256: hex(&Sha256::digest(&forest)),
        };
        let mut json =
            serde_json::to_vec_pretty(&manifest).expect("plain finite data can be written as JSON");
        json.push(b'\n');
        (json, forest)
    }

    /// The model with the id of its bytes.
    pub(crate) fn identified(mut self) -> Model {
        self.id = id_of(&self.parts().0);
        self.calibration.model.clone_from(&self.id);
        self
    }
}

/// Why a file is not a model that can be used.
#[derive(Debug)]
pub enum ArtifactError {
    /// It cannot be read at all.
    Io(io::Error),
    /// It is not compressed with gzip.
    NotGzip,
    /// It is not (or not wholly) a tar archive compressed with gzip.
    NotAnArchive(io::Error),
    /// A file is missing from it: another program's model, most likely.
    Missing {
        /// Which one.
        file: &'static str,
    },
    /// A newer build wrote it.
    Newer {
        /// Its version.
        found: u32,
        /// The newest version this build reads.
        known: u32,
    },
    /// It unpacks to more than a model can have.
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
    /// A file in it is not what was written.
    Damaged {
        /// Which one.
        file: &'static str,
        /// What gave it away.
        detail: String,
    },
}

impl fmt::Display for ArtifactError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ArtifactError::Io(_) => f.write_str("the model cannot be read"),
            ArtifactError::NotGzip => f.write_str(
                "not a model: the file is not compressed with gzip\nhint: `anomaly train` writes models",
            ),
            ArtifactError::NotAnArchive(_) => {
                f.write_str("not a model, or cut short: the file is not a whole tar archive")
            }
            ArtifactError::Missing { file } => write!(
                f,
                "not a model of this program: the archive has no {file}\nhint: `anomaly train` writes models"
            ),
            ArtifactError::Newer { found, known } => write!(
                f,
                "the model has version {found}, this build reads up to {known}\n\
                 hint: use a newer build, or train the model with this one"
            ),
            ArtifactError::TooLarge { limit_bytes } => {
                write!(f, "not a model: the archive unpacks to more than {limit_bytes} bytes")
            }
            ArtifactError::Damaged { file, detail } => write!(f, "the model is damaged: {file}: {detail}"),
        }
    }
}

impl std::error::Error for ArtifactError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ArtifactError::Io(e) | ArtifactError::NotAnArchive(e) => Some(e),
            _ => None,
        }
    }
}

fn damaged(file: &'static str, detail: &str) -> ArtifactError {
    ArtifactError::Damaged { file, detail: detail.to_owned() }
}

/// Both files' bytes. Other entries are passed over, as are folders in front of the names.
fn unpack(mut from: impl Read) -> Result<(Vec<u8>, Vec<u8>), ArtifactError> {
    let mut magic = Vec::new();
    (&mut from).take(2).read_to_end(&mut magic).map_err(ArtifactError::Io)?;
    if magic != [0x1f, 0x8b] {
        return Err(ArtifactError::NotGzip);
    }
    // One byte more than allowed tells an archive at the limit from one beyond it.
    let unpacked = GzDecoder::new(magic.as_slice().chain(from)).take(UNPACKED_BYTES_MAX + 1);
    let mut archive = tar::Archive::new(unpacked);
    let (mut manifest, mut forest) = (None, None);
    for entry in archive.entries().map_err(ArtifactError::NotAnArchive)? {
        let entry = entry.map_err(ArtifactError::NotAnArchive)?;
        let name = entry.path_bytes().rsplit(|&b| b == b'/').next().map(<[u8]>::to_vec).unwrap_or_default();
        let (slot, limit_bytes) = match name.as_slice() {
            b"model.json" => (&mut manifest, MANIFEST_BYTES_MAX),
            b"forest.bin" => (&mut forest, UNPACKED_BYTES_MAX),
            _ => continue,
        };
        if entry.size() > limit_bytes {
            return Err(ArtifactError::TooLarge { limit_bytes });
        }
        let size = entry.size();
        let mut bytes = Vec::new();
        entry.take(limit_bytes).read_to_end(&mut bytes).map_err(ArtifactError::NotAnArchive)?;
        if bytes.len() as u64 != size {
            return Err(ArtifactError::NotAnArchive(io::ErrorKind::UnexpectedEof.into()));
        }
        *slot = Some(bytes);
    }
    // The archive's end comes before the compressed stream's checksum: read on, so that it is compared.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(ArtifactError::NotAnArchive)?;
    if rest.limit() == 0 {
        return Err(ArtifactError::TooLarge { limit_bytes: UNPACKED_BYTES_MAX });
    }
    let manifest = manifest.ok_or(ArtifactError::Missing { file: MANIFEST })?;
    let forest = forest.ok_or(ArtifactError::Missing { file: FOREST })?;
    Ok((manifest, forest))
}

fn parse(manifest: &[u8]) -> Result<Manifest, ArtifactError> {
    let wrong = |e: serde_json::Error| damaged(MANIFEST, &e.to_string());
    let any: AnyVersion = serde_json::from_slice(manifest).map_err(wrong)?;
    if any.kind != KIND {
        return Err(damaged(MANIFEST, &format!("its kind is {:?}, not {KIND:?}", any.kind)));
    }
    match any.version {
        1..=VERSION => serde_json::from_slice(manifest).map_err(wrong),
        0 => Err(damaged(MANIFEST, "it has version 0, which never was")),
        found => Err(ArtifactError::Newer { found, known: VERSION }),
    }
}

fn id_of(manifest: &[u8]) -> String {
    hex(&Sha256::digest(manifest)[..6])
}

/// Two hexadecimal digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
