//! What each kind brings, as files beside its `[source]` in `tests/sources`, and what must hold of all of them.

use std::path::PathBuf;

use anomaly_core::config::Config;
use anomaly_core::config::SourceKind::{self, Firehose, Http, Sqs, SqsFifo};
use expect_test::expect_file;

use super::{Part, part, queue, record_age_s_max};
use crate::permission;
use crate::stack::{Resource, Stack};
use crate::value::Value;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sources");

/// Every configuration in the folder, with its name.
pub(in crate::pipeline) fn configs() -> Vec<(String, Config)> {
    let paths =
        std::fs::read_dir(FOLDER).expect("the folder is there").map(|entry| entry.expect("entry").path());
    let mut tomls: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
    tomls.sort();
    let config = |path: &PathBuf| {
        let source = std::fs::read_to_string(path).expect("is read");
        let toml =
            format!("[input]\nseries = \"/id\"\nfeatures = [\"/x\"]\n[model]\nkind = \"none\"\n{source}");
        Config::from_toml(&toml).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    tomls.iter().map(|path| (path.file_stem().expect("name").display().to_string(), config(path))).collect()
}

/// The part as a template of its own, with what `invoke` may do as its role.
fn shown(part: Part) -> String {
    let Part { parameters, resources, statements, calls, outputs } = part;
    let role = permission::role("InvokeRole".to_owned(), "lambda.amazonaws.com", statements);
    let resources = resources.into_iter().chain([role]).chain(calls).collect();
    let header = String::new();
    Stack { header, description: "", transform: None, parameters, conditions: Vec::new(), resources, outputs }
        .to_yaml()
        .replacen("AWSTemplateFormatVersion: '2010-09-09'\nDescription: ''\n\n", "", 1)
}

#[test]
fn each_source_brings_what_its_file_says() {
    for (name, config) in configs() {
        expect_file![format!("{FOLDER}/{name}.yaml")].assert_eq(&shown(part(&config)));
    }
}

#[test]
fn every_kind_has_a_file() {
    let configs = configs();
    for kind in SourceKind::ALL {
        assert!(configs.iter().any(|(_, config)| config.source.kind == kind), "{}", kind.as_str());
    }
    let yamls = std::fs::read_dir(FOLDER).expect("the folder is there").count() - configs.len();
    assert_eq!(yamls, configs.len(), "files of sources that are gone");
}

fn get<'v>(value: &'v Value, key: &str) -> Option<&'v Value> {
    match value {
        Value::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
        _ => None,
    }
}

fn of_kind<'p>(resources: &'p [Resource], kind: &str) -> Vec<&'p Resource> {
    resources.iter().filter(|resource| resource.kind == kind).collect()
}

/// Lambda takes partial answers for everything it polls; a failed batch is kept in the bucket, or its messages in
/// the queue behind the one that is made.
#[test]
fn what_is_polled_is_answered_in_part_and_kept() {
    for (name, config) in configs() {
        let Part { resources, calls, .. } = part(&config);
        let mappings = of_kind(&calls, "AWS::Lambda::EventSourceMapping");
        let waits = config.source.direct || matches!(config.source.kind, Http | Firehose);
        assert_eq!(mappings.len(), usize::from(!waits), "{name}");
        for mapping in mappings {
            let answers = get(&mapping.properties, "FunctionResponseTypes");
            assert_eq!(answers, Some(&["ReportBatchItemFailures"].into()), "{name}");
            let made = of_kind(&resources, "AWS::SQS::Queue");
            let behind = made.iter().any(|queue| get(&queue.properties, "RedrivePolicy").is_some());
            let keeps = get(&mapping.properties, "DestinationConfig").is_some();
            // Of a queue that is there, its own redrive policy has to see to it.
            let is_theirs = matches!(config.source.kind, Sqs | SqsFifo) && config.source.arn.is_some();
            assert!(keeps || behind || is_theirs, "{name}");
        }
    }
}

/// Where Lambda does not wait for the answer, it tries again and then keeps the event; what never reaches it is
/// kept by who sent it.
#[test]
fn what_is_called_at_once_is_kept_on_both_sides() {
    let direct = configs().into_iter().filter(|(_, config)| config.source.direct).collect::<Vec<_>>();
    assert_eq!(direct.len(), 2);
    for (name, config) in direct {
        let Part { resources, calls, .. } = part(&config);
        let retries = of_kind(&calls, "AWS::Lambda::EventInvokeConfig");
        assert!(get(&retries[0].properties, "DestinationConfig").is_some(), "{name}");
        assert!(resources.iter().any(|resource| resource.id == queue::DEAD_LETTERS), "{name}");
        let text = shown(part(&config));
        assert!(text.contains("RedrivePolicy") || text.contains("DeadLetterConfig"), "{name}");
    }
}

#[test]
fn a_record_is_given_up_on_before_the_source_drops_it() {
    assert_eq!([2, 24, 25, 168].map(record_age_s_max), [3_600, 82_800, 86_400, 86_400]);
}
