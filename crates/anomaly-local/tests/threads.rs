//! Series that are spread over threads: what is found, what is written and what is left to carry on from do not depend on
//! how many there are.

mod steps;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anomaly_core::alert::Transition;
use anomaly_core::config::Config;
use anomaly_local::detect::{Options, Summary, Watcher, detect};
use anomaly_local::input::{InputError, Rows, Source, Stop};
use redb::{Database, Key, ReadableDatabase, ReadableTable, TableDefinition, Value};

use steps::Steps;

const THREADS: [usize; 4] = [1, 2, 3, 8];
const HOSTS: u32 = 13;

/// Rows of thirteen hosts in turn, but for those that fall silent for a while, one whose rows come late by some, one
/// with values that are none, and one row whose clock is a day ahead; each host has a fault of its own time.
fn rows(seconds: std::ops::Range<u32>) -> String {
    let mut text = "timestamp,host,latency_ms,requests\n".to_owned();
    for second in seconds {
        let silent = |host: u32| host % 5 == 3 && (60 + host..96 + 2 * host).contains(&second);
        for host in (0..HOSTS).filter(|host| !silent(*host)) {
            let noise = f64::from((second * 13 + host).wrapping_mul(2_654_435_761) >> 16 & 0xff) / 64.0;
            let broken = (40 + host * 7..46 + host * 7).contains(&second);
            let latency = if broken { 900.0 + noise } else { 20.0 + noise };
            let latency =
                if host == 6 && second % 17 == 0 { "?".to_owned() } else { format!("{latency:.2}") };
            let at = if host == 5 { second ^ 3 } else { second };
            let day = if (host, second) == (9, 130) { 2 } else { 1 };
            let time = format!("2026-01-{day:02}T00:{:02}:{:02}Z", at / 60, at % 60);
            text += &format!("{time},host-{host},{latency},{:.0}\n", 100.0 + f64::from(at % 7));
        }
    }
    text
}

/// The same hosts, one behind the other.
fn sorted_by_host(rows: &str) -> String {
    let (header, rows) = rows.split_once('\n').expect("a header");
    let mut rows: Vec<&str> = rows.lines().collect();
    rows.sort_by_key(|row| row.split(',').nth(1).map(str::to_owned));
    format!("{header}\n{}\n", rows.join("\n"))
}

const RULES: &str = "[[rule]]\nname = \"slow\"\non = \"latency_ms\"\nfor = \"2 of 2\"\n\
    method = { kind = \"static\", threshold = 100.0 }\nclear = { for = \"5 of 5\" }\n\
    [[rule]]\nname = \"quiet\"\nmethod = { kind = \"no-data\", after = \"30s\" }\n\
    [[rule]]\nname = \"mute\"\nmethod = { kind = \"no-data\", after = \"20s\" }\n\
    [[rule]]\nname = \"strange\"\nfor = \"1 of 1\"\nmethod = { kind = \"sigma\", k = 2.0 }\n";
const BY_TIME: &str = "[input]\ntime = \"/timestamp\"\nseries = \"/host\"\n\
    [input.event_time]\nlate = \"10s\"\nout_of_order = \"5s\"\n";
const EMBEDDED: &str = "[model]\nkind = \"embedded\"\n";

/// All that runs said and left.
#[derive(Debug, PartialEq)]
struct Left {
    steps: Vec<Transition>,
    files: BTreeMap<&'static str, String>,
    summaries: Vec<String>,
    state: BTreeMap<String, String>,
}

/// Asks to stop with the step of that number, as a person does who has seen enough.
struct Leaving {
    steps: Steps,
    at: usize,
    stop: Stop,
}

impl Watcher for Leaving {
    fn opened(&mut self, _: &Source, _: &Rows) {}
    fn read(&mut self, _: u64) {}
    fn stepped(&mut self, transition: &Transition) -> io::Result<()> {
        if self.steps.0.len() == self.at {
            self.stop.request();
        }
        self.steps.stepped(transition)
    }
    fn explained(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn note(&mut self, _: &str, _: &str) {}
    fn problem(&mut self, error: &InputError) {
        panic!("{error}");
    }
}

struct Case<'c> {
    config: &'c str,
    text: &'c str,
    memory_bytes: Option<usize>,
    /// With which steps runs are asked to stop, one after the other.
    stops: &'c [usize],
    has_state: bool,
}

impl Case<'_> {
    fn run(&self, folder: &Path, threads: usize) -> Left {
        let _ = fs::remove_dir_all(folder);
        fs::create_dir_all(folder).expect("made");
        let path = |name: &str| folder.join(name);
        fs::write(path("hosts.csv"), self.text).expect("written");
        let options = || Options {
            config: Config::from_toml(self.config).expect("a configuration"),
            state: self.has_state.then(|| path("state")),
            memory_bytes: self.memory_bytes,
            scores: Some(path("scores.csv")),
            findings: Some(path("findings.jsonl")),
            alerts: Some(path("alerts.jsonl")),
            rejects: Some(path("rejects.jsonl")),
            threads: NonZeroUsize::new(threads),
            ..Options::default()
        };
        let (mut steps, mut summaries) = (Vec::new(), Vec::new());
        for at in self.stops.iter().copied().chain([usize::MAX]) {
            let stop = Stop::default();
            let mut leaving = Leaving { steps: Steps::default(), at, stop: stop.clone() };
            let sources = Source::all(&[path("hosts.csv")]);
            let summary = detect(&sources, options(), &stop, &mut leaving).expect("runs");
            assert_eq!(summary.stopped, at != usize::MAX, "{at}");
            // How far a run goes after it was asked to stop is its own affair.
            summaries.extend(self.stops.is_empty().then(|| said(&summary)));
            steps.extend(leaving.steps.0);
        }
        let file = |name| (name, fs::read_to_string(path(name)).expect("written"));
        let files = ["scores.csv", "findings.jsonl", "alerts.jsonl", "rejects.jsonl"].map(file);
        let state = if self.has_state { state(&path("state/state")) } else { BTreeMap::new() };
        Left { steps, files: BTreeMap::from(files), summaries, state }
    }

    fn check(&self) {
        let folder = tempfile::tempdir().expect("a folder");
        let place = folder.path().join("run");
        let one = self.run(&place, 1);
        assert!(one.steps.len() > 20, "{}", one.steps.len());
        for threads in &THREADS[1..] {
            let several = self.run(&place, *threads);
            assert_eq!(several.summaries, one.summaries, "{threads} threads");
            assert_eq!(several.steps, one.steps, "{threads} threads");
            for (name, text) in &one.files {
                assert!(several.files[name] == *text, "{threads} threads: other {name}");
            }
            for (row, bytes) in &one.state {
                assert_eq!(several.state.get(row), Some(bytes), "{threads} threads: {row}");
            }
            assert_eq!(several.state.len(), one.state.len());
        }
    }
}

fn said(summary: &Summary) -> String {
    format!("{summary:?}")
}

/// All that the state holds, but for how often a row was written, which depends on when was time to save.
fn state(path: &PathBuf) -> BTreeMap<String, String> {
    let database = Database::open(path).expect("closed by the run");
    let mut all = BTreeMap::new();
    dump::<&str, (u64, Option<i64>, &[u8])>(&database, "states", &mut all, |(_, due, bytes)| {
        format!("{due:?} {bytes:?}")
    });
    dump::<&str, (i64, Vec<&str>, u32)>(&database, "series", &mut all, |row| format!("{row:?}"));
    dump::<(&str, u32), &[u8]>(&database, "learned", &mut all, |row| format!("{row:?}"));
    dump::<&str, &[u8]>(&database, "inputs", &mut all, |row| format!("{row:?}"));
    dump::<&str, u64>(&database, "outputs", &mut all, |row| format!("{row:?}"));
    dump::<&str, &[u8]>(&database, "waiting", &mut all, |row| format!("{row:?}"));
    all
}

fn dump<K, V>(
    database: &Database,
    name: &str,
    all: &mut BTreeMap<String, String>,
    show: impl Fn(V::SelfType<'_>) -> String,
) where
    K: Key + 'static,
    V: Value + 'static,
    for<'k> K::SelfType<'k>: Debug,
{
    let reading = database.begin_read().expect("readable");
    let table = reading.open_table(TableDefinition::<K, V>::new(name)).expect("there");
    for row in table.iter().expect("readable") {
        let (key, value) = row.expect("readable");
        all.insert(format!("{name} {:?}", key.value()), show(value.value()));
    }
}

#[test]
fn series_in_turn_are_judged_alike_by_any_number_of_threads() {
    let (config, text) = (format!("{EMBEDDED}{RULES}"), rows(0..240));
    for (has_state, memory_bytes) in [(false, None), (true, None), (true, Some(60_000))] {
        Case { config: &config, text: &text, memory_bytes, stops: &[], has_state }.check();
    }
}

#[test]
fn series_one_behind_the_other_are_judged_alike_by_any_number_of_threads() {
    let (config, text) = (format!("{EMBEDDED}{RULES}"), sorted_by_host(&rows(0..240)));
    Case { config: &config, text: &text, memory_bytes: Some(60_000), stops: &[], has_state: true }.check();
}

#[test]
fn readings_that_wait_are_judged_alike_by_any_number_of_threads() {
    let (config, text) = (format!("{BY_TIME}{EMBEDDED}{RULES}"), rows(0..240));
    for memory_bytes in [None, Some(60_000)] {
        Case { config: &config, text: &text, memory_bytes, stops: &[], has_state: true }.check();
    }
}

#[test]
fn forests_of_series_are_alike_whoever_has_them() {
    let config = format!("[model]\nkind = \"forest\"\nshingle = 2\n{RULES}");
    let text = rows(0..110);
    Case { config: &config, text: &text, memory_bytes: Some(6_000_000), stops: &[], has_state: true }.check();
}

#[test]
fn a_run_that_is_told_to_stop_is_carried_on_by_any_number_of_threads() {
    for by_time in ["", BY_TIME] {
        let (config, text) = (format!("{by_time}{EMBEDDED}{RULES}"), rows(0..600));
        Case { config: &config, text: &text, memory_bytes: None, stops: &[1, 4], has_state: true }.check();
    }
}

#[test]
fn a_series_with_other_features_ends_its_input_at_its_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.csv"), "timestamp,host,v\n1,x,1\n2,y,2\n").expect("written");
    let others: String = (1..400).map(|at| format!("{at},z{},7\n", at % 9)).collect();
    let after = others.replace(",z", ",w");
    fs::write(path("b.csv"), format!("timestamp,host,u\n{others}400,y,5\n{after}")).expect("written");
    let mut said = Vec::new();
    for threads in THREADS {
        let options = Options {
            config: Config::from_toml("[model]\nkind = \"none\"\n").expect("a configuration"),
            scores: Some(path("scores")),
            threads: NonZeroUsize::new(threads),
            ..Options::default()
        };
        struct Deaf;
        impl Watcher for Deaf {
            fn opened(&mut self, _: &Source, _: &Rows) {}
            fn read(&mut self, _: u64) {}
            fn stepped(&mut self, _: &Transition) -> io::Result<()> {
                Ok(())
            }
            fn explained(&mut self, _: &str) -> io::Result<()> {
                Ok(())
            }
            fn note(&mut self, _: &str, _: &str) {}
            fn problem(&mut self, _: &InputError) {}
        }
        let sources = Source::all(&[path("a.csv"), path("b.csv")]);
        let summary = detect(&sources, options, &Stop::default(), &mut Deaf).expect("runs");
        assert_eq!((summary.readings, summary.series), (2 + 399, 2 + 9));
        assert_eq!(summary.problems.len(), 1);
        assert!(summary.problems[0].problem.contains("series y has the features v"), "{summary:?}");
        said.push((format!("{summary:?}"), fs::read_to_string(path("scores/b.csv")).expect("written")));
    }
    assert!(said.iter().all(|one| *one == said[0]));
}
