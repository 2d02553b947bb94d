//! The model's stack: an endpoint for a model that exists.
//!
//! Apart from the pipeline, because an endpoint takes minutes to start, costs by the hour whether or not it is
//! asked, and must survive every deployment of a function.

use anomaly_core::config::Config;

use crate::pipeline::endpoint_name;
use crate::stack::{Output, Parameter, Resource, Stack};
use crate::value::{attribute, list, map, reference, sub};

const HEADER: &str = "\
The model's endpoint: an endpoint configuration and an endpoint for a SageMaker model that exists.
Rendered by `anomaly render aws` from anomaly.toml; change that file, or crates/anomaly-provision, and render anew.
  aws cloudformation deploy --template-file model.yaml --stack-name NAME --parameter-overrides ModelName=MODEL";

/// The stack of the endpoint named in `config`.
pub(crate) fn stack(config: &Config) -> Stack {
    Stack {
        header: HEADER.to_owned(),
        description: "anomaly-alerts: the endpoint of a trained model",
        transform: None,
        parameters: parameters(config),
        conditions: Vec::new(),
        resources: vec![endpoint_config(), endpoint()],
        outputs: outputs(),
    }
}

fn parameters(config: &Config) -> Vec<Parameter> {
    vec![
        Parameter::text("ModelName", "The SageMaker model to serve; it must exist")
            .with("AllowedPattern", "^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$"),
        endpoint_name(config),
        // The smallest current general-purpose machine; the Random Cut Forest guide recommends ml.c5.xlarge.
        Parameter::text(
            "InstanceType",
            "The machine to serve it on; ml.c5.xlarge is what AWS recommends for RCF",
        )
        .with("Default", "ml.m5.large")
        .with("AllowedPattern", "^ml\\.[a-z0-9-]+\\.[a-z0-9]+$"),
        Parameter::number("InitialInstanceCount", "How many machines")
            .with("Default", 1_u32)
            .with("MinValue", 1_u32),
    ]
}

/// Unnamed: all its properties are create-only, and a named one could not be replaced (CloudFormation cannot
/// create a second resource of the same name before it deletes the first).
fn endpoint_config() -> Resource {
    let variant = map! {
        "VariantName": "AllTraffic",
        "ModelName": reference("ModelName"),
        "InstanceType": reference("InstanceType"),
        "InitialInstanceCount": reference("InitialInstanceCount"),
        "InitialVariantWeight": 1_u32,
    };
    Resource::new(
        "EndpointConfig",
        "AWS::SageMaker::EndpointConfig",
        map! { "ProductionVariants": list![variant] },
    )
    .because(
        "Unnamed, so that a change makes a new one, moves the endpoint over, and only then deletes the old.",
    )
}

fn endpoint() -> Resource {
    Resource::new(
        "Endpoint",
        "AWS::SageMaker::Endpoint",
        map! {
            "EndpointName": reference("EndpointName"),
            "EndpointConfigName": attribute("EndpointConfig.EndpointConfigName"),
        },
    )
    .because("Named: the pipeline finds it by name, so that neither stack waits for the other.")
}

fn outputs() -> Vec<Output> {
    vec![
        // `Ref` is the ARN and there is no attribute for the URL (resource type AWS::SageMaker::Endpoint).
        Output::new(
            "EndpointUrl",
            "Where rows are sent to be scored",
            sub(
                "https://runtime.sagemaker.${AWS::Region}.${AWS::URLSuffix}/endpoints/${Endpoint.EndpointName}/invocations",
            ),
        ),
        Output::new(
            "EndpointName",
            "The pipeline's parameter EndpointName",
            attribute("Endpoint.EndpointName"),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn one_configuration_one_endpoint_two_outputs() {
        let config = Config {
            model: anomaly_core::config::Model { endpoint: Some("scorer".to_owned()), ..Default::default() },
            ..Config::default()
        };
        let text = stack(&config).to_yaml();
        let (_, resources) = text.split_once("\nResources:").expect("resources");
        expect![[r#"

              # Unnamed, so that a change makes a new one, moves the endpoint over, and only then deletes the old.
              EndpointConfig:
                Type: AWS::SageMaker::EndpointConfig
                Properties:
                  ProductionVariants:
                    - VariantName: AllTraffic
                      ModelName: !Ref ModelName
                      InstanceType: !Ref InstanceType
                      InitialInstanceCount: !Ref InitialInstanceCount
                      InitialVariantWeight: 1

              # Named: the pipeline finds it by name, so that neither stack waits for the other.
              Endpoint:
                Type: AWS::SageMaker::Endpoint
                Properties:
                  EndpointName: !Ref EndpointName
                  EndpointConfigName: !GetAtt EndpointConfig.EndpointConfigName

            Outputs:
              EndpointUrl:
                Description: Where rows are sent to be scored
                Value: !Sub https://runtime.sagemaker.${AWS::Region}.${AWS::URLSuffix}/endpoints/${Endpoint.EndpointName}/invocations
              EndpointName:
                Description: The pipeline's parameter EndpointName
                Value: !GetAtt Endpoint.EndpointName
        "#]].assert_eq(resources);
    }
}
