//! Values inside strings: durations, sizes, signals, addresses, paths, names, placeholders.
//!
//! Each function returns the value, or one sentence that says what is wrong and, after a `; `, what
//! to write.

mod address;
mod color;
mod hours;
mod name;
mod path;
pub(crate) mod placeholder;
mod quantity;
mod schedule;

pub(crate) use address::{
    acme_directory, host, issuer, listen, network, origin, public_url, server_name, upstream, url,
};
pub(crate) use color::color;
pub(crate) use hours::warm_hours;
pub(crate) use name::{claim, header, is_token, is_variable_name};
pub(crate) use path::{pattern, prefix};
pub(crate) use quantity::{duration, rate, signal, size, umask};
pub(crate) use schedule::{cron, schedule, time_zone};

/// A value, or what is wrong with the text.
pub(crate) type Parsed<T> = Result<T, String>;
