//! A command on a terminal of its own, and what that terminal shows.

use super::env::eventually;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub struct Terminal {
    keyboard: File,
    /// Held open, so that its settings can be asked for once the command has ended.
    line: File,
    before: Termios,
    pub child: Child,
    screen: Arc<Mutex<vt100::Parser>>,
}

impl Terminal {
    pub fn run(mut command: Command, rows: u16, columns: u16) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let line = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        tcsetwinsize(&line, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let before = tcgetattr(&line).unwrap();
        let end = || line.try_clone().unwrap();
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let keyboard = File::from(master);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(rows), cells(columns), 0)));
        let (mut from, into) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                into.lock().unwrap().process(&bytes[..read]);
            }
        });
        Self { keyboard, line, before, child, screen }
    }

    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// The text on the screen.
    pub fn screen(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Once this stands on the screen.
    pub async fn shows(&self, text: &str) -> String {
        let shown = || Some(self.screen()).filter(|screen| screen.contains(text));
        // Before `eventually` gives up, which could not say what is there instead.
        let waited = tokio::time::timeout(Duration::from_secs(25), eventually(text, shown)).await;
        waited.unwrap_or_else(|_| panic!("{text} is not on the screen:\n{}", self.screen()))
    }

    /// How the command ended, and whether the terminal is as it was before it.
    pub async fn ended(&mut self) -> i32 {
        let child = &mut self.child;
        let code = eventually("the command ends", || child.try_wait().unwrap()).await.code().unwrap();
        let back = || {
            let parser = self.screen.lock().unwrap();
            (!parser.screen().alternate_screen() && !parser.screen().hide_cursor()).then_some(())
        };
        eventually("the screen is given back", back).await;
        let now = tcgetattr(&self.line).unwrap();
        assert_eq!(
            (now.local_modes, now.input_modes, now.output_modes),
            (self.before.local_modes, self.before.input_modes, self.before.output_modes)
        );
        code
    }
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
