mod cli;
mod meta;
