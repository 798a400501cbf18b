//!

pub mod device_login;
pub mod login_screen;
