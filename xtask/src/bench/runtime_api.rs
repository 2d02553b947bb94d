//! The Lambda Runtime API for one process at a time, one step at a time.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a function may be silent before the bench gives up on it.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the function did, and when we saw it.
#[derive(Debug)]
enum Seen {
    Polled(Instant),
    Answered(Instant),
    Failed(String),
}

/// The API; the function talks to it on `address`, the bench through the methods.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    pub(super) address: String,
    events: Sender<Arc<[u8]>>,
    seen: Receiver<Seen>,
}

impl RuntimeApi {
    pub(super) fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        let (events, queue) = channel::<Arc<[u8]>>();
        let (report, seen) = channel();
        let queue = Arc::new(Mutex::new(queue));
        thread::spawn(move || {
            // The function opens a connection or two; the thread ends with the test process.
            for socket in listener.incoming().flatten() {
                let (queue, report) = (Arc::clone(&queue), report.clone());
                thread::spawn(move || serve(socket, &queue, &report));
            }
        });
        Ok(Self { address, events, seen })
    }

    /// When the function asked for an event.
    pub(super) fn polled(&self) -> Result<Instant> {
        match self.next()? {
            Seen::Polled(at) => Ok(at),
            other => bail!("expected a poll, saw {other:?}"),
        }
    }

    /// Hands the function an event; when it answered.
    pub(super) fn invoke(&self, event: &[u8]) -> Result<Instant> {
        self.events.send(event.into())?;
        match self.next()? {
            Seen::Answered(at) => Ok(at),
            other => bail!("expected an answer, saw {other:?}"),
        }
    }

    fn next(&self) -> Result<Seen> {
        match self.seen.recv_timeout(PATIENCE) {
            Ok(Seen::Failed(why)) => bail!("the function failed: {why}"),
            Ok(seen) => Ok(seen),
            Err(RecvTimeoutError::Timeout) => bail!("the function did nothing for {PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("the Runtime API ended"),
        }
    }
}

type Events = Mutex<Receiver<Arc<[u8]>>>;

/// One connection, until either side is done.
fn serve(socket: TcpStream, events: &Events, report: &Sender<Seen>) -> Result<()> {
    socket.set_nodelay(true)?;
    let mut stream = BufReader::new(socket);
    let mut invocation = 0;
    while let Some((path, body)) = read_request(&mut stream)? {
        let at = Instant::now();
        if path.ends_with("/invocation/next") {
            report.send(Seen::Polled(at))?;
            let event = events.lock().unwrap_or_else(PoisonError::into_inner).recv()?;
            invocation += 1;
            stream.get_mut().write_all(&next(invocation, &event))?;
            continue;
        }
        stream.get_mut().write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?;
        let body = String::from_utf8_lossy(&body);
        // A batch that is to come again was not done, however quick the answer.
        let done = path.ends_with("/response") && !body.contains("itemIdentifier");
        report.send(if done { Seen::Answered(at) } else { Seen::Failed(format!("{path}: {body}")) })?;
    }
    Ok(())
}

fn next(invocation: u64, event: &[u8]) -> Vec<u8> {
    let deadline = std::time::SystemTime::now() + Duration::from_secs(60);
    let deadline_ms = deadline.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Lambda-Runtime-Aws-Request-Id: 00000000-0000-4000-8000-{invocation:012}\r\n\
         Lambda-Runtime-Deadline-Ms: {deadline_ms}\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:123456789012:function:bench\r\n\
         Lambda-Runtime-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0\r\n\r\n",
        event.len()
    )
    .into_bytes();
    answer.extend_from_slice(event);
    answer
}

/// Path and body of a request; `None` when the function is done with the connection.
fn read_request(stream: &mut impl BufRead) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut length, mut chunked) = (0, false);
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().map_err(io::Error::other)?,
            "transfer-encoding" => chunked = value.trim() == "chunked",
            _ => {}
        }
    }
    let body = if chunked { read_chunks(stream)? } else { read_exactly(stream, length)? };
    Ok(Some((path, body)))
}

fn read_chunks(stream: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        body.extend(read_exactly(stream, length)?);
        // Each chunk ends with a line end of its own.
        stream.read_line(&mut line)?;
        if length == 0 {
            return Ok(body);
        }
    }
}

fn read_exactly(stream: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_come_with_a_length_or_in_chunks() {
        let mut stream = io::Cursor::new(
            "POST /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc\
             POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
        );
        for path in ["/a", "/b"] {
            let (seen, body) = read_request(&mut stream).expect("well formed").expect("a request");
            assert_eq!((seen.as_str(), body.as_slice()), (path, &b"abc"[..]));
        }
        assert!(read_request(&mut stream).expect("well formed").is_none());
    }
}
