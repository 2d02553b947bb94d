//! Everything outside the functions: time, the stream, the queue, the tables, the topic, and what went on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::task::Waker;

use anomaly_core::alert::{Open, Transition};
use anomaly_core::classify::SeriesState;
use anomaly_core::message::Message;
use anomaly_core::position::{Position, Sequence};
use anomaly_core::reading::SeriesId;
use anomaly_core::time::Timestamp;
use anomaly_core::wire::{self, ChunkV1, TransitionV1};
use anomaly_pipeline::fault::Fault;
use anomaly_pipeline::ports::TransitionKey;
use fastrand::Rng;

use crate::chaos::{Chaos, Plan, Port, Spared, Strike};
use crate::course::{Course, Handed};
use crate::queue::{Fifo, Message as Queued};
use crate::scenario::{
    self, COUNT, EPOCH_MS, Mood, REFUSED, Reshard, Scenario, Truth, UNSCORED, WIDTH, number, score,
};
use crate::stream::Stream;
use crate::tables::{OUTBOX_SHARDS, Tables};
use crate::trace::Trace;

/// Something that is going to happen.
pub(crate) enum Event {
    /// A function waits for it.
    Wake(Waker),
    /// A call whose process is dead takes effect.
    Late(Box<dyn FnOnce(&mut World) + Send>),
    /// A producer puts a record.
    Put(usize),
    /// The shards change.
    Reshard(Reshard),
    /// The mapping asks a shard of the stream for records.
    PollStream(usize),
    /// The mapping asks the queue that is the source for messages.
    PollInbox,
    /// The mapping asks the queue of chunks for messages.
    PollQueue,
    /// The mapping asks a shard of the outbox's stream for changes.
    PollOutbox(usize),
    /// The schedule starts a sweep.
    Sweep,
    /// The schedule releases what waits in series that fell silent.
    Flush,
    /// An operator moves the dead letters back.
    Redrive,
    /// A function has run as long as it may.
    TimeOut(u64),
}

/// A function that is running.
#[derive(Clone, Debug, Default)]
pub(crate) struct Invocation {
    /// What was published by it and not marked yet.
    unmarked: Option<TransitionKey>,
}

/// A record that the source took.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) put: usize,
    pub(crate) partition: String,
    pub(crate) sequence: String,
    pub(crate) arrived_ms: i64,
}

/// How long a message of the queue of chunks is hidden, in milliseconds: the template's `VisibilityTimeout`.
const QUEUE_HIDDEN_MS: i64 = 180_000;
/// The same of the queue that is the source.
const INBOX_HIDDEN_MS: i64 = 361_000;

/// A message that people received.
#[derive(Clone, Debug)]
pub(crate) struct Delivery {
    pub(crate) key: TransitionKey,
    pub(crate) transition: Transition,
}

/// The world.
pub(crate) struct World {
    /// Milliseconds since the round began.
    pub(crate) now_ms: i64,
    agenda: BTreeMap<(i64, u64), Event>,
    order: u64,
    pub(crate) scenario: Scenario,
    pub(crate) dice: Rng,
    pub(crate) chaos: Chaos,
    pub(crate) trace: Trace,
    pub(crate) stream: Stream,
    /// The queue that is the source, if the stream is none.
    pub(crate) inbox: Fifo,
    /// The queue of chunks.
    pub(crate) queue: Fifo,
    pub(crate) tables: Tables,
    pub(crate) deliveries: Vec<Delivery>,
    pub(crate) invocations: BTreeMap<u64, Invocation>,
    /// Functions whose process is to die before anything else happens.
    pub(crate) dying: BTreeSet<u64>,
    /// How often a transition may have been sent once more, because a crash or a lost answer fell between the
    /// topic's taking it and the mark.
    pub(crate) excused: BTreeMap<TransitionKey, u32>,
    /// Whether anything happened after which an alert's end may overtake its beginning.
    pub(crate) is_order_excused: bool,
    /// What each function of the queue was handed, by series.
    pub(crate) handed: BTreeMap<u64, BTreeMap<SeriesId, Vec<Handed>>>,
    /// How the readings of each series were judged.
    pub(crate) courses: BTreeMap<SeriesId, Course>,
    /// What the source took, in its order.
    pub(crate) arrivals: Vec<Arrival>,
    /// Which put is where in the source: partition and sequence number.
    places: BTreeMap<(String, String), usize>,
    /// What was handed on to the queue: partition, sequence number, place in the record.
    handed_on: BTreeSet<(String, String, u32)>,
    /// What was promised and does not hold.
    pub(crate) problems: Vec<String>,
}

impl World {
    pub(crate) fn new(seed: u64, scenario: Scenario, spared: Spared, keeps_lines: bool) -> Self {
        let mut dice = Rng::with_seed(seed ^ 0x00d1_ce00);
        let chaos = Chaos::new(seed, &scenario, spared);
        let stream = Stream::new(scenario.shards, &mut dice);
        let mut world = World {
            now_ms: 0,
            agenda: BTreeMap::new(),
            order: 0,
            chaos,
            trace: Trace::new(keeps_lines),
            stream,
            inbox: Fifo::new("readings.fifo", INBOX_HIDDEN_MS),
            queue: Fifo::new("scored.fifo", QUEUE_HIDDEN_MS),
            tables: Tables::new(dice.bool()),
            deliveries: Vec::new(),
            invocations: BTreeMap::new(),
            dying: BTreeSet::new(),
            excused: BTreeMap::new(),
            is_order_excused: false,
            handed_on: BTreeSet::new(),
            handed: BTreeMap::new(),
            courses: BTreeMap::new(),
            arrivals: Vec::new(),
            places: BTreeMap::new(),
            problems: Vec::new(),
            scenario,
            dice,
        };
        world.fill_agenda();
        world
    }

    fn fill_agenda(&mut self) {
        let puts: Vec<i64> = self.scenario.puts.iter().map(|put| put.at_ms).collect();
        for (index, at_ms) in puts.into_iter().enumerate() {
            self.at(at_ms, Event::Put(index));
        }
        for (at_ms, how) in self.scenario.reshards.clone() {
            self.at(at_ms, Event::Reshard(how));
        }
        let first = self.dice.i64(0..300_000);
        self.at(first, Event::Sweep);
        if self.scenario.is_by_event_time {
            self.at(first % 60_000, Event::Flush);
        }
    }

    /// Plans `event` for the instant `at_ms`; events of one instant happen in the order of planning.
    pub(crate) fn at(&mut self, at_ms: i64, event: Event) {
        self.order += 1;
        self.agenda.insert((at_ms, self.order), event);
    }

    /// Plans `event` for `after_ms` from now.
    pub(crate) fn after(&mut self, after_ms: i64, event: Event) {
        self.at(self.now_ms + after_ms, event);
    }

    /// The next thing to happen; time moves there.
    pub(crate) fn next(&mut self) -> Option<Event> {
        let ((at_ms, _), event) = self.agenda.pop_first()?;
        self.now_ms = at_ms;
        Some(event)
    }

    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.trace.note(self.now_ms, what);
    }

    pub(crate) fn problem(&mut self, what: String) {
        self.note(format_args!("PROBLEM {what}"));
        self.problems.push(what);
    }

    /// What befalls a call of `invocation`, which is about `what`.
    pub(crate) fn plan(&mut self, invocation: u64, port: Port, what: fmt::Arguments<'_>) -> Plan {
        let plan = self.chaos.plan(port, self.now_ms);
        match plan.strike {
            None => self.note(format_args!("#{invocation} {port:?} {what}")),
            Some(strike) => {
                let number = self.chaos.numbered() - 1;
                self.note(format_args!("#{invocation} {port:?} {what} STRIKE {number} {strike:?}"));
                self.is_order_excused |= excuses_order(port, strike);
            }
        }
        plan
    }

    /// A function has ended, or its process is dead.
    pub(crate) fn forget(&mut self, invocation: u64, has_died: bool) {
        let ended = self.invocations.remove(&invocation).unwrap_or_default();
        if let Some(key) = ended.unmarked.filter(|_| has_died) {
            self.excuse(&key);
        }
    }

    pub(crate) fn excuse(&mut self, key: &TransitionKey) {
        *self.excused.entry(key.clone()).or_default() += 1;
    }

    /// The outbox may have changed: its stream will be read.
    pub(crate) fn tell_publish(&mut self) {
        let soon = self.dice.i64(50..300);
        (0..OUTBOX_SHARDS).for_each(|shard| self.after(soon, Event::PollOutbox(shard)));
    }

    /// The endpoint's answer.
    pub(crate) fn score(&self, rows: &[Vec<f64>]) -> Result<Vec<f64>, Fault> {
        const OPERATION: &str = "invoke endpoint";
        let spell = |s: &&crate::scenario::Spell| (s.from_ms..s.to_ms).contains(&self.now_ms);
        let mut scores: Vec<f64> = rows.iter().map(|row| score(row)).collect();
        match self.scenario.spells.iter().find(spell).map(|spell| spell.mood) {
            None => {}
            Some(Mood::Throttled) => return Err(Fault::throttled(OPERATION, "ThrottlingException")),
            Some(Mood::Down) => return Err(Fault::transient(OPERATION, "ServiceUnavailable")),
            Some(Mood::Short) => drop(scores.remove(0)),
            Some(Mood::Small) if rows.len() > 2 => return Err(Fault::refused(OPERATION, "413")),
            Some(Mood::Small) => {}
        }
        let v = |row: &Vec<f64>| row[row.len() - WIDTH];
        let is_refused = |row: &Vec<f64>| v(row) == REFUSED;
        if rows.iter().any(is_refused) {
            return Err(Fault::refused(OPERATION, "400"));
        }
        for (row, score) in rows.iter().zip(&mut scores) {
            if v(row) == UNSCORED {
                *score = f64::NAN;
            }
        }
        Ok(scores)
    }

    /// The queue takes a chunk.
    pub(crate) fn send(&mut self, group: &str, deduplication: &str, body: &str) {
        let _ = self.queue.send(group, deduplication, body, self.now_ms);
        match wire::read::<ChunkV1>(body) {
            Ok(ChunkV1 { partition, rows, rejects, .. }) => {
                let rows = rows.into_iter().map(|row| (row.sequence, row.sub));
                let places = rows.chain(rejects.into_iter().map(|reject| (reject.sequence, reject.sub)));
                let place =
                    |(sequence, sub): (Sequence, u32)| (partition.to_string(), sequence.to_string(), sub);
                self.handed_on.extend(places.map(place));
            }
            Err(error) => self.problem(format!("a chunk that cannot be read: {error}")),
        }
        let soon = self.dice.i64(10..150);
        self.after(soon, Event::PollQueue);
    }

    /// The topic takes a message.
    pub(crate) fn publish(&mut self, invocation: u64, key: &TransitionKey, message: &Message) -> String {
        let machine = serde_json::from_str::<serde_json::Value>(&message.bodies)
            .ok()
            .and_then(|bodies| wire::read::<TransitionV1>(bodies["https"].as_str()?).ok());
        match machine {
            Some(TransitionV1 { transition, .. }) => {
                self.note(format_args!("TOLD {} {}", message.subject, message.bodies));
                if TransitionKey::of(&transition) != *key {
                    self.problem(format!("a message of another transition than {key:?}"));
                }
                self.deliveries.push(Delivery { key: key.clone(), transition });
            }
            None => self.problem(format!("a message no machine can read: {}", message.bodies)),
        }
        // A process that is dead by now has nobody to mark it: that was excused when it was struck.
        if let Some(running) = self.invocations.get_mut(&invocation) {
            running.unmarked = Some(key.clone());
        }
        format!("sns-{}", self.deliveries.len())
    }

    pub(crate) fn mark_sent(&mut self, invocation: u64, key: &TransitionKey, message_id: &str) {
        self.tables.mark_sent(key, message_id);
        self.tell_publish();
        if let Some(running) = self.invocations.get_mut(&invocation) {
            running.unmarked = None;
        }
    }

    /// A call that published or marked `key` was struck: was it sent without a mark?
    pub(crate) fn struck(&mut self, invocation: u64, port: Port, strike: Strike, key: &TransitionKey) {
        use Strike::{FailAfter, FailBefore, KillAfter, KillBefore, KillLate};
        let is_lost = match port {
            Port::Publish => matches!(strike, FailAfter | KillAfter | KillLate),
            Port::Mark => matches!(strike, FailBefore | KillBefore | KillLate),
            _ => false,
        };
        if is_lost {
            self.excuse(key);
        }
        // It must not be excused a second time when the process ends.
        if let Some(running) = self.invocations.get_mut(&invocation).filter(|_| is_lost) {
            running.unmarked = None;
        }
    }

    /// The source takes the record `put`.
    pub(crate) fn take(&mut self, put: usize) {
        let key = self.scenario.puts[put].key;
        let (partition, sequence) = if self.scenario.is_queue {
            let (group, text) = (format!("g{}", key % 3), self.scenario.puts[put].bytes.clone());
            let body = String::from_utf8_lossy(&text);
            let sequence = self.inbox.send(&group, &format!("d{put}"), &body, self.now_ms);
            (format!("{}/{group}", self.inbox.name), sequence.unwrap_or_default())
        } else {
            let shard = self.stream.put(key, put, self.now_ms);
            let sequence = self.stream.shards[shard].records.last().map(|record| record.sequence.clone());
            let soon = self.dice.i64(0..2_000);
            self.after(soon, Event::PollStream(shard));
            (Stream::partition(shard), sequence.unwrap_or_default())
        };
        self.note(format_args!("put {put} into {partition}"));
        self.places.insert((partition.clone(), sequence.clone()), put);
        let soon = self.dice.i64(0..2_000);
        if self.scenario.is_queue {
            self.after(soon, Event::PollInbox);
        }
        let arrived_ms = EPOCH_MS + self.now_ms;
        self.arrivals.push(Arrival { put, partition, sequence, arrived_ms });
    }

    /// Records of the stream that the mapping passes for ever must have been handed on.
    pub(crate) fn check_passed(&mut self, shard: usize, from: usize, to: usize) {
        for index in from..to {
            let sequence = self.stream.shards[shard].records[index].sequence.clone();
            self.check_handed_on(Stream::partition(shard), sequence);
        }
    }

    /// All that is in a record that never comes again must have been handed on.
    pub(crate) fn check_handed_on(&mut self, partition: String, sequence: String) {
        let put = self.places.get(&(partition.clone(), sequence.clone()));
        let count = put.map_or(0, |put| self.scenario.puts[*put].truths.len()) as u32;
        for sub in 0..count {
            if !self.handed_on.contains(&(partition.clone(), sequence.clone(), sub)) {
                self.problem(format!("{partition} {sequence} was passed, and its {sub} not handed on"));
            }
        }
    }

    /// The number of the reading at a place of the source.
    fn number(&self, partition: &str, sequence: &Sequence, sub: u32) -> Option<usize> {
        let put = self.places.get(&(partition.to_owned(), sequence.to_string()))?;
        Some(number(*put, sub))
    }

    /// `invocation` is handed a message of the queue.
    pub(crate) fn hand(&mut self, invocation: u64, message: &Queued) {
        let Ok(ChunkV1 { partition, rows, .. }) = wire::read::<ChunkV1>(&message.body) else { return };
        for row in rows {
            let Some(number) = self.number(&partition, &row.sequence, row.sub) else { continue };
            let (partition, arrived_ms) = (partition.to_string(), row.arrived_ms.as_ms());
            let handed = self.handed.entry(invocation).or_default().entry(row.series).or_default();
            handed.push(Handed { number, partition, arrived_ms });
        }
    }

    /// `invocation` has written the state of `series`, or the one beside it.
    pub(crate) fn wrote(&mut self, invocation: u64, series: &SeriesId, state: &SeriesState) {
        let Some(handed) = self.handed.get(&invocation) else { return };
        for (name, message) in handed {
            if name == series {
                self.courses.entry(name.clone()).or_default().wrote(message);
            } else if name.late() == *series {
                let course = self.courses.entry(name.clone()).or_default();
                course.wrote_late(message);
                if let Some(open) = counting(state) {
                    course.count_late(open.anomalous);
                }
            }
        }
    }

    /// Which readings were in messages that were given up. Such a reading may come in another message before its own
    /// is moved back: a batch that came again was cut otherwise.
    pub(crate) fn dead(&self) -> BTreeSet<usize> {
        let chunks = self.queue.given_up_bodies.iter().filter_map(|body| wire::read::<ChunkV1>(body).ok());
        let numbers = chunks.flat_map(|ChunkV1 { partition, rows, .. }| {
            rows.into_iter().map(move |row| self.number(&partition, &row.sequence, row.sub))
        });
        numbers.flatten().collect()
    }

    /// What is in a message that is taken off the queue must be judged or kept.
    pub(crate) fn check_deleted(&mut self, message: &Queued) {
        let Ok(chunk) = wire::read::<ChunkV1>(&message.body) else {
            return self.problem(format!("message {} was done with and cannot be read", message.id));
        };
        let mut lost = Vec::new();
        for row in &chunk.rows {
            let position = Position {
                partition: chunk.partition.clone(),
                sequence: row.sequence.clone(),
                sub: row.sub,
                arrived: row.arrived_ms,
            };
            let state = self.tables.states.get(&row.series);
            let state = state.and_then(|(bytes, _)| SeriesState::decode(bytes).ok());
            let number = self.number(&chunk.partition, &row.sequence, row.sub);
            let course = self.courses.get(&row.series);
            let is_judged = number.is_some_and(|number| course.is_some_and(|course| course.holds(number)));
            if !is_judged || !state.is_some_and(|state| state.has_seen(&position)) {
                lost.push(format!("row {} of {}", row.sequence, row.series));
            }
        }
        for reject in &chunk.rejects {
            let place = (reject.partition.to_string(), reject.sequence.to_string(), reject.sub);
            if !self.tables.rejects.contains_key(&place) {
                lost.push(format!("reject {}", reject.sequence));
            }
        }
        if !lost.is_empty() {
            self.problem(format!("message {} is done with, but not its {}", message.id, lost.join(", ")));
        }
    }

    /// What the records put so far hold, with its places, in the order in which the source took it.
    pub(crate) fn truths(&self) -> Vec<(Position, &Truth)> {
        let truths = self.arrivals.iter().flat_map(|Arrival { put, partition, sequence, arrived_ms }| {
            let position = Position {
                partition: partition.as_str().into(),
                sequence: Sequence::new(sequence),
                sub: 0,
                arrived: Timestamp::from_ms(*arrived_ms).unwrap_or_default(),
            };
            let truths = (0..).zip(&self.scenario.puts[*put].truths);
            truths.map(move |(sub, truth)| (Position { sub, ..position.clone() }, truth))
        });
        truths.collect()
    }

    /// The reading of this number, if it is one.
    pub(crate) fn reading(&self, number: usize) -> Option<&scenario::Reading> {
        match self.scenario.truth(number) {
            Some(Truth::Reading(reading)) => Some(reading),
            _ => None,
        }
    }

    /// The number of the reading at `position`.
    pub(crate) fn number_at(&self, position: &Position) -> Option<usize> {
        self.number(&position.partition, &position.sequence, position.sub)
    }

    /// Whether nothing is under way between the stream and the states.
    pub(crate) fn is_at_rest(&self) -> bool {
        self.invocations.is_empty()
            && self.now_ms >= self.scenario.well_from_ms
            && self.stream.is_drained()
            && self.inbox.is_empty()
            && self.queue.is_empty()
    }

    /// Whether there is nothing left to do.
    pub(crate) fn is_settled(&self) -> bool {
        self.is_at_rest()
            && self.tables.shards.iter().all(|shard| shard.cursor.is_at_end(shard.changes.len()))
            && self.tables.outbox.values().all(|row| row.message_id.is_some())
            && !self.tables.has_held()
    }
}

/// The alert that counts the readings judged in `state`.
pub(crate) fn counting(state: &SeriesState) -> Option<&Open> {
    state.watches().find(|(rule, _)| *rule == COUNT.name).and_then(|(_, watch)| watch.open())
}

/// A claim whose holder is gone, or slow, holds its transition back until the lease ends, and the stream goes
/// on to the next one. A failure that is told gives no such excuse.
fn excuses_order(port: Port, strike: Strike) -> bool {
    match (port, strike) {
        (Port::Claim, Strike::FailAfter) | (Port::Release, Strike::FailBefore) => true,
        (_, Strike::FailBefore | Strike::FailAfter) => false,
        (port, _) => matches!(port, Port::Claim | Port::Mark | Port::Publish | Port::Release),
    }
}

/// `ms` since the round began.
pub(crate) fn instant(ms: i64) -> Timestamp {
    Timestamp::from_ms(EPOCH_MS + ms).unwrap_or_default()
}
