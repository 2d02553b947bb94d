//! Channels: where their rows are, and what they are written in.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anomaly_core::exchange::Media;
use serde::Deserialize;

/// What is read of a channel's entry in `inputdataconfig.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    content_type: Option<String>,
    training_input_mode: Option<String>,
}

/// What rows are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Rows of CSV, with the label in front of them or without.
    Csv { is_labelled: bool },
    /// Records, each with a label or without.
    RecordIo,
}

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Channel {
    pub(super) name: &'static str,
    pub(super) form: Form,
    /// A folder of files, or a pipe.
    pub(super) place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Folder(PathBuf),
    Pipe(PathBuf),
}

/// The channels of the algorithm.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Channels {
    pub(super) train: Channel,
    pub(super) test: Option<Channel>,
}

impl Channels {
    /// From `inputdataconfig.json`; the data are under `data`.
    ///
    /// # Errors
    /// All that is wrong, a sentence each.
    pub(super) fn parse(json: serde_json::Value, data: &Path) -> Result<Channels, Vec<String>> {
        let entries: BTreeMap<String, Entry> =
            serde_json::from_value(json).map_err(|error| vec![error.to_string()])?;
        let mut problems = Vec::new();
        for name in entries.keys().filter(|name| !["train", "test"].contains(&name.as_str())) {
            problems.push(format!("channel {name:?} is not known; there are train and test"));
        }
        let mut channel = |name, is_labelled| {
            entries.get(name).and_then(|entry| {
                let channel = entry.channel(name, is_labelled, data);
                channel.map_err(|problem| problems.push(format!("channel {name}: {problem}"))).ok()
            })
        };
        // By the guide the built-in wants CSV to say `label_size=0` here and `label_size=1` there.
        let (train, test) = (channel("train", false), channel("test", true));
        if !entries.contains_key("train") {
            problems.push("there is no channel train".to_owned());
        }
        match train {
            Some(train) if problems.is_empty() => Ok(Channels { train, test }),
            _ => Err(problems),
        }
    }
}

impl Entry {
    fn channel(&self, name: &'static str, is_labelled: bool, data: &Path) -> Result<Channel, String> {
        let form = form(self.content_type.as_deref().unwrap_or_default(), is_labelled)?;
        let place = match self.training_input_mode.as_deref() {
            None | Some("File" | "FastFile") => Place::Folder(data.join(name)),
            // The first and only time that the rows are asked for.
            Some("Pipe") => Place::Pipe(data.join(format!("{name}_0"))),
            Some(other) => return Err(format!("TrainingInputMode {other:?} is not File, FastFile or Pipe")),
        };
        Ok(Channel { name, form, place })
    }
}

fn form(content_type: &str, is_labelled: bool) -> Result<Form, String> {
    let unknown = || {
        format!(
            "ContentType {content_type:?} is not text/csv;label_size={} or application/x-recordio-protobuf",
            u8::from(is_labelled)
        )
    };
    let mut parameters = content_type.split(';').skip(1).filter_map(|parameter| parameter.split_once('='));
    let label_size = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("label_size"));
    match (Media::of(content_type), label_size.map(|(_, size)| size.trim())) {
        (Some(Media::RecordIo), _) => Ok(Form::RecordIo),
        (Some(Media::Csv), None) => Ok(Form::Csv { is_labelled }),
        (Some(Media::Csv), Some("0")) => Ok(Form::Csv { is_labelled: false }),
        (Some(Media::Csv), Some("1")) => Ok(Form::Csv { is_labelled: true }),
        _ => Err(unknown()),
    }
}

impl Channel {
    /// All files, by name; a pipe is one.
    pub(super) fn files(&self) -> io::Result<Vec<PathBuf>> {
        let mut files = Vec::new();
        match &self.place {
            Place::Pipe(path) => files.push(path.clone()),
            Place::Folder(folder) => collect(folder, &mut files)?,
        }
        files.sort();
        Ok(files)
    }
}

/// A prefix of S3 may have folders in it.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { collect(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn parse(json: &str) -> Result<Channels, String> {
        let json = serde_json::from_str(json).expect("JSON");
        Channels::parse(json, Path::new("/d")).map_err(|problems| problems.join("\n"))
    }

    #[test]
    fn as_sagemaker_writes_them() {
        let channels = parse(
            r#"{"train": {"ContentType": "text/csv;label_size=0", "TrainingInputMode": "File",
                          "S3DistributionType": "ShardedByS3Key", "RecordWrapperType": "None"},
                "test": {"ContentType": "application/x-recordio-protobuf", "TrainingInputMode": "Pipe",
                         "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}}"#,
        )
        .expect("good");
        let place = Place::Folder("/d/train".into());
        assert_eq!(channels.train, Channel { name: "train", form: Form::Csv { is_labelled: false }, place });
        let place = Place::Pipe("/d/test_0".into());
        assert_eq!(channels.test, Some(Channel { name: "test", form: Form::RecordIo, place }));
        let plain = parse(r#"{"train": {"ContentType": "text/csv"}, "test": {"ContentType": "text/csv"}}"#)
            .expect("good");
        let forms = (plain.train.form, plain.test.map(|test| test.form));
        assert_eq!(forms, (Form::Csv { is_labelled: false }, Some(Form::Csv { is_labelled: true })));
    }

    #[test]
    fn all_problems_at_once() {
        expect![[r#"
            channel "validation" is not known; there are train and test
            channel train: ContentType "text/csv;label_size=2" is not text/csv;label_size=0 or application/x-recordio-protobuf
            channel test: TrainingInputMode "Fast" is not File, FastFile or Pipe"#]]
        .assert_eq(
            &parse(
                r#"{"train": {"ContentType": "text/csv;label_size=2"}, "validation": {},
                    "test": {"ContentType": "text/csv;label_size=1", "TrainingInputMode": "Fast"}}"#,
            )
            .unwrap_err(),
        );
        expect!["there is no channel train"].assert_eq(&parse("{}").unwrap_err());
        expect![[
            r#"channel train: ContentType "" is not text/csv;label_size=0 or application/x-recordio-protobuf"#
        ]]
        .assert_eq(&parse(r#"{"train": {}}"#).unwrap_err());
    }
}
