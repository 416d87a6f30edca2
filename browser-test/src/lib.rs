//! Drives the browsers that people really use, for the tests: Chromium by the DevTools protocol (CDP), Firefox by
//! WebDriver BiDi. Nothing but the browser itself is needed: no driver program, no node.
//!
//! - [`Browser`] and [`Page`]: start a browser, open pages, run script in them, wait for what the page says, take
//!   pictures.
//! - [`Options`]: what a browser may do (camera, sound without a click) and in which network it lives.
//! - [`Namespace`]: a network of its own for a test, so that it neither sees nor needs the machine's.
//! - [`Relay`]: a UDP path with delay, which can also swallow everything.
//!
//! Everything blocks, and everything has a deadline: a browser that hangs is an [`Error`], never a test that hangs.

mod bidi;
mod browser;
mod cdp;
mod connection;
mod dialect;
mod error;
mod image;
mod options;
mod page;
mod process;
mod relay;

pub use browser::Browser;
pub use error::Error;
pub use netns::Namespace;
pub use options::{Devices, Kind, Options, SMALL_CAMERA};
pub use page::{ConsoleMessage, Page, Viewport};
pub use relay::Relay;
