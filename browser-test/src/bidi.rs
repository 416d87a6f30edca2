use std::time::Duration;

use serde_json::{Value, json};

use crate::connection::Connection;
use crate::dialect::{COMMAND, Dialect};
use crate::page::ConsoleMessage;
use crate::{Error, Viewport};

/// WebDriver BiDi of Firefox: a tab's id is its browsing context's id.
#[derive(Debug)]
pub(crate) struct Bidi;

impl Dialect for Bidi {
    fn greet(&mut self, connection: &mut Connection) -> Result<(), Error> {
        let capabilities = json!({ "capabilities": { "alwaysMatch": { "acceptInsecureCerts": true } } });
        connection.call(None, "session.new", &capabilities, COMMAND)?;
        connection
            .call(
                None,
                "session.subscribe",
                &json!({ "events": ["log.entryAdded"] }),
                COMMAND,
            )
            .map(drop)
    }

    fn new_tab(&mut self, connection: &mut Connection, preload: Option<&str>) -> Result<String, Error> {
        let created = connection.call(None, "browsingContext.create", &json!({ "type": "tab" }), COMMAND)?;
        let tab = created["context"].as_str().unwrap_or_default().to_owned();
        if let Some(source) = preload {
            let params = json!({ "functionDeclaration": format!("() => {{ {source}\n }}"), "contexts": [tab] });
            connection.call(None, "script.addPreloadScript", &params, COMMAND)?;
        }
        Ok(tab)
    }

    fn navigate(&self, connection: &mut Connection, tab: &str, url: &str) -> Result<(), Error> {
        let params = json!({ "context": tab, "url": url, "wait": "interactive" });
        connection
            .call(None, "browsingContext.navigate", &params, COMMAND)
            .map(drop)
    }

    fn reload(&self, connection: &mut Connection, tab: &str) -> Result<(), Error> {
        let params = json!({ "context": tab, "wait": "interactive" });
        connection
            .call(None, "browsingContext.reload", &params, COMMAND)
            .map(drop)
    }

    fn evaluate(
        &self,
        connection: &mut Connection,
        tab: &str,
        expression: &str,
        patience: Duration,
    ) -> Result<Value, Error> {
        let params = json!({ "expression": expression, "target": { "context": tab }, "awaitPromise": true });
        let mut answer = connection.call(None, "script.evaluate", &params, patience)?;
        if answer["type"] == "exception" {
            let details = &answer["exceptionDetails"];
            let frames = details["stackTrace"]["callFrames"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            let stack = frames.iter().map(|frame| {
                format!(
                    "\n  at {} ({}:{})",
                    frame["functionName"],
                    frame["url"].as_str().unwrap_or_default(),
                    frame["lineNumber"]
                )
            });
            let exception = details["text"].as_str().unwrap_or_default().to_owned() + &stack.collect::<String>();
            return Err(Error::Script {
                expression: expression.to_owned(),
                exception,
            });
        }
        Ok(answer["result"]["value"].take())
    }

    fn set_viewport(&self, connection: &mut Connection, tab: &str, viewport: Viewport) -> Result<(), Error> {
        let params = json!({
            "context": tab,
            "viewport": { "width": viewport.width, "height": viewport.height },
            "devicePixelRatio": viewport.scale,
        });
        connection.call(None, "browsingContext.setViewport", &params, COMMAND)?;
        if viewport.dark {
            // BiDi has no command for the colour scheme yet; a picture in the wrong one would mislead.
            return Err(Error::Refused {
                method: "the dark colour scheme".into(),
                message:
                    "Firefox takes it from the preference layout.css.prefers-color-scheme.content-override (0 is dark)"
                        .into(),
            });
        }
        Ok(())
    }

    fn screenshot(&self, connection: &mut Connection, tab: &str) -> Result<String, Error> {
        let params = json!({ "context": tab });
        let mut answer = connection.call(None, "browsingContext.captureScreenshot", &params, COMMAND)?;
        Ok(answer["data"].take().as_str().unwrap_or_default().to_owned())
    }

    fn click(&self, connection: &mut Connection, tab: &str, x: f64, y: f64) -> Result<(), Error> {
        let actions = json!([
            { "type": "pointerMove", "x": x.round(), "y": y.round() },
            { "type": "pointerDown", "button": 0 },
            { "type": "pointerUp", "button": 0 },
        ]);
        let params = json!({ "context": tab, "actions": [{ "type": "pointer", "id": "mouse", "actions": actions }] });
        connection
            .call(None, "input.performActions", &params, COMMAND)
            .map(drop)
    }

    fn press(&self, connection: &mut Connection, tab: &str, key: &str) -> Result<(), Error> {
        // WebDriver's code points for keys without a character.
        let key = match key {
            "Tab" => "\u{e004}",
            "Enter" => "\u{e007}",
            "Escape" => "\u{e00c}",
            other => other,
        };
        let actions = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        let params = json!({ "context": tab, "actions": [{ "type": "key", "id": "keyboard", "actions": actions }] });
        connection
            .call(None, "input.performActions", &params, COMMAND)
            .map(drop)
    }

    fn close_tab(&self, connection: &mut Connection, tab: &str) -> Result<(), Error> {
        connection
            .call(None, "browsingContext.close", &json!({ "context": tab }), COMMAND)
            .map(drop)
    }

    fn quit(&self, connection: &mut Connection) -> Result<(), Error> {
        connection.call(None, "browser.close", &json!({}), COMMAND).map(drop)
    }

    fn console(&self, event: &Value) -> Option<(String, ConsoleMessage)> {
        if event["method"] != "log.entryAdded" {
            return None;
        }
        let params = &event["params"];
        let tab = params["source"]["context"].as_str()?.to_owned();
        let level = if params["type"] == "javascript" && params["level"] == "error" {
            "exception"
        } else {
            params["method"].as_str().or_else(|| params["level"].as_str())?
        };
        let text = params["text"].as_str().unwrap_or_default().to_owned();
        Some((
            tab,
            ConsoleMessage {
                level: level.to_owned(),
                text,
            },
        ))
    }
}
