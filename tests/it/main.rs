mod keyring;
mod sign_in;
