//! One written form for what can be written in many. Each function takes text as it came and gives the form that is
//! published, `None` for what is empty, or the rule that is not met. None of them guesses.

mod date;
mod email;
mod phone;
mod text;

pub use date::{date, instant};
pub use email::email;
pub use phone::telephone;
pub use text::{MAX_LINE, MAX_TEXT, kana, key, line, organisation_key, postal_code};
