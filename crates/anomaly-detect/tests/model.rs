//! The frozen model and its artifact.

use std::error::Error;
use std::io::{Read, Write};
use std::ops::ControlFlow;

use anomaly_detect::{
    ArtifactError, InputError, LeftOut, Model, Progress, ROWS_MIN, TrainError, TrainOptions,
};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

type Outcome = Result<(), Box<dyn Error>>;

fn noise(n: u64) -> f64 {
    let mut x = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((x ^ (x >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// A temperature and a number of bytes; some rows are equal, as in real histories.
fn rows(count: u64) -> impl Iterator<Item = Vec<f64>> {
    (0..count).map(|n| vec![(20.0 + 5.0 * noise(n)).round(), 1e9 * (1.0 + noise(n + 1_000_000))])
}

fn options() -> TrainOptions {
    TrainOptions { trees: 20, sample_size: 64, seed: 3, ..TrainOptions::default() }
}

fn artifact(model: &Model) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut bytes = Vec::new();
    model.write(&mut bytes)?;
    Ok(bytes)
}

/// A compressed archive of these files.
fn archive(files: &[(&str, &[u8])]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes)?;
    }
    Ok(builder.into_inner()?.finish()?)
}

/// A name and what is in it.
type File = (String, Vec<u8>);

/// The files of an artifact, in order.
fn files(artifact: &[u8]) -> Result<Vec<File>, Box<dyn Error>> {
    let mut archive = tar::Archive::new(GzDecoder::new(artifact));
    let mut files = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        files.push((name, bytes));
    }
    Ok(files)
}

#[test]
fn the_same_history_and_seed_make_the_same_bytes() -> Outcome {
    let model = Model::train(rows(500), &options())?;
    let again = Model::train(rows(500), &options())?;
    assert!(artifact(&model)? == artifact(&again)?);
    assert_eq!(model.id(), again.id());
    let other = Model::train(rows(500), &TrainOptions { seed: 4, ..options() })?;
    assert_ne!(model.id(), other.id());
    let files = files(&artifact(&model)?)?;
    assert_eq!(files.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["model.json", "forest.bin"]);
    Ok(())
}

#[test]
fn training_tells_how_far_it_is_and_can_be_ended() -> Outcome {
    for shingle in [1, 2] {
        let options = TrainOptions { shingle, ..options() };
        let mut words: Vec<Progress> = Vec::new();
        let watched = Model::train_watched(rows(3_000), &options, &mut |progress| {
            words.push(progress);
            ControlFlow::Continue(())
        })?;
        assert!(
            artifact(&watched)? == artifact(&Model::train(rows(3_000), &options)?)?,
            "it is the same model"
        );
        assert_eq!(words[0].done, 0);
        assert!(words.is_sorted_by(|a, b| a.done < b.done && a.all == b.all), "{words:?}");
        let last = words[words.len() - 1];
        assert!(
            last.done > last.all - 1_000 && last.done <= last.all,
            "what was foreseen was done: {last:?}"
        );
        let mut word = 0;
        let ended = Model::train_watched(rows(3_000), &options, &mut |_| {
            word += 1;
            if word == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        assert_eq!((ended.err(), word), (Some(TrainError::Stopped), 3));
    }
    Ok(())
}

#[test]
fn what_was_read_is_what_was_written() -> Outcome {
    let named = TrainOptions { features: vec!["temperature".into(), "bytes".into()], ..options() };
    let model = Model::train(rows(300), &named)?;
    let read = Model::read(artifact(&model)?.as_slice())?;
    assert_eq!(read.features(), ["temperature", "bytes"]);
    assert_eq!((read.rows_trained(), read.seed(), read.id()), (300, 3, model.id()));
    assert_eq!(read.calibration(), model.calibration());
    for row in rows(200).chain([vec![1e300, -1e300], vec![0.0, 0.0]]) {
        assert_eq!(read.score(&row)?.to_bits(), model.score(&row)?.to_bits());
    }
    assert!(artifact(&read)? == artifact(&model)?);
    Ok(())
}

#[test]
fn what_was_left_out_is_told_and_makes_another_model() -> Outcome {
    let left_out = LeftOut {
        rejected: 3,
        excluded: 40,
        labelled: 2,
        periods: vec!["2026-01-01T00:00:00Z..2026-01-01T01:00:00Z".into()],
        sha256: "ab".repeat(32),
    };
    let model = Model::train(rows(300), &TrainOptions { left_out: left_out.clone(), ..options() })?;
    assert_eq!(Model::read(artifact(&model)?.as_slice())?.left_out(), &left_out);
    let other = LeftOut { sha256: "cd".repeat(32), ..left_out };
    let other = Model::train(rows(300), &TrainOptions { left_out: other, ..options() })?;
    let whole = Model::train(rows(300), &options())?;
    assert_eq!(whole.left_out(), &LeftOut::default());
    assert!(model.id() != other.id() && other.id() != whole.id(), "the rows that were learned are the same");
    Ok(())
}

#[test]
fn the_calibration_is_that_of_new_rows() -> Outcome {
    // Also for a history so short that every tree holds nearly all of it.
    for (count, tolerance) in [(60, 0.1), (2000, 0.02)] {
        let model = Model::train(rows(count), &TrainOptions { seed: 3, ..TrainOptions::default() })?;
        let new: Vec<f64> = rows(6000).skip(4000).map(|row| model.score(&row)).collect::<Result<_, _>>()?;
        let mean = new.iter().sum::<f64>() / new.len() as f64;
        let calibrated = model.calibration().clone();
        assert!((mean - calibrated.mean).abs() < tolerance, "{count} rows: {mean}, {calibrated:?}");
        let strange = model.score(&[20.0, 9e9])?;
        assert!(strange > calibrated.mean + 3.0 * calibrated.deviation, "{strange}, {calibrated:?}");
    }
    Ok(())
}

/// A wave, and a jump of it that is nothing strange by itself.
fn wave(n: u64) -> f64 {
    (n as f64 / 5.0).sin() + 0.05 * noise(n)
}

/// Rows of `shingle` readings of the wave.
fn windows(count: u64, shingle: u64) -> impl Iterator<Item = Vec<f64>> {
    (0..count).map(move |n| (n..n + shingle).map(wave).collect())
}

#[test]
fn rows_of_several_readings_know_what_follows_what() -> Outcome {
    let shingled = TrainOptions { shingle: 4, features: vec!["wave".into()], ..options() };
    let model = Model::train(windows(600, 4), &shingled)?;
    assert_eq!((model.shingle(), model.features()), (4, &["wave".to_owned()][..]));
    assert_eq!(model.columns(), ["wave[-3]", "wave[-2]", "wave[-1]", "wave"]);
    let read = Model::read(artifact(&model)?.as_slice())?;
    assert_eq!((read.shingle(), read.columns(), read.id()), (4, model.columns(), model.id()));
    assert_eq!(read.calibration(), model.calibration());
    // Each value is usual, their order is not.
    let torn = [0.9, -0.9, 0.9, -0.9];
    let highest = model.calibration().quantiles.expect("trained now").at(1.0);
    assert!(read.score(&torn)? > highest, "{} {highest}", read.score(&torn)?);
    assert_eq!(read.score(&[0.9]), Err(InputError::Width { expected: 4, found: 1 }));

    // Neighbours share three of four readings, and must not make the scores of their rows look familiar.
    let new: Vec<f64> = windows(3000, 4).skip(1000).map(|row| model.score(&row)).collect::<Result<_, _>>()?;
    let mean = new.iter().sum::<f64>() / new.len() as f64;
    assert!((mean - model.calibration().mean).abs() < 0.05, "{mean} {:?}", model.calibration());
    Ok(())
}

#[test]
fn quantiles_and_the_history_are_told_and_version_1_without_them_is_read() -> Outcome {
    let model = Model::train(rows(400), &options())?;
    let calibration = model.calibration();
    assert_eq!(calibration.model, model.id());
    let quantiles = calibration.quantiles.ok_or("no quantiles")?;
    assert!(quantiles.at(0.5) < calibration.mean && calibration.mean < quantiles.at(0.9), "{calibration:?}");
    assert_ne!(model.history_sha256(), Model::train(rows(401), &options())?.history_sha256());

    let files = files(&artifact(&model)?)?;
    let mut manifest: serde_json::Value = serde_json::from_slice(&files[0].1)?;
    let fields = manifest.as_object_mut().ok_or("no object")?;
    fields.insert("version".to_owned(), 1.into());
    fields.retain(|key, _| key != "shingle" && key != "history_sha256");
    manifest["calibration"].as_object_mut().ok_or("no object")?.remove("score_quantiles");
    let old = Model::from_files(&serde_json::to_vec(&manifest)?, &files[1].1)?;
    assert_eq!((old.shingle(), old.history_sha256(), old.calibration().quantiles), (1, None, None));
    assert_eq!(old.calibration().model, old.id());
    assert_eq!(old.score(&[22.0, 1.5e9])?.to_bits(), model.score(&[22.0, 1.5e9])?.to_bits());
    Ok(())
}

#[test]
fn a_row_that_does_not_fit_is_refused() -> Outcome {
    let model = Model::train(rows(100), &options())?;
    assert_eq!(model.score(&[1.0]), Err(InputError::Width { expected: 2, found: 1 }));
    assert_eq!(model.score(&[]), Err(InputError::Width { expected: 2, found: 0 }));
    assert!(matches!(model.score(&[1.0, f64::NAN]), Err(InputError::NotFinite { feature_idx: 1, .. })));
    assert!(model.score(&[f64::MAX, f64::MIN])?.is_finite());
    Ok(())
}

#[test]
fn a_history_that_cannot_be_learned_is_refused() {
    let train = |rows: Vec<Vec<f64>>, options: &TrainOptions| Model::train(rows, options).err();
    assert_eq!(train(vec![], &options()), Some(TrainError::TooFewRows { found: 0, least: ROWS_MIN }));
    let mut ragged: Vec<Vec<f64>> = rows(50).collect();
    ragged[40].pop();
    let problem = InputError::Width { expected: 2, found: 1 };
    assert_eq!(train(ragged, &options()), Some(TrainError::Row { row_idx: 40, problem }));
    assert!(matches!(train(vec![vec![]; 50], &options()), Some(TrainError::Row { row_idx: 0, .. })));
    assert!(matches!(train(vec![vec![f64::NAN]; 50], &options()), Some(TrainError::Row { row_idx: 0, .. })));
    let names = TrainOptions { features: vec!["a".into()], ..options() };
    assert_eq!(train(rows(50).collect(), &names), Some(TrainError::Names { expected: 2, found: 1 }));
    let sizes = TrainOptions { shingle: 129, ..options() };
    assert_eq!(train(rows(50).collect(), &sizes), Some(TrainError::Shingle { shingle: 129 }));
    let sizes = TrainOptions { shingle: 2, ..options() };
    assert_eq!(train(rows(50).collect(), &sizes), Some(TrainError::TooFewRows { found: 50, least: 64 }));
    let odd = TrainOptions { shingle: 3, ..options() };
    assert!(matches!(train(rows(200).collect(), &odd), Some(TrainError::Names { .. })));
    let sizes = TrainOptions { trees: 0, ..options() };
    assert!(matches!(train(rows(50).collect(), &sizes), Some(TrainError::Options(_))));
}

#[test]
fn a_history_that_never_moves_makes_a_model() -> Outcome {
    let model = Model::train(vec![vec![0.0, 42.0]; 100], &options())?;
    assert!(model.score(&[0.0, 43.0])? > model.score(&[0.0, 42.0])?);
    let read = Model::read(artifact(&model)?.as_slice())?;
    assert!(artifact(&read)? == artifact(&model)?);
    Ok(())
}

#[test]
fn what_is_not_a_model_is_told_apart() -> Outcome {
    let read = |bytes: &[u8]| Model::read(bytes).err().map(|e| e.to_string()).unwrap_or_default();
    assert!(read(b"").contains("not compressed with gzip"));
    assert!(read(b"timestamp,value\n").contains("not compressed with gzip"));
    let mut text = GzEncoder::new(Vec::new(), Compression::fast());
    text.write_all(&b"some text, longer than a block of an archive ".repeat(50))?;
    assert!(read(&text.finish()?).contains("not a whole tar archive"));
    assert!(read(&archive(&[])?).contains("has no model.json"));
    assert!(read(&archive(&[("model_algo-1", b"other")])?).contains("has no model.json"));

    let good = files(&artifact(&Model::train(rows(100), &options())?)?)?;
    let (manifest, forest) = (String::from_utf8(good[0].1.clone())?, &good[1].1);
    let with = |manifest: &str, forest: &[u8]| {
        archive(&[("forest.bin", forest), ("./model.json", manifest.as_bytes())])
    };
    assert_eq!(read(&with(&manifest, forest)?), "", "order and folders do not matter");
    assert!(Model::from_files(manifest.as_bytes(), forest).is_ok());
    assert!(read(&archive(&[("model.json", manifest.as_bytes())])?).contains("has no forest.bin"));
    let newer = manifest.replace("\"version\": 2", "\"version\": 3, \"news\": true");
    assert!(read(&with(&newer, forest)?).contains("version 3, this build reads up to 2"));
    let longer = manifest.replace("\"shingle\": 1", "\"shingle\": 2");
    assert!(read(&with(&longer, forest)?).contains("differ in number"));
    assert!(read(&with("{}", forest)?).contains("model.json"));
    assert!(read(&with(&manifest, &forest[1..])?).contains("forest.bin: its checksum"));
    let fewer = manifest.replace("\"feature_2\"", "\"feature_2\", \"feature_3\"");
    assert!(read(&with(&fewer, forest)?).contains("differ in number"));
    Ok(())
}

#[test]
fn a_damaged_artifact_is_an_error() -> Outcome {
    let model = Model::train(rows(100), &TrainOptions { trees: 3, sample_size: 16, ..options() })?;
    let good = artifact(&model)?;
    for cut in 0..good.len() {
        assert!(Model::read(&good[..cut]).is_err(), "cut at {cut}");
    }
    // The first ten bytes are gzip's header, of which readers ignore most.
    for at in 10..good.len() {
        let mut altered = good.clone();
        altered[at] ^= 1 << (at % 8);
        // A few bits of a compressed stream carry nothing.
        match Model::read(altered.as_slice()) {
            Ok(read) => assert!(artifact(&read)? == good, "altered at {at}"),
            Err(problem) => assert!(!problem.to_string().is_empty()),
        }
    }
    Ok(())
}

#[test]
fn a_bomb_is_refused() -> Outcome {
    // 16 MiB of spaces where at most 8 MiB can be.
    let bomb = archive(&[("model.json", &vec![b' '; 16 << 20])])?;
    assert!(bomb.len() < 1 << 20);
    assert!(matches!(Model::read(bomb.as_slice()), Err(ArtifactError::TooLarge { .. })));
    // A header that promises more than there is.
    let mut header = tar::Header::new_ustar();
    header.set_path("forest.bin")?;
    header.set_size(1 << 40);
    header.set_mode(0o644);
    header.set_cksum();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(header.as_bytes())?;
    assert!(matches!(Model::read(gzip.finish()?.as_slice()), Err(ArtifactError::TooLarge { .. })));
    Ok(())
}
