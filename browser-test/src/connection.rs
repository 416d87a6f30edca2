use std::collections::VecDeque;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use crate::process::connect;
use crate::{Error, Namespace};

/// The WebSocket to a browser. CDP and BiDi share its shape: numbered calls, their answers, and events in between.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: WebSocket<TcpStream>,
    last_id: u64,
    events: VecDeque<Value>,
}

impl Connection {
    pub(crate) fn open(address: &str, namespace: Option<&Namespace>) -> Result<Self, Error> {
        let stream = connect(address, namespace)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let (socket, _) = tungstenite::client(address, stream).map_err(|error| Error::Gone {
            during: format!("the opening of {address}"),
            reason: error.to_string(),
        })?;
        Ok(Self {
            socket,
            last_id: 0,
            events: VecDeque::new(),
        })
    }

    /// Sends `{method, params}` (with `sessionId` for a CDP session) and waits for its answer; events go to the queue.
    pub(crate) fn call(
        &mut self,
        session: Option<&str>,
        method: &str,
        params: &Value,
        patience: Duration,
    ) -> Result<Value, Error> {
        self.last_id += 1;
        let mut request = json!({ "id": self.last_id, "method": method, "params": params });
        if let Some(session) = session {
            request["sessionId"] = json!(session);
        }
        let gone = |error: &tungstenite::Error| Error::Gone {
            during: method.to_owned(),
            reason: error.to_string(),
        };
        self.socket
            .send(Message::text(request.to_string()))
            .map_err(|error| gone(&error))?;
        let deadline = Instant::now() + patience;
        loop {
            let Some(left) = deadline
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero())
            else {
                return Err(Error::Deadline {
                    condition: format!("an answer of the browser to {method}"),
                    waited: patience,
                    state: String::new(),
                });
            };
            self.socket.get_ref().set_read_timeout(Some(left))?;
            let message = match self.socket.read() {
                Ok(Message::Text(text)) => text,
                Ok(_) => continue,
                Err(tungstenite::Error::Io(error))
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    continue;
                }
                Err(error) => return Err(gone(&error)),
            };
            let Ok(mut message) = serde_json::from_str::<Value>(&message) else {
                continue;
            };
            if message["id"].as_u64() != Some(self.last_id) {
                // The late answer to a call given up before has an id too, and is of no use to anybody.
                if message.get("id").is_none() {
                    self.events.push_back(message);
                }
                continue;
            }
            if let Some(error) = message.get("error") {
                // CDP: error is an object with a message. BiDi: error is a code beside the message.
                let text = error["message"]
                    .as_str()
                    .or_else(|| message["message"].as_str())
                    .unwrap_or_default();
                let code = error.as_str().unwrap_or_default();
                return Err(Error::Refused {
                    method: method.to_owned(),
                    message: format!("{code} {text}").trim().to_owned(),
                });
            }
            return Ok(message["result"].take());
        }
    }

    /// The events since the last call, oldest first.
    pub(crate) fn take_events(&mut self) -> impl Iterator<Item = Value> + '_ {
        self.events.drain(..)
    }
}
