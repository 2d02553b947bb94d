//! The image without Docker: a root in which nothing is but the command, started as SageMaker starts a container.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{Bench, anomaly};

/// Names a binary to put there in place of the one of this build, such as one that is linked statically.
const BINARY: &str = "ANOMALY_STATIC_BIN";

/// The command as `/anomaly`, and the libraries it is linked with, if any.
fn furnish(root: &Path) {
    let binary = std::env::var_os(BINARY).map_or_else(|| anomaly().to_owned(), PathBuf::from);
    fs::copy(&binary, root.join("anomaly")).expect("copied");
    let linked = Command::new("ldd").arg(&binary).output().expect("runs");
    let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
    for library in linked.split_whitespace().filter(|word| word.starts_with('/')) {
        let place = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(place.parent().expect("in a folder")).expect("made");
        fs::copy(library, place).expect("copied");
    }
}

/// `/anomaly ARGS` with `root` as its root, and nothing in its environment but `environment`. `None` where this is not
/// allowed.
fn within(root: &Path, args: &[&str], environment: &[(&str, &str)]) -> Option<Command> {
    let ways: [&[&str]; 2] = [&["chroot"], &["unshare", "--user", "--map-root-user", "chroot"]];
    let command = |way: &[&str], args: &[&str]| {
        let mut command = Command::new(way[0]);
        command.args(&way[1..]).arg(root).arg("/anomaly").args(args);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let works = |way: &&&[&str]| {
        let tried = command(way, &["--version"]).output();
        tried.is_ok_and(|output| output.status.success() && output.stdout.starts_with(b"anomaly "))
    };
    ways.iter().find(works).map(|way| command(way, args))
}

/// A server that is ended when it goes out of scope.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn it_trains_and_serves_where_nothing_else_is() {
    let bench = Bench::new();
    let config = "opt/ml/input/config";
    bench.put(&format!("{config}/hyperparameters.json"), r#"{"feature_dim": "2", "num_trees": "50"}"#);
    let channels = r#"{"train": {"ContentType": "text/csv;label_size=0", "TrainingInputMode": "File"}}"#;
    bench.put(&format!("{config}/inputdataconfig.json"), channels);
    bench.put(&format!("{config}/resourceconfig.json"), r#"{"current_host": "algo-1", "hosts": ["algo-1"]}"#);
    let rows: String = (0..300).map(|n| format!("{},{}\n", n % 7, n % 5)).collect();
    bench.put("opt/ml/input/data/train/rows.csv", rows);
    let root = bench.dir.path();
    furnish(root);
    let Some(mut train) = within(root, &["train"], &[]) else {
        let _ = writeln!(std::io::stderr(), "not run: this user may not change the root");
        return;
    };
    let trained = train.output().expect("runs");
    assert!(trained.status.success(), "{trained:?}");
    assert!(bench.path("opt/ml/model/model.json").exists() && !bench.path("opt/ml/output").exists());

    // A free port, as far as one can know.
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
    let told = port.to_string();
    let mut serve = within(root, &["serve"], &[("SAGEMAKER_BIND_TO_PORT", &told)]).expect("it may");
    let mut server = Server(serve.spawn().expect("runs"));
    let mut url = String::new();
    BufReader::new(server.0.stdout.take().expect("piped")).read_line(&mut url).expect("text");
    assert_eq!(url, format!("http://0.0.0.0:{port}\n"));
    let exchange = |request: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
        stream.write_all(request.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("text");
        answer
    };
    let pong = exchange("GET /ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(pong.starts_with("HTTP/1.1 200 "), "{pong}");
    let head = "POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/csv\r\n";
    let scores = exchange(&format!("{head}Content-Length: 10\r\n\r\n3,3\n90,90\n"));
    assert!(scores.contains("{\"scores\":[{\"score\":"), "{scores}");
    // The way the shell starts it, the server has the child's process id.
    let pid = server.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("runs").success());
    assert_eq!(server.0.wait().expect("ended").code(), Some(0));
}

/// What is tried above is what the image starts.
#[test]
fn the_image_has_the_command_alone_and_starts_it_itself() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Dockerfile");
    let dockerfile = fs::read_to_string(path).expect("there");
    let last = dockerfile.rsplit_once("\nFROM ").expect("a last stage").1;
    let lines: Vec<&str> = last.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        lines,
        [
            "scratch",
            "LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true",
            "COPY --from=build /anomaly /anomaly",
            "EXPOSE 8080",
            "ENTRYPOINT [\"/anomaly\"]",
        ]
    );
}
