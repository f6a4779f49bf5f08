//! A registry of schemas for tests: the part of Confluent's REST interface that a reader asks.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

/// A running registry. It ends with the process.
pub struct Registry {
    pub url: String,
    /// Requests so far.
    pub requests: Arc<AtomicUsize>,
    /// The status that every request is answered with, if not 0.
    pub trouble: Arc<AtomicU16>,
}

impl Registry {
    /// Answers `GET path` with JSON, all else with 404 as Confluent's does.
    pub fn start(answers: HashMap<String, String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let trouble = Arc::new(AtomicU16::new(0));
        let (counted, told) = (Arc::clone(&requests), Arc::clone(&trouble));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answers = answers.clone();
                let (counted, told) = (Arc::clone(&counted), Arc::clone(&told));
                std::thread::spawn(move || serve(stream, &answers, &counted, &told));
            }
        });
        Self {
            url,
            requests,
            trouble,
        }
    }

    /// One that has these schemas of Avro by number.
    pub fn of_avro(schemas: &serde_json::Map<String, serde_json::Value>) -> Self {
        let answers = schemas.iter().map(|(number, schema)| {
            let answer = serde_json::json!({ "schema": schema });
            (format!("/schemas/ids/{number}"), answer.to_string())
        });
        Self::start(answers.collect())
    }
}

fn serve(
    stream: TcpStream,
    answers: &HashMap<String, String>,
    counted: &AtomicUsize,
    trouble: &AtomicU16,
) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap_or(0) > 2 {
            line.clear();
        }
        counted.fetch_add(1, Ordering::Relaxed);
        let path = first.split(' ').nth(1).unwrap_or_default();
        let unknown = "{\"error_code\":40403,\"message\":\"Schema not found\"}";
        let (status, body) = match (trouble.load(Ordering::Relaxed), answers.get(path)) {
            (0, Some(body)) => (200, body.as_str()),
            (0, None) => (404, unknown),
            (status, _) => (status, "{}"),
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        if stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body.as_bytes()))
            .is_err()
        {
            return;
        }
    }
}
