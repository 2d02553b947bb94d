//! What is committed is what the code renders, and it all hangs together.

use std::collections::BTreeSet;
use std::path::Path;

use anomaly_core::config::{Config, Rule};
use anomaly_provision::{Target, render};

fn root(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn example() -> Config {
    Config::from_toml(&root("anomaly.toml")).expect("the committed configuration is valid")
}

fn text(config: &Config, target: Target, name: &str) -> String {
    let files = render(config, target).expect("renders");
    files.into_iter().find(|file| file.name == name).expect("is rendered").text
}

#[test]
fn the_committed_template_is_fresh() {
    let rendered = text(&example(), Target::Sam, "template.yaml");
    assert!(root("template.yaml") == rendered, "template.yaml is stale: run `cargo xtask render`");
}

#[test]
fn the_example_writes_out_the_default_rule() {
    assert_eq!(example().rules, [Rule::default()]);
}

#[test]
fn rendering_twice_gives_the_same_bytes() {
    assert_eq!(render(&example(), Target::Aws), render(&example(), Target::Aws));
}

/// What is tested locally (the plain template) is what SAM deploys: only the way to the code differs.
#[test]
fn the_two_templates_differ_in_the_code_only() {
    let [sam, plain] =
        [(Target::Sam, "template.yaml"), (Target::Aws, "pipeline.yaml")].map(|(target, name)| {
            let text = text(&example(), target, name);
            let lines = text.lines().filter(|line| !line.starts_with('#')).map(str::trim);
            lines.map(str::to_owned).collect::<BTreeSet<String>>()
        });
    let only =
        |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>().join("\n");
    expect_test::expect![[r#"
        Binary: classify
        Binary: invoke
        Binary: publish
        BuildMethod: rust-cargolambda
        BuildProperties:
        CodeUri: '.'
        Metadata:
        Transform: AWS::Serverless-2016-10-31
        Type: AWS::Serverless::Function"#]]
    .assert_eq(&only(&sam, &plain));
    expect_test::expect![[r#"
        Code:
        CodeBucket:
        CodePrefix:
        Description: The bucket that holds invoke.zip, classify.zip and publish.zip
        Description: What stands before their names, such as releases/3f2a/; new with each release
        S3Bucket: !Ref CodeBucket
        S3Key: !Sub ${CodePrefix}classify.zip
        S3Key: !Sub ${CodePrefix}invoke.zip
        S3Key: !Sub ${CodePrefix}publish.zip
        Type: AWS::Lambda::Function"#]]
    .assert_eq(&only(&plain, &sam));
}

/// CloudFormation takes 51,200 bytes in a call; more must lie in a bucket (CloudFormation quotas, "Template
/// body size in a request").
#[test]
fn the_templates_fit_a_request() {
    for target in [Target::Sam, Target::Aws] {
        for file in render(&example(), target).expect("renders") {
            assert!(file.text.len() < 51_200, "{} has {} bytes", file.name, file.text.len());
            assert!(file.text.ends_with('\n') && !file.text.contains(" \n"), "{}", file.name);
        }
    }
}
