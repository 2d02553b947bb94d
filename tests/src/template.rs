//! Our templates, read back.

use anomaly_core::config::Config;
use anomaly_provision::{PIPELINE_FILE, Target, render};
use anyhow::{Context, Result};
use serde_yaml_ng::Value;

/// A configuration whose scores come from an endpoint, and which is otherwise the default.
pub const ENDPOINT: &str = r#"
[input]
series = "/series"
time = "/timestamp"
features = ["/value"]
[model]
kind = "endpoint"
endpoint = "scorer"
"#;

/// A configuration without a model.
pub const NO_MODEL: &str = r#"
[input]
series = "/series"
features = ["/value"]
[model]
kind = "none"
[[rule]]
name = "too-high"
on = "value"
method = { kind = "static", threshold = 3.0 }
for = "1 of 1"
[source]
shards = 2
retention = "24h"
"#;

/// A configuration in which readings wait for each other.
pub const EVENT_TIME: &str = r#"
[input]
series = "/series"
time = "/timestamp"
features = ["/value"]
[input.event_time]
late = "16s"
out_of_order = "5s"
[model]
kind = "none"
"#;

/// `[source]` in every kind and form there is, each with the name of its file.
///
/// # Errors
/// When the files cannot be read.
pub fn sources() -> Result<Vec<(String, String)>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/anomaly-provision/tests/sources");
    let paths = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let tomls = paths.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let mut sources = tomls
        .map(|path| {
            let name = path.file_stem().context("a file has a name")?.to_string_lossy().into_owned();
            Ok((name, format!("{ENDPOINT}{}", std::fs::read_to_string(path)?)))
        })
        .collect::<Result<Vec<_>>>()?;
    sources.sort();
    Ok(sources)
}

/// The pipeline as plain CloudFormation, as text.
///
/// # Errors
/// When `toml` is no valid configuration.
pub fn pipeline(toml: &str) -> Result<String> {
    let files = render(&Config::from_toml(toml)?, Target::Aws)?;
    let file = files.into_iter().find(|file| file.name == PIPELINE_FILE);
    Ok(file.context("the pipeline is rendered")?.text)
}

/// A template, looked at.
#[derive(Debug)]
pub struct Template(Value);

impl Template {
    /// Reads `text`.
    ///
    /// # Errors
    /// When it is no YAML.
    pub fn read(text: &str) -> Result<Self> {
        Ok(Template(serde_yaml_ng::from_str(text)?))
    }

    /// The properties of the resource `logical`, `null` if there is none.
    pub fn properties(&self, logical: &str) -> &Value {
        &self.0["Resources"][logical]["Properties"]
    }

    /// Logical ids and properties of all resources of type `kind`.
    pub fn of_type<'t>(&'t self, kind: &'t str) -> impl Iterator<Item = (&'t str, &'t Value)> {
        let resources = self.0["Resources"].as_mapping().into_iter().flatten();
        resources.filter_map(move |(name, resource)| {
            (resource["Type"] == kind).then(|| Some((name.as_str()?, &resource["Properties"])))?
        })
    }

    /// The value the function `logical` gets for its environment variable `name`, as the template writes it.
    pub fn variable(&self, logical: &str, name: &str) -> String {
        written(&self.properties(logical)["Environment"]["Variables"][name])
    }

    /// The parameter `logical`, `null` if there is none.
    pub fn parameter(&self, logical: &str) -> &Value {
        &self.0["Parameters"][logical]
    }

    /// What the role or the managed policy `logical` allows.
    pub fn permissions(&self, logical: &str) -> Vec<Permission> {
        let properties = self.properties(logical);
        let policies = properties["Policies"].as_sequence().into_iter().flatten().chain([properties]);
        let statements =
            policies.flat_map(|policy| list(&policy["PolicyDocument"]["Statement"])).collect::<Vec<_>>();
        statements.into_iter().flat_map(permissions).collect()
    }
}

/// One action a role may take, and on what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// `service:Action`.
    pub action: String,
    /// The resource as the template writes it, without the tag.
    pub resource: String,
}

fn permissions(statement: &Value) -> Vec<Permission> {
    let actions = list(&statement["Action"]).into_iter().map(written);
    let resources: Vec<String> = list(&statement["Resource"]).into_iter().map(written).collect();
    actions
        .flat_map(|action| {
            resources
                .iter()
                .map(move |resource| Permission { action: action.clone(), resource: resource.clone() })
        })
        .collect()
}

/// A list, or the one thing that stands for a list of one.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Sequence(items) => items.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}

/// A string, with or without CloudFormation's tag in front.
fn written(value: &Value) -> String {
    match value {
        Value::Tagged(tagged) => written(&tagged.value),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}
