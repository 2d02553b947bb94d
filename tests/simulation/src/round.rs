//! A round: the functions run, one poll at a time, in a world whose time moves from event to event.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use anomaly_aws::event::{BatchResponse, EventError};
use anomaly_aws::source::{Intake, Reply};
use anomaly_core::classify::Policy;
use anomaly_core::decode::Decoder;
use anomaly_core::group::Groups;
use anomaly_core::rejects::Versions;
use anomaly_core::window::Plan;
use anomaly_pipeline::classify::Tables;
use anomaly_pipeline::invoke::{Driver, Limits};

use crate::chaos::{PORTS, Port, STRIKES, Spared, Strike};
use crate::mapping::{Answer, Settled, Span};
use crate::ports::{Ports, lock};
use crate::queue::Message;
use crate::scenario::Scenario;
use crate::trace::Trace;
use crate::verdict;
use crate::world::{Event, World, instant};

/// How long `invoke` may run, in milliseconds: the template's `Timeout`.
const INVOKE_MS: i64 = 60_000;
/// How long `classify` and `publish` may run, in milliseconds: the template's `Timeout`.
const OTHERS_MS: i64 = 30_000;
/// What `invoke` keeps of it for its answer, in milliseconds: as `clock::budget`.
const RESERVE_MS: u64 = 5_000;
/// How often a batch is tried again: the template's `MaximumRetryAttempts`.
const INVOKE_ATTEMPTS_MAX: u32 = 100;
const PUBLISH_ATTEMPTS_MAX: u32 = 50;
/// Between sweeps, in milliseconds: the template's schedule.
const SWEEP_MS: i64 = 300_000;
/// Between flushes, in milliseconds: the template's schedule.
const FLUSH_MS: i64 = 60_000;
/// Once all is well, everything must be settled within this time, in milliseconds: several visibility time-outs
/// and sweeps, and the six hours after which a reading that waits is released though nothing came.
const SETTLING_MS: i64 = 10 * 3_600_000;

/// What a round is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The seed.
    pub seed: u64,
    /// Only this many records.
    pub puts_max: usize,
    /// Strikes that do not happen.
    pub spared: Spared,
    /// Whether the story is kept as text.
    pub keeps_lines: bool,
}

impl Question {
    /// The round of `seed`, whole.
    pub fn of(seed: u64) -> Self {
        Question { seed, puts_max: usize::MAX, spared: Spared::default(), keeps_lines: false }
    }
}

/// What came of a round.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Promises that did not hold.
    pub problems: Vec<String>,
    /// The story.
    pub trace: Trace,
    /// Strikes that came up, spared ones included.
    pub strikes: usize,
    /// What went on, for knowing that a run of seeds saw everything.
    pub counts: Counts,
}

/// What went on in a round, or in many.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Strikes by port and kind.
    pub strikes: Vec<[u64; STRIKES.len()]>,
    /// Records put.
    pub records: u64,
    /// Functions run.
    pub invocations: u64,
    /// Processes that died.
    pub deaths: u64,
    /// Transitions that people were told of.
    pub told: u64,
    /// Transitions told once more.
    pub told_again: u64,
    /// Records that were at fault.
    pub rejects: u64,
    /// Messages given up to the dead-letter queue.
    pub dead_letters: u64,
    /// Sends that the queue recognised as repeated.
    pub deduplicated: u64,
    /// Writes that found somebody else's.
    pub conflicts: u64,
    /// Shards that were opened by splits and merges.
    pub reshards: u64,
}

impl Default for Counts {
    fn default() -> Self {
        Counts {
            strikes: vec![[0; STRIKES.len()]; PORTS.len()],
            records: 0,
            invocations: 0,
            deaths: 0,
            told: 0,
            told_again: 0,
            rejects: 0,
            dead_letters: 0,
            deduplicated: 0,
            conflicts: 0,
            reshards: 0,
        }
    }
}

impl Counts {
    /// Adds another round's.
    pub fn add(&mut self, other: &Counts) {
        for (ours, theirs) in self.strikes.iter_mut().flatten().zip(other.strikes.iter().flatten()) {
            *ours += theirs;
        }
        self.records += other.records;
        self.invocations += other.invocations;
        self.deaths += other.deaths;
        self.told += other.told;
        self.told_again += other.told_again;
        self.rejects += other.rejects;
        self.dead_letters += other.dead_letters;
        self.deduplicated += other.deduplicated;
        self.conflicts += other.conflicts;
        self.reshards += other.reshards;
    }
}

/// Runs a round.
pub fn run(question: &Question) -> Outcome {
    let scenario = match Scenario::new(question.seed, PORTS.len(), question.puts_max) {
        Ok(scenario) => scenario,
        Err(error) => return refused(error),
    };
    match Round::new(question, scenario) {
        Ok(mut round) => {
            round.run();
            round.finish()
        }
        Err(error) => refused(error),
    }
}

fn refused(error: String) -> Outcome {
    Outcome { problems: vec![error], trace: Trace::new(false), strikes: 0, counts: Counts::default() }
}

/// Which function, and what it was handed.
#[derive(Clone, Debug)]
enum Source {
    Stream { shard: usize, span: Span },
    Inbox(Vec<Message>),
    Queue(Vec<Message>),
    Outbox { shard: usize, span: Span },
    Sweep,
    Flush,
}

type Handler = Pin<Box<dyn Future<Output = Result<BatchResponse, EventError>>>>;

/// A function that is running.
struct Task {
    source: Source,
    future: Handler,
    waker: Waker,
    container: Option<Arc<Container>>,
}

/// Functions that can go on.
type Ready = Arc<Mutex<VecDeque<u64>>>;

struct TaskWaker {
    task: u64,
    ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        let mut ready = lock(&self.ready);
        if !ready.contains(&self.task) {
            ready.push_back(self.task);
        }
    }
}

/// What the functions are configured with.
struct Setup {
    intake: Intake,
    policy: Policy,
    limits: Limits,
}

/// A process of `invoke`, which takes one event after the other until it dies.
type Container = Driver<Ports, Ports, Ports>;

struct Round {
    world: Arc<Mutex<World>>,
    setup: Arc<Setup>,
    tasks: BTreeMap<u64, Task>,
    ready: Ready,
    /// Containers that have nothing to do.
    idle: Vec<Arc<Container>>,
    started: u64,
    deaths: u64,
}

impl Round {
    fn new(question: &Question, scenario: Scenario) -> Result<Self, String> {
        let decoder = Decoder::new(&scenario.config.input)?;
        let policy = Policy::new(&scenario.config, decoder.feature_names());
        let limits = Limits {
            rows_max: scenario.rows_max,
            in_flight_max: scenario.in_flight_max,
            groups: Groups::new(scenario.groups),
            rejected_by: Some(Versions::of(&scenario.config)),
            ..Limits::default()
        };
        let setup = Setup { intake: Intake::new(decoder), policy, limits };
        let world = World::new(question.seed, scenario, question.spared.clone(), question.keeps_lines);
        Ok(Round {
            world: Arc::new(Mutex::new(world)),
            setup: Arc::new(setup),
            tasks: BTreeMap::new(),
            ready: Ready::default(),
            idle: Vec::new(),
            started: 0,
            deaths: 0,
        })
    }

    fn run(&mut self) {
        loop {
            self.poll_ready();
            let event = {
                let mut world = lock(&self.world);
                if world.is_settled() || !world.problems.is_empty() {
                    return;
                }
                if world.now_ms > world.scenario.well_from_ms + SETTLING_MS {
                    return world.problem("not settled ten hours after all was well".to_owned());
                }
                world.next()
            };
            match event {
                Some(event) => self.happen(event),
                None => return,
            }
        }
    }

    fn poll_ready(&mut self) {
        loop {
            let next = lock(&self.ready).pop_front();
            let Some(id) = next else { return };
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            let poll = || task.future.as_mut().poll(&mut Context::from_waker(&task.waker));
            let polled = catch_unwind(AssertUnwindSafe(poll));
            let is_dying = lock(&self.world).dying.remove(&id);
            match polled {
                Err(_) => {
                    lock(&self.world).problem(format!("{:?} panicked", task.source));
                    self.end(id, None);
                }
                Ok(_) if is_dying => self.end(id, None),
                Ok(Poll::Ready(answer)) => self.end(id, Some(answer)),
                Ok(Poll::Pending) => {}
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Wake(waker) => waker.wake(),
            Event::Late(effect) => {
                let mut world = lock(&self.world);
                world.note(format_args!("a dead process' call takes effect"));
                effect(&mut world);
            }
            Event::Put(put) => lock(&self.world).take(put),
            Event::Reshard(how) => self.reshard(how),
            Event::PollStream(shard) => self.poll_stream(shard),
            Event::PollInbox => self.poll_inbox(),
            Event::PollQueue => self.poll_queue(),
            Event::PollOutbox(shard) => self.poll_outbox(shard),
            Event::Sweep => self.sweep(),
            Event::Flush => self.flush(),
            Event::Redrive => {
                let mut world = lock(&self.world);
                let now_ms = world.now_ms;
                let count = world.queue.redrive(now_ms);
                world.note(format_args!("{count} dead letters moved back"));
                world.after(0, Event::PollQueue);
            }
            Event::TimeOut(id) => {
                if self.tasks.contains_key(&id) {
                    lock(&self.world).note(format_args!("#{id} timed out"));
                    self.end(id, None);
                }
            }
        }
    }

    fn reshard(&mut self, how: crate::scenario::Reshard) {
        let mut world = lock(&self.world);
        let world = &mut *world;
        world.stream.reshard(how, &mut world.dice);
        world.note(format_args!("{how:?}, {} shards so far", world.stream.shards.len()));
    }

    fn poll_stream(&mut self, shard: usize) {
        let mut world = lock(&self.world);
        let (now_ms, batch) = (world.now_ms, world.scenario.batch);
        if world.stream.shards[shard].not_before_ms > now_ms {
            let at_ms = world.stream.shards[shard].not_before_ms;
            return world.at(at_ms, Event::PollStream(shard));
        }
        let Some(span) = world.stream.take(shard, batch) else { return };
        let event = world.stream.event(shard, span, &world.scenario.puts);
        world.note(format_args!("invoke gets {}..{} of shard {shard}", span.start, span.end));
        drop(world);
        self.invoke(Source::Stream { shard, span }, event);
    }

    /// Hands `event` to a container of `invoke`.
    fn invoke(&mut self, source: Source, event: String) {
        let setup = Arc::clone(&self.setup);
        let container = self.container();
        let driver = Arc::clone(&container);
        let ports = container.timer().clone();
        self.start_in(Some(container), ports, source, INVOKE_MS, |ports, now_ms| async move {
            let turn = driver.turn(Duration::from_millis(INVOKE_MS.unsigned_abs() - RESERVE_MS));
            let now = instant(now_ms);
            match lambda_invoke::handle(&turn, &ports, &setup.intake, &event, now).await? {
                Reply::Items(response) => Ok(response),
                other => Err(EventError::WholeBatch { why: format!("no mapping reads {other:?}") }),
            }
        });
    }

    fn poll_inbox(&mut self) {
        let batches = {
            let mut world = lock(&self.world);
            let (now_ms, most) = (world.now_ms, world.scenario.batch);
            let batches = world.inbox.receive(now_ms, most, u32::MAX, false);
            mix(&mut world, batches, most)
        };
        for messages in batches {
            let event = {
                let mut world = lock(&self.world);
                world.note(format_args!("invoke gets {:?}", ids(&messages)));
                event_of(world.inbox.name, &messages)
            };
            self.invoke(Source::Inbox(messages), event);
        }
    }

    fn poll_queue(&mut self) {
        let batches = {
            let mut world = lock(&self.world);
            let (now_ms, most) = (world.now_ms, world.scenario.messages);
            let is_giving_up = world.scenario.outages.iter().any(|outage| outage.contains(&now_ms));
            let receives_max = world.scenario.receives_max;
            let batches = world.queue.receive(now_ms, most, receives_max, is_giving_up);
            if world.queue.has_dead() {
                let later = world.dice.i64(60_000..3_600_000);
                world.after(later, Event::Redrive);
            }
            mix(&mut world, batches, most)
        };
        for messages in batches {
            let event = event_of(lock(&self.world).queue.name, &messages);
            {
                let mut world = lock(&self.world);
                world.note(format_args!("classify gets {:?}", ids(&messages)));
                messages.iter().for_each(|message| world.hand(self.started + 1, message));
            }
            let setup = Arc::clone(&self.setup);
            self.start(Source::Queue(messages), OTHERS_MS, |ports, now_ms| async move {
                let tables = Tables::new(&ports, &ports, &ports);
                lambda_classify::handle(tables, &setup.policy, &event, instant(now_ms)).await
            });
        }
    }

    fn poll_outbox(&mut self, shard: usize) {
        let mut world = lock(&self.world);
        let (now_ms, most) = (world.now_ms, world.scenario.transitions);
        let of = &mut world.tables.shards[shard];
        if of.not_before_ms > now_ms {
            let at_ms = of.not_before_ms;
            return world.at(at_ms, Event::PollOutbox(shard));
        }
        let Some(span) = of.cursor.take(of.changes.len(), most) else { return };
        let event = world.tables.event(shard, span);
        world.note(format_args!("publish gets {}..{} of shard {shard}", span.start, span.end));
        drop(world);
        self.start(Source::Outbox { shard, span }, OTHERS_MS, |ports, now_ms| publish(ports, event, now_ms));
    }

    fn sweep(&mut self) {
        let is_twice = {
            let mut world = lock(&self.world);
            world.note(format_args!("sweep"));
            world.after(SWEEP_MS, Event::Sweep);
            // The schedule calls at least once.
            world.dice.u8(..) < 64
        };
        for _ in 0..1 + usize::from(is_twice) {
            let event = r#"{"sweep":true}"#.to_owned();
            self.start(Source::Sweep, OTHERS_MS, |ports, now_ms| publish(ports, event, now_ms));
        }
    }

    fn flush(&mut self) {
        {
            let mut world = lock(&self.world);
            // Where nothing moves any more, hours pass quicker.
            let minutes = if world.is_at_rest() { 10 } else { 1 };
            world.after(minutes * FLUSH_MS, Event::Flush);
        }
        let setup = Arc::clone(&self.setup);
        self.start(Source::Flush, OTHERS_MS, |ports, now_ms| async move {
            let event = r#"{"flush":true}"#;
            let tables = Tables::new(&ports, &ports, &ports);
            lambda_classify::handle(tables, &setup.policy, event, instant(now_ms)).await
        });
    }

    /// An idle container of `invoke`, or a new one.
    fn container(&mut self) -> Arc<Container> {
        self.idle.pop().unwrap_or_else(|| {
            let ports = Ports::new(&self.world);
            let (seed, shingle) = {
                let mut world = lock(&self.world);
                (world.dice.u64(..), world.scenario.shingle)
            };
            let driver = Driver::new(Some(ports.clone()), ports.clone(), self.setup.limits, seed);
            Arc::new(driver.with_windows(ports, Plan { shingle, ..Plan::plain() }))
        })
    }

    fn start<F>(&mut self, source: Source, may_run_ms: i64, handler: impl FnOnce(Ports, i64) -> F)
    where
        F: Future<Output = Result<BatchResponse, EventError>> + 'static,
    {
        let ports = Ports::new(&self.world);
        self.start_in(None, ports, source, may_run_ms, handler);
    }

    fn start_in<F>(
        &mut self,
        container: Option<Arc<Container>>,
        ports: Ports,
        source: Source,
        may_run_ms: i64,
        handler: impl FnOnce(Ports, i64) -> F,
    ) where
        F: Future<Output = Result<BatchResponse, EventError>> + 'static,
    {
        self.started += 1;
        let id = self.started;
        let now_ms = {
            let mut world = lock(&self.world);
            world.invocations.insert(id, crate::world::Invocation::default());
            world.after(may_run_ms, Event::TimeOut(id));
            world.now_ms
        };
        ports.work_at(id);
        let future = Box::pin(handler(ports, now_ms));
        let waker = Waker::from(Arc::new(TaskWaker { task: id, ready: Arc::clone(&self.ready) }));
        waker.wake_by_ref();
        self.tasks.insert(id, Task { source, future, waker, container });
    }

    /// The function `id` has answered, or, without an answer, its process is dead.
    fn end(&mut self, id: u64, answer: Option<Result<BatchResponse, EventError>>) {
        let Some(task) = self.tasks.remove(&id) else { return };
        let source = task.source;
        // Everything of it ends here, before the world goes on.
        drop(task.future);
        // A dead process is not asked again.
        self.idle.extend(task.container.filter(|_| answer.is_some()));
        let mut world = lock(&self.world);
        world.forget(id, answer.is_none());
        self.deaths += u64::from(answer.is_none());
        let answer = match answer {
            // The answer may be lost on its way.
            Some(answer) => match world.plan(id, Port::Answer, format_args!("{answer:?}")).strike {
                None | Some(Strike::Slow) => answer.ok(),
                Some(_) => None,
            },
            None => {
                world.note(format_args!("#{id} is dead"));
                None
            }
        };
        match source {
            Source::Stream { shard, span } => settle_stream(&mut world, shard, span, answer),
            Source::Inbox(messages) => settle_inbox(&mut world, id, &messages, answer),
            Source::Queue(messages) => settle_queue(&mut world, id, &messages, answer),
            Source::Outbox { shard, span } => settle_outbox(&mut world, shard, span, answer),
            Source::Sweep | Source::Flush => {}
        }
    }

    fn finish(self) -> Outcome {
        let mut world = lock(&self.world);
        if world.problems.is_empty() {
            for problem in verdict::problems(&world, &self.setup.policy) {
                world.problem(problem);
            }
        }
        let told: usize = world.tables.outbox.len();
        let counts = Counts {
            strikes: world.chaos.counts.clone(),
            records: world.scenario.puts.len() as u64,
            invocations: self.started,
            deaths: self.deaths,
            told: told as u64,
            told_again: (world.deliveries.len() - told.min(world.deliveries.len())) as u64,
            rejects: world.tables.rejects.len() as u64,
            dead_letters: world.queue.given_up,
            deduplicated: world.queue.deduplicated,
            conflicts: world.tables.conflicts,
            reshards: (world.stream.shards.len() - world.scenario.shards) as u64,
        };
        Outcome {
            problems: world.problems.clone(),
            trace: world.trace.clone(),
            strikes: world.chaos.numbered(),
            counts,
        }
    }
}

async fn publish(ports: Ports, event: String, now_ms: i64) -> Result<BatchResponse, EventError> {
    // As `clock::surely_gone`: a second after the function may run no longer.
    let lease_until = instant(now_ms + OTHERS_MS + 1_000);
    lambda_publish::handle(&ports, &ports, &event, instant(now_ms), lease_until).await
}

/// A batch may hold messages of several groups.
fn mix(world: &mut World, batches: Vec<Vec<Message>>, most: usize) -> Vec<Vec<Message>> {
    let mut mixed: Vec<Vec<Message>> = Vec::new();
    for batch in batches {
        match mixed.last_mut() {
            Some(last) if last.len() + batch.len() <= most && world.dice.bool() => last.extend(batch),
            _ => mixed.push(batch),
        }
    }
    mixed
}

/// What the mapping of a stream makes of an answer; `index_of` finds a sequence number in the span.
fn read_answer(answer: Option<BatchResponse>, index_of: impl Fn(&str) -> Option<usize>) -> Answer {
    let Some(response) = answer else { return Answer::Failed };
    let indices: Option<Vec<usize>> = response.failures.iter().map(|f| index_of(&f.id)).collect();
    match indices {
        // An identifier that is not of the batch is a failure of all of it.
        None => Answer::Failed,
        Some(indices) => indices.into_iter().min().map_or(Answer::Done, Answer::ResumeAt),
    }
}

fn settle_stream(world: &mut World, shard: usize, span: Span, answer: Option<BatchResponse>) {
    let of = &mut world.stream.shards[shard];
    let index_of = |id: &str| (span.start..span.end).find(|index| of.records[*index].sequence == id);
    let answer = read_answer(answer, index_of);
    let settled = of.cursor.settle(answer, INVOKE_ATTEMPTS_MAX);
    of.not_before_ms = world.now_ms + settled.wait_ms;
    let Settled { from, to, is_given_up, wait_ms } = settled;
    world.note(format_args!("shard {shard}: {answer:?}, on in {wait_ms} ms"));
    if is_given_up {
        world.problem(format!("the mapping gave up records {from}..{to} of shard {shard}"));
    } else {
        world.check_passed(shard, from, to);
    }
    world.after(wait_ms, Event::PollStream(shard));
    // Children may go on once their parents are read.
    if world.stream.shards[shard].cursor.is_at_end(world.stream.shards[shard].records.len()) {
        (0..world.stream.shards.len()).for_each(|other| world.after(200, Event::PollStream(other)));
    }
}

fn settle_outbox(world: &mut World, shard: usize, span: Span, answer: Option<BatchResponse>) {
    let index_of = |id: &str| (span.start..span.end).find(|i| crate::tables::change_name(*i) == id);
    let answer = read_answer(answer, index_of);
    let of = &mut world.tables.shards[shard];
    // What is given up here is left to the sweep.
    let settled = of.cursor.settle(answer, PUBLISH_ATTEMPTS_MAX);
    of.not_before_ms = world.now_ms + settled.wait_ms;
    world.note(format_args!("outbox {shard}: {answer:?}"));
    world.after(settled.wait_ms, Event::PollOutbox(shard));
}

fn ids(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.id.as_str()).collect()
}

/// The event in which Lambda hands over `messages` of the queue `name`.
fn event_of(name: &str, messages: &[Message]) -> String {
    let bodies: Vec<String> = messages.iter().map(|message| message.json(name)).collect();
    format!(r#"{{"Records":[{}]}}"#, bodies.join(","))
}

/// Those of `messages` that `answer` does not name: the mapping takes them off the queue.
fn done(messages: &[Message], answer: Option<BatchResponse>) -> Vec<&Message> {
    let Some(answer) = answer else { return Vec::new() };
    let is_done = |message: &&Message| !answer.failures.iter().any(|failure| failure.id == message.id);
    messages.iter().filter(is_done).collect()
}

fn settle_inbox(world: &mut World, id: u64, messages: &[Message], answer: Option<BatchResponse>) {
    for message in done(messages, answer) {
        let partition = format!("{}/{}", world.inbox.name, message.group);
        world.check_handed_on(partition, message.sequence.clone());
        match world.plan(id, Port::Delete, format_args!("{}", message.id)).strike {
            None | Some(Strike::Slow) => world.inbox.delete(message),
            // It comes again.
            Some(_) => {}
        }
    }
    let next_ms = world.inbox.next_visible_ms(world.now_ms).unwrap_or(world.now_ms);
    world.at(next_ms, Event::PollInbox);
    world.after(1, Event::PollInbox);
}

fn settle_queue(world: &mut World, id: u64, messages: &[Message], answer: Option<BatchResponse>) {
    for message in done(messages, answer) {
        world.check_deleted(message);
        match world.plan(id, Port::Delete, format_args!("{}", message.id)).strike {
            None | Some(Strike::Slow) => world.queue.delete(message),
            // It comes again.
            Some(_) => {}
        }
    }
    let next_ms = world.queue.next_visible_ms(world.now_ms).unwrap_or(world.now_ms);
    world.at(next_ms, Event::PollQueue);
    world.after(1, Event::PollQueue);
}
