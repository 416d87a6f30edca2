//! Drives real Chromium (CDP) and Firefox (WebDriver BiDi) for the tests
