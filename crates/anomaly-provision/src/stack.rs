//! A CloudFormation stack as a value: what a template says, before it is text.

use crate::value::{Entry, Value, map};
use crate::yaml;

/// A stack: parameters, conditions, resources and outputs, in the order they are shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stack {
    /// What stands above everything: what this file is and how it is made anew.
    pub(crate) header: String,
    pub(crate) description: &'static str,
    /// The macro that reads the template before CloudFormation does: SAM, or none.
    pub(crate) transform: Option<&'static str>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) conditions: Vec<(&'static str, Value)>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) outputs: Vec<Output>,
}

/// A value given at deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    id: &'static str,
    properties: Vec<Entry>,
}

/// One resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    pub(crate) id: String,
    pub(crate) kind: &'static str,
    comment: Option<&'static str>,
    /// What stands beside `Properties`: `Condition`, `DeletionPolicy`, `Metadata`.
    pub(crate) attributes: Vec<Entry>,
    pub(crate) properties: Value,
}

/// A value others read from the stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Output {
    id: &'static str,
    description: &'static str,
    value: Value,
}

impl Parameter {
    pub(crate) fn text(id: &'static str, description: &str) -> Self {
        Self::of("String", id, description)
    }

    pub(crate) fn number(id: &'static str, description: &str) -> Self {
        Self::of("Number", id, description)
    }

    fn of(kind: &str, id: &'static str, description: &str) -> Self {
        Parameter { id, properties: vec![Entry::new("Type", kind), Entry::new("Description", description)] }
    }

    /// Adds a property such as `Default` or `AllowedPattern`.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.properties.push(Entry::new(key, value));
        self
    }
}

impl Resource {
    pub(crate) fn new(id: impl Into<String>, kind: &'static str, properties: Value) -> Self {
        Resource { id: id.into(), kind, comment: None, attributes: Vec::new(), properties }
    }

    /// Adds an attribute beside `Properties`.
    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.attributes.push(Entry::new(key, value));
        self
    }

    /// Says above the resource why it is as it is.
    pub(crate) fn because(self, comment: &'static str) -> Self {
        Resource { comment: Some(comment), ..self }
    }

    fn entry(&self) -> Entry {
        let mut entries = vec![Entry::new("Type", self.kind)];
        entries.extend(self.attributes.iter().cloned());
        entries.push(Entry::new("Properties", self.properties.clone()));
        Entry { comment: self.comment, key: self.id.clone(), value: Value::Map(entries) }
    }
}

impl Output {
    pub(crate) fn new(id: &'static str, description: &'static str, value: Value) -> Self {
        Output { id, description, value }
    }
}

impl Stack {
    /// The template as YAML.
    pub(crate) fn to_yaml(&self) -> String {
        let header: String = self.header.lines().map(|line| format!("# {line}\n")).collect();
        // A blank line before each section and each resource: the file is read more often than written.
        let sections: Vec<String> = self.sections().iter().map(section).collect();
        format!("{header}{}", sections.concat())
    }

    /// The template's top level.
    pub(crate) fn sections(&self) -> Vec<Entry> {
        let mut top = vec![Entry::new("AWSTemplateFormatVersion", "2010-09-09")];
        top.extend(self.transform.map(|name| Entry::new("Transform", name)));
        top.push(Entry::new("Description", self.description));
        let parameters = self.parameters.iter().map(|p| Entry::new(p.id, Value::Map(p.properties.clone())));
        let conditions = self.conditions.iter().map(|(id, value)| Entry::new(*id, value.clone()));
        let resources = self.resources.iter().map(Resource::entry);
        let outputs = self
            .outputs
            .iter()
            .map(|o| Entry::new(o.id, map! { "Description": o.description, "Value": o.value.clone() }));
        let sections = [
            ("Parameters", parameters.collect::<Vec<Entry>>()),
            ("Conditions", conditions.collect()),
            ("Resources", resources.collect()),
            ("Outputs", outputs.collect()),
        ];
        let filled = sections.into_iter().filter(|(_, entries)| !entries.is_empty());
        top.extend(filled.map(|(name, entries)| Entry::new(name, Value::Map(entries))));
        top
    }
}

fn section(entry: &Entry) -> String {
    match &entry.value {
        Value::Map(entries) if entry.key == "Resources" => {
            let resources: Vec<String> = entries.iter().map(indented).collect();
            format!("\n{}:\n{}", entry.key, resources.join("\n"))
        }
        Value::Map(_) => format!("\n{}", yaml::document(std::slice::from_ref(entry))),
        _ => yaml::document(std::slice::from_ref(entry)),
    }
}

fn indented(entry: &Entry) -> String {
    let text = yaml::document(std::slice::from_ref(entry));
    text.lines().map(|line| format!("  {line}\n")).collect()
}
