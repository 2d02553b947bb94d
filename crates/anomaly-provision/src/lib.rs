//! From `anomaly.toml` to the templates that stand the AWS side up.
//!
//! [`render`] is a pure function from a [`Config`] to files: no network, no account, no clock, and the same
//! bytes every time. One stack value becomes both the SAM template ([`Target::Sam`]: `template.yaml`, built by
//! `sam build`) and plain CloudFormation ([`Target::Aws`]: `pipeline.yaml`, code already in S3). The two differ
//! in how a function gets its code and in nothing else. The model's stack (`model.yaml`) is apart: deploying a
//! function never touches the endpoint.
//!
//! ```
//! use anomaly_core::config::Config;
//! use anomaly_provision::{Target, render};
//!
//! let config = Config::from_toml(
//!     "[input]\nseries = \"/id\"\nfeatures = [\"/x\"]\n[model]\nkind = \"endpoint\"\nendpoint = \"scorer\"\n",
//! )?;
//! let files = render(&config, Target::Aws)?;
//! assert_eq!(files.iter().map(|f| f.name).collect::<Vec<_>>(), ["pipeline.yaml", "model.yaml"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it refuses to know: credentials, regions, accounts, and the AWS SDK.

mod check;
mod environment;
mod model;
mod permission;
mod pipeline;
mod stack;
mod value;
mod yaml;

use anomaly_core::config::{Config, ModelKind};
use anomaly_core::window::Plan;

/// The file [`Target::Sam`] renders, committed at the root of the repository.
pub const SAM_FILE: &str = "template.yaml";
/// The pipeline's file of [`Target::Aws`].
pub const PIPELINE_FILE: &str = "pipeline.yaml";
/// The model's file of [`Target::Aws`].
pub const MODEL_FILE: &str = "model.yaml";

/// What to render for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The SAM template: [`SAM_FILE`].
    Sam,
    /// Plain CloudFormation: [`PIPELINE_FILE`], and [`MODEL_FILE`] if the model is an endpoint.
    Aws,
}

/// A rendered file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: &'static str,
    /// Its text, ending in a newline.
    pub text: String,
}

/// Why a configuration cannot be rendered for AWS.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot render for AWS: {}", listed(.problems))]
pub struct PlanError {
    /// One sentence a problem, each starting with the key and saying what to do.
    pub problems: Vec<String>,
}

fn listed(problems: &[String]) -> String {
    match problems {
        [one] => one.clone(),
        many => format!("{} problems\n  {}", many.len(), many.join("\n  ")),
    }
}

/// The files of `target` for `config`.
///
/// # Errors
/// Everything that keeps the configuration from running on AWS, at once.
pub fn render(config: &Config, target: Target) -> Result<Vec<File>, PlanError> {
    let problems = check::problems(config);
    if !problems.is_empty() {
        return Err(PlanError { problems });
    }
    Ok(match target {
        Target::Sam => vec![File { name: SAM_FILE, text: pipeline::sam(config).to_yaml() }],
        Target::Aws => {
            let pipeline = File { name: PIPELINE_FILE, text: pipeline::plain(config).to_yaml() };
            let model =
                has_endpoint(config).then(|| File { name: MODEL_FILE, text: model::stack(config).to_yaml() });
            std::iter::once(pipeline).chain(model).collect()
        }
    })
}

fn has_endpoint(config: &Config) -> bool {
    config.model.kind == ModelKind::Endpoint
}

/// Whether the endpoint takes several readings as one row, so that the last ones are kept.
fn has_windows(config: &Config) -> bool {
    has_endpoint(config) && Plan::of(config, &[]).keeps_windows()
}
