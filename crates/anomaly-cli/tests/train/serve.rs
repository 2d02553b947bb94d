//! What was trained, served: as a person starts it, and as SageMaker does.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use super::{Bench, anomaly, csv};

/// A server that is ended when it goes out of scope.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(bench: &Bench, args: &[&str], environment: &[(&str, &str)]) -> Server {
        let mut command = Command::new(anomaly());
        command.current_dir(bench.dir.path()).arg("serve").args(args).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("runs");
        let mut url = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut url).expect("text");
        let Some(address) = url.trim().strip_prefix("http://").map(str::to_owned) else {
            let mut said = String::new();
            child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
            panic!("{url:?}: {said}");
        };
        Server { child, address }
    }

    fn exchange(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let length = body.len();
        write!(stream, "{head}\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
            .expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    }

    fn score(&self) -> String {
        self.exchange("POST /invocations HTTP/1.1\r\nContent-Type: text/csv", "20,100\n")
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().expect("runs").success());
    }
}

fn id(said: &super::Said) -> String {
    assert_eq!(said.code, 0, "{said:?}");
    let summary: serde_json::Value = serde_json::from_str(&said.stdout).expect("JSON");
    summary["model_id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_new_model_is_served_without_a_restart() {
    let bench = Bench::new();
    bench.put("history.csv", csv(200));
    let first = id(&bench.train("history.csv -o model.tar.gz --json"));
    let mut server = Server::start(&bench, &["--model", "model.tar.gz", "--address", "127.0.0.1:0"], &[]);
    assert!(server.score().contains(&format!("anomaly-model={first}")));
    let mut stderr = BufReader::new(server.child.stderr.take().expect("piped")).lines().map_while(Result::ok);

    // Asked for …
    let second = id(&bench.train("history.csv -o model.tar.gz --json --seed 2"));
    server.signal("-HUP");
    let told = stderr.find(|line| line.starts_with("serving model")).expect("told");
    assert_eq!(told, format!("serving model {second} from now on"));
    assert!(server.score().contains(&format!("anomaly-model={second}")));

    // … or noticed; and what cannot be served changes nothing.
    let third = id(&bench.train("history.csv -o model.tar.gz --json --seed 3"));
    let told = stderr.find(|line| line.starts_with("serving model")).expect("told");
    assert_eq!(told, format!("serving model {third} from now on"));
    assert_eq!(bench.train("history.csv -o model.tar.gz --value cpu").code, 0);
    server.signal("-HUP");
    let told = stderr.find(|line| line.contains("is not served")).expect("told");
    assert!(told.ends_with(
        "it takes cpu with 1 readings a row, not cpu, memory with 1 readings a row; restart to serve it"
    ));
    assert!(server.score().contains(&format!("anomaly-model={third}")));

    server.signal("-TERM");
    assert_eq!(server.child.wait().expect("ended").code(), Some(0));
}

#[test]
fn as_sagemaker_starts_it() {
    let bench = Bench::new();
    bench.put("ml/input/config/hyperparameters.json", r#"{"feature_dim": "2"}"#);
    let channels = r#"{"train": {"ContentType": "text/csv"}}"#;
    bench.put("ml/input/config/inputdataconfig.json", channels);
    let rows: String = (0..200).map(|n| format!("{},{}\n", n % 7, n % 5)).collect();
    bench.put("ml/input/data/train/rows.csv", rows);
    let opt_ml = bench.path("ml").display().to_string();
    let trained = Command::new(anomaly()).arg("train").env("ANOMALY_OPT_ML", &opt_ml).output().expect("runs");
    assert!(trained.status.success(), "{trained:?}");

    // A free port, as far as one can know.
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port().to_string();
    let environment = [("ANOMALY_OPT_ML", opt_ml.as_str()), ("SAGEMAKER_BIND_TO_PORT", port.as_str())];
    // Behind an entry point that says `serve` already, SageMaker says it again.
    let mut server = Server::start(&bench, &["serve"], &environment);
    assert_eq!(server.address, format!("0.0.0.0:{port}"));
    assert!(server.exchange("GET /ping HTTP/1.1", "").starts_with("HTTP/1.1 200 "));
    assert!(server.score().contains("{\"scores\":[{\"score\":"));
    server.signal("-TERM");
    assert_eq!(server.child.wait().expect("ended").code(), Some(0));
}
