//! `anomaly serve`: a trained model as a SageMaker endpoint.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anomaly_local::serve::fault::{self, Fault};
use anomaly_local::serve::reload::{Followed, Reload};
use anomaly_local::serve::{self, ServeOptions, Served};
use anyhow::{Context, anyhow, bail, ensure};
use tokio::net::TcpListener;

use crate::sagemaker;
use crate::terminal::plain;

/// Serve a trained model as a SageMaker endpoint.
#[derive(Debug, clap::Args)]
#[command(after_long_help = fault::HELP)]
pub(crate) struct ServeArgs {
    /// The model: an artifact of `anomaly train`, or a folder with its unpacked files; read anew when it changes, and at
    /// SIGHUP [default: /opt/ml/model, as in a container of SageMaker]
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// Where to listen; port 0 takes a free one [default: 127.0.0.1:8080; without --model, as in a container, 0.0.0.0 and
    /// the port of SAGEMAKER_BIND_TO_PORT or 8080]
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// Answer so many requests at a time; a further one gets 503
    #[arg(long, value_name = "N", default_value_t = ServeOptions::default().in_flight_max, value_parser = at_least_one)]
    in_flight: usize,
    /// Answer to this endpoint name only, not to any
    #[arg(long, value_name = "NAME")]
    endpoint_name: Option<String>,
    /// Play a fault, e.g. throttle:3; may be repeated (see --help)
    #[arg(long = "fault", value_name = "KIND[:WHEN]")]
    faults: Vec<Fault>,
    // SageMaker starts a container with the word `serve` behind its entry point, which then says it twice.
    #[arg(hide = true, value_parser = ["serve"])]
    sagemaker: Option<String>,
}

/// Serves until SIGTERM or Ctrl-C, answers what is in flight, and ends.
///
/// # Errors
/// If the model cannot be read, the address cannot be listened on, or requests were still in flight when time
/// was up.
pub(crate) fn run(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let path = args.model.clone().unwrap_or_else(|| sagemaker::root().join("model"));
    let address = match (args.address, args.model) {
        (Some(address), _) => address,
        (None, Some(_)) => "127.0.0.1:8080".to_owned(),
        (None, None) => sagemaker::address()?,
    };
    ensure!(
        path.exists(),
        "{}: there is no such file\nhint: `anomaly train` writes models; --model says which one to serve",
        path.display()
    );
    let model = Followed::open(&path).with_context(|| path.display().to_string())?;
    let options = ServeOptions {
        endpoint_name: args.endpoint_name,
        faults: args.faults,
        in_flight_max: args.in_flight,
        ..ServeOptions::default()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads of the server")?;
    let served = runtime.block_on(listen(model, options, &address))?;
    let mut talk = io::stderr().lock();
    writeln!(talk, "served {} requests, {} rows", served.requests, served.rows)?;
    if !served.drained {
        bail!("requests were still in flight when time was up");
    }
    Ok(ExitCode::SUCCESS)
}

async fn listen(followed: Followed, options: ServeOptions, address: &str) -> anyhow::Result<Served> {
    let shutdown = serve::until_terminated().context("cannot wait for signals")?;
    let listener = TcpListener::bind(address).await.map_err(|e| {
        anyhow!("cannot listen on {address}: {e}\nhint: --address 127.0.0.1:0 takes a free port")
    })?;
    let url = format!("http://{}", listener.local_addr().context("the listener has no address")?);
    // Connections are accepted from here on: those that come before the server takes them wait.
    let latest = followed.latest();
    let following = followed.follow(tell).context("cannot wait for signals")?;
    let model = latest.borrow().clone();
    let features = model.features();
    let listed = features.join(", ");
    let rows = match model.shingle() {
        1 => String::new(),
        n => format!(", rows of {n} readings"),
    };
    writeln!(
        io::stderr().lock(),
        "listening on {url} (model {}, {} features: {listed}{rows})",
        model.id(),
        features.len()
    )?;
    announce(&url)?;
    let following = tokio::spawn(following);
    let served = serve::serve_latest(latest, options, listener, shutdown).await.context("the server failed");
    following.abort();
    served
}

fn tell(reload: &Reload) {
    let text = match reload {
        Reload::Same => return,
        Reload::Changed(model) => format!("serving model {} from now on", model.id()),
        Reload::Refused(why) => format!("the model has changed and is not served, the one before is: {why}"),
    };
    // Nobody is left to be told that stderr is closed.
    let _ = writeln!(io::stderr().lock(), "{}", plain(&text));
}

fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "it is not 1 or more".to_owned())
}

/// The URL on a line of its own, for scripts; nobody reading it is no reason not to serve.
fn announce(url: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{url}").and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}
