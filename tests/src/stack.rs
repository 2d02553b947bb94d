//! Our own template, deployed.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_cloudformation::types::{Capability, Parameter, StackStatus};

use crate::cloud::Cloud;
use crate::poll;

/// How long a deployment may take.
const DEPLOY_LIMIT: Duration = Duration::from_secs(60);

/// A deployed stack.
#[derive(Debug)]
pub struct Stack {
    /// Physical ids by logical id.
    resources: BTreeMap<String, String>,
    /// The stack's outputs.
    outputs: BTreeMap<String, String>,
}

impl Stack {
    /// Deploys `template` as the stack `name` and waits until it stands.
    ///
    /// # Errors
    /// When it is refused or rolled back; the message holds the reasons.
    pub async fn deploy(
        cloud: &Cloud,
        name: &str,
        template: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Self> {
        let parameters = parameters
            .iter()
            .map(|(key, value)| Parameter::builder().parameter_key(*key).parameter_value(*value).build());
        let request = cloud.cloudformation.create_stack().stack_name(name).template_body(template);
        request
            .set_parameters(Some(parameters.collect()))
            .capabilities(Capability::CapabilityIam)
            .capabilities(Capability::CapabilityNamedIam)
            .send()
            .await
            .context("create the stack")?;
        let outputs = poll::until("the stack", DEPLOY_LIMIT, || outputs_of(cloud, name)).await?;
        Ok(Stack { resources: resources_of(cloud, name).await?, outputs })
    }

    /// The physical id of the resource `logical`.
    ///
    /// # Errors
    /// When the template has no such resource.
    pub fn resource(&self, logical: &str) -> Result<&str> {
        let names = || self.resources.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let found = self.resources.get(logical).map(String::as_str);
        found.with_context(|| format!("no resource {logical} among {}", names()))
    }

    /// The output `name`.
    ///
    /// # Errors
    /// When the template has no such output.
    pub fn output(&self, name: &str) -> Result<&str> {
        self.outputs.get(name).map(String::as_str).with_context(|| format!("no output {name}"))
    }
}

async fn outputs_of(cloud: &Cloud, name: &str) -> Result<Option<BTreeMap<String, String>>> {
    let described = cloud.cloudformation.describe_stacks().stack_name(name).send().await?;
    let stack = described.stacks().first().context("the stack vanished")?;
    match stack.stack_status() {
        Some(StackStatus::CreateComplete) => {}
        Some(StackStatus::CreateInProgress) => return Ok(None),
        status => bail!("the stack is {status:?}: {}", failures(cloud, name).await?),
    }
    let pairs = stack
        .outputs()
        .iter()
        .filter_map(|output| Some((output.output_key()?.to_owned(), output.output_value()?.to_owned())));
    Ok(Some(pairs.collect()))
}

async fn failures(cloud: &Cloud, name: &str) -> Result<String> {
    let described = cloud.cloudformation.describe_stack_events().stack_name(name).send().await?;
    let reasons = described.stack_events().iter().filter_map(|event| {
        let failed = event.resource_status().is_some_and(|status| status.as_str().ends_with("FAILED"));
        failed.then(|| {
            let reason = event.resource_status_reason().unwrap_or("no reason given");
            format!("{}: {reason}", event.logical_resource_id().unwrap_or("?"))
        })
    });
    Ok(reasons.collect::<Vec<_>>().join("; "))
}

async fn resources_of(cloud: &Cloud, name: &str) -> Result<BTreeMap<String, String>> {
    let described = cloud.cloudformation.describe_stack_resources().stack_name(name).send().await?;
    let pairs = described.stack_resources().iter().filter_map(|resource| {
        Some((resource.logical_resource_id()?.to_owned(), resource.physical_resource_id()?.to_owned()))
    });
    Ok(pairs.collect())
}
