//! What a person types. It asks the server, shows the answer, and carries
//! bytes; it decides nothing about access. Called by `main`; never imports
//! `server`.
//!
//! ```text
//!  command/*  one file a command: Args (whose comments are the help) and run
//!     │
//!     ├─ client ──── HTTP API, token renewal          settings, paths, tokens
//!     ├─ session ─── open, hold, end ── hold (events), tunnel (bytes), session_files
//!     └─ output ──── results on stdout, the rest on stderr;  ask: prompts on a terminal
//! ```

mod ask;
pub mod bundle;
pub mod client;
pub mod command;
pub mod device_login;
mod error;
mod generate;
mod grant_choice;
mod hold;
pub mod login_screen;
mod new_file;
mod output;
pub mod paths;
mod proposals;
mod recorded;
mod replay;
mod script;
mod session;
mod session_files;
mod settings;
pub mod tokens;
mod tunnel;
mod until;
mod view;

pub use ask::admin_password;
pub use command::{
    CheckArgs, ClassifyArgs, Cli, Command, DemoArgs, InitArgs, PolicyArgs, PolicyCheckArgs, PolicyCommand,
    ServerArgs, SetupArgs, TargetArgs, TargetCommand, Written, run, show_findings,
};
pub use error::CliError;
pub use generate::{SHELLS, completion_file, completion_script, man_pages};
pub use output::note;
pub use proposals::{accepted, show_proposals};
pub use settings::{Endpoint, Global, parse_server};
pub use tunnel::Tunnel;
