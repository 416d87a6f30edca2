use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::browser::Session;
use crate::{Error, image};

/// How long a page may take to load, and an expression to settle, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// For how long the page is asked to look at a condition by itself, and how much longer it may take to answer.
const LOOK: Duration = Duration::from_secs(1);
const ANSWER: Duration = Duration::from_secs(10);

/// A line that a page wrote to its console, or an exception that nobody caught.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleMessage {
    /// `log`, `warning`, `error`, ...; `exception` for what nobody caught.
    pub level: String,
    /// The text.
    pub text: String,
}

/// What a page is shown in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Viewport {
    /// Width in CSS pixels.
    pub width: u32,
    /// Height in CSS pixels.
    pub height: u32,
    /// Device pixels per CSS pixel.
    pub scale: f64,
    /// Whether it claims to be a phone (touch, mobile layout). Chromium only.
    pub phone: bool,
    /// Whether the person prefers dark colours. Chromium only.
    pub dark: bool,
}

impl Viewport {
    /// A common laptop's window.
    pub const DESKTOP: Self = Self {
        width: 1280,
        height: 800,
        scale: 1.0,
        phone: false,
        dark: false,
    };
    /// A common phone held upright.
    pub const PHONE: Self = Self {
        width: 390,
        height: 844,
        scale: 2.0,
        phone: true,
        dark: false,
    };

    /// The same in dark colours.
    #[must_use]
    pub const fn dark(self) -> Self {
        Self { dark: true, ..self }
    }
}

/// A tab with a page in it.
#[derive(Debug)]
pub struct Page {
    session: Arc<Session>,
    tab: String,
}

impl Page {
    pub(crate) fn new(session: Arc<Session>, tab: String) -> Self {
        Self { session, tab }
    }

    /// Loads a URL and waits for its `load`.
    ///
    /// # Errors
    /// [`Error::Refused`] if nothing answers there, [`Error::Deadline`] after 30 s.
    pub fn navigate(&self, url: &str) -> Result<(), Error> {
        self.session
            .with(|dialect, connection| dialect.navigate(connection, &self.tab, url))?;
        self.wait_for(
            "document.readyState === 'complete' && location.href !== 'about:blank'",
            PATIENCE,
        )
        .map(drop)
    }

    /// Loads the same document again, as the person's reload does. Does not wait for its `load`.
    ///
    /// # Errors
    /// As [`navigate`](Self::navigate).
    pub fn reload(&self) -> Result<(), Error> {
        self.session
            .with(|dialect, connection| dialect.reload(connection, &self.tab))
    }

    /// Evaluates an expression, awaits it if it is a promise, and returns it as JSON (`undefined` as null).
    ///
    /// # Errors
    /// [`Error::Script`] if it throws, [`Error::Deadline`] if it has not settled after 30 s.
    pub fn evaluate(&self, expression: &str) -> Result<Value, Error> {
        self.evaluate_within(expression, PATIENCE)
    }

    /// As [`evaluate`](Self::evaluate), with another deadline.
    ///
    /// # Errors
    /// As [`evaluate`](Self::evaluate).
    pub fn evaluate_within(&self, expression: &str, patience: Duration) -> Result<Value, Error> {
        // Both protocols can return values, each in its own way; a string of JSON is the same in both.
        let wrapped = format!("(async () => JSON.stringify((await ({expression}\n)) ?? null))()");
        let text = self
            .session
            .with(|dialect, connection| dialect.evaluate(connection, &self.tab, &wrapped, patience))?;
        let text = text.as_str().unwrap_or("null");
        serde_json::from_str(text).map_err(|error| Error::Script {
            expression: expression.to_owned(),
            exception: format!("its value is not JSON: {error}"),
        })
    }

    /// Waits until an expression gives something truthy (awaited, looked at every 50 ms inside the page), and returns
    /// that. An exception counts as not yet, and so does a page that is left for another one.
    ///
    /// # Errors
    /// [`Error::Deadline`] with the last value and the console's messages.
    pub fn wait_for(&self, condition: &str, patience: Duration) -> Result<Value, Error> {
        let until = Instant::now() + patience;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            // Script of a document that is left is never heard of again, in Firefox without an answer: it has to be
            // asked anew.
            let look = left.min(LOOK);
            let script = format!(
                "(async () => {{
                    const until = performance.now() + {};
                    for (;;) {{
                        let value, thrown;
                        try {{ value = await ({condition}\n); }} catch (error) {{ thrown = String(error); }}
                        if (value) return {{ value }};
                        if (performance.now() >= until) return {{ last: thrown ?? String(JSON.stringify(value)) }};
                        await new Promise(resolve => setTimeout(resolve, 50));
                    }}
                }})()",
                look.as_millis()
            );
            let outcome = match self.evaluate_within(&script, look + ANSWER) {
                Ok(mut outcome) => match outcome.get_mut("value") {
                    Some(value) => return Ok(value.take()),
                    None => outcome,
                },
                Err(error @ (Error::Deadline { .. } | Error::Refused { .. })) => json!({ "last": error.to_string() }),
                Err(error) => return Err(error),
            };
            if left <= LOOK {
                return Err(Error::Deadline {
                    condition: condition.to_owned(),
                    waited: patience,
                    state: self.state(&outcome),
                });
            }
        }
    }

    /// What the page wrote to its console, and the exceptions nobody caught, since the last time.
    ///
    /// # Errors
    /// [`Error::Gone`] if the browser has died.
    pub fn take_console(&self) -> Result<Vec<ConsoleMessage>, Error> {
        // An answer comes after the events that were under way before it.
        self.evaluate("0")?;
        Ok(self.session.take_console(&self.tab))
    }

    /// Sets the window's size and its colours.
    ///
    /// # Errors
    /// [`Error::Refused`] for what the browser cannot do.
    pub fn set_viewport(&self, viewport: Viewport) -> Result<(), Error> {
        self.session
            .with(|dialect, connection| dialect.set_viewport(connection, &self.tab, viewport))
    }

    /// Writes a PNG of the window.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be written.
    pub fn screenshot(&self, file: &Path) -> Result<(), Error> {
        // Two frames: what was asked for before has been painted.
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))")?;
        let data = self
            .session
            .with(|dialect, connection| dialect.screenshot(connection, &self.tab))?;
        let png = image::decode_base64(&data).ok_or_else(|| Error::Refused {
            method: "a screenshot".into(),
            message: "what came is not base64".into(),
        })?;
        Ok(std::fs::write(file, png)?)
    }

    /// Clicks with a real pointer in the middle of the first element that a CSS selector finds, and waits for it to be
    /// there and to stand still.
    ///
    /// # Errors
    /// [`Error::Deadline`] if there is no such visible element within 10 s, or if it moves for as long.
    pub fn click(&self, selector: &str) -> Result<(), Error> {
        // Else a page that is still being laid out moves it away before the click is there.
        let middle = format!(
            "(async () => {{
                const place = element => {{
                    const {{ x, y, width, height }} = element.getBoundingClientRect();
                    return [x + width / 2, y + height / 2, width, height];
                }};
                const element = document.querySelector({});
                element.scrollIntoView({{ block: 'nearest' }});
                const before = place(element);
                await new Promise(done => setTimeout(done, 40));
                const [x, y, width, height] = place(element);
                return width > 0 && height > 0 && String(before) === String([x, y, width, height]) && [x, y];
            }})()",
            json!(selector)
        );
        let point = self.wait_for(&middle, Duration::from_secs(10))?;
        let (x, y) = (
            point[0].as_f64().unwrap_or_default(),
            point[1].as_f64().unwrap_or_default(),
        );
        self.session
            .with(|dialect, connection| dialect.click(connection, &self.tab, x, y))
    }

    /// Presses a real key: `Tab`, `Enter`, ` `, `Escape` or one character.
    ///
    /// # Errors
    /// [`Error::Refused`] for what the browser cannot do.
    pub fn press(&self, key: &str) -> Result<(), Error> {
        self.session
            .with(|dialect, connection| dialect.press(connection, &self.tab, key))
    }

    /// Closes the tab, as the person does. What is asked of it after that is refused.
    ///
    /// # Errors
    /// [`Error::Gone`] if the browser has died, [`Error::Refused`] if it is closed already.
    pub fn close(&self) -> Result<(), Error> {
        self.session
            .with(|dialect, connection| dialect.close_tab(connection, &self.tab))
    }

    fn state(&self, outcome: &Value) -> String {
        let mut state = format!("last value: {}\n", outcome["last"].as_str().unwrap_or("none"));
        for message in self.session.take_console(&self.tab) {
            state += &format!("console {}: {}\n", message.level, message.text);
        }
        state
    }
}
