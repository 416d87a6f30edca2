use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::bidi::Bidi;
use crate::cdp::Cdp;
use crate::connection::Connection;
use crate::dialect::Dialect;
use crate::page::ConsoleMessage;
use crate::process::Process;
use crate::{Error, Kind, Options, Page};

/// A running browser. Dropping it kills it with all its children.
#[derive(Debug)]
pub struct Browser {
    kind: Kind,
    session: Arc<Session>,
    process: Process,
}

impl Browser {
    /// Starts a browser with a fresh profile.
    ///
    /// # Errors
    /// [`Error::Missing`] if it is not installed, [`Error::Silent`] if it does not come up within 60 s.
    pub fn launch(kind: Kind, options: &Options<'_>) -> Result<Self, Error> {
        let (process, address) = Process::start(kind, options)?;
        let (address, dialect): (_, Box<dyn Dialect>) = match kind {
            Kind::Chromium => (address, Box::new(Cdp)),
            // Firefox names its host and port; the endpoint for a session that no driver opened is /session.
            Kind::Firefox => (format!("{}/session", address.trim_end_matches('/')), Box::new(Bidi)),
        };
        let connection = Connection::open(&address, options.namespace)?;
        let mut inner = Inner {
            connection,
            dialect,
            console: Vec::new(),
        };
        inner.dialect.greet(&mut inner.connection)?;
        Ok(Self {
            kind,
            session: Arc::new(Session(Mutex::new(inner))),
            process,
        })
    }

    /// Which browser it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Opens a page in a tab of its own and waits until it is loaded.
    ///
    /// # Errors
    /// As [`Page::navigate`].
    pub fn open(&self, url: &str) -> Result<Page, Error> {
        self.open_after(url, None)
    }

    /// Opens a page, with a script that runs in it (and in every page loaded there later) before its own.
    ///
    /// # Errors
    /// As [`Page::navigate`].
    pub fn open_with(&self, url: &str, preload: &str) -> Result<Page, Error> {
        self.open_after(url, Some(preload))
    }

    /// Ends it in good order: pages see that they are closed.
    ///
    /// # Errors
    /// [`Error::Gone`] if it had died before.
    pub fn close(mut self) -> Result<(), Error> {
        let quit = self.session.with(|dialect, connection| dialect.quit(connection));
        self.process.end(Duration::from_secs(5));
        quit.map_err(|error| self.with_last_words(error))
    }

    /// Ends it at once, as a crash or a lost machine would: nobody is told.
    pub fn kill(mut self) {
        self.process.kill();
    }

    fn open_after(&self, url: &str, preload: Option<&str>) -> Result<Page, Error> {
        let tab = self
            .session
            .with(|dialect, connection| dialect.new_tab(connection, preload));
        let page = Page::new(
            Arc::clone(&self.session),
            tab.map_err(|error| self.with_last_words(error))?,
        );
        page.navigate(url)?;
        Ok(page)
    }

    fn with_last_words(&self, error: Error) -> Error {
        match error {
            Error::Gone { during, reason } => Error::Gone {
                during,
                reason: format!("{reason}; it wrote:\n{}", self.process.last_words()),
            },
            other => other,
        }
    }
}

/// One connection shared by the browser and its pages.
pub(crate) struct Session(Mutex<Inner>);

struct Inner {
    connection: Connection,
    dialect: Box<dyn Dialect>,
    /// What the pages wrote and nobody has taken: tab and message.
    console: Vec<(String, ConsoleMessage)>,
}

impl Session {
    /// Speaks to the browser, and sorts the events that came meanwhile.
    pub(crate) fn with<T>(&self, speak: impl FnOnce(&mut dyn Dialect, &mut Connection) -> T) -> T {
        let inner = &mut *self.lock();
        let answer = speak(inner.dialect.as_mut(), &mut inner.connection);
        let events: Vec<Value> = inner.connection.take_events().collect();
        inner
            .console
            .extend(events.iter().filter_map(|event| inner.dialect.console(event)));
        answer
    }

    /// The messages of one tab since the last time.
    pub(crate) fn take_console(&self, tab: &str) -> Vec<ConsoleMessage> {
        let mut inner = self.lock();
        let (taken, kept) = std::mem::take(&mut inner.console)
            .into_iter()
            .partition(|(from, _)| from == tab);
        inner.console = kept;
        let taken: Vec<(String, ConsoleMessage)> = taken;
        taken.into_iter().map(|(_, message)| message).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}
