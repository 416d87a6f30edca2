use std::fmt::Debug;
use std::time::Duration;

use serde_json::Value;

use crate::connection::Connection;
use crate::page::ConsoleMessage;
use crate::{Error, Viewport};

/// What CDP and BiDi say differently.
pub(crate) trait Dialect: Debug + Send {
    /// Once, after the connection is open.
    fn greet(&mut self, connection: &mut Connection) -> Result<(), Error>;
    /// A new empty tab in which `preload` runs before any script of any page: the tab's id.
    fn new_tab(&mut self, connection: &mut Connection, preload: Option<&str>) -> Result<String, Error>;
    /// Loads a URL and returns when the document answers (its `load` may be yet to come).
    fn navigate(&self, connection: &mut Connection, tab: &str, url: &str) -> Result<(), Error>;
    /// Loads the same document again.
    fn reload(&self, connection: &mut Connection, tab: &str) -> Result<(), Error>;
    /// Evaluates an expression that gives a promise of a string.
    fn evaluate(
        &self,
        connection: &mut Connection,
        tab: &str,
        expression: &str,
        patience: Duration,
    ) -> Result<Value, Error>;
    /// The size of the window, the scale, light or dark.
    fn set_viewport(&self, connection: &mut Connection, tab: &str, viewport: Viewport) -> Result<(), Error>;
    /// A PNG of the window in base64.
    fn screenshot(&self, connection: &mut Connection, tab: &str) -> Result<String, Error>;
    /// A real click (a user gesture) at a point of the window, in CSS pixels.
    fn click(&self, connection: &mut Connection, tab: &str, x: f64, y: f64) -> Result<(), Error>;
    /// A real press of a key: `Tab`, `Enter`, ` `, `Escape` or one character.
    fn press(&self, connection: &mut Connection, tab: &str, key: &str) -> Result<(), Error>;
    /// Closes one tab.
    fn close_tab(&self, connection: &mut Connection, tab: &str) -> Result<(), Error>;
    /// Ends the browser in good order.
    fn quit(&self, connection: &mut Connection) -> Result<(), Error>;
    /// The tab and the message, if the event is a line on the console or an exception nobody caught.
    fn console(&self, event: &Value) -> Option<(String, ConsoleMessage)>;
}

/// How long a browser may take for a command that waits for nothing.
pub(crate) const COMMAND: Duration = Duration::from_secs(30);
