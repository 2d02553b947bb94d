//! The functions' configuration: read once, at the cold start, and complete or not at all.

use std::fmt;

use anomaly_core::classify::Policy;
use anomaly_core::config::{Config, Model, ModelKind};
use anomaly_core::decode::Decoder;
use anomaly_core::exchange::{Encoder, InferenceId, Reader};
use anomaly_core::fields::display_name;
use anomaly_core::names;
use anomaly_core::rejects::Versions;
use anomaly_core::window::Plan;
use anomaly_pipeline::invoke::Limits;

use crate::source::{Intake, Secrets};

/// Everything that keeps a function from starting.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The function: `invoke`.
    pub function: &'static str,
    /// One sentence a problem, each starting with the variable's name.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.problems.len();
        let plural = if count == 1 { "" } else { "s" };
        writeln!(f, "cannot start {}: {count} problem{plural} in the environment", self.function)?;
        self.problems.iter().try_for_each(|problem| writeln!(f, "  {problem}"))?;
        write!(
            f,
            "hint: template.yaml sets these variables; `anomaly render sam` writes it from anomaly.toml, and Lambda itself sets those that start with AWS_"
        )
    }
}

/// As [`fmt::Display`]: this is what is shown when `main` returns it.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {}

/// What `invoke` needs to know.
#[derive(Clone, Debug)]
pub struct InvokeConfig {
    /// Where AWS is, and who we are.
    pub connection: Connection,
    /// How events become readings.
    pub intake: Intake,
    /// How batches are cut into requests and chunks, and how much is asked at once.
    pub limits: Limits,
    /// The endpoint that scores; `None` where rules judge the values.
    pub endpoint: Option<Endpoint>,
    /// What rows are made of.
    pub plan: Plan,
    /// The table of the series' last readings; `None` where a row is one reading and comes whole.
    pub windows_table: Option<String>,
    /// The queue that takes scored chunks.
    pub queue_url: String,
}

/// A SageMaker endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// How rows are put to it.
    pub encoder: Encoder,
    /// How scores are read from its answers.
    pub reader: Reader,
    /// What else a request says.
    pub options: InvokeOptions,
}

/// What a request says beside its body; absent: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InvokeOptions {
    /// The production variant to ask.
    pub target_variant: Option<String>,
    /// The model to ask of a multi-model endpoint.
    pub target_model: Option<String>,
    /// The inference component to ask.
    pub inference_component: Option<String>,
    /// What the container is told.
    pub custom_attributes: Option<String>,
    /// The request's name in the endpoint's data capture.
    pub inference_id: Option<InferenceId>,
}

impl Endpoint {
    /// The endpoint `name`, spoken to as `model` says, with rows of the features of these names.
    ///
    /// # Errors
    /// Everything that is wrong with `model`, a sentence each; nothing, if its configuration was checked.
    pub fn new(name: String, model: &Model, features: &[String]) -> Result<Self, Vec<String>> {
        let (encoder, reader) = (Encoder::new(model, features)?, Reader::new(model)?);
        let inference_id = model.inference_id.as_deref().map(InferenceId::parse).transpose();
        let options = InvokeOptions {
            target_variant: model.target_variant.clone(),
            target_model: model.target_model.clone(),
            inference_component: model.inference_component.clone(),
            custom_attributes: model.custom_attributes.clone(),
            inference_id: inference_id.map_err(|problem| vec![format!("model.inference_id: {problem}")])?,
        };
        Ok(Endpoint { name, encoder, reader, options })
    }

    #[cfg(feature = "sagemaker")]
    /// The name of what gives the scores: the endpoint's, and behind it the inference component's or the model's
    /// where one of several is asked. What is known of one's scores says nothing of another's.
    pub(crate) fn model(&self) -> String {
        let InvokeOptions { inference_component, target_model, .. } = &self.options;
        let parts = [Some(&self.name), inference_component.as_ref(), target_model.as_ref()];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join("/")
    }
}

/// What `classify` needs to know.
#[derive(Clone, Debug)]
pub struct ClassifyConfig {
    /// Where AWS is, and who we are.
    pub connection: Connection,
    /// The rules.
    pub policy: Policy,
    /// The table of series states.
    pub states_table: String,
    /// The table of transitions.
    pub outbox_table: String,
    /// The table of rejects.
    pub rejects_table: String,
    /// The table of what was judged.
    pub journal_table: String,
}

/// What `publish` needs to know.
#[derive(Clone, Debug)]
pub struct PublishConfig {
    /// Where AWS is, and who we are.
    pub connection: Connection,
    /// The table of transitions.
    pub outbox_table: String,
    /// The topic that tells people.
    pub topic_arn: String,
}

impl InvokeConfig {
    /// Reads the environment through `lookup`.
    ///
    /// # Errors
    /// Everything that is missing or wrong.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut env = Env::new("invoke", &lookup);
        let connection = env.connection();
        let queue_url = env.required(names::QUEUE_URL);
        let config = env.config();
        let decoder = env.decoder(&config);
        let secrets = env.secrets();
        let endpoint = env.endpoint(&config);
        let names = decoder.as_ref().map(Decoder::feature_names).unwrap_or_default();
        let plan = config.as_ref().map(|config| Plan::of(config, names));
        let keeps_windows = plan.as_ref().is_some_and(Plan::keeps_windows);
        let is_windowed = matches!(endpoint, Some(Some(_))) && keeps_windows;
        let windows_table = is_windowed.then(|| env.required(names::WINDOWS_TABLE));
        env.finish(move || {
            let config = config?;
            Some(InvokeConfig {
                connection: connection?,
                intake: Intake { secrets: secrets?, ..Intake::new(decoder?) },
                limits: limits(&config),
                endpoint: endpoint?,
                plan: plan?,
                // A table that is wanted and not set was noted as a problem.
                windows_table: windows_table.flatten(),
                queue_url: queue_url?,
            })
        })
    }
}

/// How batches are cut into requests and chunks, and how much is asked at once.
pub fn limits(config: &Config) -> Limits {
    let Model { rows_max, in_flight, .. } = config.model;
    Limits {
        rows_max,
        in_flight_max: in_flight,
        groups: config.source.groups(),
        // With 1 nothing is too much.
        shares: config.rejects.share < 1.0,
        streaming: config.model.is_streaming(),
        rejected_by: Some(Versions::of(config)),
        ..Limits::default()
    }
}

impl ClassifyConfig {
    /// Reads the environment through `lookup`.
    ///
    /// # Errors
    /// Everything that is missing or wrong.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut env = Env::new("classify", &lookup);
        let connection = env.connection();
        let tables = [names::STATES_TABLE, names::OUTBOX_TABLE, names::REJECTS_TABLE, names::JOURNAL_TABLE]
            .map(|name| env.required(name));
        let config = env.config();
        let policy = env.policy(&config);
        env.finish(move || {
            let [states, outbox, rejects, journal] = tables;
            Some(ClassifyConfig {
                connection: connection?,
                policy: policy?,
                states_table: states?,
                outbox_table: outbox?,
                rejects_table: rejects?,
                journal_table: journal?,
            })
        })
    }
}

impl PublishConfig {
    /// Reads the environment through `lookup`.
    ///
    /// # Errors
    /// Everything that is missing or wrong.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut env = Env::new("publish", &lookup);
        let connection = env.connection();
        let outbox_table = env.required(names::OUTBOX_TABLE);
        let topic_arn = env.required(names::TOPIC_ARN);
        env.finish(move || {
            Some(PublishConfig {
                connection: connection?,
                outbox_table: outbox_table?,
                topic_arn: topic_arn?,
            })
        })
    }
}

/// Where AWS is, and who we are: what Lambda puts into a function's environment.
#[derive(Clone, PartialEq, Eq)]
pub struct Connection {
    /// The region.
    pub region: String,
    /// The access key's id.
    pub access_key_id: String,
    /// The access key's secret.
    pub secret_access_key: String,
    /// The token of temporary keys.
    pub session_token: Option<String>,
    /// Addresses in place of AWS' own.
    pub endpoint_urls: EndpointUrls,
}

impl Connection {
    /// Reads the environment through `lookup`, for the command `command`.
    ///
    /// # Errors
    /// Everything that is missing.
    pub fn from_env(
        command: &'static str,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let mut env = Env::new(command, &lookup);
        let connection = env.connection();
        env.finish(move || connection)
    }
}

/// Keys are not for logs.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("region", &self.region)
            .field("endpoint_urls", &self.endpoint_urls)
            .finish_non_exhaustive()
    }
}

/// Addresses in place of AWS' own, by service: `AWS_ENDPOINT_URL_<SERVICE>`, else `AWS_ENDPOINT_URL` (AWS SDKs
/// reference guide, "Service-specific endpoints").
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointUrls {
    /// SageMaker Runtime.
    pub sagemaker_runtime: Option<String>,
    /// SQS.
    pub sqs: Option<String>,
    /// DynamoDB.
    pub dynamodb: Option<String>,
    /// SNS.
    pub sns: Option<String>,
    /// CloudFormation, which only commands ask.
    pub cloudformation: Option<String>,
}

impl EndpointUrls {
    fn new(lookup: impl Fn(&str) -> Option<String>) -> Self {
        if lookup("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|v| v.eq_ignore_ascii_case("true")) {
            return EndpointUrls::default();
        }
        let url = |service: &str| {
            let names = [&format!("AWS_ENDPOINT_URL_{service}"), "AWS_ENDPOINT_URL"];
            names.into_iter().filter_map(&lookup).find(|url| !url.is_empty())
        };
        EndpointUrls {
            sagemaker_runtime: url("SAGEMAKER_RUNTIME"),
            sqs: url("SQS"),
            dynamodb: url("DYNAMODB"),
            sns: url("SNS"),
            cloudformation: url("CLOUDFORMATION"),
        }
    }
}

/// The environment, and what is wrong with it so far.
struct Env<'l> {
    function: &'static str,
    lookup: &'l dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl<'l> Env<'l> {
    fn new(function: &'static str, lookup: &'l dyn Fn(&str) -> Option<String>) -> Self {
        Env { function, lookup, problems: Vec::new() }
    }

    /// The value of `name`, or a problem. An empty value is none.
    fn required(&mut self, name: &str) -> Option<String> {
        let value = (self.lookup)(name).filter(|value| !value.is_empty());
        if value.is_none() {
            self.problems.push(format!("{name}: not set"));
        }
        value
    }

    fn connection(&mut self) -> Option<Connection> {
        let required = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let [region, access_key_id, secret_access_key] = required.map(|name| self.required(name));
        Some(Connection {
            region: region?,
            access_key_id: access_key_id?,
            secret_access_key: secret_access_key?,
            session_token: (self.lookup)("AWS_SESSION_TOKEN").filter(|token| !token.is_empty()),
            endpoint_urls: EndpointUrls::new(self.lookup),
        })
    }

    fn problem(&mut self, problem: impl fmt::Display) {
        self.problems.push(format!("{}: {problem}", names::ANOMALY_CONFIG));
    }

    fn problems_of(&mut self, problems: Vec<String>) {
        problems.iter().for_each(|problem| self.problem(problem));
    }

    fn config(&mut self) -> Option<Config> {
        let json = self.required(names::ANOMALY_CONFIG)?;
        match Config::from_json(&json) {
            Ok(config) => Some(config),
            Err(error) => {
                self.problems_of(error.problems);
                None
            }
        }
    }

    fn decoder(&mut self, config: &Option<Config>) -> Option<Decoder> {
        let input = &config.as_ref()?.input;
        if input.series.is_empty() {
            self.problem("input.series: not set; name the field that holds the series, or the one series");
        }
        Decoder::new(input).map_err(|problem| self.problem(problem)).ok()
    }

    /// None is no problem: then AWS checks who calls, or nobody does.
    fn secrets(&mut self) -> Option<Secrets> {
        let Some(digests) = (self.lookup)(names::HTTP_SECRET_SHA256).filter(|digests| !digests.is_empty())
        else {
            return Some(Secrets::default());
        };
        let problem = |why: String| self.problems.push(format!("{}: {why}", names::HTTP_SECRET_SHA256));
        Secrets::new(&digests).map_err(problem).ok()
    }

    /// `None` for a problem, `Some(None)` where no endpoint is wanted.
    fn endpoint(&mut self, config: &Option<Config>) -> Option<Option<Endpoint>> {
        let model = &config.as_ref()?.model;
        match model.kind {
            ModelKind::None | ModelKind::Embedded => Some(None),
            ModelKind::Endpoint => {
                let name = (self.lookup)(names::ENDPOINT_NAME).filter(|name| !name.is_empty());
                let name = name.or_else(|| model.endpoint.clone())?;
                let features: Vec<String> =
                    config.as_ref()?.input.features.iter().map(|f| display_name(f)).collect();
                let endpoint = Endpoint::new(name, model, &features);
                Some(Some(endpoint.map_err(|problems| self.problems_of(problems)).ok()?))
            }
            ModelKind::Forest => {
                self.problem(
                    "model.kind: \"forest\" does not run in a function; use \"embedded\", \"endpoint\" or \"none\"",
                );
                None
            }
        }
    }

    fn policy(&mut self, config: &Option<Config>) -> Option<Policy> {
        let decoder = self.decoder(config)?;
        let policy = Policy::new(config.as_ref()?, decoder.feature_names());
        for name in policy.unknown_features() {
            self.problem(format!("rule.on: {name:?} is no feature"));
        }
        Some(policy)
    }

    /// The configuration, if nothing was wrong; `build` gives `None` only where a problem was noted.
    fn finish<T>(self, build: impl FnOnce() -> Option<T>) -> Result<T, ConfigError> {
        let Env { function, problems, .. } = self;
        match build().filter(|_| problems.is_empty()) {
            Some(config) => Ok(config),
            None => Err(ConfigError { function, problems }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const AWS: [(&str, &str); 4] = [
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
        ("AWS_SESSION_TOKEN", ""),
    ];

    fn lookup<'v>(variables: &'v [(&'v str, &'v str)]) -> impl Fn(&str) -> Option<String> + 'v {
        let find = |name: &str, list: &[(&str, &str)]| {
            list.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        };
        move |name| find(name, variables).or_else(|| find(name, &AWS))
    }

    fn error<T: fmt::Debug>(result: Result<T, ConfigError>) -> String {
        result.expect_err("problems").to_string()
    }

    const CONFIG: &str =
        r#"{"input":{"series":"/s","features":["/a"]},"model":{"kind":"endpoint","endpoint":"e"}}"#;

    #[test]
    fn everything_missing_is_named_at_once() {
        expect![[r#"
            cannot start invoke: 5 problems in the environment
              AWS_REGION: not set
              AWS_ACCESS_KEY_ID: not set
              AWS_SECRET_ACCESS_KEY: not set
              QUEUE_URL: not set
              ANOMALY_CONFIG: not set
            hint: template.yaml sets these variables; `anomaly render sam` writes it from anomaly.toml, and Lambda itself sets those that start with AWS_"#]]
        .assert_eq(&error(InvokeConfig::from_env(|_| None)));
        expect![[r#"
            cannot start publish: 1 problem in the environment
              TOPIC_ARN: not set
            hint: template.yaml sets these variables; `anomaly render sam` writes it from anomaly.toml, and Lambda itself sets those that start with AWS_"#]]
        .assert_eq(&error(PublishConfig::from_env(lookup(&[("OUTBOX_TABLE", "o"), ("TOPIC_ARN", "")]))));
    }

    #[test]
    fn every_problem_of_the_configuration_is_named() {
        let json =
            r#"{"model":{"kind":"forest","rows_max":0},"rule":[{"on":"latency","clear":{"below":7}}]}"#;
        expect![[r#"
            cannot start invoke: 3 problems in the environment
              QUEUE_URL: not set
              ANOMALY_CONFIG: model.rows_max: 0 is not 1 to 10000
              ANOMALY_CONFIG: rule[0].clear.below: 7 is not 0 to 1
            hint: template.yaml sets these variables; `anomaly render sam` writes it from anomaly.toml, and Lambda itself sets those that start with AWS_"#]]
        .assert_eq(&error(InvokeConfig::from_env(lookup(&[("ANOMALY_CONFIG", json)]))));
        expect![[r#"
            cannot start invoke: 3 problems in the environment
              ANOMALY_CONFIG: input.series: not set; name the field that holds the series, or the one series
              ANOMALY_CONFIG: input.features: empty; name at least one field that holds a number
              ANOMALY_CONFIG: model.kind: "forest" does not run in a function; use "embedded", "endpoint" or "none"
            hint: template.yaml sets these variables; `anomaly render sam` writes it from anomaly.toml, and Lambda itself sets those that start with AWS_"#]]
        .assert_eq(&error(InvokeConfig::from_env(lookup(&[("ANOMALY_CONFIG", r#"{"model":{"kind":"forest"}}"#), ("QUEUE_URL", "q")]))));
    }

    #[test]
    fn a_secret_is_its_digest_and_never_shown() {
        let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        let read = |digests: &str| {
            let variables = [("ANOMALY_CONFIG", CONFIG), ("QUEUE_URL", "q"), ("HTTP_SECRET_SHA256", digests)];
            InvokeConfig::from_env(lookup(&variables))
        };
        let both = read(&format!("{digest}, {}", digest.to_uppercase())).expect("complete");
        assert!(format!("{both:?}").contains("secrets: 2 secrets") && !format!("{both:?}").contains("2bb8"));
        assert_eq!(read("").expect("complete").intake.secrets, Secrets::default());
        for odd in ["secret", &digest[1..], &format!("{digest},"), &format!("+{}", &digest[1..])] {
            assert!(error(read(odd)).contains("  HTTP_SECRET_SHA256: not the SHA-256 of a secret"), "{odd}");
        }
    }

    #[test]
    fn the_variable_names_the_endpoint_before_the_configuration_does() {
        let named = |variables: &[(&str, &str)]| {
            let all = [&[("ANOMALY_CONFIG", CONFIG), ("QUEUE_URL", "q")], variables].concat();
            let config = InvokeConfig::from_env(lookup(&all)).expect("complete");
            config.endpoint.map(|endpoint| endpoint.name)
        };
        assert_eq!(named(&[]).as_deref(), Some("e"));
        assert_eq!(named(&[("ENDPOINT_NAME", "stack-scoring")]).as_deref(), Some("stack-scoring"));
    }

    #[test]
    fn classify_has_its_rules_and_tables() {
        let variables = [
            ("ANOMALY_CONFIG", CONFIG),
            ("STATES_TABLE", "s"),
            ("OUTBOX_TABLE", "o"),
            ("REJECTS_TABLE", "r"),
            ("JOURNAL_TABLE", "j"),
        ];
        let config = ClassifyConfig::from_env(lookup(&variables)).expect("complete");
        assert_eq!(config.policy.rules().len(), 1);
        assert_eq!(config.connection.session_token, None, "an empty variable is none");
        assert!(!format!("{config:?}").contains("hush"));
    }

    #[test]
    fn addresses_are_the_services_own_before_the_common_one() {
        let urls = |variables: &[(&str, &str)]| EndpointUrls::new(lookup(variables));
        let both = [("AWS_ENDPOINT_URL", "http://a"), ("AWS_ENDPOINT_URL_SQS", "http://b")];
        assert_eq!(urls(&both).sqs.as_deref(), Some("http://b"));
        assert_eq!(urls(&both).sns.as_deref(), Some("http://a"));
        let ignored = [both[0], both[1], ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")];
        assert_eq!(urls(&ignored), EndpointUrls::default());
    }
}
