use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Namespace;

/// Which browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Chromium, spoken to by the DevTools protocol.
    Chromium,
    /// Firefox (ESR), spoken to by WebDriver BiDi.
    Firefox,
}

impl Kind {
    /// Debian's package.
    #[must_use]
    pub const fn package(self) -> &'static str {
        match self {
            Self::Chromium => "chromium",
            Self::Firefox => "firefox-esr",
        }
    }

    /// The environment variable that names another program than the one found in `PATH`.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Chromium => "CHROMIUM",
            Self::Firefox => "FIREFOX",
        }
    }

    /// The program: what [`variable`](Self::variable) names, else the first of the usual names that `PATH` holds.
    #[must_use]
    pub fn program(self) -> Option<PathBuf> {
        if let Some(named) = std::env::var_os(self.variable()) {
            return Some(PathBuf::from(named)).filter(|path| path.is_file());
        }
        let names: &[&str] = match self {
            Self::Chromium => &["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"],
            Self::Firefox => &["firefox-esr", "firefox"],
        };
        let path = std::env::var_os("PATH")?;
        names
            .iter()
            .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
            .find(|program| program.is_file())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chromium => "Chromium",
            Self::Firefox => "Firefox",
        })
    }
}

/// A script to run before the page's: the camera gives 640x360 at 15 frames a second, still in several layers, whatever
/// the page asks for. Two cores do not encode four pictures of 720p, nor three and decode them too.
pub const SMALL_CAMERA: &str = "void (() => {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = wanted => real(wanted.video
        ? { ...wanted, video: { width: 640, height: 360, frameRate: 15 } }
        : wanted);
})();";

/// What the browser finds when a page asks for camera and microphone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Devices {
    /// A fake camera with a moving picture and a beeping microphone, granted without a question.
    #[default]
    Fake,
    /// The devices exist but the person says no.
    Denied,
    /// The person would say yes but there is no device.
    None,
}

/// How to start a browser. The default suits a call between pages: fake devices, sound without a click, addresses not
/// hidden.
#[derive(Debug, Clone, Default)]
pub struct Options<'a> {
    /// The network the browser lives in; the machine's own without one.
    pub namespace: Option<&'a Namespace>,
    /// Camera and microphone.
    pub devices: Devices,
    /// Pages are told names of mDNS in place of the host's addresses, as browsers do it that nobody has set up. Chromium
    /// does so only where the page may use neither camera nor microphone: with [`Devices::Denied`].
    pub hide_addresses: bool,
    /// Sound and video do not start before a click.
    pub autoplay_blocked: bool,
    /// An origin (`http://10.0.0.1:8080`) that counts as secure although it is neither https nor localhost.
    pub secure_origin: Option<String>,
    /// More command-line flags for Chromium. `--disable-features` must come through
    /// [`disable_features`](Self::disable_features): Chromium reads only its last occurrence.
    pub flags: Vec<String>,
    /// More features for Chromium to switch off.
    pub disable_features: Vec<String>,
    /// More preferences for Firefox; they win over the ones set here.
    pub prefs: BTreeMap<String, Value>,
    /// How nice it is to others on the machine, from -20 to 19 (`nice(1)`); `None` for as nice as who starts it.
    /// Chromium that runs as root chooses again for most of its processes: 0 and less.
    pub nice: Option<i8>,
}

impl<'a> Options<'a> {
    /// The default in this network.
    #[must_use]
    pub fn within(namespace: &'a Namespace) -> Self {
        Self {
            namespace: Some(namespace),
            ..Self::default()
        }
    }

    /// Chromium's command line, without the folder of its profile.
    pub(crate) fn chromium_flags(&self) -> Vec<String> {
        let mut flags: Vec<String> = [
            "--headless",
            "--no-sandbox", // root cannot use Chromium's sandbox
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-default-browser-check",
            // No traffic of its own.
            "--disable-quic",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-default-apps",
            // A page in the background runs as fast as one in front.
            "--disable-background-timer-throttling",
            "--disable-renderer-backgrounding",
            "--disable-backgrounding-occluded-windows",
            "--hide-scrollbars",
            "--mute-audio",
            "--remote-debugging-port=0",
        ]
        .map(str::to_owned)
        .into();
        match self.devices {
            Devices::Fake => {
                flags.push("--use-fake-device-for-media-stream".into());
                // Grants camera and microphone, and by that raw addresses instead of mDNS names.
                flags.push("--use-fake-ui-for-media-stream".into());
            }
            Devices::Denied => {
                flags.push("--use-fake-device-for-media-stream".into());
                flags.push("--use-fake-ui-for-media-stream=deny".into());
            }
            Devices::None => flags.push("--use-fake-ui-for-media-stream".into()),
        }
        flags.push(if self.autoplay_blocked {
            "--autoplay-policy=user-gesture-required".into()
        } else {
            "--autoplay-policy=no-user-gesture-required".into()
        });
        if let Some(origin) = &self.secure_origin {
            flags.push(format!("--unsafely-treat-insecure-origin-as-secure={origin}"));
        }
        let mut disabled = self.disable_features.clone();
        if !self.hide_addresses {
            disabled.insert(0, "WebRtcHideLocalIpsWithMdns".into());
        }
        if !disabled.is_empty() {
            flags.push(format!("--disable-features={}", disabled.join(",")));
        }
        flags.extend(self.flags.iter().cloned());
        flags
    }

    /// Firefox's preferences, as the lines of `user.js`.
    pub(crate) fn firefox_user_js(&self) -> String {
        let mut prefs: BTreeMap<String, Value> = [
            ("media.navigator.streams.fake", json!(self.devices != Devices::None)),
            (
                "media.navigator.permission.disabled",
                json!(self.devices != Devices::Denied),
            ),
            (
                "media.peerconnection.ice.obfuscate_host_addresses",
                json!(self.hide_addresses),
            ),
            (
                "media.autoplay.default",
                json!(if self.autoplay_blocked { 1 } else { 0 }),
            ),
            ("media.autoplay.blocking_policy", json!(0)),
            // No fetching of the OpenH264 plugin, no other traffic of its own.
            ("media.gmp-manager.updateEnabled", json!(false)),
            ("media.gmp-manager.url", json!("http://127.0.0.1:1/")),
            ("app.update.enabled", json!(false)),
            ("app.normandy.enabled", json!(false)),
            ("browser.safebrowsing.malware.enabled", json!(false)),
            ("browser.safebrowsing.phishing.enabled", json!(false)),
            ("datareporting.policy.dataSubmissionEnabled", json!(false)),
            ("datareporting.healthreport.uploadEnabled", json!(false)),
            ("extensions.getAddons.cache.enabled", json!(false)),
            ("extensions.systemAddon.update.enabled", json!(false)),
            ("network.captive-portal-service.enabled", json!(false)),
            ("network.connectivity-service.enabled", json!(false)),
            ("network.dns.disablePrefetch", json!(true)),
            ("services.settings.server", json!("http://127.0.0.1:1/")),
            ("toolkit.telemetry.enabled", json!(false)),
            // No welcome pages, no questions.
            ("browser.aboutwelcome.enabled", json!(false)),
            ("browser.shell.checkDefaultBrowser", json!(false)),
            ("browser.startup.page", json!(0)),
            ("browser.tabs.warnOnClose", json!(false)),
            ("datareporting.policy.firstRunURL", json!("")),
            ("dom.disable_open_during_load", json!(false)),
            ("toolkit.cosmeticAnimations.enabled", json!(false)),
            // A page in the background runs as fast as one in front; a page that hangs is the test's to judge.
            ("dom.min_background_timeout_value", json!(4)),
            ("dom.timeout.enable_budget_timer_throttling", json!(false)),
            ("dom.ipc.processHangMonitor", json!(false)),
            ("dom.max_script_run_time", json!(0)),
            ("remote.active-protocols", json!(1)),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if self.devices == Devices::Denied {
            prefs.insert("permissions.default.camera".into(), json!(2));
            prefs.insert("permissions.default.microphone".into(), json!(2));
        }
        if let Some(host) = self.secure_origin.as_deref().and_then(host_of) {
            prefs.insert("dom.securecontext.allowlist".into(), json!(host));
        }
        prefs.extend(self.prefs.clone());
        prefs
            .iter()
            .map(|(name, value)| format!("user_pref({}, {value});\n", json!(name)))
            .collect()
    }
}

/// The host of `http://host:port`.
fn host_of(origin: &str) -> Option<&str> {
    let authority = origin.split_once("://")?.1.split('/').next()?;
    Some(authority.rsplit_once(':').map_or(authority, |(host, _)| host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_preferences_win() {
        let options = Options {
            prefs: [("media.autoplay.default".to_owned(), json!(5))].into(),
            ..Options::default()
        };
        let user_js = options.firefox_user_js();
        assert!(user_js.contains("user_pref(\"media.autoplay.default\", 5);"));
        assert_eq!(user_js.matches("media.autoplay.default").count(), 1);
    }

    #[test]
    fn features_are_switched_off_by_one_flag() {
        let options = Options {
            disable_features: vec!["WebRtcPqcForDtls".into()],
            ..Options::default()
        };
        let flags = options.chromium_flags();
        let disabling: Vec<_> = flags
            .iter()
            .filter(|flag| flag.starts_with("--disable-features="))
            .collect();
        assert_eq!(
            disabling,
            ["--disable-features=WebRtcHideLocalIpsWithMdns,WebRtcPqcForDtls"]
        );
    }

    #[test]
    fn addresses_are_hidden_where_that_is_wanted() {
        for hide_addresses in [false, true] {
            let options = Options {
                hide_addresses,
                ..Options::default()
            };
            let shown = options.chromium_flags().iter().any(|flag| flag.contains("WithMdns"));
            assert_eq!(shown, !hide_addresses);
            let pref = format!("obfuscate_host_addresses\", {hide_addresses});");
            assert!(options.firefox_user_js().contains(&pref));
        }
    }

    #[test]
    fn a_secure_origin_becomes_a_host_for_firefox() {
        let options = Options {
            secure_origin: Some("http://10.1.2.3:8080".into()),
            ..Options::default()
        };
        assert!(
            options
                .firefox_user_js()
                .contains("\"dom.securecontext.allowlist\", \"10.1.2.3\"")
        );
        assert!(
            options
                .chromium_flags()
                .contains(&"--unsafely-treat-insecure-origin-as-secure=http://10.1.2.3:8080".into())
        );
    }
}
