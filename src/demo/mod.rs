//! Everything on one loopback, in one directory, to try and to test: never for real use.

pub mod identity;
pub mod pki;

/// `dbaccess demo`.
pub async fn run(_args: &crate::cli::DemoArgs) -> anyhow::Result<()> {
    anyhow::bail!("not here yet")
}
