//! How a sign-in looks on a terminal: the code, the address, a QR code when
//! asked for, the browser where there is one, and a spinner. All on stderr.

use super::device_login::{Prompt, Ui};
use crate::core::model::format_duration;
use indicatif::{ProgressBar, ProgressStyle};
use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// What `login` was told.
#[derive(Clone, Copy, Debug, Default)]
pub struct ScreenOptions {
    /// `--qr`
    pub qr: bool,
    /// `--no-browser`
    pub no_browser: bool,
}

/// The sign-in on stderr.
#[derive(Debug)]
pub struct Screen {
    options: ScreenOptions,
    spinner: Option<ProgressBar>,
}

impl Screen {
    pub fn new(options: ScreenOptions) -> Self {
        Self { options, spinner: None }
    }
}

impl Ui for Screen {
    fn show(&mut self, prompt: &Prompt) {
        let link = prompt.complete_address.as_deref().unwrap_or(&prompt.address);
        let browser = link.starts_with("https://") && may_open_browser(self.options.no_browser, &environment);
        let text = describe(prompt, browser, self.options.qr);
        // A closed stderr must not end the sign-in.
        drop(std::io::stderr().write_all(text.as_bytes()));
        if browser {
            open_browser(link.to_owned());
        }
        if std::io::stderr().is_terminal() {
            let style = ProgressStyle::with_template("{spinner} {msg}");
            let spinner = ProgressBar::new_spinner().with_message(format!(
                "waiting for you to confirm the code (it is good for {})",
                format_duration(prompt.expires_in)
            ));
            self.spinner = Some(match style {
                Ok(style) => spinner.with_style(style),
                Err(_) => spinner,
            });
            if let Some(spinner) = &self.spinner {
                spinner.enable_steady_tick(Duration::from_millis(120));
            }
        }
    }

    fn trouble(&mut self, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.println(text),
            None => drop(writeln!(std::io::stderr(), "{text}")),
        }
    }

    fn wait(&mut self, length: Duration) -> impl Future<Output = ()> {
        tokio::time::sleep(length)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

fn describe(prompt: &Prompt, browser: bool, qr: bool) -> String {
    let link = prompt.complete_address.as_deref().unwrap_or(&prompt.address);
    let mut text = format!("Your code:  {}\nSign in at: {link}\n", prompt.user_code);
    if qr && let Some(code) = qr_code(link) {
        text.push_str(&code);
    }
    text.push_str(if browser {
        "Your browser should open. Check that it shows the same code.\n"
    } else {
        "Open the address in any browser, on any machine, and check that it shows the same code.\n"
    });
    text
}

/// Two rows of the QR code in each line of text; `None` when the link is too long for one.
fn qr_code(link: &str) -> Option<String> {
    use qrcode::render::unicode::Dense1x2;
    let code = qrcode::QrCode::new(link.as_bytes()).ok()?;
    // Dark modules drawn in the terminal's background: it scans on dark and, inverted, on light ones.
    let image = code
        .render::<Dense1x2>()
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark)
        .quiet_zone(true)
        .build();
    Some(format!("\n{image}\n\n"))
}

fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Whether a browser would appear before this person: not over SSH, and on
/// Linux only with a display.
fn may_open_browser(no_browser: bool, environment: &dyn Fn(&str) -> Option<OsString>) -> bool {
    let set = |name| environment(name).is_some();
    let remote = set("SSH_CONNECTION") || set("SSH_TTY") || set("CI");
    let display = !cfg!(target_os = "linux") || set("DISPLAY") || set("WAYLAND_DISPLAY");
    !no_browser && !remote && display
}

/// In its own thread, since starting a browser may take its time; the address
/// is on the screen in any case.
fn open_browser(link: String) {
    std::thread::spawn(move || drop(webbrowser::open(&link)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b9_a_browser_is_opened_only_where_somebody_would_see_it() {
        let cases: [(&[&str], bool, bool); 6] = [
            (&["DISPLAY"], false, true),
            (&["WAYLAND_DISPLAY"], false, true),
            (&["DISPLAY"], true, false),
            (&["DISPLAY", "SSH_CONNECTION"], false, false),
            (&["DISPLAY", "CI"], false, false),
            (&[], false, !cfg!(target_os = "linux")),
        ];
        for (set, no_browser, opens) in cases {
            let environment = |name: &str| set.contains(&name).then(|| OsString::from("x"));
            assert_eq!(may_open_browser(no_browser, &environment), opens, "{set:?} {no_browser}");
        }
    }

    #[test]
    fn the_qr_code_appears_only_when_asked_for() {
        let prompt = Prompt {
            user_code: "BCDF-GHJK".to_owned(),
            address: "https://id.example.com/device".to_owned(),
            complete_address: Some("https://id.example.com/device?user_code=BCDF-GHJK".to_owned()),
            expires_in: Duration::from_secs(600),
        };
        let plain = describe(&prompt, false, false);
        assert!(plain.contains("BCDF-GHJK") && plain.contains("https://id.example.com/device?user_code="));
        assert!(!plain.contains('█'));
        let with_code = describe(&prompt, false, true);
        assert!(with_code.contains('█') && with_code.lines().count() > 15, "{with_code}");
    }
}
