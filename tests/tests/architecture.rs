//! The walls of the house: who may depend on whom, and what must never be linked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anomaly_tests::rig::root;
use anyhow::{Context, Result, ensure};
use serde_json::Value;

/// Which members of the workspace each member may depend on, development dependencies left out.
const ALLOWED: &[(&str, &[&str])] = &[
    ("anomaly-core", &[]),
    ("anomaly-detect", &["anomaly-core"]),
    ("anomaly-pipeline", &["anomaly-core", "anomaly-detect"]),
    ("anomaly-fakes", &["anomaly-core", "anomaly-pipeline"]),
    ("anomaly-aws", &["anomaly-core", "anomaly-pipeline"]),
    ("anomaly-local", &["anomaly-core", "anomaly-detect", "anomaly-pipeline"]),
    ("anomaly-provision", &["anomaly-core"]),
    ("lambda-invoke", FUNCTION),
    ("lambda-classify", FUNCTION),
    ("lambda-publish", FUNCTION),
];

const FUNCTION: &[&str] = &["anomaly-aws", "anomaly-core", "anomaly-pipeline"];
const FUNCTIONS: [&str; 3] = ["lambda-invoke", "lambda-classify", "lambda-publish"];

/// What the pure crates never see: they decide, others act.
const IMPURE: &[&str] =
    &["tokio", "futures-util", "hyper", "axum", "tracing", "lambda_runtime", "aws_lambda_events", "tempfile"];

#[test]
fn members_depend_only_on_what_lies_below_them() -> Result<()> {
    let members = members()?;
    for (name, allowed) in ALLOWED {
        let member = members.get(*name).with_context(|| format!("{name} is gone"))?;
        let theirs = member.dependencies.iter().filter(|name| members.contains_key(*name));
        let extra: Vec<_> = theirs.filter(|name| !allowed.contains(&name.as_str())).collect();
        ensure!(extra.is_empty(), "{name} must not depend on {extra:?}; it may on {allowed:?}");
    }
    Ok(())
}

#[test]
fn nothing_that_ships_depends_on_the_fakes() -> Result<()> {
    let offenders: Vec<_> = members()?
        .into_iter()
        .filter(|(name, member)| name != "anomaly-tests" && member.dependencies.contains("anomaly-fakes"))
        .map(|(name, _)| name)
        .collect();
    ensure!(offenders.is_empty(), "only tests may use anomaly-fakes, not {offenders:?}");
    Ok(())
}

#[test]
fn core_and_detect_know_no_runtime_cloud_or_log() -> Result<()> {
    for name in ["anomaly-core", "anomaly-detect"] {
        let linked = linked(&["--package", name])?;
        let impure = |krate: &&String| IMPURE.contains(&krate.as_str()) || krate.starts_with("aws-");
        let found: Vec<_> = linked.iter().filter(impure).collect();
        ensure!(found.is_empty(), "{name} links {found:?}");
    }
    Ok(())
}

#[test]
fn core_and_detect_read_no_environment_and_no_clock() -> Result<()> {
    for name in ["anomaly-core", "anomaly-detect"] {
        for file in sources(&root().join("crates").join(name).join("src"))? {
            let text = std::fs::read_to_string(&file)?;
            // Tests come last in a file and may do as they please.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for word in ["std::env", "SystemTime::now", "Instant::now", "Timestamp::now", "thread::sleep"] {
                ensure!(!code.contains(word), "{} uses {word}; let the caller pass it", file.display());
            }
        }
    }
    Ok(())
}

/// Two TLS stacks in one function were four megabytes and a slower start.
#[test]
fn functions_link_one_tls_stack_and_not_the_old_one() -> Result<()> {
    for name in FUNCTIONS {
        let with_versions = linked_with_versions(&["--package", name])?;
        for legacy in ["hyper v0.14", "rustls v0.21", "h2 v0.3", "aws-lc-sys", "openssl-sys"] {
            let found = with_versions.iter().find(|krate| krate.starts_with(legacy));
            ensure!(found.is_none(), "{name} links {found:?}");
        }
        ensure!(with_versions.iter().any(|krate| krate.starts_with("rustls v0.23")), "{name} has no TLS");
    }
    Ok(())
}

#[test]
fn the_command_knows_no_cloud_unless_asked() -> Result<()> {
    let sdk = |args: &[&str]| -> Result<Vec<String>> {
        Ok(linked(args)?.into_iter().filter(|krate| krate.starts_with("aws-")).collect())
    };
    let by_default = sdk(&["--package", "anomaly-cli"])?;
    ensure!(by_default.is_empty(), "the default build of anomaly-cli links {by_default:?}");
    let asked = sdk(&["--package", "anomaly-cli", "--features", "aws"])?;
    ensure!(!asked.is_empty(), "the feature aws of anomaly-cli brings no AWS");
    Ok(())
}

#[test]
fn a_functions_main_only_wires() -> Result<()> {
    for name in FUNCTIONS {
        let main = root().join("crates").join(name).join("src/main.rs");
        let lines = std::fs::read_to_string(&main)?.lines().count();
        ensure!(lines < 60, "{} has {lines} lines; logic belongs into lib.rs", main.display());
    }
    Ok(())
}

/// A member of the workspace.
struct Member {
    /// Names of the packages it depends on, for building and running.
    dependencies: BTreeSet<String>,
}

fn members() -> Result<BTreeMap<String, Member>> {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--format-version", "1", "--no-deps"])?)?;
    let packages = metadata["packages"].as_array().context("packages")?;
    Ok(packages
        .iter()
        .filter_map(|package| Some((package["name"].as_str()?.to_owned(), member(package))))
        .collect())
}

fn member(package: &Value) -> Member {
    let all = package["dependencies"].as_array().into_iter().flatten();
    let normal = all.filter(|dependency| dependency["kind"].is_null());
    Member { dependencies: normal.filter_map(|d| d["name"].as_str().map(str::to_owned)).collect() }
}

/// The names of all crates that a build with `args` links.
fn linked(args: &[&str]) -> Result<BTreeSet<String>> {
    let names = linked_with_versions(args)?.into_iter();
    Ok(names.filter_map(|krate| krate.split(' ').next().map(str::to_owned)).collect())
}

fn linked_with_versions(args: &[&str]) -> Result<BTreeSet<String>> {
    let tree = ["tree", "--edges", "normal", "--prefix", "none", "--format", "{p}"];
    Ok(cargo(&[&tree, args].concat())?.lines().map(str::to_owned).collect())
}

fn cargo(args: &[&str]) -> Result<String> {
    let output = Command::new(env!("CARGO")).args(args).current_dir(root()).output()?;
    ensure!(output.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

fn sources(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(sources(&path)?),
            false => found.push(path),
        }
    }
    found.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    Ok(found)
}
