//! Events of a bus whose details are records: through a queue, or straight to the function.

use anomaly_core::config::Source;

use super::queue::{self, Filler};
use super::{PATIENCE_HOURS, Part, direct};
use crate::stack::Resource;
use crate::value::{Entry, Value, attribute, list, map};

const SERVICE: &str = "events.amazonaws.com";

pub(super) fn part(source: &Source) -> Part {
    let filler = Filler { service: SERVICE, arn: attribute("RecordRule.Arn") };
    if source.direct {
        let mut part = direct::part(&filler);
        part.calls.push(super::may_call("RuleMayCall", SERVICE, filler.arn));
        part.calls.push(rule(source, super::function_arn(), None));
        return part;
    }
    let mut part = queue::made(source, false, Some(&filler));
    // The detail alone, as `invoke` would take it out of the event.
    part.calls.push(rule(source, queue::queue_arn(), Some(Entry::new("InputPath", "$.detail"))));
    part
}

/// What the bus cannot hand over within a day is kept.
fn rule(source: &Source, target: Value, path: Option<Entry>) -> Resource {
    let pattern = source.pattern.as_ref().map(|pattern| serde_json::Value::from(pattern.clone()).to_string());
    let mut target = vec![Entry::new("Id", "records"), Entry::new("Arn", target)];
    target.extend(path);
    // 24 hours and 185 tries are the most there is, and what EventBridge does by itself (its user guide, "Retry
    // policy and using dead-letter queues").
    let retries =
        map! { "MaximumEventAgeInSeconds": PATIENCE_HOURS * 3_600, "MaximumRetryAttempts": 185_u32 };
    target.push(Entry::new("RetryPolicy", retries));
    target.push(Entry::new("DeadLetterConfig", map! { "Arn": queue::dead_letters_arn() }));
    let bus = source.bus.as_deref().map(|bus| Entry::new("EventBusName", bus));
    let mut properties: Vec<Entry> = bus.into_iter().collect();
    properties.push(Entry::new("EventPattern", pattern.unwrap_or_default()));
    properties.push(Entry::new("Targets", list![Value::Map(target)]));
    Resource::new("RecordRule", "AWS::Events::Rule", Value::Map(properties))
}
