//! Where the model goes, and that nothing else is lost by it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use super::{Bench, anomaly, csv};

#[test]
fn the_same_history_and_seed_make_the_same_file() {
    let bench = Bench::new();
    bench.put("history.csv", csv(300));
    for name in ["a.tar.gz", "b.tar.gz"] {
        let said = bench.train(&format!("history.csv --seed 7 -o {name}"));
        assert_eq!(said.code, 0, "{said:?}");
    }
    assert_eq!(bench.train("history.csv --seed 8 -o c.tar.gz").code, 0);
    assert!(bench.get("a.tar.gz") == bench.get("b.tar.gz"));
    assert!(bench.get("a.tar.gz") != bench.get("c.tar.gz"));
    assert_eq!(bench.names(), ["a.tar.gz", "b.tar.gz", "c.tar.gz", "history.csv"]);
}

#[test]
fn a_history_is_never_written_over() {
    let bench = Bench::new();
    let history = csv(100);
    for name in ["history.csv", "sub/again.csv"] {
        bench.put(name, &history);
    }
    symlink(bench.path("history.csv"), bench.path("link.csv")).expect("linked");
    fs::hard_link(bench.path("history.csv"), bench.path("hard.csv")).expect("linked");
    for args in [
        "history.csv -o history.csv",
        "sub/again.csv history.csv -o ./sub/../history.csv",
        "history.csv -o link.csv",
        "link.csv -o history.csv",
        "history.csv -o hard.csv",
        "history.csv -o model.tar.gz --calibration link.csv",
    ] {
        let said = bench.train(args);
        assert_eq!((said.code, said.stdout.as_str()), (2, ""), "{args}: {said:?}");
        assert!(said.stderr.contains("it is the history that is to be learned"), "{args}: {said:?}");
    }
    let redirected = Command::new(anomaly())
        .args(["train", "-", "-o"])
        .arg(bench.path("history.csv"))
        .stdin(File::open(bench.path("history.csv")).expect("there"))
        .output()
        .expect("runs");
    assert!(String::from_utf8_lossy(&redirected.stderr).contains("it is the history"), "{redirected:?}");
    assert_eq!(bench.get("history.csv"), history.as_bytes());
    assert_eq!(bench.names(), ["hard.csv", "history.csv", "link.csv", "sub"]);
}

#[test]
fn nor_is_anything_else_but_a_model() {
    let bench = Bench::new();
    bench.put("history.csv", csv(100));
    bench.put("precious.csv", "a,b\n1,2\n");
    fs::create_dir(bench.path("folder")).expect("made");
    for (output, why) in [
        ("precious.csv", "it holds something else than a model, which would be lost"),
        ("folder", "it is a folder"),
        ("/dev/null", "it is no plain file"),
        ("/dev/stdout", "it is no plain file"),
        ("no/where.tar.gz", "there is no folder no"),
        ("-", "the model cannot go to standard output"),
        ("..", "it is not the name of a file"),
    ] {
        let said = bench.train(&format!("history.csv -o {output}"));
        assert_eq!(said.code, 2, "{output}: {said:?}");
        assert!(said.stderr.contains(why), "{output}: {said:?}");
    }
    let said = bench.train("history.csv -o model.tar.gz --calibration model.tar.gz");
    assert!(said.stderr.contains("model.tar.gz is where the model goes"), "{said:?}");
    assert_eq!(bench.names(), ["folder", "history.csv", "precious.csv"]);
    assert_eq!(bench.get("precious.csv"), b"a,b\n1,2\n");
    // An earlier model, and an empty file that `mktemp` made, may be: behind a link too, which stays one.
    bench.put("model.tar.gz", "");
    symlink(bench.path("model.tar.gz"), bench.path("current")).expect("linked");
    for seed in [1, 2] {
        let said = bench.train(&format!("history.csv --seed {seed} -o current"));
        assert_eq!(said.code, 0, "{said:?}");
    }
    assert!(fs::symlink_metadata(bench.path("current")).expect("there").is_symlink());
    assert_eq!(bench.get("model.tar.gz")[..2], [0x1f, 0x8b]);
}

#[test]
fn all_sizes_that_are_wrong_are_told_before_anything_is_read() {
    let bench = Bench::new();
    let said = bench.anomaly("train nothing.csv --trees 0 --sample-size 1 --shingle 129");
    assert_eq!(
        said.stderr,
        "error: a model cannot be trained so: trees is 0, must be 1 to 1000; sample size is 1, must be 2 to 2048; \
         129 readings a row are not 1 to 128\n"
    );
}

#[test]
fn a_signal_ends_it_and_nothing_is_left() {
    let bench = Bench::new();
    let mut child = Command::new(anomaly())
        .current_dir(bench.dir.path())
        .args(["train", "-", "-o", "model.tar.gz"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut stdin = child.stdin.take().expect("piped");
    // A bad row first: once it is told, the run is hearing signals and reading.
    stdin.write_all(format!("{}x,y,z\n", csv(200)).as_bytes()).expect("heard");
    let mut stderr = child.stderr.take().expect("piped");
    let mut said = String::new();
    while !said.contains("is left out") {
        let mut some = [0; 512];
        let n = stderr.read(&mut some).expect("text");
        assert!(n > 0, "it ended: {said}");
        said += std::str::from_utf8(&some[..n]).expect("text");
    }
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().expect("runs").success());
    stderr.read_to_string(&mut said).expect("text");
    assert_eq!(child.wait().expect("ended").code(), Some(2), "{said}");
    assert!(said.ends_with("error: stopped before the end; no model was written\n"), "{said}");
    assert!(bench.names().is_empty(), "{:?}", bench.names());
    drop(stdin);
}
