//! An SQS FIFO queue with its dead-letter queue.
//!
//! From the SQS developer guide: messages of a group are received in order, and none while one of the group is
//! in flight; a message that was not deleted comes again when its visibility time-out ends; after as many
//! receives as the redrive policy says it goes to the dead-letter queue; a deduplication id seen within five
//! minutes is accepted and dropped.

use std::collections::{BTreeMap, VecDeque};

/// How long a deduplication id is remembered, in milliseconds.
const REMEMBERED_MS: i64 = 300_000;

/// A message.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) group: String,
    deduplication: String,
    pub(crate) body: String,
    /// Rising within the queue.
    pub(crate) sequence: String,
    pub(crate) sent_ms: i64,
    receives: u32,
    visible_ms: i64,
    /// Whether it was in the dead-letter queue.
    pub(crate) was_dead: bool,
}

/// The queue.
#[derive(Clone, Debug)]
pub(crate) struct Fifo {
    pub(crate) name: &'static str,
    /// How long a received message is hidden, in milliseconds.
    hidden_ms: i64,
    groups: BTreeMap<String, VecDeque<Message>>,
    remembered: BTreeMap<(String, String), i64>,
    dead: Vec<Message>,
    ids: u64,
    /// How many messages were given up.
    pub(crate) given_up: u64,
    /// What was in them.
    pub(crate) given_up_bodies: Vec<String>,
    /// How many sends were recognised as repeated.
    pub(crate) deduplicated: u64,
}

impl Fifo {
    pub(crate) fn new(name: &'static str, hidden_ms: i64) -> Self {
        Fifo {
            name,
            hidden_ms,
            groups: BTreeMap::new(),
            remembered: BTreeMap::new(),
            dead: Vec::new(),
            ids: 0,
            given_up: 0,
            given_up_bodies: Vec::new(),
            deduplicated: 0,
        }
    }

    /// The sequence number of the message, unless it was sent before.
    pub(crate) fn send(
        &mut self,
        group: &str,
        deduplication: &str,
        body: &str,
        now_ms: i64,
    ) -> Option<String> {
        let key = (group.to_owned(), deduplication.to_owned());
        if self.remembered.get(&key).is_some_and(|sent| now_ms - sent < REMEMBERED_MS) {
            self.deduplicated += 1;
            return None;
        }
        self.remembered.insert(key, now_ms);
        self.ids += 1;
        // 20 digits, as SQS gives them.
        let sequence = (18_849_496_460_467_696_128_u128 + u128::from(self.ids) * 256).to_string();
        let message = Message {
            id: format!("m{}", self.ids),
            group: group.to_owned(),
            deduplication: deduplication.to_owned(),
            body: body.to_owned(),
            sequence: sequence.clone(),
            sent_ms: now_ms,
            receives: 0,
            visible_ms: now_ms,
            was_dead: false,
        };
        self.groups.entry(group.to_owned()).or_default().push_back(message);
        Some(sequence)
    }

    /// The next messages of the groups that have none in flight, up to `most` of each.
    ///
    /// What was received `receives_max` times goes to the dead-letter queue; so does, while `is_giving_up`, what
    /// was never received.
    pub(crate) fn receive(
        &mut self,
        now_ms: i64,
        most: usize,
        receives_max: u32,
        is_giving_up: bool,
    ) -> Vec<Vec<Message>> {
        let is_lost = |message: &mut Message| {
            let Message { receives, was_dead, .. } = message;
            *receives >= receives_max || is_giving_up && *receives == 0 && !*was_dead
        };
        let mut received = Vec::new();
        for messages in self.groups.values_mut() {
            if messages.iter().any(|message| message.visible_ms > now_ms) {
                continue;
            }
            while let Some(message) = messages.pop_front_if(is_lost) {
                self.given_up += 1;
                self.given_up_bodies.push(message.body.clone());
                self.dead.push(message);
            }
            let batch = messages.iter_mut().take(most).map(|message| {
                message.receives += 1;
                message.visible_ms = now_ms + self.hidden_ms;
                message.clone()
            });
            let batch: Vec<Message> = batch.collect();
            if !batch.is_empty() {
                received.push(batch);
            }
        }
        received
    }

    pub(crate) fn delete(&mut self, message: &Message) {
        if let Some(messages) = self.groups.get_mut(&message.group) {
            messages.retain(|m| m.id != message.id);
        }
    }

    /// When the next message that is hidden comes back.
    pub(crate) fn next_visible_ms(&self, now_ms: i64) -> Option<i64> {
        let hidden = self.groups.values().flatten().map(|message| message.visible_ms);
        hidden.filter(|visible| *visible > now_ms).min()
    }

    /// Moves everything from the dead-letter queue back, as an operator does who has mended something.
    pub(crate) fn redrive(&mut self, now_ms: i64) -> usize {
        let dead = std::mem::take(&mut self.dead);
        let count = dead.len();
        for message in dead {
            self.ids += 1;
            let id = format!("m{}", self.ids);
            let message = Message { id, receives: 0, visible_ms: now_ms, was_dead: true, ..message };
            self.groups.entry(message.group.clone()).or_default().push_back(message);
        }
        count
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.dead.is_empty() && self.groups.values().all(VecDeque::is_empty)
    }

    pub(crate) fn has_dead(&self) -> bool {
        !self.dead.is_empty()
    }
}

impl Message {
    /// The message as it stands in an event of the queue `name`.
    pub(crate) fn json(&self, name: &str) -> String {
        let Message { id, group, deduplication, body, sequence, receives, .. } = self;
        let sent = crate::scenario::EPOCH_MS + self.sent_ms;
        let body = serde_json::Value::from(body.as_str());
        format!(
            r#"{{"messageId":"{id}","receiptHandle":"r","body":{body},"attributes":{{"ApproximateReceiveCount":"{receives}","SentTimestamp":"{sent}","SequenceNumber":"{sequence}","MessageGroupId":"{group}","MessageDeduplicationId":"{deduplication}"}},"messageAttributes":{{}},"eventSource":"aws:sqs","eventSourceARN":"arn:aws:sqs:eu-west-1:123456789012:{name}","awsRegion":"eu-west-1"}}"#
        )
    }
}
