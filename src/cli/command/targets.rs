use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, relative};
use crate::core::model::ErrorKind;
use crate::os;
use crate::proto::TargetView;

/// List the databases you may ask for; with TARGET, its tables and columns.
#[derive(Clone, Debug, clap::Args)]
pub struct TargetsArgs {
    /// Describe this one: tables, columns, and which are classified
    target: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl TargetsArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let targets = context.client()?.targets().await?;
        match &self.target {
            Some(name) => describe(find(&targets, name)?, self.output.output),
            None => list(&targets, self.output.output),
        }
    }
}

/// The target of that name, or an error with the nearest names.
pub(super) fn find<'a>(targets: &'a [TargetView], name: &str) -> Result<&'a TargetView, CliError> {
    if let Some(found) = targets.iter().find(|target| target.name == name) {
        return Ok(found);
    }
    let mut scored: Vec<(f64, &str)> = targets
        .iter()
        .map(|target| (strsim::jaro_winkler(name, &target.name), target.name.as_str()))
        .filter(|(score, _)| *score >= 0.7)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    let nearest: Vec<&str> = scored.into_iter().take(3).map(|(_, name)| name).collect();
    let error = CliError::new(ErrorKind::NotFound, format!("there is no target {name}"));
    Err(if nearest.is_empty() {
        error.hint("dbaccess targets lists them")
    } else {
        error.hint(format!("did you mean {}?", nearest.join(" or ")))
    })
}

fn list(targets: &[TargetView], format: Format) -> Result<(), CliError> {
    let now = os::now();
    let mut listing = Listing::new(
        ["target", "environment", "service", "owners", "yours", "access", "problem"],
        "there are no targets for you",
    );
    for target in targets {
        let owners: Vec<&str> = target.owners.iter().map(String::as_str).collect();
        let access: Vec<String> = target
            .grants
            .iter()
            .map(|grant| format!("{}, ends {}", grant.path.as_str(), relative(grant.until, now)))
            .collect();
        listing.row([
            target.name.clone(),
            target.environment.clone(),
            target.service.clone().unwrap_or_default(),
            owners.join(", "),
            if target.at_home { "yes" } else { "" }.to_owned(),
            access.join("; "),
            target.problem.clone().unwrap_or_default(),
        ]);
    }
    output::print_list(format, &listing, &targets)
}

fn describe(target: &TargetView, format: Format) -> Result<(), CliError> {
    if let Some(problem) = &target.problem {
        output::note(&format!("{} cannot be reached now: {problem}", target.name));
    }
    if let Some(width) = output::width_of_stdout().filter(|width| *width < output::NARROW)
        && format == Format::Table
        && !target.tables.is_empty()
    {
        return output::result(&tables(target, width));
    }
    let mut listing =
        Listing::new(["table", "column", "type", "classified"], "no tables are known: it was never reached");
    for table in &target.tables {
        for (index, column) in table.columns.iter().enumerate() {
            let name = if index == 0 || format == Format::Csv { table.name.clone() } else { String::new() };
            let sensitivity = column.sensitivity.clone().unwrap_or_default();
            listing.row([name, column.name.clone(), column.type_name.clone(), sensitivity]);
        }
    }
    output::print_list(format, &listing, &target)
}

/// Tables on a narrow terminal: a column a line.
fn tables(target: &TargetView, width: u16) -> String {
    let columns = target.tables.iter().flat_map(|table| &table.columns);
    let label = columns.map(|column| column.name.chars().count()).max().unwrap_or(0).min(20) + 2;
    let mut text = String::new();
    for table in &target.tables {
        text.push_str(&format!("{}\n", output::clean(&table.name)));
        for column in &table.columns {
            let sensitivity = column.sensitivity.iter().map(|found| format!(" ({found})"));
            let what = format!("{}{}", column.type_name, sensitivity.collect::<String>());
            let name = output::clean(&column.name);
            text.push_str(&output::field(&name, &output::clean(&what), label, Some(width)));
        }
    }
    text
}
