#[cfg(test)]
mod keyring;
#[cfg(test)]
mod sign_in;
