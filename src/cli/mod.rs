//!

pub mod device_login;
pub mod login_screen;
pub mod paths;
pub mod tokens;
