use std::time::Duration;

use serde_json::{Value, json};

use crate::connection::Connection;
use crate::dialect::{COMMAND, Dialect};
use crate::page::ConsoleMessage;
use crate::{Error, Viewport};

/// The DevTools protocol of Chromium, with flat sessions: a tab's id is its session's id.
#[derive(Debug)]
pub(crate) struct Cdp;

impl Dialect for Cdp {
    fn greet(&mut self, connection: &mut Connection) -> Result<(), Error> {
        connection
            .call(None, "Browser.getVersion", &json!({}), COMMAND)
            .map(drop)
    }

    fn new_tab(&mut self, connection: &mut Connection, preload: Option<&str>) -> Result<String, Error> {
        let target = connection.call(None, "Target.createTarget", &json!({ "url": "about:blank" }), COMMAND)?;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = connection.call(None, "Target.attachToTarget", &attach, COMMAND)?;
        let tab = attached["sessionId"].as_str().unwrap_or_default().to_owned();
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            connection.call(Some(&tab), domain, &json!({}), COMMAND)?;
        }
        if let Some(source) = preload {
            let params = json!({ "source": source });
            connection.call(Some(&tab), "Page.addScriptToEvaluateOnNewDocument", &params, COMMAND)?;
        }
        Ok(tab)
    }

    fn navigate(&self, connection: &mut Connection, tab: &str, url: &str) -> Result<(), Error> {
        let answer = connection.call(Some(tab), "Page.navigate", &json!({ "url": url }), COMMAND)?;
        match answer["errorText"].as_str() {
            Some(text) => Err(Error::Refused {
                method: format!("Page.navigate to {url}"),
                message: text.to_owned(),
            }),
            None => Ok(()),
        }
    }

    fn reload(&self, connection: &mut Connection, tab: &str) -> Result<(), Error> {
        connection.call(Some(tab), "Page.reload", &json!({}), COMMAND).map(drop)
    }

    fn evaluate(
        &self,
        connection: &mut Connection,
        tab: &str,
        expression: &str,
        patience: Duration,
    ) -> Result<Value, Error> {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = connection.call(Some(tab), "Runtime.evaluate", &params, patience)?;
        if let Some(details) = answer.get("exceptionDetails") {
            return Err(Error::Script {
                expression: expression.to_owned(),
                exception: exception_text(details),
            });
        }
        Ok(answer["result"]["value"].take())
    }

    fn set_viewport(&self, connection: &mut Connection, tab: &str, viewport: Viewport) -> Result<(), Error> {
        let metrics = json!({
            "width": viewport.width, "height": viewport.height, "deviceScaleFactor": viewport.scale, "mobile": viewport.phone,
        });
        connection.call(Some(tab), "Emulation.setDeviceMetricsOverride", &metrics, COMMAND)?;
        let touch = json!({ "enabled": viewport.phone });
        connection.call(Some(tab), "Emulation.setTouchEmulationEnabled", &touch, COMMAND)?;
        let scheme = if viewport.dark { "dark" } else { "light" };
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        connection
            .call(Some(tab), "Emulation.setEmulatedMedia", &media, COMMAND)
            .map(drop)
    }

    fn screenshot(&self, connection: &mut Connection, tab: &str) -> Result<String, Error> {
        let mut answer = connection.call(
            Some(tab),
            "Page.captureScreenshot",
            &json!({ "format": "png" }),
            COMMAND,
        )?;
        Ok(answer["data"].take().as_str().unwrap_or_default().to_owned())
    }

    fn click(&self, connection: &mut Connection, tab: &str, x: f64, y: f64) -> Result<(), Error> {
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let params = json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": 1 });
            connection.call(Some(tab), "Input.dispatchMouseEvent", &params, COMMAND)?;
        }
        Ok(())
    }

    fn press(&self, connection: &mut Connection, tab: &str, key: &str) -> Result<(), Error> {
        let (code, number, text) = match key {
            "Tab" => ("Tab", 9, None),
            "Escape" => ("Escape", 27, None),
            "Enter" => ("Enter", 13, Some("\r")),
            " " => ("Space", 32, Some(" ")),
            other => ("", 0, Some(other)),
        };
        let mut down = json!({ "type": "keyDown", "key": key, "code": code, "windowsVirtualKeyCode": number });
        if let Some(text) = text {
            down["text"] = json!(text);
        }
        connection.call(Some(tab), "Input.dispatchKeyEvent", &down, COMMAND)?;
        let up = json!({ "type": "keyUp", "key": key, "code": code, "windowsVirtualKeyCode": number });
        connection
            .call(Some(tab), "Input.dispatchKeyEvent", &up, COMMAND)
            .map(drop)
    }

    fn close_tab(&self, connection: &mut Connection, tab: &str) -> Result<(), Error> {
        connection.call(Some(tab), "Page.close", &json!({}), COMMAND).map(drop)
    }

    fn quit(&self, connection: &mut Connection) -> Result<(), Error> {
        connection.call(None, "Browser.close", &json!({}), COMMAND).map(drop)
    }

    fn console(&self, event: &Value) -> Option<(String, ConsoleMessage)> {
        let tab = event["sessionId"].as_str()?.to_owned();
        let params = &event["params"];
        let (level, text) = match event["method"].as_str()? {
            "Runtime.consoleAPICalled" => {
                let words = params["args"].as_array()?.iter().map(|argument| {
                    let value = &argument["value"];
                    let text = value.as_str().or_else(|| argument["description"].as_str());
                    text.map_or_else(|| value.to_string(), str::to_owned)
                });
                (params["type"].as_str()?.to_owned(), words.collect::<Vec<_>>().join(" "))
            }
            "Runtime.exceptionThrown" => ("exception".to_owned(), exception_text(&params["exceptionDetails"])),
            "Log.entryAdded" => {
                let entry = &params["entry"];
                let place = entry["url"].as_str().unwrap_or_default();
                (
                    entry["level"].as_str()?.to_owned(),
                    format!("{} {place}", entry["text"].as_str()?),
                )
            }
            _ => return None,
        };
        Some((tab, ConsoleMessage { level, text }))
    }
}

fn exception_text(details: &Value) -> String {
    let described = details["exception"]["description"].as_str().map(str::to_owned);
    let thrown = || details["exception"].get("value").map(Value::to_string);
    described.or_else(thrown).unwrap_or_else(|| details["text"].to_string())
}
