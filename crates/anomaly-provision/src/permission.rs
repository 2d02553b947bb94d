//! Who may do what: the statements of policies and the roles made of them.

use crate::stack::Resource;
use crate::value::{Entry, Value, list, map};

/// One capability of a role: some actions on some resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    id: &'static str,
    actions: Vec<&'static str>,
    resources: Vec<Value>,
    condition: Option<Value>,
}

/// Allows `actions` on `resources`.
pub(crate) fn allow<const A: usize, const R: usize>(
    id: &'static str,
    actions: [&'static str; A],
    resources: [Value; R],
) -> Statement {
    Statement { id, actions: actions.into(), resources: resources.into(), condition: None }
}

impl Statement {
    /// Allows it only under `condition`.
    pub(crate) fn when(self, condition: Value) -> Self {
        Statement { condition: Some(condition), ..self }
    }

    fn into_value(self) -> Value {
        let mut entries = vec![
            Entry::new("Sid", self.id),
            Entry::new("Effect", "Allow"),
            Entry::new("Action", one_or_list(self.actions.into_iter().map(Value::from).collect())),
            Entry::new("Resource", one_or_list(self.resources)),
        ];
        entries.extend(self.condition.map(|condition| Entry::new("Condition", condition)));
        Value::Map(entries)
    }
}

fn one_or_list(mut values: Vec<Value>) -> Value {
    if values.len() == 1 { values.remove(0) } else { Value::List(values) }
}

/// A policy document of `statements`.
pub(crate) fn document(statements: Vec<Value>) -> Value {
    map! { "Version": "2012-10-17", "Statement": statements }
}

/// A role that `service` takes on, with `statements` and nothing else: no managed policy, whose resources
/// would be `*`.
pub(crate) fn role(id: String, service: &str, statements: Vec<Statement>) -> Resource {
    let trust =
        map! { "Effect": "Allow", "Principal": map! { "Service": service }, "Action": "sts:AssumeRole" };
    role_trusting(id, trust, statements)
}

/// [`role`] with the trust statement written out.
pub(crate) fn role_trusting(id: String, trust: Value, statements: Vec<Statement>) -> Resource {
    let statements = statements.into_iter().map(Statement::into_value).collect();
    let policy = map! { "PolicyName": "least", "PolicyDocument": document(statements) };
    Resource::new(
        id,
        "AWS::IAM::Role",
        map! { "AssumeRolePolicyDocument": document(vec![trust]), "Policies": list![policy] },
    )
}

/// A policy for roles that others bring: what they are allowed here is written here.
pub(crate) fn managed_policy(id: &'static str, description: &str, statements: Vec<Statement>) -> Resource {
    let statements = statements.into_iter().map(Statement::into_value).collect();
    Resource::new(
        id,
        "AWS::IAM::ManagedPolicy",
        map! { "Description": description, "PolicyDocument": document(statements) },
    )
}

/// Denies `action` on `resource` to whoever comes without TLS.
pub(crate) fn deny_without_tls(action: &str, resource: Value) -> Value {
    map! {
        "Sid": "TlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": map! { "Bool": map! { "aws:SecureTransport": "false" } },
    }
}

/// Lets a service act only for this account (the confused deputy, IAM user guide).
pub(crate) fn for_this_account() -> Value {
    map! { "StringEquals": map! { "aws:SourceAccount": crate::value::reference("AWS::AccountId") } }
}
