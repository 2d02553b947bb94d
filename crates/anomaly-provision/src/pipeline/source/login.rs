//! How brokers know us: the secret, made or there, and who may read it.

use anomaly_core::config::{Auth, Source, SourceKind};

use crate::permission::{Statement, allow};
use crate::stack::{Parameter, Resource};
use crate::value::{Value, join, list, map, reference, select, split};

/// The parameter with the ARN of a secret that is there.
const SECRET_ARN: &str = "SourceSecretArn";
/// The parameter with the ARN of the secret that holds a private authority's root certificate.
const ROOT_CA_ARN: &str = "SourceRootCaArn";
/// The logical id of the secret that is made.
const SECRET: &str = "SourceSecret";

/// The parameters a secret is made of.
const CONNECTION_STRING: &str = "EventHubsConnectionString";
const USERNAME: &str = "KafkaUsername";
const PASSWORD: &str = "KafkaPassword";

/// What stands in a secret's JSON between quotation marks as it is.
const QUOTABLE: &str = r#"^[^"\\]+$"#;

/// What logging in takes.
#[derive(Default)]
pub(super) struct Login {
    pub(super) parameters: Vec<Parameter>,
    pub(super) resources: Vec<Resource>,
    pub(super) statements: Vec<Statement>,
    /// Items of the mapping's `SourceAccessConfigurations`.
    pub(super) access: Vec<Value>,
}

pub(super) fn of(source: &Source) -> Login {
    let mut login = Login::default();
    if let Some(way) = way(source.auth()) {
        match source.secret.as_deref() {
            Some(arn) => {
                login.parameters.push(there(SECRET_ARN, "The secret to log in to the brokers with", arn));
                login.use_secret("ReadSecret", way, SECRET_ARN);
            }
            None => {
                login.parameters.extend(typed_in(source.kind));
                login.resources.push(made(source.kind));
                login.use_secret("ReadSecret", way, SECRET);
            }
        }
    }
    if let Some(arn) = source.root_ca.as_deref() {
        login.parameters.push(there(ROOT_CA_ARN, "The secret with the root certificate", arn));
        login.use_secret("ReadRootCa", "SERVER_ROOT_CA_CERTIFICATE", ROOT_CA_ARN);
    }
    login.parameters.extend(super::kms_key_parameter(source));
    login.statements.extend(super::decrypt(source, "secretsmanager"));
    login
}

impl Login {
    fn use_secret(&mut self, statement: &'static str, way: &str, secret: &str) {
        self.statements.push(allow(statement, ["secretsmanager:GetSecretValue"], [reference(secret)]));
        self.access.push(map! { "Type": way, "URI": reference(secret) });
    }
}

/// What Lambda calls it (Lambda API reference, `SourceAccessConfiguration`).
fn way(auth: Auth) -> Option<&'static str> {
    match auth {
        Auth::Plain => Some("BASIC_AUTH"),
        Auth::ScramSha256 => Some("SASL_SCRAM_256_AUTH"),
        Auth::ScramSha512 => Some("SASL_SCRAM_512_AUTH"),
        Auth::Mtls => Some("CLIENT_CERTIFICATE_TLS_AUTH"),
        Auth::Iam | Auth::Secret | Auth::None => None,
    }
}

fn there(id: &'static str, description: &str, arn: &str) -> Parameter {
    Parameter::text(id, description)
        .with("Default", arn)
        .with("AllowedPattern", "^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+$")
}

/// What a secret is made of; not shown again.
fn typed_in(kind: SourceKind) -> Vec<Parameter> {
    let hidden = |id, description| Parameter::text(id, description).with("NoEcho", true);
    if kind == SourceKind::EventHubs {
        let text = "The connection string of a rule of the namespace that may listen";
        let pattern = r#"^Endpoint=sb://[^"\\]+;SharedAccessKeyName=[^"\\]+;SharedAccessKey=[^"\\]+$"#;
        return vec![hidden(CONNECTION_STRING, text).with("AllowedPattern", pattern)];
    }
    vec![
        Parameter::text(USERNAME, "Who logs in to the brokers").with("AllowedPattern", QUOTABLE),
        hidden(PASSWORD, "The password").with("AllowedPattern", QUOTABLE),
    ]
}

/// The secret as Lambda reads it: an object with a user name and a password.
fn made(kind: SourceKind) -> Resource {
    let text = if kind == SourceKind::EventHubs {
        // An event hub's user is `$ConnectionString`, by that name. A hub's own string ends in its path, with
        // which the Kafka endpoint refuses it.
        let namespace = select(0, split(";EntityPath=", reference(CONNECTION_STRING)));
        list![r#"{"username":"$ConnectionString","password":""#, namespace, r#""}"#]
    } else {
        list![r#"{"username":""#, reference(USERNAME), r#"","password":""#, reference(PASSWORD), r#""}"#]
    };
    Resource::new(
        SECRET,
        "AWS::SecretsManager::Secret",
        map! { "Description": "How brokers know who reads", "SecretString": join("", text) },
    )
}
