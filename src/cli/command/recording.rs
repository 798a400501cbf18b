use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, OutputArgs};
use crate::cli::recorded::{JsonLines, Recorded, Screen, Text, is_no_id, read_key};
use crate::core::recording::AuditorSecret;
use crate::os;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Show what was recorded of a session, and make the key that recordings are sealed to.
#[derive(Clone, Debug, clap::Args)]
pub struct RecordingArgs {
    #[command(subcommand)]
    command: RecordingCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum RecordingCommand {
    Show(ShowArgs),
    Keygen(KeygenArgs),
}

/// Show the statements of a recorded session with the rows that it saw.
///
/// Each part is compared with the ledger before it is shown; what was changed,
/// added, moved or cut off is named, and is an error. For security and auditors;
/// that you have looked is on the ledger.
#[derive(Clone, Debug, clap::Args)]
struct ShowArgs {
    /// The session, by id or unique prefix; or a recording's file
    #[arg(value_name = "SESSION|FILE")]
    what: String,
    /// The auditor's private key, where recordings are sealed
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// With a file: a copy of the ledger to compare it with
    #[arg(long, value_name = "DIR")]
    ledger: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Make a key pair: the private key to FILE, the public one to stdout.
///
/// The public key goes into the server's configuration, under [recording]
/// auditor_key. Whoever has FILE can read the recordings that are made from then
/// on; without it nobody can.
#[derive(Clone, Debug, clap::Args)]
struct KeygenArgs {
    /// Where the private key goes; it must not exist
    file: PathBuf,
}

impl RecordingArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            RecordingCommand::Show(args) => args.run(context).await,
            RecordingCommand::Keygen(args) => args.run(),
        }
    }
}

impl KeygenArgs {
    fn run(self) -> Result<(), CliError> {
        let secret = AuditorSecret::from_random(os::random());
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.file)?;
            file.write_all(secret.to_text().as_bytes())?;
            file.sync_all()
        };
        write().map_err(|error| {
            let hint = match error.kind() {
                io::ErrorKind::AlreadyExists => "a key that is there is never overwritten: name another file",
                io::ErrorKind::NotFound => "make the directory first: nobody but you should look into it",
                _ => "name a file where you may write, in a directory that nobody else looks into",
            };
            CliError::local(format!("cannot write {}", self.file.display()), error).hint(hint)
        })?;
        output::note(&format!(
            "the private key is in {}: keep it off the server, and a copy where it is safe",
            self.file.display()
        ));
        output::result(&format!("{}\n", secret.public()))
    }
}

impl ShowArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let mut screen: Box<dyn Screen> = match self.output.output {
            Format::Table => Box::new(Text::default()),
            Format::Json => Box::new(JsonLines),
            Format::Csv => {
                return Err(CliError::usage("a recording is no table").hint("--output table, or json"));
            }
        };
        let secret = self.key.as_deref().map(read_key).transpose()?;
        let path = Path::new(&self.what);
        let recorded = if path.is_file() {
            Recorded::of_file(path, self.ledger.as_deref())?
        } else if self.ledger.is_some() || is_no_id(&self.what) {
            return Err(no_file(path, self.ledger.is_some()));
        } else {
            Recorded::of_server(context.client()?.as_ref(), &self.what).await?
        };
        let played = recorded.show(secret.as_ref(), screen.as_mut()).await?;
        played.said.iter().for_each(|line| output::note(line));
        match played.broken {
            Some(broken) => {
                Err(broken
                    .hint("what stands above is as it was written; keep the file as it is: it is evidence"))
            }
            None => Ok(()),
        }
    }
}

fn no_file(path: &Path, with_ledger: bool) -> CliError {
    let shown = path.display();
    let what =
        if path.is_dir() { format!("{shown} is a directory") } else { format!("there is no file {shown}") };
    let error = CliError::usage(what).hint(
        "name a recording's file, or a session by its id: dbaccess sessions --all says which were recorded",
    );
    let why = "--ledger is for a recording's file; a server compares with its own ledger";
    if with_ledger { error.why(why) } else { error }
}
